"""Starts programs of TensorFlowOnSpark, and reads what their nodes have written."""

import json
from pathlib import Path

from tensorflowonspark import TFCluster


def start(spark, map_fun, tf_args, num_executors=2, num_ps=0, **options):
    return TFCluster.run(spark.sparkContext, map_fun, tf_args, num_executors, num_ps, **options)


def fed(spark, map_fun, tf_args, **options):
    return start(spark, map_fun, tf_args, input_mode=TFCluster.InputMode.SPARK, **options)


def found(folder):
    """What the nodes have written, by executor id."""
    return {int(path.stem): json.loads(path.read_text()) for path in Path(folder).glob("*.json")}
