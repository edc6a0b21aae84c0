"""Prints what CPU time each file of tests took, with everything that it started.

    .venv/bin/python -m pytest -p tools.test_cpu tests/cluster/test_rows.py

Unlike the time that passes, it hardly depends on what else runs on the machine.
"""

import contextlib
import ctypes
import itertools
from collections import defaultdict

import psutil
import pytest

PR_SET_CHILD_SUBREAPER = 36
PROPERTY = "cpu_seconds"

began = pytest.StashKey[float]()
spent: dict[str, list[tuple[float, str]]] = defaultdict(list)


def cpu_seconds() -> float:
    """CPU time of this process and all its descendants, the ended ones too."""
    myself = psutil.Process()
    total = 0.0
    for process in [myself, *myself.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            user, system, ended_user, ended_system, *_ = process.cpu_times()
            total += user + system + ended_user + ended_system
    return total


def pytest_sessionstart():
    # Orphans become children of this process, which leaves them as zombies: they count.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


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
        file = report.nodeid.partition("::")[0]
        spent[file] += [
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
