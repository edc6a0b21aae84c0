"""Preprocessing layers learn on several nodes what they learn in one process."""

from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tensorsparkml as tsm
from tensorsparkml.errors import ConfigurationError

BATCH = 16
ROWS = 111  # shares of 56 and 55, so that the last batches differ in size
FEATURES = {
    "normalized": "numbers",
    "binned": "price",
    "city": "city",
    "capped": "city",
    "weighed": "city_column",
    "code": "code",
    "text": "review",
    "terms": "review",
    "own": "numbers",
}
CONVERT = {"city_column": tsm.Column(shape=(1,))}


def make_layers():
    import keras

    class Largest(keras.layers.Layer):
        """A layer of a program's own."""

        def adapt(self, data):
            self.largest = max(float(keras.ops.max(batch)) for batch in data)

    return {
        "normalized": keras.layers.Normalization(),
        "binned": keras.layers.Discretization(num_bins=4),
        "city": keras.layers.StringLookup(),
        "capped": keras.layers.StringLookup(max_tokens=4, num_oov_indices=2, mask_token=""),
        "weighed": keras.layers.StringLookup(output_mode="tf_idf"),
        "code": keras.layers.IntegerLookup(),
        "text": keras.layers.TextVectorization(output_sequence_length=5),
        "terms": keras.layers.TextVectorization(output_mode="tf_idf", ngrams=2, max_tokens=40),
        "own": Largest(),
    }


def states(layers):
    """What the layers have learnt, and what they make of some rows."""
    terms = ["Good value, good price", "bad", "never seen"]
    return {
        "normalized": layers["normalized"](np.ones((1, 3), "float32")).numpy().tolist(),
        "mean": np.asarray(layers["normalized"].mean).tolist(),
        "variance": np.asarray(layers["normalized"].variance).tolist(),
        "binned": [float(bound) for bound in layers["binned"].bin_boundaries],
        **{
            name: [str(token) for token in layers[name].get_vocabulary()]
            for name in ("city", "capped", "weighed", "code", "text", "terms")
        },
        "city weights": layers["weighed"]([["Oslo"], ["Rome"], ["none"]]).numpy().tolist(),
        "text indices": layers["text"](terms).numpy().tolist(),
        "term weights": layers["terms"](terms).numpy().tolist(),
        "largest": layers["own"].largest,
    }


def adapt_on_nodes(args, ctx):
    import keras

    def local_ids(dataset):
        batches = [ctx.strategy.experimental_local_results(ids)[0] for ids in dataset]
        return [ids.numpy().tolist() for ids in batches]

    features = {**FEATURES, "normalized": tsm.Matrix("n?"), "own": tsm.Matrix("n?")}
    with ctx.strategy.scope():
        layers = make_layers()
        ctx.adapt(layers, ctx.dataset(batch_size=BATCH, features=features, convert=CONVERT))
        fed = states(layers)
        ids = local_ids(ctx.dataset(batch_size=BATCH, features="id"))

        # From files, one layer, in what a method of the dataset makes of it.
        lookup = keras.layers.StringLookup()
        cities = ctx.read_parquet(args["file"], batch_size=BATCH, features={"name": "city"})
        ctx.adapt(lookup, cities.map(lambda row: row["name"]))

        with pytest.raises(ConfigurationError, match=r"call ctx\.adapt\(layer, dataset"):
            keras.layers.Normalization().adapt(ctx.dataset(batch_size=BATCH, features="price"))
        with pytest.raises(ConfigurationError, match="dataset must be a dataset from ctx"):
            ctx.adapt(keras.layers.StringLookup(), ["Oslo"])

        # The feed can still be read, by a model that has the layers.
        inputs = keras.Input((3,))
        model = keras.Model(inputs, keras.layers.Dense(1)(layers["normalized"](inputs)))
        model.compile("sgd", "mse")
    rows = ctx.dataset(batch_size=BATCH, features=tsm.Matrix("n?"), label="price")
    losses = model.fit(rows, epochs=2, verbose=0).history["loss"]
    return fed, ids, lookup.get_vocabulary(), losses


def adapt_alone(args, ctx):
    """Adapt the same layers to given batches, without anything of this library."""
    import tensorflow as tf

    layers, of_files = make_layers(), make_layers()["city"]
    for name, layer in layers.items():
        batches = args["batches"]
        dataset = tf.data.Dataset.from_generator(
            lambda name=name, batches=batches: iter([batch[FEATURES[name]] for batch in batches]),
            output_signature=tf.TensorSpec(args["shapes"][FEATURES[name]], args["dtypes"][name]),
        )
        layer.adapt(dataset)
    of_files.adapt(np.concatenate([batch["city"] for batch in args["batches"]]))
    return states(layers), of_files.get_vocabulary()


def make_rows():
    random = np.random.default_rng(11)
    words = np.array(["good", "bad", "value", "price", "never", "Fine, well", "fine"])
    reviews = [" ".join(random.choice(words, size)) for size in random.integers(1, 9, ROWS)]
    return {
        "numbers": random.normal(5, 3, (ROWS, 3)).astype(np.float32),
        "price": random.exponential(10, ROWS).astype(np.float32),
        "city": random.choice(["Oslo", "Rome", "Bonn", "Kyiv", "Lima", ""], ROWS).astype(object),
        "code": random.integers(-3, 9, ROWS),
        "review": np.array(reviews, object),
    }


def adapt_without_data(args, ctx):
    """Call ctx.adapt with what is no layer of Keras; on the nodes that `args` names."""

    class Layer:
        def adapt(self, dataset):
            pass

    class Other(Layer):
        pass

    class Dataset:
        __module__ = "tensorflow"

    if ctx.rank in args:
        ctx.adapt(Layer() if args[ctx.rank] == "Layer" else [Other()], Dataset())


@pytest.mark.full
@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({0: "Layer"}, "worker:0 ended without the call adapt 1; all nodes must make the same"),
        ({0: "Layer", 1: "Other"}, "adapts (Layer, and node 1 adapts Other|Other, and node 0)"),
    ],
)
def test_nodes_that_adapt_different_layers_do_not_hang(spark, layers, message):
    with pytest.raises(ConfigurationError, match=message):
        tsm.run(adapt_without_data, layers, spark=spark, num_workers=2, packages=())


def test_layers_learn_what_they_learn_in_one_process(spark, tmp_path):
    rows = make_rows()
    numbers = {f"n{i}": column for i, column in enumerate(rows["numbers"].T)}
    single = {name: values for name, values in rows.items() if name != "numbers"}
    table = pa.table({"id": np.arange(ROWS), **numbers, **single, "city_column": rows["city"]})
    file = tmp_path / "rows.parquet"
    pq.write_table(table, file, row_group_size=20)

    (fed, ids, vocabulary, losses), second = tsm.run(
        adapt_on_nodes,
        {"file": str(file)},
        data=spark.createDataFrame(table).repartition(3),
        num_workers=2,
    )
    assert second[0] == fed and second[2:] == (vocabulary, losses)
    steps = [first + others for first, others in zip(ids, second[1], strict=True)]
    assert sorted(chain.from_iterable(steps)) == list(range(ROWS))
    assert losses[1] < losses[0]

    rows["city_column"] = rows["city"].reshape(-1, 1)
    batches = [{name: values[step] for name, values in rows.items()} for step in steps]
    [(alone, of_files)] = tsm.run(
        adapt_alone,
        {
            "batches": batches,
            "shapes": {name: (None, *values.shape[1:]) for name, values in rows.items()},
            "dtypes": {
                name: "string" if rows[column].dtype == object else str(rows[column].dtype)
                for name, column in FEATURES.items()
            },
        },
        spark=spark,
    )
    assert fed == alone
    assert sorted(vocabulary) == sorted(of_files)  # their ties are the same
    assert vocabulary == of_files
    # And over all rows at once, in any order.
    np.testing.assert_allclose(fed["mean"][0], rows["numbers"].mean(0), rtol=1e-6)
    np.testing.assert_allclose(fed["variance"][0], rows["numbers"].var(0), rtol=1e-6)
