"""The exception tree: complete, drawn as it is, and able to travel."""

from __future__ import annotations

import inspect
import pickle
import re

import cloudpickle
import pytest

from tensorsparkml import errors
from tensorsparkml.errors import TensorSparkMLError

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, Exception)
}
DETAILS = {
    "node": "worker:1",
    "remote_traceback": "Traceback:\n  x\n",
    "log_tail": ("one", "two"),
    "others": ("[chief:0] MainError: y",),
}


def drawn_tree() -> dict[str, str | None]:
    """Parent by class as the docstring draws them."""
    drawing = re.search(r"```\n(.*?)```", str(errors.__doc__), re.DOTALL)
    assert drawing is not None
    above: list[tuple[int, str]] = []
    tree: dict[str, str | None] = {}
    for line in drawing[1].splitlines():
        found = re.match(r"([│├└─ ]*)(\w+)", line)
        assert found is not None, line
        depth, name = len(found[1]), found[2]
        above = [(other, parent) for other, parent in above if other < depth]
        assert name not in tree
        tree[name] = above[-1][1] if above else None
        above.append((depth, name))
    return tree


def test_every_class_is_exported() -> None:
    assert sorted(CLASSES) == errors.__all__


def test_the_docstring_draws_the_tree() -> None:
    real = {
        name: kind.__bases__[0].__name__ if kind is not TensorSparkMLError else None
        for name, kind in CLASSES.items()
    }
    assert drawn_tree() == real


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES.keys())
def test_every_class_says_what_it_is_for(kind: type[TensorSparkMLError]) -> None:
    assert issubclass(kind, TensorSparkMLError)
    assert "__doc__" in vars(kind) and str(kind.__doc__).strip()


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES.keys())
def test_every_error_travels_whole(kind: type[TensorSparkMLError], dumps: object) -> None:
    error = kind("what happened", **DETAILS)  # type: ignore[arg-type]
    arrived = pickle.loads(dumps(error))  # type: ignore[operator]
    assert type(arrived) is kind
    assert vars(arrived) == vars(error)
    assert str(arrived) == str(error)
    assert arrived.args == ("what happened",)


def test_a_plain_error_shows_its_message_alone() -> None:
    error = errors.ConfigurationError("set x")
    assert str(error) == "set x"
    assert (error.node, error.remote_traceback, error.log_tail, error.others) == (
        None,
        None,
        (),
        (),
    )


@pytest.mark.parametrize("name", errors.__all__)
def test_classes_are_found_by_name(name: str) -> None:
    assert errors.by_name(name) is CLASSES[name]


@pytest.mark.parametrize("name", ["ValueError", "Any", "Sequence", "by_name", "sys", "", "x.y"])
def test_other_names_find_nothing(name: str) -> None:
    assert errors.by_name(name) is None
