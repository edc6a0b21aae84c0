"""Runs an example as a program of its own."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

import tensorsparkml as tsm

EXAMPLES = Path(__file__).parents[2] / "examples"
MARK = "TENSORSPARKML_TEST_EXAMPLE"


def run_example(name: str, *arguments: str) -> str:
    """What an example printed, which must have ended well and left no process."""
    return run([sys.executable, str(EXAMPLES / name), *arguments], {})


def submit_example(name: str) -> str:
    """The same for one that `spark-submit` starts, on executors of one slot."""
    tsm.ensure_java()
    import pyspark

    home = os.path.dirname(pyspark.__file__)
    command = [f"{home}/bin/spark-submit", "--master", "local-cluster[2,1,1024]"]
    variables = {"SPARK_HOME": home, "PYSPARK_PYTHON": sys.executable}
    return run([*command, str(EXAMPLES / name)], variables)


def run(command: list[str], variables: dict[str, str]) -> str:
    mark = f"{os.getpid()}-{command[-1]}"
    environment = {**os.environ, MARK: mark, "SPARK_LOCAL_IP": "127.0.0.1"}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "2"
    environment.pop("PYSPARK_PYTHON", None)
    done = subprocess.run(
        command,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=840,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # The JVM may still be ending when the program has.
    _, left = psutil.wait_procs(marked_processes(mark), timeout=120)
    assert not left, left
    return done.stdout


def marked_processes(mark: str) -> list[psutil.Process]:
    """All processes that inherited the mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
