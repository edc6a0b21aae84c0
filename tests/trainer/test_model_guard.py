"""What Keras and TensorFlow say unclearly, or not at all, is said before a model's first step."""

from typing import Any

import pytest
from two_processes import Node, run_processes

from tensorsparkml.trainer.repairs.model_guard import name_features

SCOPE = "create and compile the model in `with ctx.strategy.scope():`"


def misuse_models(node: Node) -> dict[str, Any]:
    from tensorsparkml.trainer.datasets.replicas import replicated
    from tensorsparkml.trainer.repairs import model_guard
    from tensorsparkml.trainer.strategies import repair_keras

    repair_keras()
    calls: list[tuple[int, str]] = []
    ends: list[int] = []
    model_guard.on_joint_call(
        lambda number, name: calls.append((number, name)), lambda: ends.append(len(calls))
    )
    import keras
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    found: dict[str, Any] = {}

    def dataset(x: Any) -> Any:
        rows = tf.data.Dataset.from_tensor_slices((x, tf.ones((8, 1)))).batch(4)
        return replicated(strategy, rows.map(lambda *batch: (batch, tf.constant(1.0))), False)

    def make(layer: Any = None) -> Any:
        return keras.Sequential([keras.Input((2,), name="x"), layer or keras.layers.Dense(1)])

    def attempt(name: str, function: Any) -> None:
        try:
            function()
        except Exception as error:
            found[name] = type(error).__name__, str(error)
        else:
            found[name] = None

    one, two = dataset(tf.ones((8, 2))), dataset((tf.ones((8, 2)), tf.zeros((8, 2))))
    name_features(two, ("a", "b"))
    outside = make()
    outside.compile("adam", "mse")
    for name in ("fit", "evaluate", "predict"):
        attempt(f"model, {name}", lambda name=name: getattr(outside, name)(one, verbose=0))
    with strategy.scope():
        model = make()
    model.compile("adam", "mse")
    attempt("optimizer", lambda: model.fit(one, verbose=0))
    layer = keras.layers.Dense(1, name="ready")
    layer.build((None, 2))
    with strategy.scope():
        model = make(layer)
        model.compile("adam", "mse")
    attempt("layer", lambda: model.fit(one, verbose=0))
    with strategy.scope():
        model = make()
        model.compile("adam", "mse", metrics=["mae"])
    attempt("two columns", lambda: model.fit(two, verbose=0))
    attempt("two columns to evaluate", lambda: model.evaluate(two, verbose=0))
    attempt("two columns to validate", lambda: model.fit(one, validation_data=two, verbose=0))
    no_label = replicated(
        strategy,
        tf.data.Dataset.from_tensor_slices((tf.ones((8, 2)), tf.zeros((8, 2))))
        .batch(4)
        .map(lambda *batch: (batch, tf.constant(1.0))),
        False,
    )
    name_features(no_label, ("a", "b"))
    attempt("two columns to predict", lambda: model.predict(no_label, verbose=0))
    refused = list(calls)
    ends.clear()
    attempt("right", lambda: model.fit(one, validation_data=one, verbose=0))
    attempt("also right", lambda: model.predict(one, verbose=0))
    return {"found": found, "refused": refused, "calls": calls, "ends": ends}


@pytest.fixture(scope="module")
def outcome() -> dict[str, Any]:
    first, second = run_processes(misuse_models)
    assert first.value == second.value
    return dict(first.value)


@pytest.mark.parametrize(
    ("what", "outside"),
    [
        ("model, fit", "the model was created"),
        ("model, evaluate", "the model was created"),
        ("model, predict", "the model was created"),
        ("optimizer", "the model's optimizer was created"),
        ("layer", "the layer with the variable 'ready/kernel' was created"),
    ],
)
def test_what_is_made_outside_of_the_scope_is_named(outcome: Any, what: str, outside: str) -> None:
    kind, message = outcome["found"][what]
    assert kind == "ConfigurationError"
    assert message.startswith(outside)
    assert message.endswith(SCOPE)


@pytest.mark.parametrize("what", ["", " to evaluate", " to validate", " to predict"])
def test_features_that_the_model_does_not_take_are_named(outcome: Any, what: str) -> None:
    kind, message = outcome["found"][f"two columns{what}"]
    assert kind == "ConfigurationError"
    assert "the dataset's features are 2 tensors (a, b), but the model has 1 input (x);" in message
    assert "tsm.Matrix" in message


def test_what_is_right_is_done_and_counted(outcome: Any) -> None:
    assert outcome["found"]["right"] is outcome["found"]["also right"] is None
    calls = outcome["calls"][len(outcome["refused"]) :]
    assert [name for _, name in calls] == ["fit", "evaluate", "predict"]
    # The evaluation in a fit ends no call; the fit and the prediction do.
    assert outcome["ends"] == [len(outcome["calls"]) - 1, len(outcome["calls"])]
    assert [number for number, _ in outcome["calls"]] == [*range(1, len(outcome["calls"]) + 1)]


def begin_without_a_strategy(node: Node) -> str:
    import tensorflow as tf

    from tensorsparkml.errors import ConfigurationError
    from tensorsparkml.trainer.strategies import all_workers_strategy

    tf.constant(1) + 1
    try:
        all_workers_strategy({"chief": ["127.0.0.1:1"]}, is_chief=True)
    except ConfigurationError as error:
        return error.message
    return "no error"


def test_a_strategy_after_the_first_operation_is_refused_with_what_to_do() -> None:
    for outcome in run_processes(begin_without_a_strategy):
        assert outcome.value.startswith("the program must create the strategy before it runs any")
        assert "begin it with `strategy = ctx.strategy`" in outcome.value
        assert "with ctx.strategy.scope():" in outcome.value
