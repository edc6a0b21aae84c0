"""What a node reports of a program: its result, or why there is none."""

from __future__ import annotations

import threading
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.results import decode_result
from tensorsparkml.driver.lifecycle.pickling import pickle_function, pickle_main
from tensorsparkml.program.pickling import dumps
from tensorsparkml.trainer.process import run_main


def train(args: Any, ctx: Any) -> Any:
    if isinstance(args, BaseException):
        raise args
    return threading.Lock() if args == "lock" else args


def outcome(function: Any, args: Any) -> bytes | Failure:
    context: Any = SimpleNamespace(_explain=lambda error: None)
    return run_main(pickle_main(function, args), context)


@pytest.mark.parametrize("code", [None, 0])
def test_an_exit_without_an_error_is_a_result(code: int | None) -> None:
    found = outcome(train, SystemExit(code))
    assert isinstance(found, bytes)
    assert decode_result(found) is None


@pytest.mark.parametrize(
    ("args", "kind", "message"),
    [
        (ValueError("bad luck"), "MainError", "train raised ValueError: bad luck"),
        (SystemExit(3), "MainExitError", "train called sys.exit(3)"),
        ("lock", "UnpicklableError", "train returned a lock, which cannot be sent to the driver"),
    ],
)
def test_a_failure_is_told_of_the_users_function(args: Any, kind: str, message: str) -> None:
    for function in (train, partial(train), pickle_function(train)):
        found = outcome(function, args)
        assert isinstance(found, Failure)
        assert found.kind == kind
        assert found.message.startswith(message)


def test_a_program_that_is_missing_has_no_name() -> None:
    missing = dumps((b"cmodule_that_is_nowhere\nf\n.", dumps(None)))
    found = run_main(missing, SimpleNamespace())  # type: ignore[arg-type]
    assert isinstance(found, Failure)
    assert found.kind == "MissingPackageError"
    assert found.message.startswith("the program cannot be loaded on this node: ModuleNotFound")
