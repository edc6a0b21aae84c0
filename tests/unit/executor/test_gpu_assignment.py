"""Who takes which GPU, from what Spark, the environment and the driver have said."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from tensorsparkml.errors import NotEnoughGpusError
from tensorsparkml.executor.launch.gpu_assignment import (
    GpuFindings,
    GpuNode,
    assign_gpus,
    by_free_memory,
    gpu_environment,
    visible_devices,
)

NOTHING = GpuFindings()


def node(index: int, found: GpuFindings, host: str = "10.0.0.1", role: str = "worker") -> GpuNode:
    return GpuNode(f"{role}:{index}", role, host, found)


def present(*gpus: str) -> GpuFindings:
    return GpuFindings(present=gpus)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (None, None),
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("0", ("0",)),
        ("2, 0", ("2", "0")),
        ("GPU-a,MIG-b", ("GPU-a", "MIG-b")),
        ("1,-1,2", ("1",)),
    ],
)
def test_visible_devices_are_read_as_cuda_does(text: str | None, named: object) -> None:
    assert visible_devices(text) == named


def test_most_free_memory_comes_first_and_order_decides_between_equals() -> None:
    assert by_free_memory({"a": 5, "b": 9, "c": 5, "d": 7}) == ("b", "d", "a", "c")
    assert by_free_memory({}) == ()


def test_findings_travel_as_json() -> None:
    for found in (NOTHING, GpuFindings(("3",), None, ()), GpuFindings(None, (), ("a", "b"))):
        assert GpuFindings.from_json(json.loads(json.dumps(asdict(found)))) == found


def test_what_spark_assigned_is_taken() -> None:
    nodes = [node(0, GpuFindings(assigned=("3", "5"))), node(1, GpuFindings(assigned=("1",)))]
    assert assign_gpus(None, nodes) == [("3", "5"), ("1",)]
    assert assign_gpus(1, nodes) == [("3",), ("1",)]


def test_less_than_wanted_from_spark_names_the_node_and_the_setting() -> None:
    nodes = [node(0, GpuFindings(assigned=("3", "5"))), node(1, GpuFindings(assigned=("1",)))]
    with pytest.raises(NotEnoughGpusError) as caught:
        assign_gpus(2, nodes)
    assert caught.value.node == "worker:1"
    assert "gpus=2, but Spark has assigned 1 GPU to" in caught.value.message
    assert "spark.task.resource.gpu.amount" in caught.value.message


def test_nodes_of_a_host_choose_one_after_the_other() -> None:
    # Free memory may have changed between the two looks, and so the order.
    nodes = [node(0, present("b", "a", "c")), node(1, present("b", "c", "a"))]
    assert assign_gpus(1, nodes) == [("b",), ("c",)]
    assert assign_gpus(None, nodes) == [("b",), ("c",)]


def test_other_hosts_have_gpus_of_their_own() -> None:
    found = present("a", "b")
    nodes = [node(0, found), node(1, found, "10.0.0.2"), node(2, found, "10.0.0.2")]
    assert assign_gpus(None, nodes) == [("a", "b"), ("a",), ("b",)]


def test_ps_and_evaluator_take_none_and_no_share() -> None:
    nodes = [
        node(0, present("a", "b"), role="chief"),
        node(0, GpuFindings(assigned=("7",)), role="ps"),
        node(0, NOTHING, role="evaluator"),
        node(0, present("b", "a")),
    ]
    assert assign_gpus(None, nodes) == [("a",), (), (), ("b",)]
    assert assign_gpus(1, nodes) == [("a",), (), (), ("b",)]


def test_zero_takes_none_whoever_offers_them() -> None:
    nodes = [node(0, GpuFindings(assigned=("3",))), node(1, present("a")), node(2, NOTHING)]
    assert assign_gpus(0, nodes) == [(), (), ()]


def test_without_gpus_and_wishes_the_environment_stays() -> None:
    assert assign_gpus(None, [node(0, NOTHING)]) == [None]


def test_what_the_cluster_manager_has_set_stays_unless_a_number_is_wanted() -> None:
    nodes = [node(index, GpuFindings(restricted=("4", "6"))) for index in range(2)]
    assert assign_gpus(None, nodes) == [None, None]
    assert assign_gpus(1, nodes) == [("4",), ("6",)]


def test_fewer_gpus_than_nodes_are_given_to_none() -> None:
    assert assign_gpus(None, [node(0, present("a")), node(1, present("a"))]) == [(), ()]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (present("a", "b", "c"), "on 10.0.0.1 it has 3 GPUs, for 2 nodes"),
        (GpuFindings(restricted=("0", "1")), "CUDA_VISIBLE_DEVICES of the executor names 2 GPUs"),
        (GpuFindings(restricted=()), "CUDA_VISIBLE_DEVICES of the executor names 0 GPUs"),
        (NOTHING, "no GPU was found there (no GPU, no driver, or the package nvidia-ml-py"),
    ],
)
def test_too_few_on_a_host_say_what_it_has(found: GpuFindings, says: str) -> None:
    with pytest.raises(NotEnoughGpusError) as caught:
        assign_gpus(2, [node(0, found), node(1, found)])
    assert caught.value.message.startswith("gpus=2, but on 10.0.0.1 ")
    assert says in caught.value.message
    assert "lower gpus" in caught.value.message
    assert caught.value.node == ("worker:1" if len(found.candidates) >= 2 else "worker:0")


@pytest.mark.parametrize(
    ("gpus", "spark", "growth", "environment"),
    [
        (None, False, False, {}),
        (None, False, True, {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}),
        ((), False, False, {"CUDA_VISIBLE_DEVICES": ""}),
        ((), True, False, {"CUDA_VISIBLE_DEVICES": ""}),
        (("GPU-a",), False, False, {"CUDA_VISIBLE_DEVICES": "GPU-a"}),
        (
            ("3", "5"),
            True,
            True,
            {
                "CUDA_VISIBLE_DEVICES": "3,5",
                "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
                "TF_FORCE_GPU_ALLOW_GROWTH": "true",
            },
        ),
    ],
)
def test_tensorflow_is_told_by_its_environment(
    gpus: tuple[str, ...] | None, spark: bool, growth: bool, environment: dict[str, str]
) -> None:
    assert gpu_environment(gpus, assigned_by_spark=spark, memory_growth=growth) == environment
