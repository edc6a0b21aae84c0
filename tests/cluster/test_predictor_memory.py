"""Rows that are larger than the memory of executors go through models."""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf
from pyspark.sql import functions as F

import tensorsparkml as tsm

ROW_BYTES = 2**16
ROWS = 2**15
MOST_BYTES = 300 * 2**20


class Largest(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, ROW_BYTES], tf.uint8, "x")])
    def __call__(self, x):
        return {"largest": tf.reduce_max(x, axis=1)}


def process(rows):
    return np.full(len(rows), os.getpid())


def memory(rows):
    """The most that the process had since it was asked before."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmHWM")]
    Path("/proc/self/clear_refs").write_text("5")
    return np.full(len(rows), int(line.split()[1]) * 1024)


def most_by_process(spark, predictor, rows):
    """The most memory that each Python process had, by its id, while the rows went through it."""
    outputs = {
        "process": tsm.Output("largest", "bigint", function=process),
        "memory": tsm.Output("largest", "bigint", function=memory),
    }
    # Each row is made anew by the executors, and none of them is kept.
    content = F.repeat(F.chr(F.col("id") % 26 + 97), ROW_BYTES).cast("binary").alias("x")
    found = predictor.transform(spark.range(0, rows, 1, 8).select(content), outputs=outputs)
    summed = found.groupBy("process").agg(F.max("memory").alias("memory"), F.count("*").alias("n"))
    by_process = summed.collect()
    assert sum(row.n for row in by_process) == rows
    return {row.process: row.memory for row in by_process}


def test_two_gigabytes_take_little_memory_of_python_workers(spark, tmp_path):
    assert ROWS * ROW_BYTES == 2 * 2**30
    assert spark.conf.get("spark.master") == "local-cluster[2,2,1024]"
    module = Largest()
    tf.saved_model.save(module, str(tmp_path), {"serving_default": module.__call__})
    predictor = tsm.load_model(tmp_path, spark=spark)
    most_by_process(spark, predictor, 8)  # loads the model
    before = most_by_process(spark, predictor, 8)
    after = most_by_process(spark, predictor, ROWS)
    grown = {each: after[each] - before[each] for each in after.keys() & before.keys()}
    assert grown
    assert max(grown.values()) < MOST_BYTES, grown
