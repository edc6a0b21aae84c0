"""Rows are regrouped into batches of the model's size, and the work goes on ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.errors import ConfigurationError, InferenceError, NullValueError
from tensorsparkml.inference.engine.batches import ahead, default_batch_size, regrouped
from tensorsparkml.inference.engine.failure_reports import (
    as_text,
    from_text,
    to_typed,
    typed_errors,
)
from tensorsparkml.inference.models.signature import TensorSpec


@given(st.lists(st.integers(0, 12), max_size=8), st.integers(1, 10))
def test_groups_have_one_size_and_keep_the_rows(lengths: list[int], size: int) -> None:
    rows = iter(range(sum(lengths)))
    batches = [pa.record_batch({"x": [next(rows) for _ in range(length)]}) for length in lengths]
    groups = list(regrouped(iter(batches), size, 7))
    counts = [sum(part.batch.num_rows for part in group) for group in groups]
    assert all(count == size for count in counts[:-1])
    assert all(0 < count <= size for count in counts)
    parts = [part for group in groups for part in group]
    values = [value for part in parts for value in part.batch.column(0).to_pylist()]
    assert values == list(range(sum(lengths)))
    assert all(part.origin.partition == 7 for part in parts)
    assert all(part.origin.row == part.batch.column(0)[0].as_py() for part in parts)


def test_items_are_made_ahead_but_not_all() -> None:
    made: list[int] = []
    waits = threading.Event()

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 3:  # one is taken, two wait, and one more is about to
                waits.set()
            yield number

    found = ahead(items(), 2)
    assert next(found) == 0
    assert waits.wait(60)
    assert len(made) <= 5
    assert list(found) == list(range(1, 100))


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise NullValueError("a null")

    found = ahead(items(), 2)
    assert next(found) == 1
    with pytest.raises(NullValueError, match="a null"):
        next(found)


def test_the_thread_ends_when_nobody_takes_any_more() -> None:
    ended = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            ended.set()

    found = ahead(items(), 1)
    assert next(found) == 0
    found.close()
    assert ended.wait(60)


def test_errors_are_found_in_what_spark_says() -> None:
    error = NullValueError("column 'x' is null in row 3 of partition 1,\nbut tensors cannot")
    text = f"Job 3 cancelled because Stage 4 was cancelled\n{as_text(error)} SQLSTATE: XXKDA\n\tat"
    found = from_text(text)
    assert type(found) is NullValueError
    assert found.message == "column 'x' is null in row 3 of partition 1, but tensors cannot"
    assert from_text("tensorsparkml.errors.NoSuchError: x") is None


def test_errors_of_spark_become_typed_in_a_block() -> None:
    with pytest.raises(ConfigurationError, match="no signature") as caught, typed_errors():
        raise RuntimeError("tensorsparkml.errors.ConfigurationError: no signature")
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(RuntimeError, match="another"), typed_errors():
        raise RuntimeError("another")


def test_what_a_model_raises_is_an_inference_error() -> None:
    found = to_typed(ZeroDivisionError("division by zero"))
    assert type(found) is InferenceError
    assert found.message == "the model raised ZeroDivisionError: division by zero"
    error = NullValueError("null")
    assert to_typed(error) is error


@pytest.mark.parametrize(
    ("inputs", "rows"),
    [
        ([], 1024),
        ([TensorSpec("x", "float32", (None, 784))], 1024),
        ([TensorSpec("x", "float32", (None, 64))], 4096),
        ([TensorSpec("x", "float32", (None, 65))], 1024),
        ([TensorSpec(name, "float64", (None, 1)) for name in "ab"], 4096),
        ([TensorSpec("x", "float32", (None, None))], 1024),
        ([TensorSpec("x", "float32", None)], 1024),
        ([TensorSpec("x", "float32", (None, 1)), TensorSpec("id", "int64", (None,))], 1024),
        ([TensorSpec("text", "string", None)], 1024),
        ([TensorSpec("tokens", "int64", (None, None))], 1024),
        ([TensorSpec("image", "float32", (None, 224, 224, 3))], 32),
        ([TensorSpec("image", "uint8", (None, 224, 224, 3))], 128),
        ([TensorSpec(name, "bfloat16", (None, 2**22)) for name in "ab"], 1),
        ([TensorSpec("volume", "float64", (None, 2**30))], 1),
    ],
)
def test_the_size_of_a_batch_follows_from_the_inputs(inputs: list[TensorSpec], rows: int) -> None:
    assert default_batch_size(inputs) == rows
