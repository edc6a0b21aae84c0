"""The launch task's hold on an agent: its log, the folder it keeps in use, what it leaves."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from tests.unit.example_plan import example_plan

from tensorsparkml.control.processes import MARK, node_mark
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.executor.folders import NodeFolders, hold_ended
from tensorsparkml.executor.launch import agent_handle as agent_process
from tensorsparkml.executor.launch.agent_handle import AgentProcess
from tensorsparkml.executor.process_tree import alive

Start = Callable[[str], AgentProcess]


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    return replace(example_plan(), work_dir=str(tmp_path))


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: ClusterPlan) -> Start:
    """Starts a shell script in the agent's place, for the node of rank 1."""
    program = tmp_path / "python"
    monkeypatch.setattr(agent_process, "sys", SimpleNamespace(executable=str(program)))

    def start(script: str) -> AgentProcess:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return AgentProcess(plan, 1, "127.0.0.1")

    return start


def test_the_error_shows_the_last_lines_which_stay_in_the_log(
    start: Start, plan: ClusterPlan
) -> None:
    log = NodeFolders(plan, 1).agent_log
    assert log.name == "worker-0.agent.log"
    for number in (1, 2):
        agent = start(f"echo agent {number} >&2; exit 3")
        assert not agent.listens()
        assert agent.wait() == f"it ended with exit status 3:\nagent {number}"
    assert log.read_text() == "agent 1\nagent 2\n"


def test_a_long_log_is_shown_from_its_end(start: Start) -> None:
    agent = start("for i in 1 2 3 4 5 6 7 8 9; do printf '%600s\\n' $i >&2; done; exit 3")
    explanation = agent.wait()
    assert explanation is not None
    assert explanation.split()[-3:] == ["7", "8", "9"]
    assert len(explanation) < 4100


def test_a_log_whose_older_lines_were_dropped_is_shown(start: Start, plan: ClusterPlan) -> None:
    start("printf '%6000s' x >&2; exit 3").wait()
    log = NodeFolders(plan, 1).agent_log
    agent = start(f"truncate -s 0 {log}; echo new >&2; exit 3")
    assert agent.wait() == "it ended with exit status 3:\nnew"


def test_an_end_in_order_explains_nothing(start: Start) -> None:
    assert start("echo noise >&2; exit 0").wait() is None


def test_the_clusters_folder_is_in_use_until_the_agent_has_ended(
    start: Start, plan: ClusterPlan
) -> None:
    folder = NodeFolders(plan, 1).cluster
    agent = start("echo listens; cat > /dev/null")
    assert agent.listens()
    assert hold_ended(folder) is None
    agent.dismiss()
    descriptor = hold_ended(folder)
    assert descriptor is not None
    os.close(descriptor)


def test_what_the_trainer_of_a_killed_agent_has_started_is_killed(
    start: Start, plan: ClusterPlan, tmp_path: Path
) -> None:
    mark = f"{MARK}={node_mark(plan.cluster_id, 1)}"
    # It kills the agent itself, once it has the mark.
    written = tmp_path / "left"
    program = f"echo $$ > {written}; kill -9 $PPID; exec sleep 1000 > /dev/null 2>&1 < /dev/null"
    agent = start(f"env {mark} setsid sh -c '{program}' & wait")
    assert not agent.listens()
    left = psutil.Process(int(written.read_text()))
    assert agent.wait() == "it ended with exit status -9"
    assert not alive(left)


def test_an_agent_meets_the_other_nodes_for_its_task(start: Start) -> None:
    agent = start("""echo '{"met": {"values": [{"failure": {}}, 1]}}'; exit 0""")
    assert agent.meet({"gpus": None}) == [{"failure": {}}, 1]
    assert agent.wait() is None


def test_an_agent_that_cannot_meet_the_others_says_why(start: Start) -> None:
    agent = start("""echo '{"unreachable": "no route"}'; exit 0""")
    with pytest.raises(ConnectionError, match="no route"):
        agent.meet({})
    agent.dismiss()


def test_an_agent_that_ends_before_it_has_met_the_others_is_explained(start: Start) -> None:
    agent = start("echo broken >&2; exit 3")
    with pytest.raises(ChildProcessError, match=r"(?s)did not meet.* exit status 3:\nbroken"):
        agent.meet({})


def test_folders_of_somebody_else_are_an_error_before_anything_starts(
    start: Start, plan: ClusterPlan
) -> None:
    NodeFolders(plan, 1).root.touch()
    with pytest.raises(ConfigurationError, match="is not a folder"):
        start("exit 0")
