"""What runs on the nodes. It imports nothing of this package, which nodes do not have."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


def read_feeds(args: dict[str, Any], ctx: Any) -> list[dict[str, Any]]:
    """Read feeds one after the other; for each, what `read_passes` returns.

    Before each feed and before its later passes the node waits for the driver, by files in the
    folder `signals`.
    """
    count = row_counter(ctx.strategy)
    return [read_passes(feed, args, ctx, count) for feed in args["feeds"]]


def read_passes(
    feed: str, args: dict[str, Any], ctx: Any, count: Callable[[Any], int]
) -> dict[str, Any]:
    """Read a feed's first pass, and so many later ones, and return rows and times."""
    signals = Path(args["signals"])
    (signals / f"{feed}-waits-{ctx.rank}").touch()
    dataset = ctx.dataset(feed, **args["dataset"])
    rows, first_end = count(dataset), time.time()
    (signals / f"{feed}-read-{ctx.rank}").touch()
    while not (signals / f"{feed}-again").exists():
        time.sleep(0.005)
    later_begin = time.time()
    later_rows = sum(count(dataset) for _ in range(args["later"]))
    later_end = time.time()
    ctx.feed(feed).terminate()
    return {
        "rows": rows,
        "first_end": first_end,
        "later_rows": later_rows,
        "later_begin": later_begin,
        "later_end": later_end,
    }


def row_counter(strategy: Any) -> Callable[[Any], int]:
    """Return what iterates over a dataset once and returns how many rows this process got.

    The loop is TensorFlow's own, as in a compiled training step: one in Python takes longer than
    most batches, and would be what is measured. It ends with the iterator's error, because to ask
    an iterator of several nodes for its end takes a call of all nodes.
    """
    import tensorflow as tf

    rows = tf.Variable(0, dtype=tf.int64)

    def take_all(iterator: Any) -> None:
        def take_next(step: Any) -> Any:
            leaf = tf.nest.flatten(next(iterator))[0]
            own = strategy.experimental_local_results(leaf)[0]
            rows.assign_add(tf.shape(own, tf.int64)[0])
            return step + 1

        # Not a `while` for TensorFlow to translate: what was pickled has no source code.
        tf.while_loop(lambda _: tf.constant(True), take_next, [tf.constant(0)])

    read_to_the_end = tf.function(take_all, autograph=False)

    def count(dataset: Any) -> int:
        rows.assign(0)
        with suppress(tf.errors.OutOfRangeError):
            read_to_the_end(iter(dataset))
        return int(rows)

    return count


def train_digits(args: dict[str, Any], ctx: Any) -> list[float]:
    """Train the demo's model on the feed and return the times at which its steps ended."""
    import mnist_keras  # shipped by the driver

    with ctx.strategy.scope():
        model = mnist_keras.make_model()
    rows = ctx.dataset(batch_size=args["batch_size"], features="image", label="label")
    return fit(model, rows, args["epochs"])


def fit(model: Any, rows: Any, epochs: int) -> list[float]:
    """Train a compiled model and return the times at which its steps ended."""
    import keras

    ends: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.time())
    )
    model.fit(rows, epochs=epochs, callbacks=[clock], verbose=0)
    return ends


def read_to_the_end(args: dict[str, Any], ctx: Any) -> float:
    """Read one pass of the feed and return when its last batch was there."""
    row_counter(ctx.strategy)(ctx.dataset(**args))
    return time.time()


def read_files(args: dict[str, Any], ctx: Any) -> dict[str, Any] | None:
    """Read Parquet files in the node, or return None where the library cannot do that yet."""
    if not hasattr(ctx, "read_parquet"):
        return None
    count = row_counter(ctx.strategy)
    signals = Path(args["signals"])
    rows = ctx.read_parquet(args["uri"], **args["dataset"])
    count(rows)
    (signals / f"waits-{ctx.rank}").touch()
    while len(list(signals.glob("waits-*"))) < ctx.num_workers:
        time.sleep(0.005)
    begin = time.time()
    found = sum(count(rows) for _ in range(args["passes"]))
    return {"rows": found, "begin": begin, "end": time.time()}


def read_slowly(args: dict[str, Any], ctx: Any) -> dict[str, int]:
    """Read a feed with a pause after each batch; return the most bytes that were held."""
    import psutil

    agent = psutil.Process().parent()
    feed, agent_bytes, spool_bytes = ctx.feed(), 0, 0
    while not feed.should_stop():
        feed.next_batch(args["batch_size"])
        time.sleep(args["pause_seconds"])
        agent_bytes = max(agent_bytes, agent.memory_info().rss)
        files = Path(args["work_dir"]).rglob("spool/**/*")
        spool_bytes = max(spool_bytes, sum(map(_size, files)))
    return {"agent_bytes": agent_bytes, "spool_bytes": spool_bytes}


def _size(file: Path) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except FileNotFoundError:  # dropped meanwhile
        return 0
