"""Keras callbacks for a cluster, in which only the chief writes.

Saving a Keras 3 model, its weights, an exported model or TensorBoard histograms is not a collective
operation, because every node holds a copy of all variables. So the chief writes alone, and the
other nodes neither save nor wait. Reading a metric's result and `model.predict` are collective: a
callback that calls them must do so on every node.

Saving a model of Keras 2 is collective. All nodes therefore have Keras 2's own callbacks, which
write to temporary folders on nodes other than the chief.

On a single node, these are the callbacks of Keras.
"""

from __future__ import annotations

from typing import Any

from tensorsparkml.checks import checked, path, switch
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.program.keras_versions import is_of_keras_2
from tensorsparkml.trainer.program_keras import program_keras

__all__ = ["backup_and_restore", "model_checkpoint", "tensorboard"]


@checked(is_chief=switch, filepath=path)
def model_checkpoint(is_chief: bool, filepath: str, **kwargs: Any) -> Any:
    """Return a `keras.callbacks.ModelCheckpoint` that saves on the chief only.

    Args:
        is_chief: Whether this node is the chief.
        filepath: Where the chief saves; may contain fields such as `{epoch}`.
        **kwargs: Further arguments of Keras's callback.

    Returns:
        The callback for this node.
    """
    keras = program_keras()
    # Created on every node, so that a wrong argument is an error on all and no node waits.
    callback = keras.callbacks.ModelCheckpoint(filepath, **kwargs)
    return callback if is_chief or _all_write(keras) else keras.callbacks.Callback()


@checked(is_chief=switch, log_dir=path)
def tensorboard(is_chief: bool, log_dir: str, **kwargs: Any) -> Any:
    """Return a `keras.callbacks.TensorBoard` that writes events on the chief only.

    The metrics cover all nodes.

    Args:
        is_chief: Whether this node is the chief.
        log_dir: Folder for the event files.
        **kwargs: Further arguments of Keras's callback.

    Returns:
        The callback for this node.
    """
    keras = program_keras()
    if not is_chief and not _all_write(keras):
        return keras.callbacks.Callback()
    return keras.callbacks.TensorBoard(log_dir, **kwargs)


@checked(is_chief=switch, backup_dir=path)
def backup_and_restore(is_chief: bool, backup_dir: str, **kwargs: Any) -> Any:
    """Return a `keras.callbacks.BackupAndRestore` that the chief writes and all nodes restore from.

    The previous backup is kept while a new one is written (`double_checkpoint`), because a node can
    be killed at any time. As with Keras on one machine, training resumes at the start of the epoch
    that was interrupted, with the weights of the last backup.

    Args:
        is_chief: Whether this node is the chief.
        backup_dir: A folder that every node can read, such as one on a shared filesystem.
        **kwargs: Further arguments of Keras's callback.

    Returns:
        The callback for this node. If the nodes have restored different states, its
        `on_train_begin` raises a `ConfigurationError` on every node.
    """
    keras = program_keras()
    kind: Any = keras.callbacks.BackupAndRestore

    class BackupAndRestore(kind):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:
            super().on_train_begin(logs)
            _require_same_state(self.model, backup_dir)

    class Restore(BackupAndRestore):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            pass

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            pass

        def on_train_end(self, logs: Any = None) -> None:
            pass

    if _all_write(keras):
        return BackupAndRestore(backup_dir, **kwargs)
    kwargs.setdefault("double_checkpoint", True)
    return (BackupAndRestore if is_chief else Restore)(backup_dir, **kwargs)


def _all_write(keras: Any) -> bool:
    return is_of_keras_2(keras.callbacks.Callback)


def _require_same_state(model: Any, backup_dir: str) -> None:
    """Compare the number of steps that the nodes have restored; a collective operation."""
    import tensorflow as tf

    if model.optimizer is None or model.distribute_strategy.num_replicas_in_sync == 1:
        return
    local = tf.reshape(tf.cast(tf.convert_to_tensor(model.optimizer.iterations), tf.int64), [1])
    steps = model.distribute_strategy.gather(local, axis=0).numpy().tolist()
    if len(set(steps)) > 1:
        raise ConfigurationError(
            f"The nodes restored different states from backup_dir {backup_dir!r}: their optimizers "
            f"are at steps {steps}. Choose a folder that every node sees under the same name, on a "
            "shared filesystem or an object store."
        )
