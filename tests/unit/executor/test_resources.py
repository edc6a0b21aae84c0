"""From what launch tasks find to a node's environment, over what travels between them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.example_plan import example_plan

from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.executor.launch.environments import find_gpus, node_resources

PLAN = example_plan()


@pytest.fixture(autouse=True)
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def met(*found: dict[str, Any]) -> Any:
    return json.loads(json.dumps([{"address": {"host": "h"}, "gpus": gpus} for gpus in found]))


def test_each_node_gets_what_spark_assigned_to_its_task() -> None:
    all_met = met(*(find_gpus(PLAN, rank, [str(rank + 3)]) for rank in range(3)))
    for rank in range(3):
        environment = node_resources(PLAN, rank, all_met)
        assert environment == {
            "CUDA_VISIBLE_DEVICES": str(rank + 3),
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        }


def test_without_gpus_nothing_is_set() -> None:
    assert node_resources(PLAN, 1, met(*(find_gpus(PLAN, rank, None) for rank in range(3)))) == {}


def test_all_tasks_find_the_same_failure() -> None:
    plan = replace(PLAN, gpus=1)
    all_met = met(find_gpus(plan, 0, ["0"]), find_gpus(plan, 1, []), find_gpus(plan, 2, []))
    failures = [node_resources(plan, rank, all_met) for rank in range(3)]
    assert isinstance(failures[0], Failure)
    assert (failures[0].kind, failures[0].node) == ("NotEnoughGpusError", "worker:0")
    assert failures == failures[:1] * 3


def test_what_the_executor_names_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,4,6")
    plan = replace(PLAN, gpus=1)
    all_met = met(*(find_gpus(plan, rank, None) for rank in range(3)))
    assert [node_resources(plan, rank, all_met) for rank in range(3)] == [
        {"CUDA_VISIBLE_DEVICES": gpu} for gpu in ("2", "4", "6")
    ]


def test_the_users_own_setting_needs_no_gpus_from_anybody() -> None:
    plan = replace(PLAN, gpus=4, environment={"CUDA_VISIBLE_DEVICES": "0"})
    all_met = met(*(find_gpus(plan, rank, None) for rank in range(3)))
    assert node_resources(plan, 0, all_met) == {}
