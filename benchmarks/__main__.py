"""Runs benchmarks: `python -m benchmarks feed_first_pass --repeats 3 --kind floats`."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil

from benchmarks import (
    control_plane,
    data,
    endless_stream,
    first_pass,
    large_feed,
    later_pass,
    many_columns,
    many_nodes,
    read_parquet,
    shutdown,
    spark_ml,
    tensorflowonspark,
    training,
)
from benchmarks.predictions import run as predictions
from benchmarks.report import Comparison, comparisons_table, cpu_table, page
from benchmarks.session import MASTER, Session

Run = Callable[[Session, int, list[str]], list[Comparison]]

BENCHMARKS: dict[str, Run] = {
    "feed_first_pass": first_pass.run,
    "feed_later_pass": later_pass.run,
    "tensorflowonspark": tensorflowonspark.run,
    "many_columns": many_columns.run,
    "predictions": predictions.run,
    "read_parquet": read_parquet.run,
    "spark_ml": spark_ml.run,
    "training_steps": training.run_steps,
    "startup": training.run_start,
    "shutdown": shutdown.run,
    "large_feed": large_feed.run,
    "control_plane": control_plane.run,
    "many_nodes": many_nodes.run,
    "endless_stream": endless_stream.run,
}
_IDLE_SECONDS = 2.0  # before each benchmark, in which this run uses no CPU
_PACKAGES = ("pyspark", "tensorflow-cpu", "tensorflow", "keras", "pyarrow", "numpy")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--repeats", type=int, default=3, help="of each measurement")
    parser.add_argument("--kind", action="append", choices=data.KINDS, help="of row; default: all")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the rows to use")
    parser.add_argument("--slots", default="auto", choices=["auto", "hold", "release"])
    parser.add_argument("--write", type=Path, help="page to write the results to")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(BENCHMARKS)):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    return arguments


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _facts(arguments: argparse.Namespace, load: float, seconds: float) -> dict[str, str]:
    packages = [f"{name} {version}" for name in _PACKAGES if (version := _version(name))]
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "CPUs": f"{os.cpu_count()}, {platform.machine()}",
        "load average, begin and end": f"{load:.1f}, {os.getloadavg()[0]:.1f}",
        "versions": ", ".join([f"Python {platform.python_version()}", *packages]),
        "Spark master": f"`{MASTER}`",
        "repeats": str(arguments.repeats),
        "part of the rows": f"{arguments.scale:g}",
        "took": f"{seconds:.0f} s",
    }


def main() -> None:
    """Run what the command line says."""
    arguments = _arguments()
    load, begin = os.getloadavg()[0], time.monotonic()
    session = Session(arguments.slots, arguments.scale)
    found: list[Comparison] = []
    try:
        for name in arguments.names or BENCHMARKS:
            began = time.monotonic()
            others = psutil.cpu_percent(_IDLE_SECONDS) / 100
            new = BENCHMARKS[name](session, arguments.repeats, arguments.kind or list(data.KINDS))
            new = [replace(comparison, others=others) for comparison in new]
            found.extend(new)
            print(f"\n{name}: {time.monotonic() - began:.0f} s\n\n{comparisons_table(new)}")
            if cpu := cpu_table(new):
                print(f"\n{cpu}")
            sys.stdout.flush()
            if arguments.write:
                facts = _facts(arguments, load, time.monotonic() - begin)
                arguments.write.write_text(page(found, facts), "utf-8")
    finally:
        session.close()


if __name__ == "__main__":
    main()
