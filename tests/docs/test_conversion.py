"""The diffs of the conversion guide: the old program is one, the new one runs on a cluster."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "conversion.md"
TITLE = re.compile(r"^## (.*)$", re.MULTILINE)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# The other two need hosts of that name, and TensorFlowOnSpark.
RUN_ALONE = {"From a single-machine Keras program", "From a custom loop"}


def diffs() -> dict[str, list[str]]:
    """The lines of the diff of each section."""
    _, *sections = TITLE.split(PAGE.read_text("utf-8"))
    found = {}
    for title, text in zip(sections[::2], sections[1::2], strict=True):
        [(language, diff)] = FENCE.findall(text)
        assert language == "diff", title
        found[title] = diff.splitlines()
    return found


DIFFS = diffs()


def program(title: str, kept: str) -> str:
    assert {line[:1] for line in DIFFS[title]} <= {"-", "+", " "}
    return "".join(line[1:] + "\n" for line in DIFFS[title] if line[0] in (" ", kept))


def changed_lines(diff: list[str]) -> int:
    """Lines that are added, removed or changed; one that takes the place of another counts once."""
    hunks = re.findall(r"(-*)(\+*)", "".join(line[0] for line in diff if line[1:].strip()))
    return sum(max(len(removed), len(added)) for removed, added in hunks)


@pytest.fixture
def points(tmp_path, monkeypatch):
    """A folder with the file that the page makes for all programs."""
    monkeypatch.chdir(tmp_path)
    language, text = FENCE.findall(PAGE.read_text("utf-8"))[0]
    assert language == "python"
    exec(compile(text, str(PAGE), "exec"), {})
    return tmp_path


def test_all_four_kinds_of_programs_are_there():
    assert len(DIFFS) == 4 and set(DIFFS) > RUN_ALONE


@pytest.mark.parametrize("title", DIFFS)
def test_fewer_than_ten_lines_change(title):
    assert 0 < changed_lines(DIFFS[title]) < 10


@pytest.mark.parametrize("title", DIFFS)
def test_the_old_program_is_one(title):
    old = program(title, "-")
    compile(old, str(PAGE), "exec")
    assert "tensorsparkml" not in old


@pytest.mark.full
@pytest.mark.parametrize("title", sorted(RUN_ALONE))
def test_the_old_program_runs_alone(title, points):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [sys.executable, "-c", program(title, "-")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=840,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.full
@pytest.mark.parametrize("title", DIFFS)
def test_the_new_program_runs_on_two_nodes(title, points, spark):
    new = program(title, "+")
    assert "num_workers=2" in new
    exec(compile(new, str(PAGE), "exec"), {"__name__": "__main__", "spark": spark})


def test_changed_lines_are_counted():
    assert changed_lines([" a", "-b", "+c", " d"]) == 1
    assert changed_lines(["-a", "-b", "+c", " d", "+e", "+", " f", "-g"]) == 4
