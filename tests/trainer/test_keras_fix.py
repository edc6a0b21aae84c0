"""Keras 3 on two nodes gives what it gives in one process with the whole batch."""

from __future__ import annotations

import importlib.util
import linecache
import operator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from two_processes import Node, run_processes

from tensorsparkml.errors import UnsupportedVersionError
from tensorsparkml.trainer.repairs import keras_fix, keras_replicas_fix, legacy_keras_fix
from tensorsparkml.trainer.repairs.keras_replicas_fix import repair_clipping, repair_loss_scaling
from tensorsparkml.trainer.repairs.keras_steps_fix import repair_losses_of_outputs
from tensorsparkml.trainer.strategies import repair_keras

ROWS, BATCH, FEATURES = 600, 128, 8
pytestmark = pytest.mark.timeout(2500)  # for the fixtures, which start processes
EXACT = {"rtol": 1e-5, "atol": 1e-6}
# A last digit can put a prediction on the other side of one of its thresholds.
AUC = {"rtol": 1e-3}


def train_all(node: Node, cases: list[str]) -> dict[str, Any]:
    """Trains one model a case on the same rows, in a process of a cluster or in a lone one."""
    repair_keras()
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if node.count > 1:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    return {case: train(node, strategy, case) for case in cases}


def train(node: Node, strategy: Any, case: str) -> dict[str, Any]:
    import keras
    import tensorflow as tf

    class BatchLogs(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
            seen.append(float(logs["loss"]))

    features, labels, weights = rows(case)
    reads, seen = [0], list[float]()
    # A last batch with a single row leaves the second node without one.
    count = 2 * BATCH + 1 if "single_row" in case else ROWS

    def dataset(parts: tuple[Any, ...]) -> Any:
        def batches() -> Any:
            reads[0] += 1
            for begin in range(0, count, BATCH):
                size = min(BATCH, count - begin)
                low = begin + -(-size * node.index // node.count)
                high = begin + -(-size * (node.index + 1) // node.count)
                yield tf.nest.map_structure(operator.itemgetter(slice(low, high)), parts)

        signature = tf.nest.map_structure(
            lambda part: tf.TensorSpec((None, *part.shape[1:]), part.dtype), parts
        )

        def make(_: Any) -> Any:
            return tf.data.Dataset.from_generator(batches, output_signature=signature)

        if node.count > 1:
            return strategy.distribute_datasets_from_function(make)
        # Told the number of batches, Keras does not count a step too many at the epoch's end.
        known = tf.data.experimental.assert_cardinality(-(-count // BATCH))
        return make(None).apply(known)

    with strategy.scope():
        keras.utils.set_random_seed(7)
        model = MODELS.get(case, dense)(keras)
        compile_model(keras, model, case)
    parts = (features, labels, weights) if "sample_weight" in case else (features, labels)
    history = model.fit(
        dataset(parts),
        epochs=3,
        verbose=0,
        validation_data=dataset(parts),
        class_weight={0: 1.0, 1: 3.0} if "class_weight" in case else None,
        callbacks=[BatchLogs()],
    ).history
    evaluated = model.evaluate(dataset(parts), verbose=0, return_dict=True)
    predicted = model.predict(dataset((features,)), verbose=0)
    return {
        "history": history,
        "evaluated": evaluated,
        "predicted": tf.nest.flatten(predicted),
        "weights": model.get_weights(),
        "iterations": int(model.optimizer.iterations.numpy()),
        "reads": reads[0],
        "batches": len(seen),
        "batch_loss": seen[-1],
    }


def rows(case: str) -> tuple[Any, Any, Any]:
    random = np.random.default_rng(3)
    x = random.random((ROWS, FEATURES), dtype="float32")
    y = (x.sum(axis=1, keepdims=True) > FEATURES / 2).astype("float32")
    weights = random.random(ROWS, dtype="float32")
    if case == "dict_two_outputs":
        return {"left": x[:, :3], "right": x[:, 3:]}, {"class": y, "sum": x.sum(1)}, weights
    if case == "tuple_sgd":
        return (x[:, :3], x[:, 3:]), y, weights
    return x, y, weights


def dense(keras: Any, *extra: Any) -> Any:
    layers = keras.layers
    # No Input: the model is built from the dataset's specs, under the strategy.
    return keras.Sequential([layers.Dense(16, "relu"), *extra, layers.Dense(1, "sigmoid")])


def two_inputs(keras: Any) -> Any:
    left, right = keras.Input((3,), name="left"), keras.Input((FEATURES - 3,), name="right")
    hidden = keras.layers.Dense(16, "tanh")(keras.layers.Concatenate()([left, right]))
    return left, right, hidden


def tuple_model(keras: Any) -> Any:
    left, right, hidden = two_inputs(keras)
    return keras.Model([left, right], keras.layers.Dense(1, "sigmoid")(hidden))


def dict_model(keras: Any) -> Any:
    left, right, hidden = two_inputs(keras)
    outputs = {
        "class": keras.layers.Dense(1, "sigmoid", name="class")(hidden),
        "sum": keras.layers.Dense(1, name="sum")(hidden),
    }
    return keras.Model({"left": left, "right": right}, outputs)


def normalised(keras: Any) -> Any:
    return dense(keras, keras.layers.BatchNormalization(momentum=0.8))


def synchronised(keras: Any) -> Any:
    return dense(keras, keras.layers.BatchNormalization(momentum=0.8, synchronized=True))


MODELS = {
    "dict_two_outputs": dict_model,
    "tuple_sgd": tuple_model,
    "batch_norm": normalised,
    "batch_norm_synchronized": synchronised,
    "single_row_batch_norm": normalised,
}


def compile_model(keras: Any, model: Any, case: str) -> None:
    sgd = keras.optimizers.SGD(0.05, momentum=0.9)
    several = 2 if "steps_per_execution" in case else 1
    options = {
        # Adam makes steps of full length from the last digits of the gradients that batch
        # normalisation brings close to zero.
        "optimizer": sgd if case in ("tuple_sgd", "batch_norm_synchronized") else "adam",
        "steps_per_execution": several,
    }
    if case == "dict_two_outputs":
        losses = {"class": "binary_crossentropy", "sum": "mse"}
        model.compile(loss=losses, metrics={"class": ["accuracy"], "sum": ["mae"]}, **options)
        return
    metrics = ["mae", "accuracy", keras.metrics.AUC(name="auc")]
    model.compile(loss="binary_crossentropy", metrics=metrics, weighted_metrics=["mse"], **options)


EXACT_CASES = [
    "single",
    "tuple_sgd",
    "dict_two_outputs",
    "class_weight",
    "steps_per_execution_sample_weight",
    "batch_norm_synchronized",
]
OTHER_CASES = ["batch_norm", "single_row", "single_row_batch_norm"]


# What these processes compute takes a minute; tests/cluster/test_keras.py shows the same always.
@pytest.fixture(scope="module")
def nodes() -> list[dict[str, Any]]:
    outcomes = run_processes(train_all, cases=EXACT_CASES + OTHER_CASES)
    return [outcome.value for outcome in outcomes]


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    (outcome,) = run_processes(train_all, nodes=1, cases=EXACT_CASES + OTHER_CASES, timeout=1200)
    return dict(outcome.value)


@pytest.mark.full
@pytest.mark.parametrize("case", EXACT_CASES)
def test_two_nodes_equal_one_process(
    nodes: list[dict[str, Any]], alone: dict[str, Any], case: str
) -> None:
    expected = alone[case]
    for node in nodes:
        found = node[case]
        assert found["history"].keys() == expected["history"].keys()
        assert len(found["history"]["val_loss"]) == 3
        for name in expected["history"]:
            np.testing.assert_allclose(
                found["history"][name],
                expected["history"][name],
                err_msg=name,
                **(AUC if "auc" in name else EXACT),
            )
        for name, value in expected["evaluated"].items():
            np.testing.assert_allclose(
                found["evaluated"][name], value, err_msg=name, **(AUC if name == "auc" else EXACT)
            )
        for key in ("weights", "predicted"):
            for left, right in zip(found[key], expected[key], strict=True):
                np.testing.assert_allclose(left, right, err_msg=key, **EXACT)
        assert found["iterations"] == expected["iterations"] == 15
        assert found["batches"] == expected["batches"]
        np.testing.assert_allclose(found["batch_loss"], expected["batch_loss"], **EXACT)


@pytest.mark.full
@pytest.mark.parametrize("case", EXACT_CASES)
def test_every_read_of_the_data_is_used(nodes: list[dict[str, Any]], case: str) -> None:
    # Three epochs, three validations, one evaluate, one predict.
    assert [node[case]["reads"] for node in nodes] == [8, 8]


@pytest.mark.full
def test_batch_norm_deviates_by_its_statistics_of_half_batches(
    nodes: list[dict[str, Any]], alone: dict[str, Any]
) -> None:
    found, expected = nodes[0]["batch_norm"], alone["batch_norm"]
    np.testing.assert_allclose(found["history"]["loss"], expected["history"]["loss"], rtol=0.02)
    assert nodes[0]["batch_norm"]["history"] == nodes[1]["batch_norm"]["history"]
    # The moving statistics are each node's own; all other weights are the same everywhere.
    differing = [
        index
        for index, pair in enumerate(
            zip(found["weights"], nodes[1]["batch_norm"]["weights"], strict=True)
        )
        if not np.array_equal(*pair)
    ]
    assert differing == [4, 5]


@pytest.mark.full
def test_a_node_without_rows_in_the_last_batch(
    nodes: list[dict[str, Any]], alone: dict[str, Any]
) -> None:
    for node in nodes:
        found, expected = node["single_row"], alone["single_row"]
        assert np.isfinite(np.concatenate([w.ravel() for w in found["weights"]])).all()
        np.testing.assert_allclose(found["history"]["loss"], expected["history"]["loss"], rtol=0.01)
        assert found["predicted"][0].shape == expected["predicted"][0].shape == (257, 1)
        assert found["batches"] == 9


@pytest.mark.full
def test_batch_norm_of_no_rows_spoils_the_model_of_all_nodes(
    nodes: list[dict[str, Any]],
) -> None:
    # The mean over no rows is not a number. Pinned, because the lockstep must not let it happen.
    for node in nodes:
        assert not np.isfinite(node["single_row_batch_norm"]["weights"][0]).any()


TRAINER = """
class TFEpochIterator:
    def __init__(self, distribute_strategy=None, *args, **kwargs):
        pass

    def _get_iterator(self):
        return self._distributed_dataset

    def _interrupted_warning(self):
        warn("no data")

class TensorFlowTrainer:
    def train_step(self, data):
        unscale_loss_for_distribution(loss)

    def test_step(self, data):
        unscale_loss_for_distribution(loss)

    def _aggregate_additional_loss(self, loss):
        return scale_loss_for_distribution(loss)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        batch = next(iterator)
        self._symbolic_build(data_batch=self.distribute_strategy.reduce("MEAN", batch, axis=None))

    def _make_function(self, step_function):
        def function(iterator):
            one_step_on_data(iterator.get_next())
            zip(range(1), iterator)

        return function

def reduce_per_replica(values, strategy, reduction):
    return strategy.reduce("MEAN", values, axis=0)

def _collective_all_reduce_multi_worker(strategy):
    return True
"""
LOSSES = """
def reduce_values(values, sample_weight=None, reduction="sum_over_batch_size"):
    return scale_loss_for_distribution(values)

def scale_loss_for_distribution(value):
    return multiply(value, 1 / replicas)

def unscale_loss_for_distribution(value):
    return multiply(value, replicas)
"""
LOSSES_OF_OUTPUTS = """
class CompileLoss:
    def call(self, y_true, y_pred, sample_weight=None):
        metric.update_state(unscale_loss_for_distribution(value))
"""
LOSS_SCALING = """
class LossScaleOptimizer:
    def check_finite(self, grads):
        return ops.isfinite(grads)

    def _common_apply(self, grads, trainable_variables=None):
        ops.cond(self.check_finite(grads))

    def _tf_apply(self, grads, trainable_variables=None):
        self._common_apply(grads)
        call_for_each_replica(self.check_finite)
"""
OPTIMIZER = """
class TFOptimizer:
    def _backend_apply_gradients(self, grads, trainable_variables):
        grads = self._clip_gradients(grads)
        self._backend_update_step(grads, trainable_variables)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        self._all_reduce_sum_gradients(zip(grads, trainable_variables))

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return replica_context.all_reduce(grads_and_vars)
"""
ADAPTER = """
def make_class_weight_map_fn(class_weight):
    pass

class TFDatasetAdapter:
    def __init__(self, dataset, class_weight=None, distribution=None):
        dataset = dataset.map(make_class_weight_map_fn(class_weight))
"""
LEGACY_ADAPTER = """
class DatasetAdapter:
    def should_recreate_iterator(self):
        return not _is_distributed_dataset(self._dataset)

    def _validate_args(self, y, sample_weights, steps, pss_evaluation_shards):
        if _is_distributed_dataset(self._dataset):
            raise ValueError("steps")
"""


def load(directory: Path, name: str, source: str) -> ModuleType:
    path = directory / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    linecache.checkcache(str(path))
    return module


@pytest.mark.parametrize(
    ("detect", "defective", "repaired"),
    [
        (
            keras_fix.reads_or_reduces_batch,
            "batch = next(iterator)\n        self._symbolic_build(data_batch=self.distribute_"
            'strategy.reduce("MEAN", batch, axis=None))',
            "self._symbolic_build(data_batch=data_batch)",
        ),
        (keras_replicas_fix.reduces_scalars_over_axis, "axis=0", "axis=None"),
        (keras_fix.fetches_in_graph, "iterator.get_next()", "data"),
        (
            keras_fix.maps_distributed_dataset,
            "dataset.map(make_class",
            "weighted(dataset, make_class",
        ),
    ],
)
def test_a_defect_is_detected_in_the_source(
    tmp_path: Path, detect: Any, defective: str, repaired: str
) -> None:
    source = TRAINER if defective in TRAINER else ADAPTER
    assert defective in source
    assert detect(load(tmp_path, "with_defect", source))
    assert not detect(load(tmp_path, "without_defect", source.replace(defective, repaired)))


@pytest.mark.parametrize(
    ("repair", "source", "known", "unknown"),
    [
        (keras_fix.repair_trainer, TRAINER, "_maybe_symbolic_build(", "_build_maybe("),
        (keras_fix.repair_trainer, TRAINER, "self._symbolic_build(", "self._build("),
        (keras_fix.repair_trainer, TRAINER, "axis=0", "axis=-1"),
        (keras_fix.repair_trainer, TRAINER, "values, strategy, reduction", "values, reduction"),
        (keras_fix.repair_trainer, TRAINER, "def _collective", "def _other"),
        (keras_fix.repair_trainer, TRAINER, "zip(range(1), iterator)", "pass"),
        (keras_fix.repair_trainer, TRAINER, "iterator.get_next()", "data"),
        (keras_fix.repair_trainer, TRAINER, "class TFEpochIterator", "class Epochs"),
        (keras_fix.repair_trainer, TRAINER, "_get_iterator(self", "_iterator(self"),
        (keras_fix.repair_trainer, TRAINER, 'warn("no data")', "pass"),
        (keras_fix.repair_trainer, TRAINER, "unscale_loss_for", "unscale_for"),
        (keras_fix.repair_trainer, TRAINER, "return scale_loss", "return other_loss"),
        (keras_fix.repair_losses, LOSSES, "return scale_loss", "return other_loss"),
        (keras_fix.repair_losses, LOSSES, "multiply(value, replicas", "divide(value, replicas"),
        (keras_fix.repair_losses, LOSSES, "multiply(value, 1", "divide(value, 1"),
        (repair_losses_of_outputs, LOSSES_OF_OUTPUTS, "unscale_loss", "other_loss"),
        (repair_losses_of_outputs, LOSSES_OF_OUTPUTS, "y_true, y_pred", "y_pred, y_true"),
        (repair_loss_scaling, LOSS_SCALING, "def check_finite", "def finite"),
        (repair_loss_scaling, LOSS_SCALING, "isfinite", "isnan"),
        (repair_loss_scaling, LOSS_SCALING, "cond(self.check_finite", "cond(self.all_finite"),
        (repair_loss_scaling, LOSS_SCALING, "self._common_apply(", "self.inner.apply("),
        (repair_loss_scaling, LOSS_SCALING, "call_for_each_replica", "run"),
        (repair_clipping, OPTIMIZER, "self._clip_gradients", "self._clip"),
        (repair_clipping, OPTIMIZER, "self._backend_update_step", "self._update_step"),
        (repair_clipping, OPTIMIZER, "self._all_reduce_sum_gradients", "self._sum"),
        (repair_clipping, OPTIMIZER, "context.all_reduce", "context.sum"),
        (keras_fix.repair_adapter, ADAPTER, "class TFDatasetAdapter", "class Adapter"),
        (keras_fix.repair_adapter, ADAPTER, "make_class_weight_map_fn", "weigh"),
        (legacy_keras_fix.repair_adapter, LEGACY_ADAPTER, "if _is_distributed", "if _is_other"),
        (legacy_keras_fix.repair_adapter, LEGACY_ADAPTER, "not _is_distributed", "not _is_other"),
        (legacy_keras_fix.repair_adapter, LEGACY_ADAPTER, "steps, pss", "pss"),
    ],
)
def test_an_unknown_keras_is_refused(
    tmp_path: Path, repair: Any, source: str, known: str, unknown: str
) -> None:
    assert known in source
    module = load(tmp_path, "unknown_keras", source.replace(known, unknown))
    with pytest.raises(
        UnsupportedVersionError, match=r"unknown_keras\..*Install a release of unknown_keras"
    ):
        repair(module)


@pytest.mark.parametrize(
    ("repair", "source"),
    [
        (keras_fix.repair_steps_if_known, TRAINER.replace("get_next", "fetch")),
        (legacy_keras_fix.repair_optimizer, "class Optimizer:\n    pass\n"),
    ],
)
def test_an_unknown_keras_is_left_as_it_is_on_one_node(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, repair: Any, source: str
) -> None:
    module = load(tmp_path, "unknown_keras", source)
    repair(module)
    assert "end of the data" in caplog.text
    assert not vars(module).get("_tensorsparkml_repaired")
