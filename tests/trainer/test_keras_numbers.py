"""On several replicas Keras finds the numbers of one process, and never a NaN.

What is expected comes from one process with one replica, on the same steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from two_processes import Node, run_processes

from tensorsparkml.control.feeds.lockstep import ClosedFeed, plan_pass

pytestmark = [pytest.mark.full, pytest.mark.timeout(2500)]  # for fixtures, which start processes
ROWS, EPOCHS = 5, 3  # with batches of one row, two nodes have three and two of the rows
EXACT = {"rtol": 1e-5, "atol": 1e-6}
NEVER_EMPTY = ["of each replica", "of all replicas"]  # by whose rows the model normalises


def steps_of(count: int, size: int, nodes: int, least: int) -> list[list[list[int]]]:
    """The rows of each node's batch, step by step, as lockstep deals them."""
    found = []
    for share in [part.tolist() for part in np.array_split(np.arange(count), nodes)]:
        plan = plan_pass(ClosedFeed(count, nodes, len(share)), size, False, least)
        sizes = [size] * plan.full + [step.rows for step in plan.last]
        bounds = itertools.pairwise(itertools.accumulate(sizes, initial=0))
        found.append([share[begin:end] for begin, end in bounds])
    return [list(step) for step in zip(*found, strict=True)]


def make_dataset(strategy: Any, node: int, steps: list[list[list[int]]], x: Any, y: Any) -> Any:
    """The batches of a node, with their scales where there are several replicas."""
    import tensorflow as tf

    from tensorsparkml.trainer.datasets.replicas import replicated, several_replicas

    def pairs() -> Iterator[Any]:
        for step in steps:
            scale = len(step[node]) * len(step) / sum(map(len, step))
            yield (x[step[node]], y[step[node]]), np.float32(scale)

    specs = ((tf.TensorSpec((None, 2)), tf.TensorSpec((None, 1))), tf.TensorSpec(()))
    dataset = tf.data.Dataset.from_generator(pairs, output_signature=specs)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(steps)))
    if not several_replicas(strategy):
        return dataset.map(lambda batch, scale: batch)
    return replicated(strategy, dataset, weighted=False)


def train_mixed(strategy: Any, node: int, steps: list[list[list[int]]]) -> dict[str, Any]:
    """A few rows have labels whose scaled gradients are not finite in float16."""
    import keras

    scales: list[float] = []

    class Scales(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            scales.append(float(self.model.optimizer.dynamic_scale))

    x = np.random.default_rng(1).choice([-1.0, -0.5, 0.5, 1.0], (16, 2)).astype("float32")
    y = x.sum(1, keepdims=True)
    y[[1, 6, 7]] = 40.0
    keras.utils.set_random_seed(2)
    with strategy.scope():
        output = keras.layers.Dense(1, dtype="mixed_float16")
        model = keras.Sequential([keras.Input((2,)), output])
        inner = keras.optimizers.SGD(0.01, clipvalue=1.0)
        model.compile(
            keras.optimizers.LossScaleOptimizer(inner, 2.0**16, dynamic_growth_steps=3), "mse"
        )
    history = model.fit(
        make_dataset(strategy, node, steps, x, y), epochs=6, verbose=0, callbacks=[Scales()]
    ).history
    return {
        "scales": scales,
        "steps": int(model.optimizer.iterations),
        "loss": history["loss"],
        "weights": model.get_weights(),
        "rate": float(model.optimizer.learning_rate),
    }


def train_metric(strategy: Any, node: int, steps: list[list[list[int]]]) -> dict[str, Any]:
    """Metrics that return their variables."""
    import keras

    class Sum(keras.metrics.Metric):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            super().__init__(name=name)
            self.total = self.add_variable((), "zeros", name="total")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.total.assign_add(keras.ops.sum(y_true))

        def result(self) -> Any:
            return self.total if self.name == "keras" else {"of_tf": self.total.value}

    x = np.random.default_rng(1).normal(size=(16, 2)).astype("float32")
    with strategy.scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", metrics=[Sum("keras"), Sum("of_tf")])
    dataset = make_dataset(strategy, node, steps, x, x[:, :1])
    history = model.fit(dataset, epochs=2, verbose=0, validation_data=dataset).history
    return {name: values for name, values in history.items() if "loss" not in name}


def train_without_empty(
    strategy: Any, node: int, steps: list[list[list[int]]], case: str
) -> dict[str, Any]:
    """Models and losses that divide by the number of a batch's rows."""
    import keras

    class Centred(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs - 0.5 * keras.ops.mean(inputs, axis=0)

    def own_loss(y_true: Any, y_pred: Any) -> Any:
        rows = keras.ops.cast(keras.ops.shape(y_true)[0], "float32")
        return keras.ops.sum(keras.ops.square(y_true - y_pred)) / rows

    x = np.random.default_rng(1).normal(size=(ROWS, 2)).astype("float32")
    keras.utils.set_random_seed(2)
    with strategy.scope():
        layers = [keras.Input((2,)), keras.layers.Dense(4, "tanh")]
        if case == "of each replica":
            layers += [keras.layers.BatchNormalization(), Centred()]
        else:
            layers += [
                keras.layers.BatchNormalization(synchronized=True),
                keras.layers.SpectralNormalization(keras.layers.Dense(4)),
            ]
        model = keras.Sequential([*layers, keras.layers.Dense(1)])
        loss = own_loss if case == "of each replica" else "mse"
        # Which some steps need and others do not.
        model.compile(keras.optimizers.SGD(0.05, global_clipnorm=2.0), loss)
    dataset = make_dataset(strategy, node, steps, x, x.sum(1, keepdims=True))
    return {
        "loss": model.fit(dataset, epochs=EPOCHS, verbose=0).history["loss"],
        "weights": model.get_weights(),
        "predicted": model.predict(dataset, verbose=0),
        "steps": int(model.optimizer.iterations),
    }


def train_with_numbers(
    strategy: Any, node: int, steps: list[list[list[int]]], case: str
) -> dict[str, Any]:
    """Losses that are one number for a batch."""
    import keras

    def mean(y_true: Any, y_pred: Any) -> Any:
        return keras.ops.mean(keras.ops.square(y_true - y_pred))

    class Sum(keras.losses.Loss):  # type: ignore[misc]
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return keras.ops.sum(keras.ops.square(y_true - y_pred))

    x = np.random.default_rng(1).normal(size=(16, 2)).astype("float32")
    keras.utils.set_random_seed(2)
    with strategy.scope():
        layers = [keras.layers.Dense(4, "tanh", kernel_regularizer="l2"), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((2,)), *layers])
        loss = mean if case == "mean" else Sum(reduction="sum")
        model.compile(keras.optimizers.SGD(0.01), loss)
    dataset = make_dataset(strategy, node, steps, x, x.sum(1, keepdims=True))
    history = model.fit(dataset, epochs=EPOCHS, verbose=0).history
    return {"loss": history["loss"], "weights": model.get_weights()}


def train_all(strategy: Any, node: Node) -> dict[str, Any]:
    """Everything, with batches of one row on two nodes, or of both together on one."""

    def steps(count: int, size: int) -> list[list[list[int]]]:
        found = steps_of(count, size, 2, least=1)
        return found if node.count > 1 else [[list(itertools.chain(*step))] for step in found]

    found = {
        case: train_without_empty(strategy, node.index, steps(ROWS, 1), case)
        for case in NEVER_EMPTY
    }
    for case, rows in {"mean": ROWS, "sum": 16}.items():  # a sum has no scale
        found[case] = train_with_numbers(strategy, node.index, steps(rows, 2), case)
    found["metric"] = train_metric(strategy, node.index, steps(16, 2))
    return found | {"mixed": train_mixed(strategy, node.index, steps(16, 2))}


def train_on_nodes(node: Node) -> dict[str, Any]:
    from tensorsparkml.trainer.strategies import repair_keras

    repair_keras()
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    return train_all(strategy, node)


def train_alone(node: Node) -> dict[str, Any]:
    from tensorsparkml.trainer.strategies import repair_keras

    repair_keras()  # for the replicas
    import tensorflow as tf

    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    found = train_all(tf.distribute.get_strategy(), node)
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    return found | {"replicas": train_all(mirrored, node)}


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    [outcome] = run_processes(train_alone, nodes=1)
    return dict(outcome.value)


@pytest.fixture(scope="module")
def together(alone: dict[str, Any]) -> list[dict[str, Any]]:
    """Both nodes of two, and a node with two replicas."""
    nodes = [outcome.value for outcome in run_processes(train_on_nodes)]
    return [*nodes, alone["replicas"]]


def test_a_step_of_mixed_precision_is_left_out_everywhere_or_nowhere(
    alone: dict[str, Any], together: list[dict[str, Any]]
) -> None:
    expected = alone["mixed"]
    left_out = np.sum(np.diff([2.0**16, *expected["scales"]]) < 0)
    assert left_out >= 4 and max(np.diff(expected["scales"])) > 0  # the scale went both ways
    assert expected["steps"] == len(expected["scales"]) - left_out
    for found in together:
        for name in ("scales", "steps", "rate"):
            assert found["mixed"][name] == expected[name]
        for name in ("loss", "weights"):  # in float16
            for left, right in zip(found["mixed"][name], expected[name], strict=True):
                np.testing.assert_allclose(left, right, rtol=5e-3, atol=1e-3)


def test_a_metric_may_return_its_variable(
    alone: dict[str, Any], together: list[dict[str, Any]]
) -> None:
    expected = alone["metric"]
    assert expected.keys() == {"keras", "of_tf", "val_keras", "val_of_tf"}
    for found in together:
        assert found["metric"].keys() == expected.keys()
        for name, values in expected.items():
            assert {type(value) for value in found["metric"][name]} == {float}
            np.testing.assert_allclose(found["metric"][name], values, **EXACT)


@pytest.mark.parametrize("case", NEVER_EMPTY)
def test_no_replica_has_an_empty_batch(
    alone: dict[str, Any], together: list[dict[str, Any]], case: str
) -> None:
    expected = alone[case]
    for found in together:
        assert found[case]["steps"] == expected["steps"] == 2 * EPOCHS
        for values in (found[case]["loss"], *found[case]["weights"]):
            assert np.isfinite(values).all()
        assert found[case]["predicted"].shape == (ROWS, 1)
        if case == "of each replica":
            continue
        np.testing.assert_allclose(found[case]["loss"], expected["loss"], **EXACT)
        for left, right in zip(found[case]["weights"], expected["weights"], strict=True):
            np.testing.assert_allclose(left, right, **EXACT)


@pytest.mark.parametrize("case", ["mean", "sum"])
def test_a_loss_may_be_one_number(
    alone: dict[str, Any], together: list[dict[str, Any]], case: str
) -> None:
    expected = alone[case]
    for found in together:
        if case == "mean":  # of which Keras reports the mean over the nodes
            np.testing.assert_allclose(found[case]["loss"], expected["loss"], **EXACT)
        for left, right in zip(found[case]["weights"], expected["weights"], strict=True):
            np.testing.assert_allclose(left, right, **EXACT)


def test_the_steps_of_the_test_are_uneven() -> None:
    assert steps_of(ROWS, 1, 2, least=1) == [[[0], [3]], [[1, 2], [4]]]
    assert [] in steps_of(ROWS, 1, 2, least=0)[-1]
    # A node with two replicas gets batches of the same sizes.
    assert steps_of(ROWS, 2, 1, least=2) == [[[0, 1]], [[2, 3, 4]]]
