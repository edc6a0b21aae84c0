"""Losses, metrics and weights of steps with uneven batches, and at the end of data, are exact.

What is expected comes from one process with plain TensorFlow datasets of known length.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import pytest
from two_processes import Node, run_processes

BATCH, EPOCHS, SECONDS = 30, 3, 1800.0  # rows of the batches of all nodes together
ROWS = 89  # the last batch has 29: 15 and 14 rows on two nodes, 10, 10 and 9 on three
ONE_MORE = 61  # one row, which only one node has
pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(2 * SECONDS),  # of all processes of a fixture, on a busy machine
]
EXACT = {"rtol": 1e-5, "atol": 2e-6}
CASES = [
    "no weights",
    "weights",
    "several outputs",
    "class weights",
    "regularised sum",
    "several steps at once",
    "own train step",
    "a node without rows",
]
ON_THREE = ["weights", "a node without rows"]
REPLICAS = ["weights", "several outputs", "several steps at once", "a node without rows"]


def rows_of(case: str, node: Node) -> list[Any]:
    """Pairs of this node's batches and their scales."""
    random = np.random.default_rng(4)
    count = ONE_MORE if case == "a node without rows" else ROWS
    x = random.normal(size=(count, 3)).astype("float32")
    y = (x.sum(1, keepdims=True) + random.normal(size=(count, 1)) > 0).astype("float32")
    weights = random.uniform(0.2, 3, count).astype("float32")
    found = []
    for begin in range(0, count, BATCH):
        of_all = min(BATCH, count - begin)
        low = begin + -(-of_all * node.index // node.count)
        high = begin + -(-of_all * (node.index + 1) // node.count)
        own = slice(low, high)
        element: Any = x[own], y[own]
        if case == "several outputs":
            element = x[own], {"a": y[own], "b": x[own].sum(1, keepdims=True)}
        if case in ("weights", "several outputs", "several steps at once"):
            element = (*element, weights[own])
        if case == "weights of one":
            element = (*element, np.ones(high - low, "float32"))
        found.append((element, np.float32((high - low) * node.count / of_all)))
    return found


def local_dataset(case: str, node: Node, scaled: bool) -> Any:
    import tensorflow as tf

    pairs = rows_of(case, node)
    made = pairs if scaled else [element for element, _ in pairs]
    spec = tf.nest.map_structure(
        lambda part: tf.TensorSpec((None, *part.shape[1:]) if part.ndim else (), part.dtype),
        made[0],
    )
    return tf.data.Dataset.from_generator(lambda: iter(made), output_signature=spec)


def model_of(case: str, keras: Any) -> Any:
    class OwnStep(keras.Model):  # type: ignore[misc, name-defined]
        def train_step(self, data: Any) -> dict[str, Any]:
            import tensorflow as tf

            x, y = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x=x, y=y, y_pred=(found := self(x, training=True)))
            variables = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return self.compute_metrics(x, y, found)  # type: ignore[no-any-return]

    keras.utils.set_random_seed(5)
    regulariser = keras.regularizers.L2(0.1) if case == "regularised sum" else None
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(6, activation="tanh", kernel_regularizer=regulariser)(inputs)
    output = keras.layers.Dense(1, activation="sigmoid", name="a")(hidden)
    metrics: Any = ["accuracy"]
    weighted: Any = ["mse"]
    if case in ("no weights", "weights", "several outputs"):
        metrics.append(keras.metrics.AUC(name="auc"))
        weighted.append(keras.metrics.AUC(name="weighted_auc"))
    loss: Any = "binary_crossentropy"
    outputs: Any = output
    settings: dict[str, Any] = {}
    if case == "several outputs":
        outputs = {"a": output, "b": keras.layers.Dense(1, name="b")(hidden)}
        loss = {"a": loss, "b": "mse"}
        settings["loss_weights"] = {"a": 1.0, "b": 0.3}
        metrics, weighted = {"a": metrics, "b": ["mae"]}, {"a": weighted}
    if case == "regularised sum":
        loss = keras.losses.BinaryCrossentropy(reduction="sum")
    if case == "several steps at once":
        settings["steps_per_execution"] = 2
    if case == "own train step":
        weighted = None
    kind = OwnStep if case == "own train step" else keras.Model
    model = kind(inputs, outputs)
    model.compile(
        keras.optimizers.Adam(0.02), loss, metrics=metrics, weighted_metrics=weighted, **settings
    )
    return model


def train(case: str, strategy: Any, make: Any, **settings: Any) -> dict[str, Any]:
    import keras

    with strategy.scope():
        model = model_of(case, keras)
    if case == "class weights":
        settings["class_weight"] = {0: 0.5, 1: 2.0}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(
            make(case), epochs=EPOCHS, validation_data=make(case), verbose=0, **settings
        ).history
        evaluated = model.evaluate(make(case), verbose=0, return_dict=True)
        predicted = model.predict(make(case), verbose=0) if case == "weights" else []
    if case == "own train step":
        history.pop("loss")  # which it does not track
    return {
        "history": history,
        "evaluated": evaluated,
        "weights": model.get_weights(),
        "predicted": np.shape(predicted),
        "steps": int(model.optimizer.iterations.numpy()),
        "warnings": [str(warning.message) for warning in caught],
    }


def train_on_nodes(node: Node, cases: list[str]) -> dict[str, Any]:
    from tensorsparkml.trainer.datasets.replicas import replicated
    from tensorsparkml.trainer.strategies import repair_keras

    repair_keras()
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()

    def make(case: str) -> Any:
        return replicated(strategy, local_dataset(case, node, True), case.startswith("weights"))

    found: dict[str, Any] = {case: train(case, strategy, make) for case in cases}
    values = strategy.experimental_local_results
    loop = [values(weights)[0].numpy().tolist() for _, _, weights in make("weights of one")]
    return found | {"loop": loop}


def train_alone(node: Node) -> dict[str, Any]:
    from tensorsparkml.trainer.datasets.replicas import replicated
    from tensorsparkml.trainer.strategies import repair_keras, repair_steps

    repair_steps()
    repair_keras()  # for the replicas
    import tensorflow as tf

    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.get_strategy()
    length = -(-ROWS // BATCH)

    def known(case: str) -> Any:
        count = len(rows_of(case, node))
        return local_dataset(case, node, False).apply(
            tf.data.experimental.assert_cardinality(count)
        )

    def own(case: str) -> Any:
        return replicated(strategy, local_dataset(case, node, False), False)

    found: dict[str, Any] = {case: train(case, strategy, known) for case in CASES}
    alone = ["weights", "several steps at once", "class weights"]
    found["own"] = {case: train(case, strategy, own) for case in alone}
    found["derived"] = train("weights", strategy, lambda case: own(case).take(2))
    found["too few"] = train("weights", strategy, own, steps_per_epoch=2 * length)
    found["of the user"] = train("weights", strategy, lambda case: local_dataset(case, node, False))
    found["keras 2"] = [train_keras_2(dataset("no weights")) for dataset in (own, known)]
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found["chosen by the user"] = train("weights", mirrored, own)

    def cut(case: str) -> Any:
        return replicated(mirrored, local_dataset(case, node, True), case == "weights")

    found["replicas"] = {case: train(case, mirrored, cut) for case in REPLICAS}
    return found


def train_keras_2(dataset: Any) -> tuple[int, list[Any]]:
    import tf_keras

    tf_keras.utils.set_random_seed(5)
    model = tf_keras.Sequential([tf_keras.layers.Dense(1)])
    model.compile(tf_keras.optimizers.Adam(0.02), "mse")
    model.fit(dataset, epochs=EPOCHS, verbose=0)
    return int(model.optimizer.iterations.numpy()), model.get_weights()


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    [outcome] = run_processes(train_alone, nodes=1, timeout=SECONDS)
    return dict(outcome.value)


@functools.cache  # pytest does not keep a fixture of one parameter while it uses another
def trained_on(count: int) -> list[dict[str, Any]]:
    cases = CASES if count == 2 else ON_THREE
    found = run_processes(train_on_nodes, nodes=count, timeout=SECONDS, cases=cases)
    return [outcome.value for outcome in found]


@pytest.fixture
def nodes(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return trained_on(request.param)


def compare(found: dict[str, Any], expected: dict[str, Any], **exact: float) -> None:
    for kind in ("history", "evaluated"):
        assert found[kind].keys() == expected[kind].keys()
        for name, values in expected[kind].items():
            np.testing.assert_allclose(found[kind][name], values, err_msg=name, **exact)
    for left, right in zip(found["weights"], expected["weights"], strict=True):
        np.testing.assert_allclose(left, right, **exact)
    assert found["steps"] == expected["steps"]
    assert found["predicted"] == expected["predicted"]


@pytest.mark.parametrize(
    ("nodes", "case"),
    [*((2, case) for case in CASES), *((3, case) for case in ON_THREE)],
    indirect=["nodes"],
)
def test_uneven_steps_are_those_of_one_process(
    nodes: list[dict[str, Any]], alone: dict[str, Any], case: str
) -> None:
    for node in nodes:
        compare(node[case], alone[case], **EXACT)
        assert node[case]["warnings"] == []


@pytest.mark.parametrize("nodes", [2, 3], indirect=True)
def test_a_loop_of_its_own_gets_scaled_weights(nodes: list[dict[str, Any]]) -> None:
    for number, node in enumerate(nodes):
        of_one = Node(number, len(nodes))
        expected = [[float(scale)] * len(x) for (x, *_), scale in rows_of("no weights", of_one)]
        assert node["loop"] == expected


@pytest.mark.parametrize("case", ["weights", "several steps at once", "class weights"])
def test_a_single_node_counts_the_steps_that_have_data(alone: dict[str, Any], case: str) -> None:
    compare(alone["own"][case], alone[case], rtol=1e-6, atol=1e-7)
    assert alone["own"][case]["steps"] == 9
    assert alone["own"][case]["warnings"] == []


def test_keras_2_counts_the_steps_that_have_data(alone: dict[str, Any]) -> None:
    (steps, weights), (expected_steps, expected) = alone["keras 2"]
    assert steps == expected_steps == 9
    for left, right in zip(weights, expected, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6)


def test_a_number_of_steps_is_kept(alone: dict[str, Any]) -> None:
    # The data ends in the middle of every epoch, which Keras rightly says.
    compare(alone["too few"], alone["weights"], rtol=1e-6, atol=1e-7)
    assert any("ran out of data" in text for text in alone["too few"]["warnings"])


def test_a_dataset_made_from_an_own_one_ends_like_it(alone: dict[str, Any]) -> None:
    assert (alone["derived"]["steps"], alone["derived"]["warnings"]) == (6, [])


def test_datasets_of_the_user_are_left_alone(alone: dict[str, Any]) -> None:
    found = alone["of the user"]
    assert found["steps"] == 12  # Keras's defect
    assert any("ran out of data" in text for text in found["warnings"])


def test_a_strategy_of_the_user_counts_no_step_without_data(alone: dict[str, Any]) -> None:
    found = alone["chosen by the user"]
    assert (found["steps"], found["warnings"]) == (9, [])


@pytest.mark.parametrize("case", REPLICAS)
def test_replicas_of_a_node_are_exact(alone: dict[str, Any], case: str) -> None:
    compare(alone["replicas"][case], alone[case], **EXACT)
    assert alone["replicas"][case]["warnings"] == []
