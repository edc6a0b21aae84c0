"""What a node makes of the plan of a fit, before it reads rows."""

import pickle

import keras
import pytest

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.ml.fitting.plan import FitPlan, LabelRange, ModelPlan, Task
from tensorsparkml.ml.fitting.training import check, make_model, task_of
from tensorsparkml.ml.keras_files import archive_of, load_archive
from tensorsparkml.ml.param_checks import identifier, identifiers


def build(units=3, activation="softmax", compiled=True):
    layers = [keras.Input((2,)), keras.layers.Dense(units, activation)]
    model = keras.Sequential(layers)
    if compiled:
        schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.9)
        model.compile(
            keras.optimizers.SGD(schedule), "sparse_categorical_crossentropy", ["accuracy"]
        )
    return model


def two_inputs():
    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
    model = keras.Model({"a": a, "b": b}, keras.layers.Dense(1)(keras.layers.Concatenate()([a, b])))
    model.compile("adam", "mse")
    return model


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def plan(function=build, arguments=None, *, features="x", labels=None, archives=(), **compiled):
    callbacks = compiled.pop("callbacks", None)
    steps = compiled.pop("steps", None)
    brought = pickle.dumps((function, arguments or {}, {}, callbacks, compiled))
    return FitPlan(
        ModelPlan(brought, *archives),
        features=features,
        label="y",
        weight=None,
        validates=False,
        labels=labels,
        epochs=1,
        batch_size=1,
        seed=None,
        steps_per_execution=steps,
        mixed_precision=False,
        checkpoint=None,
    )


def test_a_function_gets_its_arguments():
    model, callbacks = make_model(plan(arguments={"units": 5}))
    assert model.output_shape == (None, 5)
    assert callbacks == []
    assert task_of(model) == (Task.MULTICLASS, False)


def test_a_model_keeps_what_no_param_replaces():
    model, _ = make_model(plan(metrics=identifiers("metrics", ["accuracy", "auc"]), steps=4))
    assert model.steps_per_execution == 4
    assert model.loss == "sparse_categorical_crossentropy"
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert float(model.optimizer.learning_rate) == 0.5
    assert model.get_compile_config()["metrics"] == ["accuracy", "auc"]


def test_params_compile_a_model():
    loss = identifier("loss", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    optimizer = identifier("optimizer", keras.optimizers.Adam(0.25))
    assert isinstance(loss, dict) and isinstance(optimizer, dict)  # they can be saved as JSON
    model, _ = make_model(plan(arguments={"compiled": False}, loss=loss, optimizer=optimizer))
    assert float(model.optimizer.learning_rate) == 0.25
    assert task_of(model) == (Task.MULTICLASS, True)


def test_callbacks_are_made_on_the_node():
    assert make_model(plan(callbacks=list))[1] == []
    [found] = make_model(plan(callbacks=[keras.callbacks.EarlyStopping(patience=3)]))[1]
    assert found.patience == 3


def test_an_archive_is_a_model_and_another_one_gives_the_weights():
    given, initial = build(), build()
    model, _ = make_model(plan(None, archives=(archive_of(given), archive_of(initial))))
    for found, own in zip(model.get_weights(), initial.get_weights(), strict=True):
        assert (found == own).all()
    assert model.compiled
    assert not load_archive(archive_of(given), compile=False).compiled


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"function": int}, "^int must return a Keras model, not a int"),
        ({"function": Subclassed}, "does not tell its inputs and outputs"),
        ({"arguments": {"compiled": False}}, "the model is not compiled"),
        ({"archives": (None, archive_of(build(4)))}, "initialModel has other weights"),
        (
            {"features": {"a": "x", "b": "z"}},
            "the inputs 'keras_.*', but inputs names 'a'",
        ),
        ({"function": two_inputs}, "has the inputs 'a', 'b', but one column is given"),
        (
            {"function": two_inputs, "features": {"a": "x", "c": "z"}},
            "has the inputs 'a', 'b', but inputs names 'a', 'c'",
        ),
        ({"labels": LabelRange("y", 0, 3, True)}, "classes from 0 to 3, .* from 0 to 2"),
        (
            {"labels": LabelRange("y", 0, 1, True), "loss": "categorical_crossentropy"},
            "takes one-hot vectors",
        ),
    ],
)
def test_a_model_that_does_not_fit_is_refused(wrong, message):
    found = plan(**wrong)
    with pytest.raises(ConfigurationError, match=message):
        model, _ = make_model(found)
        check(model, task_of(model)[0], found)


def test_a_model_that_has_seen_no_rows_is_not_refused():
    model = keras.Sequential([keras.layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    assert task_of(model) == (Task.BINARY, False)
    check(model, Task.BINARY, plan(labels=LabelRange("y", 0, 1, True)))
