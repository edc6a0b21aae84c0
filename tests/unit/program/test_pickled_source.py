"""Pickling by value, with source text."""

from __future__ import annotations

import functools
import inspect
import linecache
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import pytest

from tensorsparkml.program import source
from tensorsparkml.program.pickling import by_value, dumps

TEXT = """\
import functools

def outer(offset):
    def inner(x):
        return x + offset
    return inner

class Callable:
    def __init__(self, value):
        self.value = value

    def __call__(self, args, ctx):
        raise ValueError(self.value)

    @staticmethod
    def twice(x):
        return 2 * x

    @property
    def negative(self):
        return -self.value

def main(args, ctx):
    return args

shorter = lambda x: x[:1]
generate = functools.partial(outer, 3)
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module beside the notebook."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "beside_the_notebook.py").write_text(TEXT)
    monkeypatch.delitem(sys.modules, "beside_the_notebook", raising=False)
    import beside_the_notebook  # type: ignore[import-not-found]

    module: ModuleType = beside_the_notebook
    return module


def arrive(value: Any, module: ModuleType) -> Any:
    """What comes out where neither the module nor its file is."""
    registered = cloudpickle.list_registry_pickle_by_value()
    with by_value(value):
        pickled = dumps(value)
    assert cloudpickle.list_registry_pickle_by_value() == registered
    assert module.__file__ is not None
    Path(module.__file__).unlink()
    linecache.clearcache()
    del sys.modules[module.__name__]
    return pickle.loads(pickled)


def test_functions_keep_their_source(program: ModuleType) -> None:
    inner = arrive(program.outer(2), program)
    assert inner(1) == 3
    assert inner.__code__.co_filename == program.__file__
    assert inspect.getsource(inner) == "    def inner(x):\n        return x + offset\n"


def test_methods_keep_their_source(program: ModuleType) -> None:
    instance = arrive(program.Callable(3), program)
    assert "return -self.value" in inspect.getsource(type(instance).negative.fget)
    assert "return 2 * x" in inspect.getsource(instance.twice)
    with pytest.raises(ValueError, match="3") as caught:
        instance(None, None)
    assert "    raise ValueError(self.value)" in "".join(traceback.format_exception(caught.value))


def test_the_function_in_a_partial_goes_by_value(program: ModuleType) -> None:
    partial = functools.partial(functools.partial(program.main, ctx=None), 5)
    arrived = arrive(partial, program)
    assert arrived() == 5
    assert "return args" in inspect.getsource(arrived.func)


def test_lambdas_keep_their_source(program: ModuleType) -> None:
    shorter = arrive(program.shorter, program)
    assert inspect.getsource(shorter) == "shorter = lambda x: x[:1]\n"


def test_a_text_is_sent_once(program: ModuleType) -> None:
    with by_value(program.main):
        pickled = dumps([program.main, program.Callable(1), program.outer(1), program.shorter])
    assert pickled.count(b"class Callable:") == 1


def test_a_text_of_megabytes_is_not_sent(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_FILE_BYTES", len(TEXT) - 1)
    main = arrive(program.main, program)
    assert main(1, None) == 1
    assert main.__code__.co_filename == f"<no source: {program.__file__}>"
    with pytest.raises(OSError, match="could not get source code"):
        inspect.getsource(main)


def test_what_is_sent_on_keeps_its_source(program: ModuleType) -> None:
    arrived = pickle.loads(dumps(arrive(program.outer(2), program)))
    assert "return x + offset" in inspect.getsource(arrived)


def test_what_has_no_source_keeps_saying_so(program: ModuleType) -> None:
    scope: dict[str, Any] = {}
    exec("def main(args, ctx):\n    return args\n", scope)
    once = pickle.loads(dumps(scope["main"]))
    twice = pickle.loads(dumps(once))
    assert once.__code__.co_filename == twice.__code__.co_filename == "<no source: <string>>"
    assert source.is_unknown(twice.__code__.co_filename)


def test_text_of_exec_is_not_taken_for_that_of_the_command() -> None:
    program = """
from tensorsparkml.program.source import find_source
def main():
    return 1
scope = {}
exec("def main():\\n    return 2", scope)
print(find_source(main.__code__).name, find_source(scope["main"].__code__))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout == "<command> None\n", run.stderr
