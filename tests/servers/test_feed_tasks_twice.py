"""Spark runs slow tasks twice, and those of executors that died: rows count once all the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.full


def test_a_task_that_runs_twice_counts_once(standalone, tmp_path):
    script = Path(__file__).with_name("speculation_script.py")
    done = subprocess.run(
        [sys.executable, str(script), standalone, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=840,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {
        "copied": True,
        "reported": 40_000,
        "rows": 40_000,
        "distinct": 40_000,
        "written": {"happened": [True] * 2, "rows": [40_000] * 2, "distinct": [40_000] * 2},
        "difference": found["difference"],
    }
    assert found["difference"] <= 1
