"""What the nodes are called in the old API."""

from __future__ import annotations

import pytest

from tensorflowonspark.nodes import NodeNames
from tensorsparkml.errors import ConfigurationError


def test_without_a_chief_all_are_workers() -> None:
    assert NodeNames(3).jobs() == [
        ("worker", 0, "chief:0"),
        ("worker", 1, "worker:0"),
        ("worker", 2, "worker:1"),
    ]


def test_parameter_servers_come_first_then_chief_and_evaluator() -> None:
    names = NodeNames(6, ps=2, master="master", evaluator=True)
    assert names.training == 3
    assert names.jobs() == [
        ("ps", 0, "ps:0"),
        ("ps", 1, "ps:1"),
        ("master", 0, "chief:0"),
        ("evaluator", 0, "evaluator:0"),
        ("worker", 0, "worker:0"),
        ("worker", 1, "worker:1"),
    ]
    assert names.executor_id("chief:0") == 2


def test_addresses_get_the_old_names() -> None:
    addresses = {"chief:0": "10.0.0.1:7000", "worker:0": "[fd00::2]:7001", "ps:0": "h:7002"}
    names = NodeNames(3, ps=1)
    assert names.cluster_spec(addresses) == {
        "ps": ["h:7002"],
        "worker": ["10.0.0.1:7000", "[fd00::2]:7001"],
    }
    info = names.cluster_info(addresses, tb_port=6006)
    assert [(node["executor_id"], node["job_name"], node["task_index"]) for node in info] == [
        (0, "ps", 0),
        (1, "worker", 0),
        (2, "worker", 1),
    ]
    assert [(node["host"], node["port"]) for node in info] == [
        ("h", 7002),
        ("10.0.0.1", 7000),
        ("fd00::2", 7001),
    ]
    assert [node["tb_port"] for node in info] == [0, 6006, 0]


@pytest.mark.parametrize(("nodes", "ps", "evaluator"), [(0, 0, False), (2, 2, False), (2, 1, True)])
def test_somebody_must_train(nodes: int, ps: int, evaluator: bool) -> None:
    with pytest.raises(ConfigurationError, match=f"num_executors={nodes} leaves no worker"):
        NodeNames(nodes, ps, "chief", evaluator)
