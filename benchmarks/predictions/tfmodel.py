"""TensorFlowOnSpark's `TFModel.transform`, in a Spark application of its own.

Run as a program with its arguments in JSON. It gets fewer rows, because it is slow: a rate is rows
per second either way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib import import_module
from typing import Any

import pyarrow.parquet as pq

from benchmarks import data
from benchmarks.session import Session
from benchmarks.tensorflowonspark import environment

_FILES = 4
_BATCH = 1024  # rows


def tfmodel_rates(session: Session, path: str, repeats: int) -> list[float]:
    """Return rows per second of each repeat.

    Args:
        session: Says how many rows there are.
        path: Folder of the SavedModel.
        repeats: How often it is measured.
    """
    files = data.parquet_files("floats", session.rows("floats"))[:_FILES]
    arguments = {"path": path, "files": [str(file) for file in files], "repeats": repeats}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.predictions.tfmodel", json.dumps(arguments)],
        cwd=data.ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    rows = sum(pq.read_metadata(file).num_rows for file in files)
    return [rows / seconds for seconds in json.loads(done.stdout.splitlines()[-1])]


def _main(arguments: dict[str, Any]) -> None:
    # TensorFlowOnSpark itself, and not the package of the same name in this distribution.
    pipeline: Any = import_module("tensorflowonspark.pipeline")
    session = Session()
    frame = session.spark.read.parquet(*arguments["files"])
    model = pipeline.TFModel({})
    model.setInputMapping({"x": "x"}).setOutputMapping({"output_0": "p"})
    model.setExportDir(arguments["path"]).setBatchSize(_BATCH)
    model.setSignatureDefKey("serving_default")
    predicted = model.transform(frame)
    seconds = []
    for _ in range(1 + arguments["repeats"]):
        begin = time.monotonic()
        predicted.write.format("noop").mode("overwrite").save()
        seconds.append(time.monotonic() - begin)
    session.close()
    print(json.dumps(seconds[1:]), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _main(json.loads(sys.argv[1]))
