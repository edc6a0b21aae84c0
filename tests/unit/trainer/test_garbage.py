"""Garbage is collected rarely until TensorFlow is imported."""

import gc
import importlib
import sys

import pytest

from tensorsparkml.trainer.garbage import collect_rarely_until_imported


@pytest.fixture
def thresholds():
    usual = gc.get_threshold()
    yield usual
    gc.set_threshold(*usual)


@pytest.fixture
def package(tmp_path, monkeypatch, request):
    name = f"imported_late_{request.node.name}"
    (tmp_path / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_garbage_is_collected_rarely_until_the_import(thresholds, package):
    collect_rarely_until_imported(package)
    assert gc.isenabled()
    assert gc.get_threshold()[0] > thresholds[0]
    importlib.import_module(package)
    assert gc.get_threshold() == thresholds


def test_thresholds_of_the_program_stay(thresholds, package):
    collect_rarely_until_imported(package)
    gc.set_threshold(5_000, 7, 9)
    importlib.import_module(package)
    assert gc.get_threshold() == (5_000, 7, 9)
