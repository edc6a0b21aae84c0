"""A node's output: all of it in the file, a bounded part of it elsewhere."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorsparkml.executor.agent.output_log import AgentLogHandler, NodeLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nodes" / "worker-1.log"


def lines_of(log: NodeLog, output: bytes) -> list[str]:
    log.follow(io.BytesIO(output))
    return log.take()


def test_the_tail_holds_the_last_lines(path: Path) -> None:
    log = NodeLog(path, tail_lines=3)
    assert log.tail() == ()
    log.follow(io.BytesIO(b"one\ntwo\n"))
    assert log.tail() == ("one", "two")
    log.follow(io.BytesIO(b"three\nfour\n"))
    assert log.tail() == ("two", "three", "four")


def test_lines_are_taken_once(path: Path) -> None:
    log = NodeLog(path)
    assert lines_of(log, b"one\ntwo\n") == ["one", "two"]
    assert log.take() == []
    assert lines_of(log, b"three\n") == ["three"]
    assert log.tail() == ("one", "two", "three")


def test_lines_that_nobody_takes_are_left_out_and_counted(path: Path) -> None:
    log = NodeLog(path, pending_lines=2)
    assert lines_of(log, b"1\n2\n3\n4\n5\n") == [
        f"… 3 lines left out; all are in {path}",
        "4",
        "5",
    ]
    assert lines_of(log, b"6\n7\n") == ["6", "7"]
    assert path.read_bytes() == b"1\n2\n3\n4\n5\n6\n7\n"


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        (b"", []),
        (b"no end", ["no end"]),
        (b"\n\n", ["", ""]),
        (b"windows\r\n", ["windows"]),
        (b" 10%\r 50%\r100%\n", ["100%"]),
        (b" 10%\r 50%\r", [" 50%"]),
        (b"\xff\xfe caf\xe9\n", ["\ufffd\ufffd caf\ufffd"]),
        ("naïve …\n".encode(), ["naïve …"]),
        (b"\x00\x1b[31mred\x1b[0m\n", ["\\x00red"]),
    ],
)
def test_lines_are_fit_for_logs_and_the_file_has_all(
    path: Path, output: bytes, lines: list[str]
) -> None:
    assert lines_of(NodeLog(path), output) == lines
    assert path.read_bytes() == output


def test_output_without_line_ends_does_not_grow_in_memory(path: Path) -> None:
    output = b"x" * 20_000 + b"\nend\n"
    lines = lines_of(NodeLog(path), output)
    assert max(map(len, lines)) <= 8192
    assert "".join(lines) == "x" * 20_000 + "end"
    assert path.read_bytes() == output


@settings(max_examples=50)
@given(st.binary(max_size=200), st.integers(1, 5), st.integers(1, 5))
def test_everything_is_in_the_file_and_the_rest_is_bounded(
    tmp_path_factory: pytest.TempPathFactory, output: bytes, tail: int, pending: int
) -> None:
    path = tmp_path_factory.mktemp("logs") / "node.log"
    log = NodeLog(path, tail, pending)
    taken = lines_of(log, output)
    assert path.read_bytes() == output
    count = len(output.splitlines(keepends=True)) if b"\r" not in output else None
    assert len(log.tail()) <= tail
    assert len(taken) <= pending + 1
    assert (len(taken) == pending + 1) == (log_lines(output) > pending)
    assert len(log.tail()) == min(tail, log_lines(output))
    assert count is None or count >= log_lines(output)


def log_lines(output: bytes) -> int:
    return output.count(b"\n") + (not output.endswith(b"\n") and bool(output))


def test_a_log_is_appended_to(path: Path) -> None:
    NodeLog(path).follow(io.BytesIO(b"first attempt\n"))
    NodeLog(path).follow(io.BytesIO(b"second attempt\n"))
    assert path.read_bytes() == b"first attempt\nsecond attempt\n"


def test_news_come_with_each_line_and_with_the_end(path: Path) -> None:
    log = NodeLog(path)
    reading, writing = os.pipe()
    following = threading.Thread(target=log.follow, args=(os.fdopen(reading, "rb"),), daemon=True)
    following.start()
    with os.fdopen(writing, "wb", buffering=0) as output:
        output.write(b"one\n")
        assert log.news.wait(30)
        assert log.take() == ["one"]
        # The file has it as soon as the driver.
        assert path.read_bytes() == b"one\n"
        assert not log.ended.is_set()
        log.news.clear()
    assert log.news.wait(30)
    assert log.ended.is_set()
    following.join()


def test_the_agents_log_drops_its_older_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "agent.log").open("a+") as file:
        monkeypatch.setattr(sys, "stderr", file)
        handler = AgentLogHandler(limit=1000)
        for number in range(200):
            handler.emit(logging.makeLogRecord({"msg": f"message {number} …"}))
            assert (tmp_path / "agent.log").stat().st_size <= 1000
    lines = (tmp_path / "agent.log").read_text().splitlines()
    assert lines[0] == "… older lines were dropped"
    first = int(lines[1].split()[1])
    assert lines[1:] == [f"message {number} …" for number in range(first, 200)]


def test_the_agents_log_may_be_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    handler = AgentLogHandler(limit=1)
    handler.emit(logging.makeLogRecord({"msg": "hello"}))
    assert handler.stream.getvalue() == "hello\n"  # type: ignore[attr-defined]
