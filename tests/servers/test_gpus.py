"""Spark schedules GPUs, which a script invents: what each node's TensorFlow would see."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.full


def test_nodes_get_the_gpus_that_spark_assigned(tmp_path):
    script = Path(__file__).with_name("gpu_script.py")
    environment = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=840,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    loaded, gpus, orders, growth = zip(*found["assigned"], strict=True)
    assert not any(loaded)
    assert sorted(gpus) == ["3", "5", "7", "9"]
    assert set(orders) == {"PCI_BUS_ID"}
    assert set(growth) == {"true"}
    gpus, orders, growth = zip(*map(str.split, found["predicted"]), strict=True)
    assert len(gpus) == 4 and set(gpus) <= {"3", "5", "7", "9"}
    assert (set(orders), set(growth)) == ({"PCI_BUS_ID"}, {"true"})
    wanted = [seen[1] for seen in found["wanted"]]
    assert len(set(wanted)) == 2 and set(wanted) <= {"3", "5", "7", "9"}
    assert [seen[1:] for seen in found["none"]] == [["", None, None]] * 2
    assert [seen[1] for seen in found["given"]] == ["11"]
    node, message = found["too few"]
    assert node == "chief:0"
    assert "gpus=2, but Spark has assigned 1 GPU to the node's task on 127.0.0.1" in message
    assert "spark.task.resource.gpu.amount" in message
