"""A standalone Spark cluster: a Master and two Workers of one core each, from the pip wheel.

The Workers have addresses of their own, so that Spark takes them for two hosts.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from server_processes import free_ports

import tensorsparkml as tsm

HOST = "127.0.0.1"
WORKERS = ("127.0.0.1", "127.0.0.2")


def alive_workers(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as reply:
            return json.load(reply)["aliveworkers"]
    except (OSError, ValueError):  # no page yet, or not yet the one of this address
        return 0


@pytest.fixture(scope="session")
def standalone(tmp_path_factory) -> Iterator[str]:
    """URL of the Master."""
    tsm.ensure_java()
    import pyspark

    home = Path(pyspark.__file__).parent
    environment = {**os.environ, "SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable}
    port, page = free_ports(2)
    url = f"spark://{HOST}:{port}"

    def start(kind: str, host: str, *arguments: str) -> subprocess.Popen:
        name = f"org.apache.spark.deploy.{kind.lower()}.{kind}"
        return subprocess.Popen(
            [str(home / "bin" / "spark-class"), name, "--host", host, *arguments],
            env={**environment, "SPARK_LOCAL_IP": host},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    with ExitStack() as processes:

        def run(kind: str, host: str, *arguments: str) -> None:
            process = processes.enter_context(start(kind, host, *arguments))
            processes.callback(process.terminate)

        run("Master", HOST, "--port", str(port), "--webui-port", str(page))
        for worker in WORKERS:
            folder = tmp_path_factory.mktemp("worker")
            run("Worker", worker, "--cores", "1", "--memory", "1g", "--webui-port", "0",
                "--work-dir", str(folder), url)  # fmt: skip
        deadline = time.monotonic() + 300
        while alive_workers(f"http://{HOST}:{page}/json/") < 2:
            assert time.monotonic() < deadline, "the workers did not register"
            time.sleep(0.1)
        yield url
