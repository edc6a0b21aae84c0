"""A partition whose task goes before anything of it was received."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from tensorsparkml.data.inference.wire import Request
from tensorsparkml.trainer.inference import partition_call
from tensorsparkml.trainer.inference.batcher import RowBuffer
from tensorsparkml.trainer.inference.partition_call import PartitionCalls


class Stream:
    """Both ends of a call whose other end has gone."""

    def read_chunk(self) -> None:
        raise StopIteration

    def close(self) -> None:
        pass


class Agent:
    def exchange(self, number: int, results: pa.Schema) -> tuple[Stream, Stream]:
        return Stream(), Stream()


def test_a_partition_that_is_dropped_first(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = RowBuffer()
    calls = PartitionCalls(Agent(), "inference", buffer)  # type: ignore[arg-type]

    class LateThread:
        """Runs when the partition is gone already."""

        def __init__(self, target: Callable[..., None], args: tuple[Any, ...], **_: Any) -> None:
            self._run = lambda: target(*args)

        def start(self) -> None:
            calls._drop(7)
            self._run()

    monkeypatch.setattr(partition_call.threading, "Thread", LateThread)
    calls._open(7, Request("inference", 0, pa.schema([("y", pa.int64())])))
    assert calls._streams == {}
    assert calls._calls == {}
