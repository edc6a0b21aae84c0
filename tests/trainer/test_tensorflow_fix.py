"""TensorFlow's own strategies, with the repairs that do not depend on Keras."""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from two_processes import Node, run_processes

from tensorsparkml.trainer.repairs import tensorflow_fix


def sums_under_two_strategies(node: Node, folder: str) -> tuple[float, float]:
    """The chief makes its second strategy while the other node waits for it in an operation."""
    import tensorflow as tf

    tensorflow_fix.install()

    def total(strategy: tf.distribute.Strategy) -> float:
        @tf.function
        def add_up(value: tf.Tensor) -> tf.Tensor:
            return strategy.reduce("SUM", strategy.run(lambda: tf.identity(value)), axis=None)

        return float(add_up(tf.constant(node.index + 1.0)))

    first = total(tf.distribute.MultiWorkerMirroredStrategy())
    waits = Path(folder, "waits")
    if node.is_chief:
        while not waits.exists():
            time.sleep(0.01)
        time.sleep(0.5)  # only to make a failure likely where there is none to be seen otherwise
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    waits.touch()
    return first, total(strategy)


def test_a_strategy_may_be_made_while_another_node_waits(tmp_path):
    outcomes = run_processes(sums_under_two_strategies, folder=str(tmp_path))
    for outcome in outcomes:
        assert outcome.value == (3.0, 3.0)
        assert "Enabling collective ops after program startup" not in outcome.output


@pytest.mark.parametrize("known", ["DistributedVariable", "Context", "OwnedMultiDeviceIterator"])
@pytest.mark.parametrize(
    "repair",
    [
        tensorflow_fix.repair_distributed_variables,
        tensorflow_fix.repair_collectives,
        tensorflow_fix.repair_device_iterator,
    ],
)
def test_what_is_unknown_is_left_as_it_is(
    caplog: pytest.LogCaptureFixture, repair: Any, known: str
) -> None:
    module = ModuleType("unknown")
    kind = type(known, (), {})
    setattr(module, known, kind)
    repair(module)
    assert "not repaired" in caplog.text
    assert vars(module)[known] is kind and not hasattr(kind, "__float__")
    assert "_tensorsparkml_repaired" not in vars(module)


def test_distributed_variables_become_numbers() -> None:
    class DistributedVariable:
        def numpy(self) -> float:
            return 2.5

        def __int__(self) -> int:
            return 7

    module = ModuleType("known")
    vars(module)["DistributedVariable"] = DistributedVariable
    tensorflow_fix.repair_distributed_variables(module)
    variable: Any = DistributedVariable()
    assert (float(variable), complex(variable), np.array(variable)) == (2.5, 2.5 + 0j, 2.5)
    assert int(variable) == 7  # what TensorFlow has already, stays
