"""The examples of programs that run side by side and know nothing of each other."""

import re

import pytest
from running import run_example

pytestmark = pytest.mark.full


def test_parallel_inference():
    printed = run_example("parallel_inference.py")
    right = re.findall(r"program (\d): (\d+) of 1000 digits are right", printed)
    assert [number for number, _ in right] == ["0", "1"]
    accuracy = re.search(r"test accuracy: ([\d.]+)", printed)
    assert accuracy is not None and float(accuracy[1]) > 0.85


def test_hyperparameter_search():
    printed = run_example("hyperparameter_search.py")
    accuracies = [float(found) for found in re.findall(r"\}: accuracy ([\d.]+)", printed)]
    assert len(accuracies) == 4
    best = re.search(r"best: (.*) with accuracy ([\d.]+)", printed)
    assert best is not None
    assert "'learning_rate': 0.001, 'units': 128" in best[1]
    assert float(best[2]) == max(accuracies) > 0.85
