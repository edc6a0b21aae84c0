"""TensorFlowOnSpark feeding two nodes: a program of its own, because it needs its own executors.

It pairs feed tasks with nodes by a file in the executor's folder, so an executor may have one core
only. Run as `python -m benchmarks.tfos_program ARGUMENTS` (JSON).
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.data import NODES


def main(arguments: dict[str, Any]) -> None:
    """Feed rows twice, and print when which batches arrived and when what had ended."""
    from pyspark.sql import SparkSession

    # TensorFlowOnSpark itself, and not the package of the same name in this distribution.
    TFCluster: Any = import_module("tensorflowonspark.TFCluster")
    spark = (
        SparkSession.builder.master(f"local-cluster[{NODES},1,2048]")
        .appName("tensorflowonspark")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "OFF")
        # A file, a partition.
        .config("spark.sql.files.openCostInBytes", "1g")
        .getOrCreate()
    )
    folder = arguments["folder"]
    frame = spark.read.parquet(*arguments["paths"])
    frame.rdd.map(tuple).count()  # the JVMs compile what the first pass runs
    rows = frame.rdd.map(tuple).cache()

    def map_fun(args: Any, ctx: Any) -> None:
        import json
        import os
        import time

        import numpy as np

        feed, batches = ctx.get_data_feed(train_mode=True), []
        open(os.path.join(folder, f"waits-{ctx.executor_id}"), "w").close()
        while not feed.should_stop():
            found = feed.next_batch(arguments["batch_size"])
            if found:
                x = np.array([row[0] for row in found], np.float32)
                y = np.array([row[1] for row in found], np.int32)
                assert len(x) == len(y)
                batches.append((time.time(), len(x)))
        partial = os.path.join(folder, f"partial-{ctx.executor_id}")
        with open(partial, "w") as file:
            json.dump(batches, file)
        os.rename(partial, os.path.join(folder, f"batches-{ctx.executor_id}"))

    cluster = TFCluster.run(
        spark.sparkContext, map_fun, [], NODES, 0, input_mode=TFCluster.InputMode.SPARK
    )
    while len(list(Path(folder).glob("waits-*"))) < NODES:
        time.sleep(0.01)
    begin = time.time()
    cluster.train(rows, num_epochs=2)
    cluster.shutdown()
    ended = time.time()
    while len(list(Path(folder).glob("batches-*"))) < NODES:
        time.sleep(0.01)
    nodes = [json.loads(path.read_text()) for path in sorted(Path(folder).glob("batches-*"))]
    print(json.dumps({"begin": begin, "ended": ended, "nodes": nodes}), flush=True)
    spark.stop()


if __name__ == "__main__":
    os.environ["PYSPARK_PYTHON"] = sys.executable
    main(json.loads(sys.argv[1]))
