"""Loads models into this process, and keeps the few that were used last."""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tensorsparkml.errors import ConfigurationError, InferenceError, TensorSparkMLError
from tensorsparkml.inference.models.files import ModelFiles, list_files, local_copy
from tensorsparkml.inference.models.signature import Signature, TensorSpec
from tensorsparkml.inference.models.source import Kind, ModelSource
from tensorsparkml.program.keras_versions import is_of_keras_2, keras_for

MOST_MODELS = 4


@dataclass(frozen=True)
class LoadedModel:
    """A model in this process.

    Attributes:
        signature: Its inputs and outputs, or None for a function, which has none.
        apply: Takes tensors by the names of the inputs, and returns them by those of the outputs. A
            function takes arrays, and returns arrays.
        held: What must live as long as `apply`.
    """

    signature: Signature | None
    apply: Callable[..., Any]
    held: Any = None


def renamed(
    model: LoadedModel, wanted: Signature, *, ordered: bool, same: bool = False
) -> LoadedModel | None:
    """Return a model with the names of inputs and outputs that a signature has.

    Keras numbers what has no name, so the same program gives other names each time that it runs.

    Args:
        model: The model.
        wanted: The signature.
        ordered: Whether the order of several inputs or outputs says which is which.
        same: Whether the signature is certainly that of this model, in the same order.

    Returns:
        The model, or None if its inputs or outputs are others.
    """
    has = model.signature
    assert has is not None
    if has == wanted:
        return model
    inputs = _pairs(has.inputs, wanted.inputs, ordered, same)
    outputs = _pairs(has.outputs, wanted.outputs, ordered, same)
    if inputs is None or outputs is None:
        return None

    def apply(**tensors: Any) -> dict[str, Any]:
        found = model.apply(**{inputs[name]: each for name, each in tensors.items()})
        return {name: found[old] for name, old in outputs.items()}

    return LoadedModel(wanted, apply, held=model)


def _pairs(
    has: Sequence[TensorSpec], wanted: Sequence[TensorSpec], ordered: bool, same: bool
) -> dict[str, str] | None:
    """Return the names that a model has by those that are wanted, or None if they do not match."""
    alike = [replace(each, name="") for each in has] == [replace(each, name="") for each in wanted]
    names, wanted_names = [each.name for each in has], [each.name for each in wanted]
    in_order = ordered or len(has) == 1 or names == wanted_names
    if not same and not (alike and in_order):
        return None
    return dict(zip(wanted_names, names, strict=True))


class ModelCache:
    """The models that this process has loaded.

    Args:
        most: How many are kept.
    """

    def __init__(self, most: int = MOST_MODELS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._models: OrderedDict[tuple[ModelSource, str], LoadedModel] = OrderedDict()

    def get(self, source: ModelSource) -> LoadedModel:
        """Return the model as its files are now; load it if it is not here yet.

        Raises:
            TensorSparkMLError: It cannot be loaded.
        """
        files = None if source.path is None else list_files(source.path)
        with self._lock:
            key = (source, "" if files is None else files.key)
            if key not in self._models:
                files, model = _load(source, files)
                key = (source, "" if files is None else files.key)
                self._models[key] = model
            self._models.move_to_end(key)
            while len(self._models) > self._most:
                self._models.popitem(last=False)
            return self._models[key]


# Spark uses a Python process for the tasks of many jobs.
CACHE = ModelCache()


def _load(source: ModelSource, files: ModelFiles | None) -> tuple[ModelFiles | None, LoadedModel]:
    if source.kind is Kind.FUNCTION:
        return None, _load_function(source)
    with _local(source, files) as (now, path):
        try:
            if source.kind is Kind.SAVED_MODEL:
                return now, _load_saved_model(source, path)
            return now, _load_keras(source, path)
        except TensorSparkMLError:
            raise
        except Exception as error:  # TensorFlow, Keras and users' layers raise anything
            raise InferenceError(
                f"cannot load {source}: {type(error).__name__}: {error}"
            ) from error


@contextmanager
def _local(
    source: ModelSource, files: ModelFiles | None
) -> Iterator[tuple[ModelFiles | None, str]]:
    """Provide the files of a model on the local filesystem, and which they are now."""
    if files is not None:
        with local_copy(files) as found:
            yield found
        return
    assert source.archive is not None
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(source.archive.content.value)
        yield None, str(path)


def _load_function(source: ModelSource) -> LoadedModel:
    assert source.pickled is not None
    make, _ = pickle.loads(source.pickled)
    model = make()
    if not callable(model):
        raise ConfigurationError(
            f"the model's function must return a callable, not a {type(model).__qualname__}"
        )
    return LoadedModel(None, model)


def _load_saved_model(source: ModelSource, path: str) -> LoadedModel:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    source.check_signature(loaded.signatures)
    function = loaded.signatures[source.signature]
    inputs, outputs = function.structured_input_signature[1], function.structured_outputs
    apply = function
    if source.jit_compile:
        wanted = {name: tf.TensorSpec(spec.shape, spec.dtype) for name, spec in inputs.items()}
        apply = tf.function(lambda **tensors: function(**tensors), jit_compile=True)
        apply = apply.get_concrete_function(**wanted)
    # The signature holds its model only weakly.
    return LoadedModel(Signature(_specs(inputs), _specs(outputs)), apply, held=(loaded, function))


def _load_keras(source: ModelSource, path: str) -> LoadedModel:
    import tensorflow as tf

    keras = keras_for(path)
    build, custom_objects = pickle.loads(source.pickled) if source.pickled else (None, {})
    with keras.saving.custom_object_scope(custom_objects):
        if source.kind is Kind.WEIGHTS:
            model = build()
            model.load_weights(path)
        else:
            model = keras.saving.load_model(path, compile=False)
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise ConfigurationError(
            f"{source} does not tell its inputs and outputs, as subclassed models do not; write it "
            "with keras.Model.export, which gives it a signature"
        )
    inputs = _structure(model, "input")
    wanted = _named_tensors(model, "input")
    names, output_names = list(wanted), list(_named_tensors(model, "output"))

    tree = _tree(model)

    def call(**tensors: Any) -> dict[str, Any]:
        given = tree.pack_sequence_as(inputs, [tensors[name] for name in names])
        found = tree.flatten(model(given, training=False))
        return dict(zip(output_names, found, strict=True))

    # A concrete function takes any number of rows without being traced again.
    function = tf.function(call, jit_compile=source.jit_compile or None)
    apply = function.get_concrete_function(**wanted)
    outputs = apply.structured_outputs
    signature = Signature(_specs(wanted, names), _specs(outputs, output_names))
    return LoadedModel(signature, apply, held=(model, function))


def signature_of(model: Any) -> Signature:
    """Return what a Keras model takes and gives, as it says itself.

    Args:
        model: A functional or a sequential model.
    """
    inputs, outputs = _named_tensors(model, "input"), _named_tensors(model, "output")
    return Signature(_specs(inputs, list(inputs)), _specs(outputs, list(outputs)))


def _named_tensors(model: Any, name: str) -> dict[str, Any]:
    """Return the specs of a model's inputs or outputs, by their names."""
    struct = _structure(model, name)
    if name == "input":
        names = [each.name for each in model.inputs]
    else:
        names = getattr(model, "output_names", None) or [model.layers[-1].name]
    tensors = map(_keras_spec, _tree(model).flatten(struct))
    return dict(zip(_names(struct, names), tensors, strict=True))


def _structure(model: Any, name: str) -> Any:
    """Return a model's input or output: a tensor, a list of tensors or a dict of them."""
    if not is_of_keras_2(type(model)):
        import keras

        if isinstance(model, keras.Sequential):  # one of each, and no attribute for the structure
            return getattr(model, f"{name}s")[0]
    return getattr(model, name)


def _tree(model: Any) -> Any:
    """Return the functions over nested structures of a model's Keras."""
    if is_of_keras_2(type(model)):
        import tensorflow as tf

        return tf.nest
    import keras

    return keras.tree


def _names(struct: Any, others: Sequence[str]) -> list[str]:
    """Return the names of a model's inputs or outputs: the keys of a dict, or those of layers."""
    names = sorted(struct) if isinstance(struct, dict) else list(others)
    return [
        f"{name}_{place}" if names.count(name) > 1 else name for place, name in enumerate(names)
    ]


def _keras_spec(tensor: Any) -> Any:
    import tensorflow as tf

    if (found := getattr(tensor, "type_spec", None)) is not None:  # of Keras 2
        return found
    if getattr(tensor, "ragged", False):
        return tf.RaggedTensorSpec(tensor.shape, tensor.dtype)
    return tf.TensorSpec(tensor.shape, tensor.dtype)


def _specs(found: Mapping[str, Any], names: Sequence[str] | None = None) -> tuple[TensorSpec, ...]:
    return tuple(_spec(name, found[name]) for name in names or sorted(found))


def _spec(name: str, spec: Any) -> TensorSpec:
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    return TensorSpec(name, spec.dtype.name, shape, ragged=hasattr(spec, "ragged_rank"))
