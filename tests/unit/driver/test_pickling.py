"""Main and its arguments on their way to other processes."""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from tensorsparkml.driver.lifecycle.pickling import pickle_function, pickle_main
from tensorsparkml.errors import UnpicklableError
from tensorsparkml.program.pickling import load_main


def test_a_closure_and_its_arguments_arrive() -> None:
    offset = 10

    def main(args: dict[str, int], ctx: Any) -> int:
        return args["x"] + offset

    arrived, args = load_main(pickle_main(main, {"x": 5}))
    assert arrived(args, None) == 15


def test_many_clusters_have_one_pickle_of_main() -> None:
    times: list[int] = []

    class Main:
        def __call__(self, args: Any, ctx: Any) -> Any:
            return args

        def __getstate__(self) -> dict[str, Any]:
            times.append(1)
            return {}

    program = pickle_function(Main())
    for each in range(3):
        main, args = load_main(pickle_main(program, each))
        assert main(args, None) == each
    assert times == [1]


def test_a_main_that_holds_a_lock_is_named() -> None:
    lock = threading.Lock()

    def train_model(args: Any, ctx: Any) -> None:
        lock.acquire()

    with pytest.raises(UnpicklableError) as caught:
        pickle_main(train_model, None)
    message = caught.value.message
    assert message.startswith("train_model cannot be sent")
    assert message.endswith("create such objects inside train_model")
    assert "'_thread.lock'" in message
    assert caught.value.__cause__ is not None


def test_arguments_that_hold_a_lock_are_named() -> None:
    with pytest.raises(UnpicklableError, match=r"^args \(dict\) cannot be sent.*'_thread.lock'"):
        pickle_main(lambda args, ctx: None, {"lock": threading.Lock()})


def test_an_object_that_raises_anything_is_an_error_of_ours() -> None:
    class Stubborn:
        def __reduce__(self) -> str:
            raise ZeroDivisionError("no")

    with pytest.raises(UnpicklableError, match=r"args \(.*Stubborn\).*: no\."):
        pickle_main(print, Stubborn())


def test_a_main_beside_the_notebook_needs_no_file_on_the_executors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "program_beside_the_notebook"
    (tmp_path / f"{name}.py").write_text(
        "RATE = 3\ndef helper(x):\n    return x * RATE\ndef main(args, ctx):\n"
        "    return helper(args)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    registered = cloudpickle.list_registry_pickle_by_value()
    pickled = pickle_main(importlib.import_module(name).main, 7)
    assert cloudpickle.list_registry_pickle_by_value() == registered
    # As on an executor.
    monkeypatch.delitem(sys.modules, name)
    (tmp_path / f"{name}.py").unlink()
    importlib.invalidate_caches()
    main, args = load_main(pickled)
    assert main(args, None) == 21


def test_a_main_of_an_installed_package_goes_by_its_name() -> None:
    import json

    assert len(pickle_main(json.dumps, None)) < 100
