"""The first prediction: a Python worker starts, imports TensorFlow, and loads the model.

Run as a program, it starts an application and measures one side: `… ours` or `… theirs`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from benchmarks import data
from benchmarks.predictions.cases import CASES
from benchmarks.predictions.models import model_path
from benchmarks.session import Session


def seconds_to_first(side: str) -> float:
    """Return the time from the action to its result, in an application of its own."""
    model_path("floats")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.predictions.cold", side],
        cwd=data.ROOT,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return float(json.loads(done.stdout.splitlines()[-1]))


def _main(side: str) -> None:
    session = Session()
    frame = session.spark.range(1).selectExpr("transform(sequence(1, 784), i -> float(i)) AS x")
    frame = frame.repartition(1)
    frame.collect()
    case, path = CASES["floats"], model_path("floats")
    predicted = frame.select(case.ours(path) if side == "ours" else case.theirs(path, 256))
    begin = time.monotonic()
    predicted.collect()
    seconds = time.monotonic() - begin
    session.close()
    print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _main(sys.argv[1])
