"""Parameter servers without Spark: worker, server and chief are one process."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from two_processes import Node, run_processes

EPOCHS = 3
KEY = "the cluster's"


def connect(context: Any) -> Any:
    """Return a strategy over one worker, which serves the context's datasets, and two servers."""
    import socket

    import tensorflow as tf

    from tensorsparkml.trainer.parameter_servers.worker_datasets import ServedDatasets
    from tensorsparkml.trainer.strategies import serve

    served = ServedDatasets(context, KEY, context.errors.append)
    served.register()
    held = [socket.socket() for _ in range(3)]
    for each in held:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        each.bind(("127.0.0.1", 0))
    worker, *servers = (f"127.0.0.1:{each.getsockname()[1]}" for each in held)
    spec = {"worker": [worker], "ps": servers}
    kept = [serve(spec, "worker", 0), *(serve(spec, "ps", index) for index in range(2))]
    context.kept = [served, held, kept]
    return tf.distribute.ParameterServerStrategy(
        tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec(spec), rpc_layer="grpc"
        )
    )


def make_context() -> Any:
    """A worker's context, with datasets of several kinds."""
    import tensorflow as tf

    def structured() -> Any:
        many = tf.ragged.constant([[1, 2], [], [], [], [3, 4, 5]])
        names = ["a\0", "", "ccc", "d", "e\0\0"]
        rows = tf.data.Dataset.from_tensor_slices((many, names, np.arange(5) / 2))
        return rows.batch(2).map(lambda many, name, half: ({"b": many, "a": name}, (half, half)))

    def empty_batches() -> Any:
        return tf.data.Dataset.range(3).map(lambda rows: tf.range(rows % 2))

    return SimpleNamespace(
        task_index=0, errors=[], structured=structured, empty_batches=empty_batches
    )


def read_remotely(node: Node) -> Any:
    """Read datasets in a worker's steps, twice, and as the worker itself has them."""
    import tensorflow as tf

    from tensorsparkml.trainer.parameter_servers.chief_datasets import RemoteDatasets

    context = make_context()
    strategy = connect(context)
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    remote = RemoteDatasets(1, KEY)

    @tf.function
    def step(iterator: Any) -> Any:
        return tf.nest.flatten(next(iterator), expand_composites=True)

    @tf.function
    def has_more(iterator: Any) -> Any:
        return iterator.get_next_as_optional().has_value()

    def arrays(tensors: list[Any]) -> list[Any]:
        return [np.asarray(tensor).tolist() for tensor in tensors]

    def read_both_ways(name: str, batches: int) -> Any:
        local, specs = getattr(context, name)(), []

        def make() -> Any:
            dataset = remote.dataset(name, (), {})
            specs.append(dataset.element_spec)
            return dataset

        datasets = coordinator.create_per_worker_dataset(make)
        passes = []
        for _ in range(2):
            iterator = iter(datasets)
            calls = [coordinator.schedule(step, args=(iterator,)) for _ in range(batches)]
            passes.append([arrays(call.fetch()) for call in calls])
            passes[-1].append(bool(coordinator.schedule(has_more, args=(iterator,)).fetch()))
        expected = [tf.nest.flatten(each, expand_composites=True) for each in local]
        return [arrays(each) for each in expected], passes, specs == [local.element_spec]

    found = {
        name: read_both_ways(name, batches)
        for name, batches in (("structured", 3), ("empty_batches", 1))
    }
    return found, context.errors


def test_elements_keep_their_structure() -> None:
    [outcome] = run_processes(read_remotely, nodes=1)
    found, errors = outcome.value
    assert errors == []
    batches, passes, alike = found["structured"]
    assert alike
    assert passes == [[*batches, False]] * 2
    assert batches[0] == [[b"a\0", b""], [1, 2], [0, 2, 2], [0.0, 0.5], [0.0, 0.5]]
    assert batches[1][1:3] == [[], [0, 0, 0]]  # rows without a value in them


def test_batches_without_rows_are_left_out() -> None:
    [outcome] = run_processes(read_remotely, nodes=1)
    batches, passes, alike = outcome.value[0]["empty_batches"]
    assert alike
    assert batches == [[[]], [[0]], [[]]]
    assert passes == [[[[0]], False]] * 2


def build(optimizer: str) -> Any:
    import keras

    keras.utils.set_random_seed(1)
    layers = [
        keras.layers.Dense(8, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential([keras.Input((4,)), *layers])
    chosen = {"sgd": keras.optimizers.SGD(0.05), "adam": keras.optimizers.Adam(0.01)}[optimizer]
    model.compile(chosen, "mse", metrics=["mae"])
    return model


def fit_both_ways(node: Node, optimizer: str) -> Any:
    """Train by Keras's fit on the chief, and asynchronously through the servers."""
    import tensorflow as tf

    from tensorsparkml.trainer.parameter_servers.fit import AsynchronousFit

    context = make_context()
    strategy = connect(context)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    y = x @ np.array([[1.0], [2.0], [3.0], [4.0]], np.float32)

    def dataset() -> Any:
        return tf.data.Dataset.from_tensor_slices((x, y)).batch(16)

    alone = build(optimizer)
    expected = alone.fit(dataset(), validation_data=dataset(), epochs=EPOCHS, verbose=0).history
    with strategy.scope():
        model = build(optimizer)
    counted: list[int] = []
    fitting = AsynchronousFit(model, strategy, 1, counted.append)
    found = fitting.fit(dataset, EPOCHS, 0, dataset, []).history
    differences = [
        float(np.abs(one - other).max())
        for one, other in zip(alone.get_weights(), model.get_weights(), strict=True)
    ]
    return expected, found, differences, counted


@pytest.mark.parametrize("optimizer", [pytest.param("sgd", marks=pytest.mark.full), "adam"])
def test_one_worker_computes_what_keras_alone_computes(optimizer: str) -> None:
    [outcome] = run_processes(fit_both_ways, nodes=1, optimizer=optimizer)
    expected, found, differences, counted = outcome.value
    assert set(found) == {"loss", "mae", "val_loss", "val_mae"}
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-5), name
    assert max(differences) < 1e-4
    assert counted == [60] * 2 * EPOCHS
