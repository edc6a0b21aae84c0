"""Nodes with several replicas, as with GPUs, compute what one process with one replica does.

Two logical CPUs stand for the GPUs of a node.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from two_processes import Node, run_processes

ROWS, BATCH, EPOCHS = 41, 12, 3  # rows of the batches of all nodes together
STEPS = -(-ROWS // BATCH)


def two_cpus(tf: Any) -> None:
    """Give this process two devices, and multi-worker strategies both of them."""
    from tensorflow.python.distribute import collective_all_reduce_strategy as module

    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

    def devices(self: Any, resolver: Any, worker: str) -> tuple[tuple[str, ...], str]:
        return tuple(f"{worker}/device:CPU:{index}" for index in range(2)), "CPU"

    module.CollectiveAllReduceExtended._initialize_local_devices = devices


def batches_of(node: Node) -> list[tuple[tuple[np.ndarray, np.ndarray], np.float32]]:
    """Each node's rows of the same global batches, the last of which is uneven, with scales."""
    x = np.linspace(-1, 1, ROWS, dtype=np.float32)[:, None]
    found = []
    for begin in range(0, ROWS, BATCH):
        of_all = x[begin : begin + BATCH]
        own = np.array_split(of_all, node.count)[node.index]
        found.append(((own, 3 * own + 1), np.float32(len(own) * node.count / len(of_all))))
    return found


def fit(node: Node, replicas: int) -> dict[str, Any]:
    import tensorflow as tf

    from tensorsparkml.trainer.datasets.replicas import replicated
    from tensorsparkml.trainer.strategies import repair_keras

    repair_keras()
    if replicas > 1:
        two_cpus(tf)
    if node.count > 1:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    elif replicas > 1:
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    else:
        strategy = tf.distribute.get_strategy()
    assert strategy.num_replicas_in_sync == node.count * replicas

    import keras

    specs = ((tf.TensorSpec((None, 1)), tf.TensorSpec((None, 1))), tf.TensorSpec(()))
    rows = tf.data.Dataset.from_generator(lambda: iter(batches_of(node)), output_signature=specs)
    # Keras counts a step too many at the end of a plain dataset whose length it does not know.
    rows = rows.apply(tf.data.experimental.assert_cardinality(STEPS))
    inputs = rows.map(lambda batch, scale: (batch[0], scale))
    if strategy.num_replicas_in_sync == 1:
        rows, inputs = (pairs.map(lambda batch, _: batch) for pairs in (rows, inputs))
    labelled = replicated(strategy, rows, weighted=False)
    inputs = replicated(strategy, inputs, weighted=False)
    keras.utils.set_random_seed(3)
    with strategy.scope():
        layers = [keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((1,)), *layers])
        model.compile(keras.optimizers.Adam(0.05), "mse")
    model.fit(labelled, epochs=EPOCHS, verbose=0)
    return {
        "loss": model.evaluate(labelled, verbose=0),
        "steps": int(model.optimizer.iterations.numpy()),
        "weights": model.get_weights(),
        "predicted": model.predict(inputs, verbose=0),
    }


@pytest.mark.full
@pytest.mark.parametrize("nodes", [1, 2])
def test_replicas_train_together(nodes: int) -> None:
    [alone] = run_processes(fit, nodes=1, replicas=1)
    for together in run_processes(fit, nodes=nodes, replicas=2):
        assert together.value["steps"] == alone.value["steps"] == EPOCHS * STEPS
        np.testing.assert_allclose(together.value["loss"], alone.value["loss"], rtol=1e-4)
        for mine, expected in zip(together.value["weights"], alone.value["weights"], strict=True):
            np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(
            together.value["predicted"], alone.value["predicted"], rtol=1e-3, atol=1e-5
        )


def cut(node: Node) -> dict[str, Any]:
    import tensorflow as tf

    from tensorsparkml.trainer.datasets.replicas import cut_batches

    def pairs(value: Any) -> Any:
        return tf.data.Dataset.from_tensors((value, tf.constant(0.5)))

    def parts(value: Any, count: int, of_pair: int = 0) -> list[Any]:
        return [
            tf.nest.map_structure(
                lambda part: part.to_list() if isinstance(part, tf.RaggedTensor) else part.numpy(),
                part[of_pair],
            )
            for part in cut_batches(pairs(value), count)
        ]

    numbers = tf.range(5)
    ragged = tf.ragged.constant([[1], [], [2, 3]])
    return {
        "even": parts({"a": numbers[:4]}, 2),
        "uneven": parts(numbers, 3),
        "few": parts(numbers[:1], 3),
        "ragged": parts((ragged, {"b": numbers[:3]}), 2),
        "scales": parts((numbers, numbers), 2, 1),
        "no rows": parts((numbers[:0], numbers[:0]), 2, 1),
        "shapes": [
            cut_batches(pairs(tf.ones((6, 3))), count).element_spec[0] for count in (1, 2, 4)
        ],
    }


def test_a_batch_is_cut_in_order() -> None:
    [outcome] = run_processes(cut, nodes=1)
    found = outcome.value
    assert [part["a"].tolist() for part in found["even"]] == [[0, 1], [2, 3]]
    assert [part.tolist() for part in found["uneven"]] == [[0], [1, 2], [3, 4]]
    assert [part.tolist() for part in found["few"]] == [[], [], [0]]
    assert [(part[0], part[1]["b"].tolist()) for part in found["ragged"]] == [
        ([[1]], [0]),
        ([[], [2, 3]], [1, 2]),
    ]
    np.testing.assert_allclose(found["scales"], [0.4, 0.6])
    assert found["no rows"] == [0, 0]
    assert [spec.shape for spec in found["shapes"]] == [(6, 3), (3, 3), (None, 3)]
