"""A network that is cut: each side gives the other up within the heartbeat timeout."""

import contextlib
import os
import subprocess
import sys
import time

import cloudpickle
import pytest
from node_processes import node_processes, wait_until

from tensorsparkml._version import __version__
from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.control.coordinator.conditions import AllStarted
from tensorsparkml.control.protocol.keys import Keys
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.driver.lifecycle.certificate import make_certificate
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.errors import AgentLostError
from tensorsparkml.roles import make_roles

CERTIFICATE, PRIVATE_KEY = make_certificate()
KEYS = Keys("0123456789abcdef", {}, CERTIFICATE, PRIVATE_KEY)
LEASE_SECONDS = 6.0
MARGIN_SECONDS = 10.0

# What a launch task does, in a process that has nothing of Spark.
LAUNCH = """
import sys
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.executor.launch.task import run_task
plan = ClusterPlan.decode(open(sys.argv[1], "rb").read())
main = open(sys.argv[2], "rb").read()
print(run_task(plan, main, 0, sys.argv[3], [], iter(())))
"""


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def namespace():
    """A network namespace with a link to this one: its name, this address, and the one in it."""
    name = f"tsm-{os.getpid()}"
    subnet = f"10.213.{os.getpid() % 250}"
    here, there = f"{subnet}.1", f"{subnet}.2"
    link, peer = f"tsma{os.getpid() % 100000}", f"tsmb{os.getpid() % 100000}"
    try:
        run("ip", "netns", "add", name)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"only root, with ip netns, can make a network namespace: {error}")
    try:
        run("ip", "link", "add", link, "type", "veth", "peer", "name", peer, "netns", name)
        run("ip", "addr", "add", f"{here}/24", "dev", link)
        run("ip", "link", "set", link, "up")
        run("ip", "-n", name, "addr", "add", f"{there}/24", "dev", peer)
        run("ip", "-n", name, "link", "set", peer, "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        yield name, link, here, there
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            run("ip", "link", "del", link)
        run("ip", "netns", "del", name)


def wait_for_ever(args, ctx):
    import threading

    threading.Event().wait()


def plan_for(location, work_dir):
    return ClusterPlan(
        cluster_id=f"cut-{os.getpid()}",
        keys=KEYS,
        coordinator=location,
        roles=make_roles(1),
        launched=1,
        hold=True,
        direct_feed=None,
        direct_limited=False,
        lease_seconds=LEASE_SECONDS,
        version=__version__,
        python=".".join(map(str, sys.version_info[:2])),
        packages=(),
        default_fs="file:///",
        working_dir="/",
        log_dir=None,
        work_dir=str(work_dir),
        environment={},
        gpus=None,
        gpu_memory_growth=False,
        tensorboard=False,
    )


def test_both_sides_end_when_the_link_is_cut(namespace, tmp_path):
    name, link, here, there = namespace
    state = ClusterState(make_roles(1), LEASE_SECONDS)
    coordinator = Coordinator(state, KEYS.guard_of_coordinator(), here, here)
    plan = plan_for(coordinator.location, tmp_path)
    (tmp_path / "plan").write_bytes(plan.encode())
    (tmp_path / "main").write_bytes(cloudpickle.dumps((wait_for_ever, None)))
    command = [sys.executable, "-c", LAUNCH, tmp_path / "plan", tmp_path / "main", there]
    with subprocess.Popen(["ip", "netns", "exec", name, *command]) as task:
        try:
            assert coordinator.require(AllStarted(), 120.0)
            assert len(node_processes()) == 2
            run("ip", "link", "set", link, "down")
            cut = time.monotonic()
            error = coordinator.failure(LEASE_SECONDS + MARGIN_SECONDS)
            assert isinstance(error, AgentLostError)
            assert "no heartbeat from the agent" in error.message
            assert wait_until(lambda: not node_processes(), 60.0)
            assert time.monotonic() - cut < LEASE_SECONDS + MARGIN_SECONDS + 5.0
        finally:
            run("ip", "link", "set", link, "up")
            for process in node_processes():
                process.kill()
            coordinator.close()
            task.kill()
