"""The examples that show how nodes train, and how little changes for it."""

import ast
import difflib
import re
from pathlib import Path

import pytest
from running import EXAMPLES, run_example

PAIRS = ["resnet.py", "segmentation.py"]


def number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found, text
    return float(found[1])


@pytest.mark.full
@pytest.mark.parametrize("folder", ["", "single_machine/"])
def test_resnet(folder):
    assert number(r"test accuracy ([\d.]+)", run_example(f"{folder}resnet.py")) > 0.85


@pytest.mark.full
@pytest.mark.parametrize("folder", ["", "single_machine/"])
def test_segmentation(folder):
    printed = run_example(f"{folder}segmentation.py")
    assert number(r"unseen pictures ([\d.]+)", printed) > 0.6


@pytest.mark.full
def test_parameter_servers():
    printed = run_example("parameter_servers.py")
    assert "/job:ps/replica:0/task:0 /job:ps/replica:0/task:1\n" in printed
    errors = [float(error) for error in re.findall(r"off by ([\d.]+) minutes", printed)]
    assert number(r"flights of an epoch: (\d+)", printed) == 9_897
    assert len(errors) == 5
    assert errors[-1] < 35  # minutes; the mean of all flights would be off by more than 70


@pytest.mark.full
def test_late_flights(tmp_path):
    printed = run_example("late_flights.py", str(tmp_path))
    network = number(r"under ROC, network +([\d.]+)", printed)
    assert network > 0.68  # 0.5 is what the majority class gets
    assert network > number(r"under ROC, logistic regression +([\d.]+)", printed) + 0.03
    assert "same predictions after loading       True" in printed
    assert (tmp_path / "model" / "stages").is_dir()


@pytest.mark.full
def test_model_parallelism():
    printed = run_example("model_parallelism.py")
    assert re.search(r"hidden layer +\[784, 2048\]", printed)
    assert re.findall(r"node (\d) holds +(.*)", printed) == [
        ("0", "[784, 1024]"),
        ("1", "[784, 1024]"),
    ]
    assert number(r"test accuracy +([\d.]+)", printed) > 0.8


def code(path: Path) -> list[str]:
    """The lines of a program without its docstring and empty ones."""
    text = path.read_text("utf-8")
    end = ast.parse(text).body[0].end_lineno
    return [line for line in text.splitlines()[end:] if line.strip()]


@pytest.mark.parametrize("name", PAIRS)
def test_fewer_than_ten_lines_change(name):
    old, new = code(EXAMPLES / "single_machine" / name), code(EXAMPLES / name)
    changes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    changed = [max(b - a, d - c) for kind, a, b, c, d in changes if kind != "equal"]
    assert 0 < sum(changed) < 10


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.py")), ids=lambda path: path.name)
def test_examples_are_short_and_say_how_to_run_them(path):
    text = path.read_text("utf-8")
    assert len(text.splitlines()) < 100
    if path.name != "session.py":
        assert f"    python {path.relative_to(EXAMPLES.parent).as_posix()}\n" in text
