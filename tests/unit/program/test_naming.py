"""What messages call a program."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from tensorsparkml.program.naming import function_name


def train(args: Any, ctx: Any) -> None:
    pass


@functools.wraps(train)
def wrapped(args: Any, ctx: Any) -> None:
    pass


class Trainer:
    def __call__(self, args: Any, ctx: Any) -> None:
        pass

    def evaluate(self, args: Any, ctx: Any) -> None:
        pass


def inside() -> Callable[[Any, Any], None]:
    def program(args: Any, ctx: Any) -> None:
        pass

    return program


def called(name: Any) -> Trainer:
    trainer = Trainer()
    trainer.__name__ = name  # type: ignore[attr-defined]
    return trainer


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (train, "train"),
        (wrapped, "train"),
        (inside(), "program"),
        (print, "print"),
        (Trainer, "Trainer"),
        (Trainer(), "Trainer"),
        (Trainer().evaluate, "evaluate"),
        (called("learn"), "learn"),
        (functools.partial(train, None), "train"),
        (functools.partial(functools.partial(Trainer()), None), "Trainer"),
        (functools.lru_cache(train), "train"),
        (lambda args, ctx: None, "main"),
        (functools.partial(lambda args, ctx: None), "main"),
        (called(None), "main"),
        (called(""), "main"),
    ],
)
def test_a_program_has_the_name_that_its_user_knows(function: Any, name: str) -> None:
    assert function_name(function) == name
