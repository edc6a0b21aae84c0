"""The examples that show where rows come from."""

import re

import pytest
from running import run_example, submit_example

pytestmark = pytest.mark.full


def numbers(pattern: str, text: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, text)]


def test_read_files_by_spark_submit():
    accuracies = numbers(r"accuracy on the TFRecords ([\d.]+)", submit_example("read_files.py"))
    assert len(accuracies) == 4
    assert accuracies[-1] > 0.85


def test_streaming():
    printed = run_example("streaming.py")
    assert re.search(r"rows of the stream +12000\n", printed)
    [before] = numbers(r"([\d.]+) before", printed)
    [after] = numbers(r"([\d.]+) after", printed)
    assert before < 0.5 and after > 0.8


def test_sql_query():
    printed = run_example("sql_query.py")
    errors = numbers(r"off by ([\d.]+) minutes", printed)
    errors_of_the_mean = numbers(r"\(([\d.]+) if all", printed)
    assert len(errors) == 2
    for error, error_of_the_mean in zip(errors, errors_of_the_mean, strict=True):
        assert error < error_of_the_mean / 3


def test_mnist():
    printed = run_example("mnist_keras.py", "--epochs", "2")
    [accuracy] = numbers(r"test accuracy +([\d.]+)", printed)
    assert accuracy > 0.9
