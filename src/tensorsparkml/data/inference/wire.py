"""The messages between the two ends of an inference, besides record batches.

A Spark task sends the rows of one partition through the agent to the program, and gets the
program's answers back the same way: two streams of record batches over one call. A stream that
breaks looks like one that ends, so either side says with a `Signal` that it is complete.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight

from tensorsparkml.data.spool.segments import LocatedBatch, Origin

# What a broken call raises, at either end.
BROKEN = (flight.FlightError, pa.ArrowException, OSError)

ELEMENT = "element"
ELEMENTS = pa.schema([pa.field(ELEMENT, pa.binary(), nullable=False)])


@dataclass(frozen=True)
class Request:
    """One partition whose rows a program is asked about.

    Attributes:
        feed: Name by which the program asks for it.
        partition: Index of the Spark partition.
        schema: Schema of the results, columns to keep included.
        keep: Columns of the input that stand beside the results, first in the schema.
        elements: Whether rows are pickled elements of an RDD, and results as well.
    """

    feed: str
    partition: int
    schema: pa.Schema
    keep: tuple[str, ...] = ()
    elements: bool = False

    def encode(self) -> str:
        """Return the request as JSON."""
        schema = base64.b64encode(self.schema.serialize().to_pybytes()).decode()
        return json.dumps(
            {
                "feed": self.feed,
                "partition": self.partition,
                "schema": schema,
                "keep": self.keep,
                "elements": self.elements,
            }
        )

    @classmethod
    def decode(cls, text: str | bytes) -> Request:
        """Return the request that `encode` wrote."""
        body = json.loads(text)
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(body["schema"])))
        return cls(body["feed"], body["partition"], schema, tuple(body["keep"]), body["elements"])


@dataclass(frozen=True)
class Signal:
    """The end of a stream: it is complete, or never will be.

    Attributes:
        failed: Why it never will be complete, or None.
        broken: Whether that is not what the other end said, but that it is not there.
    """

    failed: str | None = None
    broken: bool = False

    def encode(self) -> Any:
        """Return the signal as metadata of a Flight message."""
        return pa.py_buffer(json.dumps({"failed": self.failed}).encode())

    @classmethod
    def decode(cls, metadata: Any) -> Signal:
        """Return the signal that `encode` wrote."""
        return cls(**json.loads(bytes(metadata)))


COMPLETE = Signal()


def send(writer: Any, item: LocatedBatch | Signal) -> None:
    """Write a batch, or the end of the stream.

    Raises:
        One of `BROKEN`: The other end is gone.
    """
    if isinstance(item, Signal):
        writer.write_metadata(item.encode())
    else:
        writer.write_with_metadata(item.batch, pa.py_buffer(item.origin.encode()))


def messages(reader: Any) -> Iterator[LocatedBatch | Signal]:
    """Yield what arrives, until the other end has closed its stream or is gone.

    There is at least one signal; where the stream breaks before one has come, this makes it.
    """
    broken: Exception | None = None
    signalled = False
    while True:
        try:
            chunk = reader.read_chunk()
        except StopIteration:
            break
        except BROKEN as error:
            broken = error
            break
        if chunk.data is None:
            signalled = True
            yield Signal.decode(chunk.app_metadata)
        else:
            yield LocatedBatch(chunk.data, Origin.decode(chunk.app_metadata))
    if not signalled:
        yield Signal(explain(broken), broken=True)


def explain(broken: Exception | None) -> str:
    """Return what is worth reading of an error of `BROKEN`."""
    text = str(broken or "the connection ended early")
    return text.partition(" gRPC client debug context")[0].strip()
