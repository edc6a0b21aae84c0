"""Prints what CPU time each file of tests took, with everything that it started.

    sudo .venv/bin/python -m pytest -p tools.test_cpu tests/cluster/test_rows.py

Unlike the time that passes, it hardly depends on what else runs on the machine. Linux counts it for
a control group, which only root can make.
"""

import itertools
import os
from collections import defaultdict
from pathlib import Path

import pytest

PROPERTY = "cpu_seconds"
ROOT = Path("/sys/fs/cgroup")
VERSION_1 = (ROOT / "cpuacct").exists()
GROUP = (ROOT / "cpuacct" if VERSION_1 else ROOT) / f"tensorsparkml-tests-{os.getpid()}"

began = pytest.StashKey[float]()
spent: dict[str, list[tuple[float, str]]] = defaultdict(list)


def cpu_seconds() -> float:
    """CPU time of this process and of all that it has started."""
    if VERSION_1:
        return int((GROUP / "cpuacct.usage").read_text()) / 1e9
    return int((GROUP / "cpu.stat").read_text().split()[1]) / 1e6


def pytest_sessionstart():
    GROUP.mkdir()
    (GROUP / "cgroup.procs").write_text(str(os.getpid()))


def pytest_unconfigure():
    # Whatever still runs goes where it came from, so that the group can be removed.
    for process in (GROUP / "cgroup.procs").read_text().split():
        (GROUP.parent / "cgroup.procs").write_text(process)
    GROUP.rmdir()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    item.stash[began] = cpu_seconds()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item):
    result = yield
    item.user_properties.append((PROPERTY, cpu_seconds() - item.stash[began]))
    return result


def pytest_runtest_logreport(report):
    if report.when == "teardown":
        spent[report.nodeid.partition("::")[0]] += [
            (value, report.nodeid) for name, value in report.user_properties if name == PROPERTY
        ]


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("CPU seconds by file")
    totals = {file: sum(value for value, _ in tests) for file, tests in spent.items()}
    for file in sorted(totals, key=totals.__getitem__, reverse=True):
        terminalreporter.line(f"{totals[file]:8.1f} {file} ({len(spent[file])} tests)")
    terminalreporter.section("CPU seconds of the longest tests")
    for value, nodeid in sorted(itertools.chain(*spent.values()), reverse=True)[:25]:
        terminalreporter.line(f"{value:8.1f} {nodeid}")
