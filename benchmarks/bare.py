"""What people write without this library: TensorFlow processes that are started by hand.

Run as `python -m benchmarks.bare PROGRAM ARGUMENTS`, the arguments as JSON; prints its result as
JSON in its last line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import IO, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from benchmarks.data import KINDS, ROOT
from benchmarks.nodes import fit, row_counter

_PREFETCHED_BATCHES = 4


def arrow_batches(path: str, size: int) -> Iterator[pa.RecordBatch]:
    """The rows of an Arrow file, memory-mapped, in batches."""
    with pa.memory_map(path) as file:
        reader = pa.ipc.open_file(file)
        pieces = (reader.get_batch(index) for index in range(reader.num_record_batches))
        yield from cut(pieces, size)


def parquet_batches(paths: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    """The rows of Parquet files in batches."""
    yield from cut(ds.dataset(list(paths)).to_batches(), size)


def cut(pieces: Iterator[pa.RecordBatch], size: int) -> Iterator[pa.RecordBatch]:
    """Slice record batches; the last slice of each may be smaller."""
    for piece in pieces:
        for start in range(0, piece.num_rows, size):
            yield piece.slice(start, size)


def to_array(column: Any) -> np.ndarray:
    """A column as TensorFlow takes it: lists and images of equal size as a matrix, not copied."""
    if pa.types.is_list(column.type):
        return np.reshape(column.flatten().to_numpy(), (len(column), -1))
    if pa.types.is_binary(column.type):
        offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset :]
        content = np.frombuffer(column.buffers()[2], np.uint8)
        return content[offsets[0] : offsets[len(column)]].reshape(len(column), -1)
    return np.asarray(column.to_numpy())


def dataset(kind: str, batches: Callable[[], Iterator[pa.RecordBatch]]) -> Any:
    """The `tf.data.Dataset` of a kind of row."""
    import tensorflow as tf

    layout = KINDS[kind]

    def element(batch: pa.RecordBatch) -> Any:
        arrays = {name: to_array(batch.column(name)) for name in batch.schema.names}
        if layout.features is None or layout.label is None:
            return arrays
        return arrays[layout.features], arrays[layout.label]

    def signature(array: np.ndarray) -> Any:
        return tf.TensorSpec((None, *array.shape[1:]), tf.as_dtype(array.dtype))

    sample = element(next(batches()))
    signatures = tf.nest.map_structure(signature, sample)
    made = tf.data.Dataset.from_generator(
        lambda: map(element, batches()), output_signature=signatures
    )
    return made.prefetch(_PREFETCHED_BATCHES)


def read(arguments: dict[str, Any]) -> dict[str, Any]:
    """Read a dataset once to warm up, and again when the starter says so."""
    import tensorflow as tf

    count = row_counter(tf.distribute.get_strategy())
    kind, source, size = arguments["kind"], arguments["source"], KINDS[arguments["kind"]].batch_size
    batches = parquet_batches if isinstance(source, list) else arrow_batches
    rows = dataset(kind, lambda: batches(source, size))
    count(rows)
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.time()
    found = sum(count(rows) for _ in range(arguments["passes"]))
    return {"rows": found, "begin": begin, "end": time.time()}


def train(arguments: dict[str, Any]) -> list[float]:
    """Train the demo's model on rows in memory and return the times at which its steps ended.

    With the library's repair of Keras, without which `fit` fails on several workers.
    """
    from tensorsparkml.trainer.strategies import repair_keras

    repair_keras()
    import tensorflow as tf

    task = json.loads(os.environ["TF_CONFIG"])["task"]
    rank = 0 if task["type"] == "chief" else task["index"] + 1
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with np.load(arguments["sources"][rank]) as arrays:
        rows = tf.data.Dataset.from_tensor_slices((arrays["image"], arrays["label"]))
    rows = rows.batch(arguments["batch_size"]).prefetch(_PREFETCHED_BATCHES)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    rows = rows.with_options(options)
    sys.path.insert(0, str(ROOT / "examples"))
    import mnist_keras

    with strategy.scope():
        model = mnist_keras.make_model()
    return fit(
        model, strategy.distribute_datasets_from_function(lambda _: rows), arguments["epochs"]
    )


def predict(arguments: dict[str, Any]) -> dict[str, Any]:
    """Apply a model to the rows of an Arrow file, once to warm up, and again when told so."""
    import tensorflow as tf

    # A process for each core, as Spark has a task for each.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    loaded = tf.saved_model.load(arguments["path"])
    apply = loaded.signatures["serving_default"]
    [name] = apply.structured_input_signature[1]

    def apply_to_all() -> int:
        rows = 0
        for batch in arrow_batches(arguments["source"], arguments["batch_size"]):
            values = tf.constant(to_array(batch.column("x")))
            [output] = apply(**{name: values}).values()
            rows += len(output.numpy())
        return rows

    apply_to_all()
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.time()
    rows = apply_to_all()
    return {"rows": rows, "begin": begin, "end": time.time()}


PROGRAMS = {"read": read, "train": train, "predict": predict}


def command(program: str, arguments: dict[str, Any]) -> list[str]:
    """The command line of a bare process."""
    return [sys.executable, "-m", "benchmarks.bare", program, json.dumps(arguments)]


def run_together(program: str, arguments: Sequence[dict[str, Any]]) -> float:
    """Let one process for each of the arguments run at the same time; rows per second of all."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    command(program, each),
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
            for each in arguments
        ]
        for process in processes:
            cast("IO[str]", process.stdout).readline()
        for process in processes:
            to_process = cast("IO[str]", process.stdin)
            to_process.write("go\n")
            to_process.flush()
        outputs = [cast("IO[str]", process.stdout).read() for process in processes]
    results = [json.loads(output.splitlines()[-1]) for output in outputs]
    seconds = max(each["end"] for each in results) - min(each["begin"] for each in results)
    return float(sum(each["rows"] for each in results) / seconds)


if __name__ == "__main__":
    result = PROGRAMS[sys.argv[1]](json.loads(sys.argv[2]))
    print(json.dumps(result), flush=True)
    # As the library's own processes leave; Python's way out waits for TensorFlow's peers.
    os._exit(0)
