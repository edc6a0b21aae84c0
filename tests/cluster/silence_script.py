"""A driver of its own, whose processes a test stops and continues; or that starts many nodes."""

import logging
import os
import sys
import threading
from pathlib import Path

import tensorsparkml as tsm


def talk(args, ctx):
    """Say something all the time, until told to return."""
    folder = Path(args)
    (folder / f"node-{ctx.rank}").write_text(f"{os.getpid()} {os.getppid()}")
    while not (folder / "return").exists():
        print("talking", flush=True)
        threading.Event().wait(0.1)
    return ctx.rank


def nothing(args, ctx):
    return ctx.rank


if __name__ == "__main__":
    folder, cores, nodes, program = sys.argv[1], *map(int, sys.argv[2:4]), sys.argv[4]
    logging.basicConfig(level=logging.WARNING)
    tsm.ensure_java()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master(f"local-cluster[2,{cores},512]")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "OFF")
        .config("spark.executor.memory", "512m")
        .getOrCreate()
    )
    results = tsm.run(
        {"talk": talk, "nothing": nothing}[program],
        folder,
        spark=spark,
        num_workers=nodes,
        packages=(),
        start_seconds=600.0,
    )
    assert results == list(range(nodes))
    spark.stop()
