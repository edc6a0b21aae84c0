"""What runs on the nodes. It imports nothing of this package, which nodes do not have."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any


def read_feeds(args: dict[str, Any], ctx: Any) -> list[dict[str, Any]]:
    """Read feeds one after the other; for each, what `read_passes` returns.

    Before each feed and before its later passes the node waits for the driver, by files in the
    folder `signals`.
    """
    return [read_passes(feed, args, ctx) for feed in args["feeds"]]


def read_passes(feed: str, args: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """Read a feed's first pass, and so many later ones, and return rows and times."""
    strategy = ctx.strategy
    signals = Path(args["signals"])
    (signals / f"{feed}-waits-{ctx.rank}").touch()
    dataset = ctx.dataset(feed, **args["dataset"])
    rows, first_end = read_once(dataset, strategy), time.time()
    (signals / f"{feed}-read-{ctx.rank}").touch()
    while not (signals / f"{feed}-again").exists():
        time.sleep(0.005)
    later_begin = time.time()
    later_rows = sum(read_once(dataset, strategy) for _ in range(args["later"]))
    return {
        "rows": rows,
        "first_end": first_end,
        "later_rows": later_rows,
        "later_begin": later_begin,
        "later_end": time.time(),
    }


def read_once(dataset: Any, strategy: Any) -> int:
    """Iterate over a dataset and return how many rows this process got."""
    import tensorflow as tf

    rows = 0
    for element in dataset:
        leaf = tf.nest.flatten(element)[0]
        rows += int(strategy.experimental_local_results(leaf)[0].shape[0])
    return rows
