"""A driver that dies, or that its user interrupts, leaves nothing running."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from node_processes import all_end, node_processes, wait_until

SCRIPT = Path(__file__).with_name("driver_script.py")


@pytest.fixture
def driver(tmp_path, request):
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), str(tmp_path), request.param],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            running = wait_until(
                lambda: all((tmp_path / f"node-{rank}").exists() for rank in (0, 1)), 600.0
            )
            assert running, "the cluster did not start"
            yield process, tmp_path
        finally:
            if process.poll() is None:
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                process.kill()


def family(process: subprocess.Popen) -> list[psutil.Process]:
    """The driver's JVM, the executors' JVMs, agents and trainers."""
    return psutil.Process(process.pid).children(recursive=True) + node_processes()


def all_ended(processes: list[psutil.Process]) -> bool:
    return not any(
        process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes
    )


@pytest.mark.parametrize(
    "driver", [pytest.param("hold", marks=pytest.mark.full), "release"], indirect=True
)
def test_driver_is_killed(driver):
    process, folder = driver
    processes = family(process)
    assert len(processes) >= 7  # a driver's and two executors' JVMs, two agents, two trainers
    process.kill()
    assert wait_until(lambda: all_ended(processes))
    assert all_end(folder, 2, 60.0)  # what main started


@pytest.mark.parametrize("driver", ["hold", "search"], indirect=True)
def test_user_presses_control_c(driver):
    process, folder = driver
    processes = family(process)
    # As a terminal does: to the whole foreground group, Spark's JVM included.
    os.killpg(process.pid, signal.SIGINT)
    assert wait_until(lambda: not node_processes())
    assert process.wait(300) != 0
    assert (folder / "interrupted").exists()
    assert wait_until(lambda: all_ended(processes))
