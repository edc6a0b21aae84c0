"""Sets up TensorFlow in a Python process of Spark, before it is used there for the first time."""

from __future__ import annotations

import gc
import importlib
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from tensorsparkml.executor.launch.gpu_assignment import gpu_environment
from tensorsparkml.inference.models.source import Kind, ModelSource

logger = logging.getLogger(__name__)


@contextmanager
def visible_gpus(gpus: Sequence[str]) -> Iterator[None]:
    """Show the GPUs of a task to what is loaded in the block, and to nothing after it.

    A process keeps the GPUs of the first model that it loads, though Spark may use it for a later
    task with other ones.

    Args:
        gpus: Addresses of the GPUs that Spark has assigned to the task; none changes nothing.
    """
    wanted: dict[str, str] = {}
    if gpus:
        wanted = gpu_environment(tuple(gpus), assigned_by_spark=True, memory_growth=True)
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def configure(source: ModelSource, cores: int) -> None:
    """Give TensorFlow as many threads as the task has cores, and only the memory that it needs.

    Args:
        source: The model that the process is about to load.
        cores: Cores of a task, `spark.task.cpus`.
    """
    if source.kind is not Kind.FUNCTION:
        _import("tensorflow")
        _configure(cores)
        _set_precision(source.mixed_precision)
    if source.kind in (Kind.KERAS, Kind.WEIGHTS):
        _import("keras")


@lru_cache
def _import(name: str) -> None:
    """Import a package whose objects the garbage collector need not look at from then on.

    Spark collects garbage after each task, which takes 0.14 s of a core with TensorFlow's objects.
    Models are not among them, so they can be collected. The import itself is faster, 1.4 s and not
    1.8 s, where no collection interrupts it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        importlib.import_module(name)
    finally:
        if enabled:
            gc.enable()
    gc.collect()
    gc.freeze()


@lru_cache(maxsize=1)
def _configure(cores: int) -> None:
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(cores)
        tf.config.threading.set_inter_op_parallelism_threads(cores)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as error:  # a function of the user's has used TensorFlow here before
        logger.warning("TensorFlow keeps the threads and devices that it has: %s", error)


def _set_precision(mixed: bool) -> None:
    import tensorflow as tf

    gpu = bool(tf.config.list_physical_devices("GPU"))
    name = "auto_mixed_precision" if gpu else "auto_mixed_precision_onednn_bfloat16"
    if mixed or tf.config.optimizer.get_experimental_options().get(name):
        tf.config.optimizer.set_experimental_options({name: mixed})
