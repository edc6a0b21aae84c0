"""What a fit does on each node."""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.inference.models.loading import signature_of
from tensorsparkml.ml.fitting.checkpoints import history_keeper
from tensorsparkml.ml.fitting.plan import FitPlan, LabelRange, ModelPlan, Refused, Task, Trained
from tensorsparkml.ml.keras_files import archive_of, load_archive
from tensorsparkml.program.keras_versions import is_of_keras_2
from tensorsparkml.program.naming import function_name
from tensorsparkml.trainer.program_keras import program_keras

if TYPE_CHECKING:
    from tensorsparkml.trainer.context import Context

_BINARY = ("binarycrossentropy", "binaryfocalcrossentropy")
_SPARSE = ("sparsecategoricalcrossentropy",)
_ONE_HOT = ("categoricalcrossentropy", "categoricalfocalcrossentropy", "kldivergence")


def fit(plans: Sequence[FitPlan], ctx: Context) -> list[Trained | Refused | None]:
    """Train several models with the same rows; the main function of a fit, whose name users see.

    Args:
        plans: What to do, one after the other.
        ctx: The node.

    Returns:
        What `train` returns for each of them, up to the first that cannot be trained.
    """
    found: list[Trained | Refused | None] = []
    for plan in plans:
        if found:
            program_keras().backend.clear_session()
        found.append(train(plan, ctx))
        if isinstance(found[-1], Refused):
            break
    return found


def train(plan: FitPlan, ctx: Context) -> Trained | Refused | None:
    """Train a model.

    Args:
        plan: What to do.
        ctx: The node.

    Returns:
        The model on the chief, None on the other nodes, or on all why there is none.
    """
    keras = program_keras()
    if plan.seed is not None:
        keras.utils.set_random_seed(plan.seed)
    if plan.mixed_precision:
        keras.mixed_precision.set_global_policy("mixed_float16")
    with ctx.strategy.scope():
        try:
            model, callbacks = make_model(plan)
            task, from_logits = task_of(model)
            check(model, task, plan)
        except ConfigurationError as error:
            return Refused(error.message)
    layout: dict[str, Any] = {
        "global_batch_size": plan.batch_size,
        "features": plan.features,
        "label": plan.label,
        "sample_weight": plan.weight,
    }
    rows = ctx.dataset(**layout)
    validation = ctx.dataset("validation", **layout) if plan.validates else None
    own = ctx.callbacks(backup=plan.checkpoint)
    if plan.checkpoint is not None and ctx.is_chief:
        # Before the user's callbacks, so that one that fails leaves this epoch's metrics.
        keeper = history_keeper(ctx.absolute_path(plan.checkpoint))
    else:
        keeper = keras.callbacks.History()
    began = time.monotonic()
    model.fit(
        rows,
        validation_data=validation,
        epochs=plan.epochs,
        callbacks=[*own, keeper, *callbacks],
        verbose=0,
    )
    seconds = time.monotonic() - began
    if not ctx.is_chief:
        return None
    found = {name: [float(each) for each in values] for name, values in keeper.history.items()}
    return Trained(archive_of(model), signature_of(model), task, from_logits, found, seconds)


def make_model(plan: FitPlan) -> tuple[Any, list[Any]]:
    """Return the compiled model and the callbacks.

    Raises:
        ConfigurationError: There is no such model, or it cannot be compiled.
    """
    keras = program_keras()
    function, arguments, custom_objects, callbacks, compiled = pickle.loads(plan.model.pickled)
    with keras.saving.custom_object_scope(custom_objects):
        model = _model(plan.model, function, arguments)
        if plan.model.initial is not None:
            _set_weights(model, load_archive(plan.model.initial))
        _compile(model, compiled, plan.steps_per_execution)
    made = callbacks() if callable(callbacks) else callbacks
    return model, list(made or [])


def _model(plan: ModelPlan, function: Any, arguments: Mapping[str, Any]) -> Any:
    if function is None:
        assert plan.archive is not None
        model, name = load_archive(plan.archive), "the file"
    else:
        model, name = function(**arguments), function_name(function)
    _check_kind(model, name)
    return model


def _check_kind(model: Any, name: str) -> None:
    """Check that a model is one of the program's Keras, and tells its inputs.

    Raises:
        ConfigurationError: It is not.
    """
    keras = program_keras()
    old, wanted_old = is_of_keras_2(type(model)), is_of_keras_2(keras.Model)
    if hasattr(model, "get_weights") and old is not wanted_old:
        raise ConfigurationError(
            f"the model of {name} is one of Keras {2 if old else 3}, but the nodes have Keras "
            f"{2 if wanted_old else 3}; set clusterSettings={{'legacy_keras': {old}}}"
        )
    if not isinstance(model, keras.Model):
        raise ConfigurationError(
            f"{name} must return a Keras model, not a {type(model).__qualname__}"
        )
    if not isinstance(model, keras.Sequential) and not getattr(model, "inputs", None):
        raise ConfigurationError(
            f"the model of {name} does not tell its inputs and outputs, as subclassed models do "
            "not; make a keras.Model(inputs, outputs) of it"
        )


def _set_weights(model: Any, initial: Any) -> None:
    try:
        model.set_weights(initial.get_weights())
    except ValueError as error:
        raise ConfigurationError(
            f"initialModel has other weights than the model: {error}; pass a model of the same "
            "layers"
        ) from error


def _compile(model: Any, compiled: Mapping[str, Any], steps: int | None) -> None:
    """Compile a model with what the params name, and with its own optimizer, loss and metrics."""
    keras = program_keras()
    own = model.get_compile_config()
    if not own and "loss" not in compiled:
        raise ConfigurationError(
            "the model is not compiled; call model.compile(optimizer, loss), or set the params "
            "optimizer and loss"
        )
    if steps is not None:
        model.steps_per_execution = steps
    if not compiled:
        return
    found = keras.saving.deserialize_keras_object(own) if own else {}
    for name, value in compiled.items():
        several = isinstance(value, list)
        values = [_object(each) for each in (value if several else [value])]
        found[name] = values if several else values[0]
    model.compile(**{**found, "steps_per_execution": steps or 1})


def _object(value: Any) -> Any:
    """Return an object of Keras that was serialized, or what is none."""
    keras = program_keras()
    return keras.saving.deserialize_keras_object(value) if isinstance(value, Mapping) else value


def task_of(model: Any) -> tuple[Task | None, bool]:
    """Return what a compiled model is for, and whether it gives logits."""
    if len(_tensors(model, "outputs") or [None]) != 1:
        return None, False
    loss = model.loss
    if isinstance(loss, Mapping | list | tuple):
        [loss] = loss.values() if isinstance(loss, Mapping) else loss
    name = _loss_name(loss)
    from_logits = bool(_config(loss).get("from_logits", False))
    if name in _BINARY and _units(model) == 1:
        return Task.BINARY, from_logits
    if name in (*_SPARSE, *_ONE_HOT):
        return Task.MULTICLASS, from_logits
    return Task.REGRESSION, False


def _tensors(model: Any, name: str) -> list[Any]:
    """Return a model's inputs or outputs; none for a sequential model that has seen no rows yet."""
    return getattr(model, name, None) or []


def _config(loss: Any) -> Mapping[str, Any]:
    return loss.get_config() if hasattr(loss, "get_config") else {}


def _loss_name(loss: Any) -> str:
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return str(name).replace("_", "").lower()


def _units(model: Any) -> int | None:
    outputs = _tensors(model, "outputs")
    if not outputs:
        return getattr(model.layers[-1], "units", None)
    shape = outputs[0].shape
    return 1 if len(shape) == 1 else shape[-1]


def check(model: Any, task: Task | None, plan: FitPlan) -> None:
    """Check that a model fits the rows.

    Raises:
        ConfigurationError: It does not.
    """
    has = [each.name for each in _tensors(model, "inputs")]
    if isinstance(plan.features, Mapping):
        check_names("inputs", "input", plan.features, has)
    elif len(has) > 1:
        raise ConfigurationError(
            f"the model has the inputs {', '.join(map(repr, has))}, but one column is "
            "given; set inputs={input: column}"
        )
    if plan.labels is not None and task in (Task.BINARY, Task.MULTICLASS):
        check_labels(
            plan.labels, 2 if task is Task.BINARY else _units(model), _loss_name(model.loss)
        )


def check_names(param: str, kind: str, given: Mapping[str, Any], has: list[str]) -> None:
    """Check that a param names exactly the inputs or the outputs that a model has.

    Raises:
        ConfigurationError: It does not.
    """
    if has and set(given) != set(has):
        raise ConfigurationError(
            f"the model has the {kind}s {', '.join(map(repr, has))}, but {param} names "
            f"{', '.join(map(repr, given))}; name each {kind} once"
        )


def check_labels(labels: LabelRange, classes: int | None, loss: str) -> None:
    """Check that labels are the numbers of classes.

    Raises:
        ConfigurationError: They are not.
    """
    column = f"labelCol {labels.column!r}"
    if loss in _ONE_HOT:
        raise ConfigurationError(
            f"{column} has single numbers, but the loss {loss} takes one-hot vectors; use "
            "sparse_categorical_crossentropy, or Spark's OneHotEncoder"
        )
    if loss in _BINARY:
        if labels.least < 0 or labels.most > 1:
            raise ConfigurationError(
                f"{column} has values from {labels.least:g} to {labels.most:g}, but the model is a "
                "binary classifier, whose labels are 0 and 1; name the classes with labels=[…]"
            )
        return
    if not labels.whole:
        raise ConfigurationError(
            f"{column} has values that are not whole, but the loss {loss} takes the numbers of "
            "classes; name the classes with labels=[…], or use another loss"
        )
    if labels.least < 0 or (classes is not None and labels.most >= classes):
        most = "" if classes is None else f" to {classes - 1}"
        raise ConfigurationError(
            f"{column} has classes from {labels.least:g} to {labels.most:g}, but the model has "
            f"those from 0{most}; change its last layer, or the labels"
        )
