"""Failures as they travel, and the exceptions that users catch."""

from __future__ import annotations

import pytest

from tensorsparkml import errors
from tensorsparkml.control.protocol.failures import Failure, from_exception, to_error

ROOT = Failure(
    "TrainerKilledError",
    "signal SIGSEGV ended the TensorFlow process",
    "worker:1",
    "Traceback (most recent call last):\n  crash\n",
    ("step 1", "step 2"),
)


@pytest.mark.parametrize("kind", sorted(errors.__all__))
def test_the_class_is_the_one_that_was_named(kind: str) -> None:
    error = to_error(Failure(kind, "message"), [])
    assert type(error) is getattr(errors, kind)
    assert str(error) == "message"


@pytest.mark.parametrize("kind", ["KeyError", "Sequence", "by_name", "", "__name__"])
def test_an_unknown_class_becomes_a_node_error(kind: str) -> None:
    assert type(to_error(Failure(kind, "message"), [])) is errors.NodeError


def test_the_error_tells_all_there_is() -> None:
    others = [Failure("MainError", "collective failed\nmore", "chief:0", consequence=True)]
    error = to_error(ROOT, others)
    assert (error.message, error.node) == (ROOT.message, "worker:1")
    assert error.remote_traceback == ROOT.remote_traceback
    assert error.log_tail == ("step 1", "step 2")
    assert error.others == ("[chief:0] MainError: collective failed",)
    assert str(error).split("\n") == [
        "[worker:1] signal SIGSEGV ended the TensorFlow process",
        "Remote traceback:",
        "    Traceback (most recent call last):",
        "      crash",
        "Last lines of worker:1:",
        "    step 1",
        "    step 2",
        "Failed after it:",
        "    [chief:0] MainError: collective failed",
    ]


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_an_exception_of_the_program_gets_the_kind_and_message_that_are_given() -> None:
    failure = from_exception(
        raised(KeyError("lr")), kind="MainError", message="main raised", consequence=True
    )
    assert (failure.kind, failure.message, failure.consequence) == (
        "MainError",
        "main raised",
        True,
    )
    assert failure.node is None
    assert failure.remote_traceback is not None
    assert failure.remote_traceback.startswith("Traceback (most recent call last):")
    assert failure.remote_traceback.rstrip().endswith("KeyError: 'lr'")


def test_an_error_of_the_library_keeps_its_class_and_message() -> None:
    error = raised(errors.NullValueError("column 'x' is null in row 3"))
    failure = from_exception(error, kind="MainError", message="main raised", consequence=True)
    assert (failure.kind, failure.message) == ("NullValueError", "column 'x' is null in row 3")
    assert not failure.consequence
    assert type(to_error(failure, [])) is errors.NullValueError


def test_the_traceback_shows_what_caused_the_exception() -> None:
    error = RuntimeError("outer")
    error.__cause__ = raised(ValueError("inner"))
    failure = from_exception(raised(error), kind="MainError", message="")
    assert "ValueError: inner" in str(failure.remote_traceback)
