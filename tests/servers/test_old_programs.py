"""Programs of TensorFlowOnSpark on a standalone cluster whose executors have one core."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.full

SCRIPT = Path(__file__).parent / "old_programs_script.py"


def test_old_programs(standalone):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), standalone], capture_output=True, text=True, timeout=840
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    early, late = found.pop("infer, early"), found.pop("infer, late")
    assert "square raised RuntimeError: while rows come" in early
    assert late.startswith("MainError") and "after the last row" in late
    assert found.pop("parallel, too many").startswith("NotEnoughSlotsError: 3 instances need 3")
    assert found == {
        "compute": None,
        "infer": [sum(number * number for number in range(1000))],
        "train": None,
        "parallel, in turn": None,
        "parallel, at once": None,
    }
