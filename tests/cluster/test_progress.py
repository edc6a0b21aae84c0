"""The driver shows how far feeds are: a bar on a terminal, lines elsewhere, nothing on request."""

import fcntl
import logging
import os
import pty
import struct
import sys
import termios
import threading
from pathlib import Path

import pytest
from node_processes import wait_until

import tensorsparkml as tsm

ROWS = 1000


class PseudoTerminal:
    """A terminal of 200 columns, and what is written to it."""

    def __init__(self) -> None:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.file = open(slave, "w", encoding="utf-8")  # noqa: SIM115
        self._master = master
        self._written = b""
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 4096)
            except OSError:  # the other side is closed
                return
            self._written += data

    def close(self) -> str:
        """Return what was written."""
        self.file.close()
        self._thread.join()
        os.close(self._master)
        return self._written.decode()


def read_all(args, ctx):
    """Read the feed, and end when the driver knows of it."""
    feed, rows = ctx.feed(), 0
    while not feed.should_stop():
        rows += len(feed.next_batch(64)["id"])
    print("all is read", flush=True)
    while not Path(args).exists():
        threading.Event().wait(0.02)
    return rows


def feed_rows(spark, tmp_path, **settings):
    """Feed a cluster, whose nodes end when the coordinator has heard how full their spools are."""
    may_end = tmp_path / "may end"
    with tsm.Cluster(read_all, str(may_end), spark=spark, num_workers=2, **settings) as cluster:
        cluster.train(spark.range(ROWS))
        coordinator = cluster._require_running().coordinator
        assert wait_until(lambda: all(coordinator.snapshot().spool_bytes))
        may_end.touch()
    assert cluster.results == [ROWS // 2] * 2


@pytest.fixture
def records(caplog):
    caplog.set_level(logging.INFO, logger="tensorsparkml.progress")
    caplog.set_level(logging.INFO, logger="tensorsparkml.node")
    return lambda: [
        record.getMessage() for record in caplog.records if record.name == "tensorsparkml.progress"
    ]


@pytest.mark.parametrize("progress", [True, False])
def test_on_a_terminal(spark, tmp_path, monkeypatch, records, progress):
    terminal = PseudoTerminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal.file)
        feed_rows(spark, tmp_path, progress=progress)
    written = terminal.close()
    assert records() == []
    if not progress:
        assert written == ""
        return
    last = [line for line in written.replace("\n", "\r").split("\r") if line.strip()][-1]
    assert last.startswith("train: 100%|")
    assert "1,000 rows read at" in last
    assert "1,000 fed at" in last
    assert "kB" in last


def test_elsewhere(spark, tmp_path, monkeypatch, records):
    with (tmp_path / "errors").open("w") as file, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", file)
        feed_rows(spark, tmp_path)
    assert (tmp_path / "errors").read_text() == ""
    last = records()[-1]
    assert last.startswith("feed train: 1,000 rows fed (500 + 500) at ")
    assert ", 1,000 read (500 + 500) at " in last
    assert "kB" in last


def test_silence(spark, tmp_path, records):
    feed_rows(spark, tmp_path, progress=False)
    assert records() == []
