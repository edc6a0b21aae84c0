"""Whether a cluster fits, who keeps the slots, and what to change where it does not."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from tensorsparkml.config import SlotMode
from tensorsparkml.driver.spark import slots as slots_module
from tensorsparkml.driver.spark.slots import (
    SlotRegistry,
    asked_slots,
    available_slots,
    check_settings,
    holds_slots,
)
from tensorsparkml.errors import ConfigurationError, NotEnoughSlotsError


@pytest.mark.parametrize(
    ("mode", "nodes", "feeds", "slots", "taken", "holds"),
    [
        # Another slot is left for the tasks that feed.
        ("auto", 2, True, 3, 0, True),
        ("auto", 2, True, 2, 0, False),
        ("auto", 2, True, 5, 2, True),
        ("auto", 2, True, 5, 3, False),
        # Nobody feeds.
        ("auto", 2, False, 2, 0, True),
        ("auto", 2, False, 4, 2, True),
        # As asked for.
        ("hold", 2, True, 3, 0, True),
        ("hold", 2, False, 2, 0, True),
        ("release", 2, True, 2, 0, False),
        ("release", 2, True, 9, 0, False),
        ("release", 2, False, 4, 2, False),
    ],
)
def test_who_keeps_the_slots(
    mode: SlotMode, nodes: int, feeds: bool, slots: int, taken: int, holds: bool
) -> None:
    assert holds_slots(mode, nodes, feeds, slots, taken) is holds


@pytest.mark.parametrize("mode", ["auto", "hold", "release"])
@pytest.mark.parametrize("feeds", [False, True])
def test_nodes_that_cannot_start_together_are_refused(mode: SlotMode, feeds: bool) -> None:
    with pytest.raises(NotEnoughSlotsError) as caught:
        holds_slots(mode, 4, feeds, slots=3, taken=0)
    message = caught.value.message
    assert "4 nodes need 4 task slots" in message
    assert "has 3 task slots;" in message
    for setting in (
        "num_workers",
        "spark.executor.instances",
        "spark.executor.cores",
        "spark.cores.max",
        "spark.task.cpus",
    ):
        assert setting in message


def test_slots_of_other_clusters_are_counted_and_told() -> None:
    with pytest.raises(NotEnoughSlotsError, match="has 5 task slots, and other clusters hold 3"):
        holds_slots("auto", 4, False, slots=5, taken=3)


def test_nodes_that_hold_every_slot_could_not_be_fed() -> None:
    with pytest.raises(NotEnoughSlotsError) as caught:
        holds_slots("hold", 4, True, slots=4, taken=0)
    message = caught.value.message
    assert "with 4 nodes needs 5" in message
    assert "has 4 task slots;" in message
    assert 'slots="release"' in message and "spark.executor.instances" in message


def test_the_registry_counts_who_holds() -> None:
    registry = SlotRegistry()
    seen: list[int] = []

    def reserve(name: str, slots: int, hold: bool) -> bool:
        def decide(taken: int) -> bool:
            seen.append(taken)
            return hold

        return registry.reserve(name, slots, decide)

    assert reserve("a", 2, True)
    assert not reserve("b", 5, False)
    assert reserve("c", 3, True)
    registry.give_back("a")
    registry.give_back("a")
    registry.give_back("b")
    assert reserve("d", 1, True)
    assert seen == [0, 2, 2, 3]
    assert registry.taken == 4


def test_slots_of_a_failed_cluster_are_waited_for() -> None:
    registry = SlotRegistry()
    asked = threading.Event()

    def failed() -> bool:
        asked.set()
        return True

    def decide(taken: int) -> bool:
        return holds_slots("hold", 4, False, 4, taken)

    assert registry.reserve("failed", 4, decide, failed)
    with ThreadPoolExecutor(1) as threads:
        reserved = threads.submit(registry.reserve, "next", 4, decide)
        assert asked.wait(60)
        registry.give_back("failed")
        assert reserved.result(60)
    assert registry.taken == 4


def test_a_failed_cluster_that_keeps_its_slots_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tensorsparkml.driver.spark.slots._FAILED_SECONDS", 0.05)
    registry = SlotRegistry()
    assert registry.reserve("failed", 4, lambda taken: True, lambda: True)
    with pytest.raises(NotEnoughSlotsError):
        registry.reserve("next", 4, lambda taken: holds_slots("hold", 4, False, 4, taken))


def test_a_cluster_that_does_not_fit_takes_no_slots() -> None:
    registry = SlotRegistry()
    with pytest.raises(NotEnoughSlotsError):
        registry.reserve("a", 4, lambda taken: holds_slots("auto", 4, False, 3, taken))
    assert registry.reserve("b", 3, lambda taken: holds_slots("auto", 3, False, 3, taken))


@pytest.mark.parametrize(
    ("registered", "needed", "found", "seconds"),
    [
        ([(0.0, 4)], 2, 4, 0.0),
        ([(3.0, 2)], 2, 2, 3.0),
        # The first one may take its time, and the others follow soon or not at all.
        ([(40.0, 1), (43.0, 2)], 2, 2, 43.0),
        ([(40.0, 1), (50.0, 2)], 2, 1, 45.0),
        ([(0.0, 1)], 2, 1, 5.0),
        ([], 2, 0, 60.0),
    ],
)
def test_executors_get_time_to_register(
    monkeypatch: pytest.MonkeyPatch,
    registered: list[tuple[float, int]],
    needed: int,
    found: int,
    seconds: float,
) -> None:
    now = [0.0]

    def sleep(duration: float) -> None:
        now[0] += duration

    def task_slots(_: Any) -> int:
        return max((slots for at, slots in registered if now[0] >= at), default=0)

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(slots_module, "time", clock)
    monkeypatch.setattr(slots_module, "task_slots", task_slots)
    monkeypatch.setattr(slots_module, "_in_vain", set())
    assert available_slots(session(), needed) == found
    assert now[0] == pytest.approx(seconds, abs=0.3)


@pytest.mark.parametrize(
    ("master", "settings", "asked"),
    [
        ("local", {}, 0),
        ("local[*]", {}, 0),
        ("local[4]", {}, 0),
        ("local-cluster[2,3,1024]", {}, 6),
        ("local-cluster[ 2, 3, 1024 ]", {"spark.task.cpus": "2"}, 2),
        ("yarn", {}, None),
        ("yarn", {"spark.executor.instances": "3"}, 3),
        ("yarn", {"spark.executor.instances": "3", "spark.executor.cores": "4"}, 12),
        ("k8s://https://host", {"spark.executor.instances": "2", "spark.executor.cores": "5"}, 10),
        ("spark://host:7077", {"spark.executor.instances": "2"}, None),
        ("spark://host:7077", {"spark.executor.cores": "2"}, None),
        (
            "spark://host:7077",
            {
                "spark.executor.instances": "2",
                "spark.executor.cores": "4",
                "spark.task.cpus": "2",
            },
            4,
        ),
    ],
)
def test_what_an_application_asks_for(
    master: str, settings: dict[str, str], asked: int | None
) -> None:
    assert asked_slots(master, settings.get) == asked  # type: ignore[arg-type]


def test_an_application_that_has_what_it_asked_for_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sleep(_: float) -> None:
        raise AssertionError("nothing is to be waited for")

    clock = SimpleNamespace(monotonic=lambda: 0.0, sleep=sleep)
    monkeypatch.setattr(slots_module, "time", clock)
    monkeypatch.setattr(slots_module, "task_slots", lambda _: 2)
    small = session(**{"spark.executor.instances": "1", "spark.executor.cores": "2"})
    assert available_slots(small, 3) == 2


def test_an_application_is_waited_for_once_unless_it_has_shrunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, slots = [0.0], [2]

    def sleep(duration: float) -> None:
        now[0] += duration

    def seconds(application: str = "first") -> float:
        before = now[0]
        assert available_slots(session(application), 3) == slots[0]
        return now[0] - before

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(slots_module, "time", clock)
    monkeypatch.setattr(slots_module, "task_slots", lambda _: slots[0])
    monkeypatch.setattr(slots_module, "_in_vain", set())
    waits = [seconds(), seconds(), seconds("second")]
    slots[0] = 1  # an executor has ended, and will perhaps come back
    waits.append(seconds())
    slots[0] = 3
    waits.append(seconds())
    assert waits == pytest.approx([5.0, 0.0, 5.0, 5.0, 0.0], abs=0.3)


def session(application: str = "application", **conf: str) -> Any:
    return SimpleNamespace(
        conf=SimpleNamespace(get=lambda key, default: conf.get(key, default)),
        sparkContext=SimpleNamespace(applicationId=application, master="spark://host:7077"),
    )


def test_dynamic_allocation_is_refused_with_the_settings_to_change() -> None:
    check_settings(session())
    check_settings(session(**{"spark.dynamicAllocation.enabled": "false"}))
    with pytest.raises(ConfigurationError) as caught:
        check_settings(session(**{"spark.dynamicAllocation.enabled": "true"}))
    assert "spark.dynamicAllocation.enabled=false" in caught.value.message
    assert "spark.executor.instances" in caught.value.message
