"""Raises at import: nodes have no managers."""

from __future__ import annotations

from tensorflowonspark.removed import removed

raise removed(
    "TFManager",
    "Nodes have no queues and no managers: a program gets its rows, and gives its results, with "
    "the methods of ctx.get_data_feed() or TFNode.DataFeed(ctx.mgr).",
)
