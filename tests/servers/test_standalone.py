"""The demo on a standalone cluster whose executors have one core: slots must be released."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.full

DEMO = Path(__file__).parents[2] / "examples" / "mnist_keras.py"


def test_demo(standalone, tmp_path):
    result = subprocess.run(
        [sys.executable, str(DEMO), "--master", standalone, "--epochs", "3",
         "--output", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=840,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 nodes run, slots are released" in result.stdout
    epochs = re.findall(r"epoch (\d)/3: accuracy [\d.]+ loss [\d.]+ \(12,000 rows", result.stdout)
    assert epochs == ["1", "2", "3"]
    accuracy = re.search(r"test accuracy +([\d.]+)", result.stdout)
    assert accuracy is not None
    assert float(accuracy.group(1)) > 0.95
    assert (tmp_path / "model" / "saved_model.pb").exists()
    for node in ("chief-0", "worker-0"):
        assert (tmp_path / "logs" / "nodes" / f"{node}.log").exists()
    assert list((tmp_path / "logs").rglob("events.out.tfevents*"))
