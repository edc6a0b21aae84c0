"""`Inference`: batches of rows that Spark sends, each of which gets a reply."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import cloudpickle
import pyarrow as pa

from tensorsparkml.checks import checked, integer
from tensorsparkml.data.columns.assembler import Assembler
from tensorsparkml.data.columns.options import Column, Selection
from tensorsparkml.data.inference.outputs import to_record_batch
from tensorsparkml.data.inference.wire import ELEMENT
from tensorsparkml.data.spool.segments import LocatedBatch
from tensorsparkml.errors import DataError, InferenceError, MissingColumnError
from tensorsparkml.trainer.agent_client import AgentClient
from tensorsparkml.trainer.inference.batcher import Cut, RowBuffer
from tensorsparkml.trainer.inference.partition_call import PartitionCalls


class InferenceBatch(Mapping[str, Any]):
    """Rows of one partition, with an array of shape `(rows, ...)` for each column.

    Attributes:
        rows: Number of rows, at least one.
        partition: Index of the Spark partition that the rows come from.
    """

    def __init__(self, cut: Cut, columns: Mapping[str, Any], calls: PartitionCalls) -> None:
        self.rows = sum(located.batch.num_rows for located in cut.slices)
        self.partition = cut.stream.request.partition
        self._cut = cut
        self._columns = columns
        self._calls = calls
        self._replied = False

    def __getitem__(self, name: str) -> Any:
        """Return the array of a column, or raise MissingColumnError (not a KeyError)."""
        if name not in self._columns:
            raise self._missing(name)
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def get(self, name: str, default: Any = None) -> Any:
        """Return the array of a column, or the default if the batch does not have it."""
        return self._columns.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def elements(self) -> list[Any]:
        """The elements of the RDD.

        Raises:
            DataError: The rows come from a DataFrame.
        """
        if not self._cut.stream.request.elements:
            raise DataError('the rows come from a DataFrame; read its columns: batch["x"]')
        slices = (located.batch.column(ELEMENT) for located in self._cut.slices)
        return [pickle.loads(pickled.as_buffer()) for column in slices for pickled in column]

    @property
    def replied(self) -> bool:
        """Whether the batch has got its reply."""
        return self._replied

    def reply(self, results: Any) -> None:
        """Send the results of these rows to Spark.

        Args:
            results: A dict from column names to arrays of shape `(rows, ...)`, tensors or lists; or
                a `pyarrow.RecordBatch`. For an RDD, a list of anything that can be pickled. There
                may be more or fewer results than rows, unless the driver's call has `keep`.

        Raises:
            DataError: The results do not fit the schema of `cluster.inference`.
            InferenceError: The batch has got its reply already.
        """
        if self._replied:
            raise InferenceError(f"{self.describe()} already has a reply; reply once to each batch")
        request = self._cut.stream.request
        if request.elements:
            batch = _pickled(results, request.schema)
        else:
            batch = self._beside_kept(results)
        self._replied = True
        self._calls.answer(self._cut.stream, LocatedBatch(batch, self._cut.slices[0].origin))

    def describe(self) -> str:
        """Return a description of the batch for messages."""
        return f"the batch that begins with {self._cut.slices[0].origin.describe(0)}"

    def _missing(self, name: str) -> MissingColumnError:
        request = self._cut.stream.request
        if request.elements:
            why = "the rows are elements of an RDD; read batch.elements"
        elif name in request.keep:
            why = (
                "the driver names it in keep=…, so the program must request it: "
                f"ctx.inference(columns=[{', '.join(map(repr, [*self._columns, name]))}])"
            )
        else:
            why = f"the batch has {', '.join(map(str, self._columns)) or 'no columns'}"
        return MissingColumnError(f"there is no column {name!r} in the batch; {why}")

    def _beside_kept(self, results: Any) -> pa.RecordBatch:
        request = self._cut.stream.request
        schema, keep = request.schema, set(request.keep)
        own = pa.schema([field for field in schema if field.name not in keep])
        found = to_record_batch(results, own)
        if not request.keep:
            return found
        if found.num_rows != self.rows:
            raise DataError(
                f"the reply has {found.num_rows} rows for {self.rows} of {self.describe()}, but "
                f"with keep ({', '.join(request.keep)}) each row needs one result; reply with one "
                "result for each row, or leave out keep and reply with these columns"
            )
        slices = [located.batch.select(list(request.keep)) for located in self._cut.slices]
        kept = pa.concat_batches(slices)
        return pa.record_batch([*kept.columns, *found.columns], schema=schema)


class Inference:
    """The batches of `cluster.inference`; see `Context.inference`.

    Args:
        agent: The node's agent.
        feed: Name of the feed.
        batch_size: Number of rows in a batch when iterating.
        columns: Names of the columns, a dict from names for the arrays to columns and matrices, or
            None for all columns except those that `keep` names.
        convert: How columns become tensors, if not by default.
    """

    def __init__(
        self,
        agent: AgentClient,
        feed: str,
        batch_size: int,
        columns: Selection | None,
        convert: Mapping[str, Column],
    ) -> None:
        self._batch_size = batch_size
        self._columns = columns
        self._convert = convert
        self._buffer = RowBuffer()
        self._calls = PartitionCalls(agent, feed, self._buffer)
        self._started = False
        self._last: InferenceBatch | None = None
        self._assemblers: dict[pa.Schema, Assembler] = {}

    def __iter__(self) -> Iterator[InferenceBatch]:
        """Yield batches until the driver leaves the with block."""
        while (batch := self.next_batch(self._batch_size)) is not None:
            yield batch

    @checked(batch_size=integer(1))
    def next_batch(self, batch_size: int) -> InferenceBatch | None:
        """Wait for the next batch and return it, or None when the driver has left the with block.

        Args:
            batch_size: Number of rows in a full batch; the last one of a partition may be smaller.

        Raises:
            InferenceError: The previous batch has got no reply.
            DataError: A column does not exist, or one of its values does not fit.
        """
        if self._last is not None and not self._last.replied:
            raise InferenceError(
                f"{self._last.describe()} has no reply; call batch.reply(...) for each batch "
                "before you take the next one. If there are no results, reply with empty lists"
            )
        if not self._started:
            self._started = True
            self._calls.start()
        cut = self._buffer.cut(batch_size)
        self._last = None if cut is None else InferenceBatch(cut, self._assemble(cut), self._calls)
        return self._last

    def _assemble(self, cut: Cut) -> Mapping[str, Any]:
        request = cut.stream.request
        if request.elements:
            return {}
        schema = cut.slices[0].batch.schema
        if schema not in self._assemblers:
            keep = set(request.keep)
            wanted = [name for name in schema.names if name not in keep]
            columns = wanted if self._columns is None else self._columns
            self._assemblers[schema] = Assembler(columns, self._convert, cut.slices[0])
        return self._assemblers[schema].assemble(cut.slices)


def _pickled(results: Any, schema: pa.Schema) -> pa.RecordBatch:
    if isinstance(results, Mapping | str | bytes) or not isinstance(results, Iterable):
        raise DataError(
            "a reply to elements of an RDD must be a list, with any number of results, not a "
            f"{type(results).__qualname__}"
        )
    pickled = [cloudpickle.dumps(result) for result in results]
    return pa.record_batch([pa.array(pickled, pa.binary())], schema=schema)
