"""The environment variables by which TensorFlow finds its cluster."""

from __future__ import annotations

import json

from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.tf_config import addresses, cluster_spec, node_environment

PEERS = [
    Peer(0, "chief", 0, "10.0.0.1", 7000, 8000, "/spool"),
    Peer(1, "worker", 0, "10.0.0.2", 7000, 8001, "/spool"),
    Peer(2, "worker", 1, "fd00::3", 7000, 8002, "/spool"),
]


def test_the_cluster_spec_has_the_addresses_by_role() -> None:
    assert cluster_spec(PEERS) == {
        "chief": ["10.0.0.1:8000"],
        "worker": ["10.0.0.2:8001", "[fd00::3]:8002"],
    }


def test_every_node_has_an_address() -> None:
    evaluator = Peer(3, "evaluator", 0, "10.0.0.1", 7001, 8003, "/spool")
    assert addresses([*PEERS, evaluator]) == {
        "chief:0": "10.0.0.1:8000",
        "worker:0": "10.0.0.2:8001",
        "worker:1": "[fd00::3]:8002",
        "evaluator:0": "10.0.0.1:8003",
    }
    assert "evaluator" not in cluster_spec([*PEERS, evaluator])


def test_tf_config_names_the_cluster_and_the_task() -> None:
    for peer in PEERS:
        config = json.loads(node_environment(PEERS, peer.rank)["TF_CONFIG"])
        assert config == {
            "cluster": cluster_spec(PEERS),
            "task": {"type": peer.role, "index": peer.task_index},
        }


def test_dtensor_counts_clients_by_rank() -> None:
    environment = node_environment(PEERS, 2)
    assert {name: value for name, value in environment.items() if name != "TF_CONFIG"} == {
        "DTENSOR_CLIENT_ID": "2",
        "DTENSOR_NUM_CLIENTS": "3",
        "DTENSOR_JOB_NAME": "worker",
        "DTENSOR_JOBS": "10.0.0.1:8000,10.0.0.2:8001,[fd00::3]:8002",
    }


def test_a_node_alone_is_a_cluster_of_one() -> None:
    environment = node_environment(PEERS[:1], 0)
    assert json.loads(environment["TF_CONFIG"])["cluster"] == {"chief": ["10.0.0.1:8000"]}
    assert environment["DTENSOR_NUM_CLIENTS"] == "1"
