"""Ragged columns, structs and transforms through `tf.data` and Keras, on one node and on two."""

from __future__ import annotations

from typing import Any

import numpy as np
from two_processes import Node, run_processes

ROWS = 8
TOKENS = [[1, 2, 3], [4], [], [5, 6], [1], [2, 2, 2, 2], [3], [6, 5]]


class Rows:
    """A feed that holds its rows already, cut into batches as lockstep would."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def first_row(self) -> Any:
        from tensorsparkml.data.segments import LocatedBatch, Origin

        return LocatedBatch(self._batch.slice(0, 1), Origin(0, 0))

    def batches(self, size: int, drop_remainder: bool) -> Any:
        from tensorsparkml.data.segments import LocatedBatch, Origin
        from tensorsparkml.trainer.reader import Rows as Batch

        for start in range(0, self._batch.num_rows, size):
            part = self._batch.slice(start, size)
            yield Batch([LocatedBatch(part, Origin(0, start))], part.num_rows, 1.0)


def dataset(batch: Any, features: Any, label: Any = None, **options: Any) -> Any:
    from tensorsparkml.trainer.dataset import BatchLayout, local_dataset

    settings: dict[str, Any] = {"batch_size": 2, "drop_remainder": False, "transform": None}
    layout = BatchLayout(features, label, None)
    return local_dataset(Rows(batch), layout, **{"convert": {}, **settings, **options})


def fit(node: Node, rank: int | None = None) -> list[float]:
    """Train on the node's half of the rows, or alone on batches of both nodes."""
    if node.count > 1:
        from tensorsparkml.trainer import keras_fix

        keras_fix.install()
    import pyarrow as pa
    import tensorflow as tf

    strategy = (
        tf.distribute.MultiWorkerMirroredStrategy()
        if node.count > 1
        else tf.distribute.get_strategy()
    )
    import keras

    from tensorsparkml.data.column_options import Column
    from tensorsparkml.trainer.dataset import distributed

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
    )
    if node.count > 1:
        data = distributed(strategy, data)

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
    assert seen
    return losses


def test_ragged_tensors_train_on_two_nodes_as_on_one() -> None:
    [alone] = run_processes(fit, nodes=1)
    first, second = run_processes(fit, nodes=2)
    assert first.value == second.value
    assert len(alone.value) == 3
    np.testing.assert_allclose(first.value, alone.value, rtol=1e-5)
    print(first.output[-3000:])
