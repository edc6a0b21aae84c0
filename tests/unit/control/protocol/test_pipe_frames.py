"""Messages over real pipes, and their ends."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.control.protocol.pipe_frames import read_frame, write_frame


class Pipe:
    def __init__(self, read_buffering: int = -1) -> None:
        reading, writing = os.pipe()
        self.reader: BinaryIO = os.fdopen(reading, "rb", buffering=read_buffering)
        self.writer: BinaryIO = os.fdopen(writing, "wb")

    def close(self) -> None:
        with suppress(BrokenPipeError):
            self.writer.close()
        self.reader.close()


@pytest.fixture(params=[-1, 0], ids=["buffered", "unbuffered"])
def pipe(request: pytest.FixtureRequest) -> Iterator[Pipe]:
    made = Pipe(request.param)
    yield made
    made.close()


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_frames_arrive_whole_and_in_order(frames: list[bytes]) -> None:
    pipe = Pipe()
    try:
        for frame in frames:
            write_frame(pipe.writer, frame)
        pipe.writer.close()
        assert list(iter(lambda: read_frame(pipe.reader), None)) == frames
    finally:
        pipe.close()


def test_a_frame_is_sent_at_once(pipe: Pipe) -> None:
    write_frame(pipe.writer, b"now")
    assert read_frame(pipe.reader) == b"now"


def test_a_frame_may_be_larger_than_the_pipe(pipe: Pipe) -> None:
    frame = os.urandom(1 << 20)
    writing = threading.Thread(target=write_frame, args=(pipe.writer, frame), daemon=True)
    writing.start()
    assert read_frame(pipe.reader) == frame
    writing.join()


def test_an_empty_frame_is_not_the_end(pipe: Pipe) -> None:
    write_frame(pipe.writer, b"")
    pipe.writer.close()
    assert read_frame(pipe.reader) == b""
    assert read_frame(pipe.reader) is None


@pytest.mark.parametrize(
    "sent", [b"", b"\0\0\0", struct.pack("!Q", 10), struct.pack("!Q", 10) + b"ten by"]
)
def test_a_pipe_that_ends_has_no_further_frame(pipe: Pipe, sent: bytes) -> None:
    pipe.writer.write(sent)
    pipe.writer.close()
    assert read_frame(pipe.reader) is None


def test_writing_to_a_process_that_is_gone_raises(pipe: Pipe) -> None:
    pipe.reader.close()
    with pytest.raises(BrokenPipeError):
        write_frame(pipe.writer, b"hello")
