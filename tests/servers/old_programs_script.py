"""Programs of TensorFlowOnSpark on two executors of one core, one after the other.

Run as `python old_programs_script.py MASTER`; prints what came of each, as a line of JSON.
"""

import json
import os
import sys

import numpy as np
from pyspark import SparkConf, SparkContext

import tensorsparkml as tsm
from tensorflowonspark import TFCluster, TFNode, TFParallel

NODES = 2
SPARK = TFCluster.InputMode.SPARK


def add(args, ctx):
    import tensorflow as tf

    assert tf.math.add(args["x"], args["y"]).numpy() == 3


def square(args, ctx):
    import tensorflow as tf

    feed = TFNode.DataFeed(ctx.mgr, False)
    while not feed.should_stop():
        squares = tf.math.square(feed.next_batch(batch_size=10))
        feed.batch_results(squares.numpy())
        if args.get("fail") == "early":
            raise RuntimeError("while rows come")
    if args.get("fail") == "late":
        raise RuntimeError("after the last row")


def total(args, ctx):
    feed, rows, seen = ctx.get_data_feed(), 0, 0
    while not feed.should_stop():
        batch = feed.next_batch(32)
        rows, seen = rows + len(batch), seen + sum(number for number, _ in batch)
    assert rows == args["rows"] // NODES, rows
    assert seen > 0


def outcome(program):
    try:
        return program()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main(master):
    tsm.ensure_java()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    conf = SparkConf().setMaster(master).setAppName("old programs")
    conf.set("spark.driver.host", "127.0.0.1").set("spark.ui.enabled", "false")
    sc = SparkContext(conf=conf.set("spark.log.level", "OFF"))
    rows = sc.parallelize([[number] for number in range(1000)], 10)

    def run(map_fun, tf_args, **options):
        return TFCluster.run(sc, map_fun, tf_args, NODES, 0, **options)

    def compute():
        run(add, {"x": 1, "y": 2}).shutdown()

    def infer(**tf_args):
        cluster = run(square, tf_args, input_mode=SPARK)
        found = cluster.inference(rows).sum()
        cluster.shutdown(grace_secs=3)
        return np.asarray(found).tolist()

    def train():
        cluster = run(total, {"rows": 3000}, input_mode=SPARK)
        cluster.train(rows.map(lambda row: (row[0], "text")), num_epochs=3)
        cluster.shutdown()

    def parallel(instances, use_barrier):
        TFParallel.run(sc, add, {"x": 1, "y": 2}, instances, use_barrier=use_barrier)

    found = {
        "compute": outcome(compute),
        "infer": outcome(infer),
        "infer, early": outcome(lambda: infer(fail="early")),
        "infer, late": outcome(lambda: infer(fail="late")),
        "train": outcome(train),
        "parallel, in turn": outcome(lambda: parallel(NODES + 1, False)),
        "parallel, at once": outcome(lambda: parallel(NODES, True)),
        "parallel, too many": outcome(lambda: parallel(NODES + 1, True)),
    }
    sc.stop()
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
