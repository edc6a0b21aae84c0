"""Callbacks of two nodes: one node writes, all restore, none waits for another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from two_processes import Node, run_processes

ROWS, FEATURES = 64, 4


def make(node: Node) -> tuple[Any, Any]:
    """A compiled model with all kinds of variables, and a function that makes its dataset."""
    from tensorsparkml.trainer.strategies import repair_keras

    repair_keras()
    import keras
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if node.count > 1:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    features = np.random.default_rng(5).random((ROWS, FEATURES), dtype="float32")
    labels = (features.sum(axis=1, keepdims=True) > FEATURES / 2).astype("float32")

    def local(_: Any) -> Any:
        rows = slice(node.index, None, node.count)
        return tf.data.Dataset.from_tensor_slices((features[rows], labels[rows])).batch(8)

    def dataset() -> Any:
        if node.count == 1:
            return local(None)
        return strategy.distribute_datasets_from_function(local)

    with strategy.scope():
        keras.utils.set_random_seed(2)
        model = keras.Sequential(
            [
                keras.Input((FEATURES,)),
                keras.layers.Dense(4),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.2),
                keras.layers.Dense(1, "sigmoid"),
            ]
        )
        model.compile("adam", "binary_crossentropy", metrics=["accuracy", keras.metrics.AUC()])
    return model, dataset


def all_callbacks(node: Node, directory: str) -> dict[str, Any]:
    import keras

    from tensorsparkml.trainer import callbacks

    class Interrupt(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    model, dataset = make(node)
    # Every node has its own root: a file under another node's is written by no one.
    root = f"{directory}/node-{node.index}"
    backup = f"{directory}/backup"
    chief = node.is_chief
    first = [
        callbacks.model_checkpoint(chief, root + "/last.keras"),
        callbacks.model_checkpoint(
            chief, root + "/{epoch}.weights.h5", save_weights_only=True, save_freq=3
        ),
        callbacks.model_checkpoint(
            chief, root + "/best.keras", save_best_only=True, monitor="val_loss"
        ),
        callbacks.tensorboard(chief, root + "/epochs", histogram_freq=0),
        callbacks.tensorboard(
            chief, root + "/batches", histogram_freq=1, write_images=True, update_freq="batch"
        ),
        callbacks.backup_and_restore(chief, backup),
        Interrupt(),
    ]
    try:
        model.fit(dataset(), epochs=4, verbose=0, validation_data=dataset(), callbacks=first)
    except KeyboardInterrupt:
        interrupted = int(model.optimizer.iterations.numpy())
    if chief:
        # While the other node is on its way to evaluate: none of it needs the other.
        model.save(root + "/after.keras")
        model.save_weights(root + "/after.weights.h5")
        model.export(root + "/exported", verbose=False)
    # The nodes wait for each other here, so that none restores before the chief has written.
    model.evaluate(dataset(), verbose=0)
    saved = json.loads(Path(backup, "training_metadata.json").read_text())
    restart = callbacks.backup_and_restore(chief, backup, delete_checkpoint=True)
    history = model.fit(dataset(), epochs=4, verbose=0, callbacks=[restart])

    # A directory that only one node sees.
    model.fit(dataset(), initial_epoch=4, epochs=5, verbose=0)
    if not chief:
        model.optimizer.iterations.assign(0)
    error = ""
    apart = callbacks.backup_and_restore(chief, root + "/apart")
    try:
        model.fit(dataset(), epochs=9, verbose=0, callbacks=[apart])
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    return {
        "types": [type(callback).__mro__[0].__name__ for callback in first],
        "interrupted": interrupted,
        "saved": saved,
        "epochs": history.epoch,
        "error": error,
    }


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("callbacks")


@pytest.fixture(scope="module")
def nodes(directory: Path) -> list[dict[str, Any]]:
    outcomes = run_processes(all_callbacks, directory=str(directory))
    return [outcome.value for outcome in outcomes]


def test_only_the_chief_writes(nodes: list[dict[str, Any]], directory: Path) -> None:
    chief = directory / "node-0"
    written = sorted(path.name for path in chief.iterdir())
    assert written == [
        "1.weights.h5",
        "2.weights.h5",
        "after.keras",
        "after.weights.h5",
        "batches",
        "best.keras",
        "epochs",
        "exported",
        "last.keras",
    ]
    for log in ("epochs", "batches"):
        kinds = {path.name for path in (chief / log).iterdir()}
        assert kinds == {"train", "validation"}
        assert all(list((chief / log / kind).glob("events.*")) for kind in kinds)
    assert not (directory / "node-1").exists()


def test_all_nodes_resume_in_the_epoch_after_the_backup(nodes: list[dict[str, Any]]) -> None:
    for node in nodes:
        assert node["interrupted"] == 8
        assert node["saved"]["epoch"] == 2
        assert node["epochs"] == [2, 3]


def test_the_chief_deletes_the_backup(nodes: list[dict[str, Any]], directory: Path) -> None:
    assert not (directory / "backup").exists()


def test_nodes_that_restore_different_states_are_told(nodes: list[dict[str, Any]]) -> None:
    for node in nodes:
        assert node["error"].startswith("ConfigurationError: The nodes restored different states")
        assert "[28, 0]" in node["error"]


def alone(node: Node, directory: str) -> dict[str, Any]:
    import keras

    from tensorsparkml.trainer import callbacks

    model, dataset = make(node)
    made = [
        callbacks.model_checkpoint(True, f"{directory}/model.keras"),
        callbacks.tensorboard(True, f"{directory}/logs"),
        callbacks.backup_and_restore(True, f"{directory}/backup", delete_checkpoint=False),
    ]
    model.fit(dataset(), epochs=1, verbose=0, callbacks=made)
    again = model.fit(
        dataset(),
        epochs=3,
        verbose=0,
        callbacks=[callbacks.backup_and_restore(True, f"{directory}/backup")],
    )
    kinds = [
        keras.callbacks.ModelCheckpoint,
        keras.callbacks.TensorBoard,
        keras.callbacks.BackupAndRestore,
    ]
    return {
        "kinds": [isinstance(*pair) for pair in zip(made, kinds, strict=True)],
        "epochs": again.epoch,
        "files": sorted(path.name for path in Path(directory).iterdir()),
    }


def test_a_single_node_has_the_callbacks_of_keras(tmp_path: Path) -> None:
    (outcome,) = run_processes(alone, nodes=1, directory=str(tmp_path))
    assert outcome.value["kinds"] == [True, True, True]
    assert outcome.value["epochs"] == [1, 2]
    assert outcome.value["files"] == ["logs", "model.keras"]
