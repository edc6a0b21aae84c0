"""What launch tasks check before anything starts."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.example_plan import example_plan

from tensorsparkml._version import __version__
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.control.protocol.rpc import RpcClient
from tensorsparkml.executor.folders import root_below
from tensorsparkml.executor.launch import task
from tensorsparkml.executor.launch.task import find_problem, first_failure, run_task

PLAN = example_plan(packages=("json", "email.message"))


def test_an_executor_like_the_driver_has_no_problem() -> None:
    assert find_problem(PLAN) is None


def test_another_version_of_the_library_is_named_with_the_drivers() -> None:
    failure = find_problem(replace(PLAN, version="0.0.1"))
    assert failure is not None and failure.kind == "VersionMismatchError"
    assert "tensorsparkml 0.0.1" in failure.message
    assert f"has {__version__}" in failure.message
    assert sys.executable in failure.message


def test_another_python_is_named_with_the_drivers() -> None:
    failure = find_problem(replace(PLAN, python="2.7"))
    assert failure is not None and failure.kind == "VersionMismatchError"
    assert "runs Python 2.7" in failure.message
    assert f"is Python {PLAN.python}" in failure.message
    assert "PYSPARK_PYTHON" in failure.message


@pytest.mark.parametrize("missing", ["no_such_package", "no_such_package.inner", "json.no_such"])
def test_packages_that_are_missing_are_named(missing: str) -> None:
    failure = find_problem(replace(PLAN, packages=("json", missing, "no_other")))
    assert failure is not None and failure.kind == "MissingPackageError"
    assert f"lacks {missing}, no_other;" in failure.message


def test_all_tasks_learn_of_the_failure_of_the_lowest_rank() -> None:
    bad = [Failure("MissingPackageError", f"rank {rank} lacks x") for rank in range(3)]
    met = [{"address": {}}, *({"failure": asdict(failure)} for failure in bad[1:])]
    assert first_failure(PLAN, met) == replace(bad[1], node="worker:0")


def test_tasks_go_on_where_nobody_found_anything() -> None:
    assert first_failure(PLAN, [{"address": {}}] * 3) is None


def test_a_log_folder_that_cannot_be_opened_is_named() -> None:
    failure = find_problem(replace(PLAN, log_dir="nowhere://logs"))
    assert failure is not None and failure.kind == "ConfigurationError"
    assert f"log_dir on {sys.executable}" in failure.message


def test_a_package_that_the_log_folder_needs_is_named() -> None:
    """In a process of its own, as fsspec keeps what it has imported."""
    program = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from dataclasses import replace\n"
        "from tests.unit.example_plan import example_plan\n"
        "from tensorsparkml.executor.launch.task import find_problem\n"
        "print(find_problem(example_plan(log_dir='s3a://bucket/logs')).kind)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("MissingPackageError\n", "")


def test_folders_that_are_not_the_users_alone_are_found_by_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = root_below(tmp_path)
    root.mkdir()
    root.chmod(0o777)
    plan = replace(PLAN, work_dir=str(tmp_path))

    def meet(client: RpcClient, plan: ClusterPlan, rank: int, value: Any) -> list[Any]:
        return [value]

    monkeypatch.setattr(task, "meet", meet)
    failure = run_task(plan, b"", 0, "127.0.0.1", None, iter(()))
    assert failure is not None and failure.kind == "ConfigurationError"
    assert f"on {os.uname().nodename}: {root} must be a folder that only" in failure.message
    assert "set work_dir" in failure.message
