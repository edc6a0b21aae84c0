"""Independent programs of one node each."""

import os
import threading
import time
from pathlib import Path

import pytest
from node_processes import wait_until

import tensorsparkml as tsm
from tensorsparkml import errors


def report(number, ctx):
    return number * number, ctx.num_workers, ctx.role, os.getpid()


@pytest.mark.full
def test_more_instances_than_slots_run_in_turn(spark):
    found = tsm.run_parallel(report, range(6), spark=spark)
    assert [square for square, _, _, _ in found] == [0, 1, 4, 9, 16, 25]
    assert {(workers, role) for _, workers, role, _ in found} == {(1, "chief")}
    assert len({process for _, _, _, process in found}) == 6


def meet(args, ctx):
    folder, number, everyone = args
    Path(folder, str(number)).touch()
    while len(list(Path(folder).iterdir())) < everyone:
        time.sleep(0.01)
    return number


def test_all_slots_are_used(spark, tmp_path):
    args = [(str(tmp_path), number, 4) for number in range(4)]
    assert tsm.run_parallel(meet, args, spark=spark, at_once=True) == [0, 1, 2, 3]


def test_too_many_instances_at_once_are_refused(spark):
    with pytest.raises(errors.NotEnoughSlotsError, match=r"5 instances need 5 .* has 4"):
        tsm.run_parallel(report, range(5), spark=spark, at_once=True)


def fail_or_go_on(args, ctx):
    folder, number = args
    Path(folder, str(number)).touch()
    if number == 2:
        while len(list(Path(folder).iterdir())) < 3:
            time.sleep(0.01)
        raise ValueError("bad luck")
    while True:
        time.sleep(0.05)


def test_a_failure_names_the_instance_and_ends_the_others(spark, tmp_path):
    args = [(str(tmp_path), number) for number in range(3)]
    with pytest.raises(errors.MainError, match=r"2 of 3: fail_or_go_on raised ValueError: bad"):
        tsm.run_parallel(fail_or_go_on, args, spark=spark)


def test_each_instance_has_a_folder_of_logs(spark, tmp_path):
    tsm.run_parallel(report, range(2), spark=spark, log_dir=str(tmp_path))
    found = sorted(path.parents[1].name for path in tmp_path.rglob("chief-0.log"))
    assert found == ["instance-0", "instance-1"]


def test_no_instances_are_no_results(spark):
    assert tsm.run_parallel(report, [], spark=spark) == []


@pytest.mark.parametrize("settings", [{"num_workers": 2}, {"evaluator": True}])
def test_settings_of_several_nodes_are_refused(spark, settings):
    with pytest.raises(errors.ConfigurationError, match="on one node"):
        tsm.run_parallel(report, [1], spark=spark, **settings)


def test_instances_share_the_slots_with_clusters(spark, tmp_path):
    """A cluster that holds slots leaves the rest to the instances."""
    args = [(str(tmp_path), number, 3) for number in range(2)]
    with tsm.Cluster(meet, (str(tmp_path), 2, 3), spark=spark, num_workers=2, slots="hold"):
        assert wait_until(Path(tmp_path, "2").exists)
        with pytest.raises(errors.NotEnoughSlotsError, match="has 2;"):
            tsm.run_parallel(report, range(3), spark=spark, at_once=True)
        results = []
        thread = threading.Thread(
            target=lambda: results.extend(tsm.run_parallel(meet, args, spark=spark, at_once=True))
        )
        thread.start()
        thread.join(300.0)
    assert results == [0, 1]
