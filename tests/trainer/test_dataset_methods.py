"""The methods of `tf.data.Dataset` mean the same with one node and with two, or are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from two_processes import Node, run_processes

from tensorsparkml.trainer.datasets.methods import ALLOWED, REFUSED

ROWS, BATCH = 28, 8  # rows and rows of a batch of all nodes together; the last batch has 4


def double(x: Any, y: Any) -> Any:
    return 2 * x, y


CHANGES: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda dataset: dataset,
    "map": lambda dataset: dataset.map(double, num_parallel_calls=2),
    "take": lambda dataset: dataset.take(2),
    "skip": lambda dataset: dataset.skip(2),
    "repeat": lambda dataset: dataset.repeat(2),
    "cache and prefetch": lambda dataset: dataset.cache().prefetch(2),
    "several": lambda dataset: dataset.map(double).skip(1).repeat(2).take(4).map(double),
}
# Those that make datasets, and those of every dataset.
NO_CHANGES = {
    "cardinality", "choose_from_datasets", "counter", "element_spec", "from_generator",
    "from_tensor_slices", "from_tensors", "list_files", "load", "options", "random", "range",
    "reduce", "sample_from_datasets", "zip",
}  # fmt: skip


def read_and_train(node: Node) -> dict[str, Any]:
    from tensorsparkml.errors import ConfigurationError
    from tensorsparkml.trainer.datasets.replicas import replicated
    from tensorsparkml.trainer.strategies import repair_keras, repair_steps

    (repair_keras if node.count > 1 else repair_steps)()
    import keras
    import tensorflow as tf

    strategy = (
        tf.distribute.MultiWorkerMirroredStrategy()
        if node.count > 1
        else tf.distribute.get_strategy()
    )

    def dataset() -> Any:
        x = np.arange(ROWS, dtype=np.float32).reshape(-1, 1)

        def batches() -> Any:
            for begin in range(0, ROWS, BATCH):
                batch = x[begin : begin + BATCH]
                share = len(batch) // node.count
                own = batch[node.index * share : (node.index + 1) * share]
                yield ((own, own), np.float32(1.0)) if node.count > 1 else (own, own)

        spec: Any = (tf.TensorSpec((None, 1)), tf.TensorSpec((None, 1)))
        signature = (spec, tf.TensorSpec(())) if node.count > 1 else spec
        rows = tf.data.Dataset.from_generator(batches, output_signature=signature)
        return replicated(strategy, rows, False)

    found: dict[str, Any] = {}
    for name, change in CHANGES.items():
        read = [
            strategy.experimental_local_results(x)[0].numpy().ravel().tolist()
            for x, _ in change(dataset())
        ]
        keras.utils.set_random_seed(1)
        with strategy.scope():
            model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
            model.compile(keras.optimizers.SGD(1e-4), "mse")
        model.fit(change(dataset()), epochs=2, verbose=0)
        found[name] = read, model.get_weights(), int(model.optimizer.iterations.numpy())
    refused = {}
    for made in (dataset(), dataset().map(double).take(2)):
        for name in REFUSED:
            try:
                getattr(made, name)(2)
            except ConfigurationError as error:
                refused.setdefault(name, []).append(error.message)

    @tf.function
    def add_up(rows: Any) -> Any:
        total = tf.zeros(())
        for x, _ in rows:
            total += tf.reduce_sum(strategy.experimental_local_results(x)[0])
        return total

    unchanged = dataset()
    found["a loop"] = float(add_up(unchanged)), float(tf.function(lambda: add_up(unchanged))())
    public = [name for name in dir(tf.data.Dataset) if not name.startswith("_")]
    return {"found": found, "refused": refused, "public": public}


@pytest.fixture(scope="module")
def outcomes() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    [alone] = run_processes(read_and_train, nodes=1)
    return alone.value, [outcome.value for outcome in run_processes(read_and_train)]


@pytest.mark.full
@pytest.mark.parametrize("change", CHANGES)
def test_it_is_the_same_with_one_node_and_with_two(outcomes: Any, change: str) -> None:
    alone, nodes = outcomes
    read, weights, steps = alone["found"][change]
    assert steps > 0
    both = [node["found"][change] for node in nodes]
    (left, _, _), (right, _, _) = both
    assert [[*first, *second] for first, second in zip(left, right, strict=True)] == read
    for _, others, counted in both:
        assert counted == steps
        for left, right in zip(others, weights, strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-7)


def test_what_could_bring_nodes_out_of_step_is_refused(outcomes: Any) -> None:
    alone, nodes = outcomes
    assert set(alone["public"]) - NO_CHANGES - set(ALLOWED) == set(REFUSED)
    for node in (alone, *nodes):
        assert set(node["refused"]) == set(REFUSED)
        for name, (message, after_others) in node["refused"].items():
            assert message == after_others
            assert message.startswith(f"a dataset that nodes share has no `{name}`, because")


def test_a_loop_in_a_function_reads_them(outcomes: Any) -> None:
    alone, (left, right) = outcomes
    total = sum(range(ROWS))
    assert alone["found"]["a loop"] == (total, total)
    for first, second in zip(left["found"]["a loop"], right["found"]["a loop"], strict=True):
        assert first + second == total
