"""Models of every kind give the predictions of Keras, and what does not fit them is named."""

import gc
import os
import pickle
import weakref

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tensorsparkml.data.columns.options import Column
from tensorsparkml.errors import (
    ConfigurationError,
    DataError,
    InferenceError,
    NullValueError,
    ShapeMismatchError,
    UnsupportedColumnError,
)
from tensorsparkml.inference.engine.decoding import ImageDecoder
from tensorsparkml.inference.engine.inputs import Input
from tensorsparkml.inference.engine.process import configure
from tensorsparkml.inference.engine.task import Application
from tensorsparkml.inference.features import columns_of_inputs
from tensorsparkml.inference.models.description import describe
from tensorsparkml.inference.models.files import list_files
from tensorsparkml.inference.models.loading import CACHE, ModelCache
from tensorsparkml.inference.models.source import Kind, ModelSource
from tensorsparkml.inference.outputs import check_outputs, results

ROWS = pa.record_batch(
    {
        "x": pa.array([1.0, 2.0, 3.0], pa.float32()),
        "pair": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
        "image": [[float(number) for number in range(48)]] * 3,
        "tokens": pa.array([[1, 2], [3], [4, 5, 6]], pa.list_(pa.int64())),
        "name": ["to be", "or not", "be"],
        "holes": ["a", None, "b"],
        "numbers": pa.array([1, None, 2], pa.int32()),
    }
)
ARROW = {"float": pa.float32(), "string": pa.string(), "bigint": pa.int64(), "int": pa.int32()}


def arrow_type(name):
    if name.startswith("array<"):
        return pa.list_(arrow_type(name[len("array<") : -1]))
    return ARROW[name]


def application(source, signature, features, outputs=None, pad=None, decoder=None, **settings):
    wanted = columns_of_inputs(features, signature.inputs, str(source))
    specs = {each.name: each for each in signature.inputs}
    found = results(check_outputs("outputs", outputs), signature, str(source))
    return Application(
        source,
        signature,
        tuple(ROWS.schema.names),
        tuple(Input(name, specs[name], each, pad, decoder) for name, each in wanted.items()),
        tuple(found),
        tuple(arrow_type(each.type) for each in found),
        **settings,
    )


def described(path, **settings):
    """Describe a model without another process."""
    asked = ModelSource(Kind.UNKNOWN, str(path), **settings)
    if path.is_dir():
        return describe(asked)
    source = ModelSource(Kind.KERAS, str(path), **settings)
    return source, ModelCache().get(source).signature


def predict(path, features, *, parts=(ROWS,), settings=None, **options):
    source, signature = described(path, **(settings or {}))
    applied = application(source, signature, features, **options)
    batches = (part.columns for part in parts)
    columns = list(applied.run(batches, 0, lambda: CACHE.get(source)))
    return [value for column in columns for value in column.to_pylist()]


class Sum(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, "x")])
    def __call__(self, x):
        return {"sum": x + 1}


class Sums(tf.Module):
    """As large as the other, so that its files differ in nothing else."""

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, "x")])
    def __call__(self, x):
        return {"sum": x + 2}


class Text(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def __call__(self, text):
        return {"upper": tf.strings.upper(text), "length": tf.strings.length(text)}


class Two(tf.Module):
    """Takes two rows, no more and no fewer."""

    @tf.function(input_signature=[tf.TensorSpec([2, 1], tf.float32, "x")])
    def __call__(self, x):
        return {"sum": x + tf.reduce_sum(tf.ones_like(x))}


def export(module, folder):
    tf.saved_model.save(module, str(folder), {"serving_default": module.__call__})


@keras.saving.register_keras_serializable("tests")
class Scale(keras.layers.Layer):
    def call(self, values):
        return 3 * values


def convolutional():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            Scale(),
            layers.Conv2D(2, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def several():
    layers = keras.layers
    image, number = keras.Input((4, 4, 3), name="image"), keras.Input((1,), name="number")
    joined = layers.Concatenate()([layers.Flatten()(image), number])
    outputs = {
        "score": layers.Dense(1)(joined),
        "grid": layers.Reshape((2, 2))(layers.Dense(4)(joined)),
    }
    return keras.Model({"image": image, "number": number}, outputs)


def recurrent():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(10, 4, mask_zero=True),
            layers.LSTM(3),
        ]
    )


def text():
    layers = keras.layers
    vectorize = layers.TextVectorization(output_sequence_length=3, vocabulary=["to", "be", "not"])
    return keras.Sequential(
        [keras.Input((1,), dtype="string"), vectorize, layers.Embedding(6, 2), layers.Flatten()]
    )


def preprocessing():
    layers = keras.layers
    normalize = layers.Normalization(mean=[1.0, 2.0], variance=[4.0, 9.0])
    return keras.Sequential([keras.Input((2,)), normalize, layers.Dense(2)])


IMAGES = np.tile(np.arange(48, dtype=np.float32).reshape(1, 4, 4, 3), (3, 1, 1, 1))
NUMBERS = np.array([[1.0], [2.0], [3.0]], np.float32)
TOKENS = np.array([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
PAIRS = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
NAMES = np.array([["to be"], ["or not"], ["be"]], object)
MODELS = {
    "convolutional": (convolutional, "image", {}, IMAGES),
    "several": (
        several,
        {"image": "image", "number": "x"},
        {},
        {"image": IMAGES, "number": NUMBERS},
    ),
    "recurrent": (recurrent, "tokens", {"pad": 0}, TOKENS),
    "text": (text, "name", {}, tf.constant(NAMES)),
    "preprocessing": (preprocessing, "pair", {}, PAIRS),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for kind in (Sum, Text, Two):
        export(kind(), folder / kind.__name__)
    tf.saved_model.save(tf.Module(), str(folder / "unsigned"))
    return folder


@pytest.mark.parametrize("name", MODELS)
def test_predictions_equal_those_of_keras(tmp_path, name):
    build, features, options, values = MODELS[name]
    keras.utils.set_random_seed(1)
    model = build()
    expected = model.predict(values, verbose=0)
    model.export(tmp_path / "exported", verbose=False)
    model.save(tmp_path / "model.keras")
    for path in (tmp_path / "exported", tmp_path / "model.keras"):
        # Two of Spark's batches, which become batches of two rows.
        parts = [ROWS.slice(0, 1), ROWS.slice(1)]
        sizes = {} if "pad" in options else {"batch_size": 2}  # lists are padded in each batch
        found = predict(path, features, parts=parts, **options, **sizes)
        if isinstance(expected, dict):
            for key, values_of_key in expected.items():
                these = np.array([row[key] for row in found])
                np.testing.assert_allclose(these, np.squeeze(values_of_key), rtol=1e-5)
        else:
            np.testing.assert_allclose(np.array(found), expected, rtol=1e-5)


def test_images_are_decoded_and_resized(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 255, (9, 7, 3), np.uint8)
    jpeg, png = tf.io.encode_jpeg(pixels).numpy(), tf.io.encode_png(pixels).numpy()
    resized = [tf.image.resize(tf.io.decode_image(each), (4, 4)) for each in (jpeg, png)]
    decoder = ImageDecoder(4, 4, 3, "float32")
    np.testing.assert_allclose(decoder(np.array([jpeg, png], object)), np.stack(resized))
    whole = ImageDecoder(9, 7, 3, "uint8")(np.array([png], object))
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(whole[0], pixels)


def test_outputs_of_strings_and_integers(models):
    found = predict(models / "Text", "name")
    assert found[0] == {"length": 5, "upper": "TO BE"}
    assert predict(models / "Text", "name", outputs="length") == [5, 6, 2]


def test_a_model_of_one_batch_size_gets_that(models):
    assert predict(models / "Two", "x") == [3.0, 4.0, 5.0]


@pytest.mark.parametrize("kind", ["exported", "model.keras"])
def test_nothing_is_traced_twice(tmp_path, kind):
    traces = []

    @keras.saving.register_keras_serializable("tests", "Traced")
    class Traced(keras.layers.Layer):
        def call(self, values):
            traces.append(1)
            return values + 1

    model = keras.Sequential([keras.Input((1,)), Traced()])
    model.export(tmp_path / "exported", verbose=False)
    model.save(tmp_path / "model.keras")
    source, signature = described(tmp_path / kind, jit_compile=True)
    applied = application(source, signature, "x", batch_size=2)
    loaded = CACHE.get(source)
    traces.clear()
    for parts in ([ROWS], [ROWS.slice(0, 1)], [ROWS.slice(0, 1)] * 5):
        assert list(applied.run((part.columns for part in parts), 0, lambda: loaded))
    assert traces == []


def test_weights_need_the_model_that_they_are_for(tmp_path):
    model = preprocessing()
    model.save_weights(tmp_path / "model.weights.h5")
    pickled = pickle.dumps((preprocessing, {}))
    source = ModelSource(Kind.WEIGHTS, str(tmp_path / "model.weights.h5"), pickled=pickled)
    signature = ModelCache().get(source).signature
    applied = application(source, signature, "pair")
    [found] = applied.run(iter([ROWS.columns]), 0, lambda: CACHE.get(source))
    np.testing.assert_allclose(found.to_pylist(), model.predict(PAIRS, verbose=0), rtol=1e-5)


def test_a_model_that_does_not_tell_its_inputs_is_refused(tmp_path):
    class Subclassed(keras.Model):
        def call(self, values):
            return values

    keras.saving.register_keras_serializable("tests", "Subclassed")(Subclassed)
    model = Subclassed()
    model(np.ones((1, 1)))
    model.save(tmp_path / "model.keras")
    with pytest.raises(ConfigurationError, match="does not tell its inputs and outputs"):
        described(tmp_path / "model.keras")


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04"])
def test_a_broken_file_is_named(tmp_path, content):
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(InferenceError, match=r"cannot load the model in .*model\.keras: "):
        described(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("model", "features", "kind", "message"),
    [
        (
            "Sum",
            {"y": "x"},
            ConfigurationError,
            "has the inputs 'x', but features names an input 'y'",
        ),
        ("Sum", {"x": "x", "y": "x"}, ConfigurationError, "an input 'y' \\(for 'x'"),
        ("Sum", "name", UnsupportedColumnError, "column 'name' has strings, but input 'x' of"),
        ("Sum", "pair", ShapeMismatchError, r"'pair' .*\(2,\), .* input 'x' of"),
        ("Sum", "numbers", NullValueError, "'numbers'"),
        ("Text", "x", UnsupportedColumnError, "'x' has float32, but input 'text' .* strings"),
        ("Text", "holes", NullValueError, "'holes'"),
        ("unsigned", "x", DataError, "it has no signatures"),
    ],
)
def test_what_does_not_fit_is_named(models, model, features, kind, message):
    with pytest.raises(kind, match=message):
        predict(models / model, features)


def test_nulls_are_filled(models):
    convert = {"numbers": Column(fill=7)}
    assert predict(models / "Sum", "numbers", convert=convert) == [2.0, 8.0, 3.0]


def test_a_model_that_was_exported_again_is_loaded_again(tmp_path):
    export(Sum(), tmp_path)
    assert predict(tmp_path, "x") == [2.0, 3.0, 4.0]
    source, _ = described(tmp_path)
    loaded = CACHE.get(source)
    assert CACHE.get(source) is loaded
    times = {path: path.stat().st_mtime for path in tmp_path.rglob("*")}
    export(Sums(), tmp_path)
    for path, seconds in times.items():  # as if within the same second
        os.utime(path, (seconds, seconds))
    assert predict(tmp_path, "x") == [3.0, 4.0, 5.0]


def test_a_model_that_was_replaced_by_another_kind_is_refused(tmp_path):
    export(Sum(), tmp_path / "model")
    source, signature = described(tmp_path / "model")
    applied = application(source, signature, "x")
    export(Text(), tmp_path / "model")
    with pytest.raises(ConfigurationError, match="was overwritten by one with other inputs"):
        list(applied.run(iter([ROWS.columns]), 0, lambda: CACHE.get(source)))


def test_the_number_of_loaded_models_is_bounded(models):
    cache = ModelCache(most=1)
    first = described(models / "Sum")[0]
    held = cache.get(first)
    assert cache.get(first) is held
    cache.get(described(models / "Text")[0])
    assert cache.get(first) is not held


def test_garbage_is_collected_without_looking_at_tensorflow(models):
    """Spark's workers collect it after each task, which took 0.14 s."""
    source = described(models / "Sum")[0]
    configure(source, 1)
    assert gc.get_freeze_count() > 10 * len(gc.get_objects())
    cache = ModelCache(most=1)
    first = weakref.ref(cache.get(source).held[0])
    cache.get(described(models / "Text")[0])
    gc.collect()
    assert first() is None


def test_half_precision_ends_with_the_model_that_wants_it(tmp_path):
    whole = ModelSource(Kind.SAVED_MODEL, str(tmp_path))
    half = ModelSource(Kind.SAVED_MODEL, str(tmp_path), mixed_precision=True)
    name = "auto_mixed_precision_onednn_bfloat16"
    for source, expected in [(whole, False), (half, True), (whole, False)]:
        configure(source, 1)
        assert tf.config.optimizer.get_experimental_options().get(name, False) == expected


def test_files_that_are_gone_are_named(tmp_path):
    with pytest.raises(DataError, match=r"there is no model in .*missing"):
        CACHE.get(ModelSource(Kind.SAVED_MODEL, str(tmp_path / "missing")))
    assert list_files(os.devnull).names == [""]
