"""Functions that differ between releases of TensorFlow, for programs on nodes."""

from __future__ import annotations

from tempfile import TemporaryDirectory
from typing import Any

from tensorsparkml.program.keras_versions import is_of_keras_2
from tensorsparkml.storage import write_directory


def export_saved_model(model: Any, export_dir: str, is_chief: bool = False) -> None:
    """Write a Keras model as a SavedModel on the chief. All nodes must call this.

    Args:
        model: The model.
        export_dir: Folder on any filesystem that fsspec supports. An existing folder is replaced.
        is_chief: Whether this node is the chief, which writes.
    """
    if is_chief:
        write_directory(export_dir, lambda path: _save(model, path))
    elif is_of_keras_2(type(model)):  # whose saving all nodes take part in
        with TemporaryDirectory() as folder:
            _save(model, folder)


def disable_auto_shard(options: Any) -> None:
    """Let every node read all of a dataset, in `tf.data.Options`."""
    import tensorflow as tf

    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF


def is_gpu_available() -> bool:
    """Whether TensorFlow sees a GPU."""
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU")) > 0


def _save(model: Any, path: str) -> None:
    if is_of_keras_2(type(model)):
        model.save(path, save_format="tf")
    else:
        model.export(path, verbose=False)
