"""Ragged columns, structs and transforms through `tf.data` and Keras, on one node and on two."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from two_processes import Node, run_processes

ROWS = 8
TOKENS = [[1, 2, 3], [4], [], [5, 6], [1], [2, 2, 2, 2], [3], [6, 5]]


class Rows:
    """A feed that holds its rows already, cut into batches as lockstep would."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def first_rows(self, least: int) -> Any:
        from tensorsparkml.data.spool.segments import LocatedBatch, Origin

        return LocatedBatch(self._batch, Origin(0, 0))

    def batches(self, size: int, drop_remainder: bool, at_once: int, least: int) -> Any:
        from tensorsparkml.data.spool.segments import LocatedBatch, Origin
        from tensorsparkml.trainer.datasets.feed_reader import Rows as Batch

        for start in range(0, self._batch.num_rows, size):
            part = self._batch.slice(start, size)
            yield Batch([LocatedBatch(part, Origin(0, start))], part.num_rows, 1.0)


def dataset(batch: Any, features: Any, label: Any = None, **options: Any) -> Any:
    from tensorsparkml.trainer.datasets.tf_dataset import BatchLayout, local_dataset, transformed

    transform = options.pop("transform", None)
    settings: dict[str, Any] = {"batch_size": 2, "drop_remainder": False}
    layout = BatchLayout(features, label, None)
    made = local_dataset(Rows(batch), layout, **{"convert": {}, **settings, **options})
    return transformed(made, transform, scaled=bool(options.get("scaled")))


def fit(node: Node, pad: bool) -> list[float]:
    """Train on the node's half of the rows, or alone on batches of both nodes."""
    if node.count > 1:
        from tensorsparkml.trainer.strategies import repair_keras

        repair_keras()
    import pyarrow as pa
    import tensorflow as tf

    strategy = (
        tf.distribute.MultiWorkerMirroredStrategy()
        if node.count > 1
        else tf.distribute.get_strategy()
    )
    import keras

    from tensorsparkml.data.columns.options import Column
    from tensorsparkml.trainer.datasets.replicas import replicated

    own = range(node.index, ROWS, node.count)
    batch = pa.record_batch(
        {
            "tokens": pa.array([TOKENS[i] for i in own], pa.list_(pa.int64())),
            "y": pa.array([float(i) for i in own], pa.float32()),
        }
    )
    data = dataset(
        batch,
        "tokens",
        "y",
        batch_size=4 // node.count,
        convert={"tokens": Column(shape=(None,))},
        transform=(lambda x, y: (x.to_tensor(), y)) if pad else None,
        scaled=node.count > 1,
    )
    data = replicated(strategy, data, weighted=False)

    seen: list[str] = []

    @keras.saving.register_keras_serializable()
    class Mean(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = keras.layers.Embedding(7, 4)
            self.head = keras.layers.Dense(1)

        def call(self, tokens: Any) -> Any:
            if isinstance(tokens, tf.RaggedTensor):  # when Keras builds the model, it is dense
                seen.append("ragged")
                tokens = tokens.to_tensor()
            known = keras.ops.cast(tokens > 0, "float32")[..., None]
            return self.head(keras.ops.sum(self.embedding(tokens) * known, axis=1))

    keras.utils.set_random_seed(1)
    with strategy.scope():
        model = Mean()
        model.compile(keras.optimizers.SGD(0.01), "mse")
    losses: list[float] = model.fit(data, epochs=3, verbose=0).history["loss"]
    assert bool(seen) != pad
    return losses


@pytest.mark.full
@pytest.mark.parametrize("pad", [False, True])
def test_ragged_tensors_train_on_two_nodes_as_on_one(pad: bool) -> None:
    [alone] = run_processes(fit, nodes=1, pad=pad)
    first, second = run_processes(fit, nodes=2, pad=pad)
    assert first.value == second.value
    assert len(alone.value) == 3
    np.testing.assert_allclose(first.value, alone.value, rtol=1e-5)


def elements(_: Node) -> list[Any]:
    """Datasets of several layouts: what their specs say, and what their batches hold."""
    import pyarrow as pa
    import tensorflow as tf

    from tensorsparkml.data.columns.options import Column

    batch = pa.record_batch(
        {
            "tokens": pa.array([[1, 2], [], [3], None]),
            "person": pa.array(
                [
                    {"age": 1, "tags": [["a"], ["b", "c"]]},
                    None,
                    {"age": None, "tags": []},
                    {"age": 4, "tags": [[]]},
                ],
                pa.struct([("age", pa.int32()), ("tags", pa.list_(pa.list_(pa.string())))]),
            ),
            "y": pa.array([0.0, 1.0, 2.0, 3.0]),
        }
    )
    convert = {
        "tokens": Column(shape=(None,), fill=0, mask=True),
        "person.age": Column(fill=-1, mask=True),
        "person.tags": Column(shape=(None, None), fill=""),
    }

    def double(x: Any, y: Any) -> Any:
        return x, y * 2

    made = [
        dataset(batch, None, "y", convert=convert),
        dataset(batch, "tokens", convert=convert, drop_remainder=True),
        dataset(batch, ["tokens_mask", "person.age"], convert=convert),
        dataset(batch, {"a": "person"}, "y", convert=convert, transform=double),
        dataset(batch, "tokens", convert=convert, transform=lambda x: x.to_tensor()),
        dataset(batch, None, "person.age", convert=convert),
    ]

    def plain(value: Any) -> Any:
        return value.to_list() if isinstance(value, tf.RaggedTensor) else value.numpy().tolist()

    return [
        (
            tf.nest.map_structure(
                lambda spec: (type(spec).__name__, list(spec.shape)), each.element_spec
            ),
            [tf.nest.map_structure(plain, element) for element in each],
        )
        for each in made
    ]


def test_elements_of_datasets() -> None:
    [outcome] = run_processes(elements, nodes=1)
    everything, tokens, masks, struct, padded, inner = outcome.value

    specs, [(first, _), (second, labels)] = everything
    assert specs == (
        {
            "tokens": ("RaggedTensorSpec", [None, None]),
            "tokens_mask": ("RaggedTensorSpec", [None, None]),
            "person": {
                "age": ("TensorSpec", [None]),
                "age_mask": ("TensorSpec", [None]),
                "tags": ("RaggedTensorSpec", [None, None, None]),
            },
        },
        ("TensorSpec", [None]),
    )
    assert first == {
        "tokens": [[1, 2], []],
        "tokens_mask": [[True, True], []],
        "person": {"age": [1, -1], "age_mask": [True, False], "tags": [[[b"a"], [b"b", b"c"]], []]},
    }
    assert second["person"] == {"age": [-1, 4], "age_mask": [False, True], "tags": [[], [[]]]}
    assert labels == [2.0, 3.0]

    assert tokens == (("RaggedTensorSpec", [2, None]), [[[1, 2], []], [[3], []]])
    assert masks[1][0] == ([[True, True], []], [1, -1])
    assert struct[1][1] == ({"a": second["person"]}, [4.0, 6.0])
    assert padded == (("TensorSpec", [None, None]), [[[1, 2], [0, 0]], [[3], [0]]])
    (x, y), _ = inner[1]
    assert (list(x), y) == (["tokens", "tokens_mask", "person", "y"], [1, -1])


class Together(Rows):
    """The same rows as two batches that come together, and a batch without rows."""

    def batches(self, size: int, drop_remainder: bool, at_once: int, least: int) -> Any:
        from tensorsparkml.data.spool.segments import LocatedBatch, Origin
        from tensorsparkml.trainer.datasets.feed_reader import Rows as Batch

        yield Batch([LocatedBatch(self._batch, Origin(0, 0))], 2 * size, 1.0, batches=2)
        yield Batch([], 0, 1.0)


def stacked(_: Node) -> list[Any]:
    """The shapes and values of batches that come together, some of them without values."""
    import pyarrow as pa

    from tensorsparkml.trainer.datasets.tf_dataset import BatchLayout, local_dataset

    none = pa.array([[]] * 4, pa.list_(pa.float32(), 0))
    batch = pa.record_batch({"x": [1.0, 2.0, 3.0, 4.0], "none": none, "text": list("abcd")})
    layout = BatchLayout(("x", "none"), "text", None)
    made = local_dataset(Together(batch), layout, {}, 2, drop_remainder=False)
    return [(x.numpy().tolist(), list(none.shape), y.numpy().tolist()) for (x, none), y in made]


def test_batches_that_come_together_may_lack_values() -> None:
    [outcome] = run_processes(stacked, nodes=1)
    assert outcome.value == [
        ([1.0, 2.0], [2, 0], [b"a", b"b"]),
        ([3.0, 4.0], [2, 0], [b"c", b"d"]),
        ([], [0, 0], []),
    ]
