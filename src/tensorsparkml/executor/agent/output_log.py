"""A node's output: whole in a file, its last lines for errors, a bounded stream to the driver."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from tensorsparkml.control.text import printable
from tensorsparkml.executor.folders import open_log

_LONGEST_LINE = 8192  # bytes; longer output without a line end is cut into lines of this length

_AGENT_LOG_BYTES = 2**20  # of a file that grows as long as a node runs


class AgentLogHandler(logging.StreamHandler[TextIO]):
    """Writes to standard error, which is the agent's log, and keeps that file small.

    Args:
        limit: The file's size in bytes at which its older half is dropped.
    """

    def __init__(self, limit: int = _AGENT_LOG_BYTES) -> None:
        super().__init__(sys.stderr)
        self._limit = limit

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        super().emit(record)
        with suppress(OSError):  # a full disk, or no file
            self._drop_old(self.stream.fileno())

    def _drop_old(self, file: int) -> None:
        size = os.fstat(file).st_size
        if size > self._limit:
            kept = os.pread(file, self._limit // 2, size - self._limit // 2)
            os.ftruncate(file, 0)
            os.write(file, "… older lines were dropped\n".encode() + kept.partition(b"\n")[2])


class NodeLog:
    """Splits a trainer's output into lines and keeps them.

    Args:
        path: The file that gets everything.
        tail_lines: How many of the last lines errors show.
        pending_lines: How many lines may wait for the driver; older ones are then left out there.
    """

    def __init__(self, path: Path, tail_lines: int = 30, pending_lines: int = 2000) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._tail: deque[str] = deque(maxlen=tail_lines)
        self._pending: deque[str] = deque(maxlen=pending_lines)
        self._left_out = 0
        self._lock = threading.Lock()
        self.ended = threading.Event()
        self.news = threading.Event()

    def follow(self, stream: BinaryIO) -> None:
        """Read the stream to its end; meant for a thread of its own."""
        try:
            with open_log(self.path) as file, stream:
                writable = True
                while line := stream.readline(_LONGEST_LINE):
                    if writable:
                        writable = self._keep(file, line)
                    self._add(line.decode("utf-8", "replace").rstrip("\r\n"))
        finally:
            self.ended.set()
            self.news.set()

    def _keep(self, file: BinaryIO, line: bytes) -> bool:
        try:
            file.write(line)
        except OSError as error:  # a full disk must not stop the program that prints
            self._add(f"… {self.path} cannot be written any more: {error}")
            return False
        return True

    def tail(self) -> tuple[str, ...]:
        """Return the last lines."""
        with self._lock:
            return tuple(self._tail)

    def take(self) -> list[str]:
        """Return the lines that the driver has not got yet."""
        with self._lock:
            lines = list(self._pending)
            if self._left_out:
                lines.insert(0, f"… {self._left_out} lines left out; all are in {self.path}")
            self._pending.clear()
            self._left_out = 0
            return lines

    def _add(self, line: str) -> None:
        # A progress bar rewrites its line with carriage returns; only its last state matters.
        line = printable(line.rsplit("\r", 1)[-1])
        with self._lock:
            self._tail.append(line)
            self._left_out += len(self._pending) == self._pending.maxlen
            self._pending.append(line)
        self.news.set()
