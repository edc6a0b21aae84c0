"""What a Spark task does with its rows: convert, apply the model, convert the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from tensorsparkml.data.columns.options import Column
from tensorsparkml.data.columns.ragged import Ragged
from tensorsparkml.data.spool.segments import LocatedBatch
from tensorsparkml.errors import ConfigurationError, DataError
from tensorsparkml.inference.engine.batches import USUAL_ROWS, ahead, regrouped
from tensorsparkml.inference.engine.failure_reports import (
    FailureReports,
    RepeatedError,
    to_typed,
)
from tensorsparkml.inference.engine.inputs import Array, Input, InputAssembler
from tensorsparkml.inference.engine.process import configure, visible_gpus
from tensorsparkml.inference.engine.results import to_column
from tensorsparkml.inference.models.loading import CACHE, LoadedModel, renamed
from tensorsparkml.inference.models.signature import Signature
from tensorsparkml.inference.models.source import Kind, ModelSource
from tensorsparkml.inference.outputs import Result

_AHEAD = 2  # batches that are converted before the model takes them, and after it


@dataclass(frozen=True)
class Application:
    """A model applied to columns, as every task gets to know it.

    Attributes:
        source: The model.
        signature: What it takes and gives, as the driver knows it; a function has no inputs.
        columns: Names of the columns that a task gets, in order.
        inputs: What each input gets.
        results: What becomes of the outputs.
        types: Arrow types of the results.
        convert: How columns become tensors, where the default is not wanted.
        positional: Whether a function gets the inputs in order, and not by their names.
        batch_size: Number of rows that the model gets at once.
        reports: Where failures are reported that no repetition mends, or None.
    """

    source: ModelSource
    signature: Signature
    columns: tuple[str, ...]
    inputs: tuple[Input, ...]
    results: tuple[Result, ...]
    types: tuple[pa.DataType, ...]
    convert: Mapping[str, Column] = field(default_factory=dict)
    positional: bool = False
    batch_size: int = USUAL_ROWS
    reports: FailureReports | None = None

    def run(
        self, batches: Iterator[Sequence[pa.Array]], partition: int, load: Callable[[], LoadedModel]
    ) -> Iterator[pa.Array]:
        """Yield a column of results for all rows.

        Args:
            batches: Arrays of the columns.
            partition: Index of the partition, for messages.
            load: Returns the model.

        Raises:
            TensorSparkMLError: The model cannot be loaded, or rows do not fit it.
        """
        model: LoadedModel | None = None

        def apply(converted: Iterator[tuple[int, dict[str, Array]]]) -> Iterator[tuple[int, Any]]:
            nonlocal model
            for rows, arrays in converted:
                if model is None:
                    model = self._checked(load())
                yield rows, self._apply(model, arrays)

        names = list(self.columns)
        records = (pa.record_batch(list(each), names=names) for each in _read(batches))
        groups = regrouped(records, self._size, partition)
        applied = ahead(apply(ahead(self._convert(groups), _AHEAD)), _AHEAD)
        for rows, returned in applied:
            yield to_column(returned, self.results, self.types, rows)

    @property
    def _fixed(self) -> int | None:
        """The only number of rows that the model takes, or None."""
        sizes = {spec.rows for spec in self.signature.inputs} - {None}
        return max(size for size in sizes if size) if sizes else None

    @property
    def _size(self) -> int:
        return self._fixed or self.batch_size

    def _convert(
        self, groups: Iterator[list[LocatedBatch]]
    ) -> Iterator[tuple[int, dict[str, Array]]]:
        assembler: InputAssembler | None = None
        for group in groups:
            assembler = assembler or InputAssembler(self.inputs, self.convert, group[0])
            yield sum(each.batch.num_rows for each in group), assembler.assemble(group)

    def _apply(self, model: LoadedModel, arrays: dict[str, Array]) -> Any:
        if self.source.kind is Kind.FUNCTION:
            return model.apply(*arrays.values()) if self.positional else model.apply(**arrays)
        if self._fixed or self.source.jit_compile:
            arrays = {name: _filled(each, self._size) for name, each in arrays.items()}
        returned = model.apply(**{name: _tensor(each) for name, each in arrays.items()})
        return {name: tensor.numpy() for name, tensor in returned.items()}

    def _checked(self, model: LoadedModel) -> LoadedModel:
        if model.signature is None:
            return model
        ordered, same = self.source.kind is Kind.WEIGHTS, self.source.archive is not None
        found = renamed(model, self.signature, ordered=ordered, same=same)
        if found is None:
            raise ConfigurationError(
                f"{self.source} was overwritten by one with other inputs or outputs; load it again "
                "with tsm.load_model"
            )
        return found


def _read(batches: Iterator[Sequence[pa.Array]]) -> Iterator[Sequence[pa.Array]]:
    """Yield what Spark sends; when that ends too early, Spark itself knows why."""
    try:
        yield from batches
    except Exception as error:
        raise RepeatedError from error


def _filled(values: Array, size: int) -> Array:
    """Return an array with as many rows as the model takes; the last row is repeated."""
    if isinstance(values, Ragged) or len(values) == size:
        return values
    return np.concatenate([values, np.repeat(values[-1:], size - len(values), axis=0)])


def _tensor(values: Array) -> Any:
    import tensorflow as tf

    if isinstance(values, Ragged):
        return tf.RaggedTensor.from_nested_row_splits(
            values.values, values.row_splits, validate=False
        )
    return tf.constant(values)


def run(application: Application, batches: Iterator[Any]) -> Iterator[pa.Array]:
    """Run an application in a Spark task.

    Args:
        application: What to do.
        batches: An array, or a tuple of arrays, for each record batch.

    Raises:
        TensorSparkMLError: The model cannot be loaded, rows do not fit it, or it has failed.
    """
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context is not None
    stage, cores, resources = context.stageId(), context.cpus(), context.resources()
    gpus = resources["gpu"].addresses if "gpu" in resources else []
    several = (each if isinstance(each, tuple) else (each,) for each in batches)

    def load() -> LoadedModel:
        with visible_gpus(gpus):
            configure(application.source, cores)
            try:
                return CACHE.get(application.source)
            except DataError as error:  # of the files, which may be there in a moment
                raise RepeatedError from error

    try:
        yield from application.run(several, context.partitionId(), load)
    except RepeatedError as error:
        assert error.__cause__ is not None
        raise error.__cause__ from None
    except Exception as error:  # also what a function of the user's raises
        typed = to_typed(error)
        if application.reports is not None:
            application.reports.send(stage, typed)
        raise typed from error
