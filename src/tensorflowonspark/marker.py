"""Raises at import: rows have no markers among them."""

from __future__ import annotations

from tensorflowonspark.removed import removed

raise removed(
    "marker",
    "Feeds have no markers such as EndPartition: next_batch of an inference ends a batch with its "
    "partition, and should_stop() tells the end of the rows.",
)
