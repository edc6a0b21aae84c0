"""The same rows through TensorFlowOnSpark 2.2.5, with its `DataFeed` and arrays of NumPy.

It is installed into a folder of its own, and gets a Spark application of its own with two executors
of one core each, which is the only shape in which it pairs feed tasks with nodes. It gets fewer
rows, because it is slow: a rate is rows per second either way. In the first pass Spark reads them
from the Parquet files on both sides, in JVMs that have done so before; there it caches them in
Spark's memory, from which later passes are fed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache

import pyarrow.parquet as pq

from benchmarks import data
from benchmarks.first_pass import feed_rates
from benchmarks.report import AtLeast, Comparison, Series
from benchmarks.session import Session

VERSION = "2.2.5"
_KIND = "floats"


@dataclass
class TfosRuns:
    """Of each repeat, rows per second of both passes, and the seconds of the shutdown."""

    first: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)
    shutdowns: list[float] = field(default_factory=list)


@cache
def tfos_runs(session: Session, repeats: int) -> TfosRuns:
    """Run TensorFlowOnSpark; the result is kept for other benchmarks of this run."""
    runs = TfosRuns()
    for _ in range(repeats):
        _run_once(session, runs)
    return runs


def environment() -> dict[str, str]:
    """Return the environment of a program that uses it, which is installed when it is not there."""
    home = data.CACHE / f"tensorflowonspark-{VERSION}"
    if not home.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        # Newer ones have no `pkg_resources`, which it imports.
        packages = [f"tensorflowonspark=={VERSION}", "setuptools<81"]
        subprocess.run([*pip, str(home), *packages], check=True)
    path = os.pathsep.join([str(home), str(data.ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def _run_once(session: Session, runs: TfosRuns) -> None:
    size = data.KINDS[_KIND].batch_size
    paths = [str(path) for path in data.parquet_files(_KIND, session.rows(_KIND))][: data.NODES]
    rows = sum(pq.read_metadata(path).num_rows for path in paths)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        arguments = {
            "folder": folder,
            "paths": paths,
            "batch_size": size,
        }
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.tfos_program", json.dumps(arguments)],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        )
    found = json.loads(done.stdout.splitlines()[-1])
    # A batch that is not full is only given out when the feed ends, so at the end of the first pass
    # each node may still keep one.
    batches = sorted((end, rows) for node in found["nodes"] for end, rows in node if rows == size)
    end_of_first, first = _reach(batches, rows - data.NODES * size)
    end_of_last, last = batches[-1][0], sum(rows for _, rows in batches)
    runs.first.append(first / (end_of_first - found["begin"]))
    runs.later.append((last - first) / (end_of_last - end_of_first))
    runs.shutdowns.append(found["ended"] - end_of_last)


def _reach(batches: list[tuple[float, int]], wanted: int) -> tuple[float, int]:
    """When so many rows had arrived, and how many that were."""
    total = 0
    for end, rows in batches:
        total += rows
        if total >= wanted:
            return end, total
    raise ValueError(f"TensorFlowOnSpark delivered {total} rows, and not {wanted}")


def run(session: Session, repeats: int, kinds: list[str]) -> list[Comparison]:
    """Compare the rates of both passes."""
    ours = feed_rates(session, _KIND, repeats, True)
    theirs = tfos_runs(session, repeats)
    layout = data.KINDS[_KIND]
    return [
        Comparison(
            what=f"{name}, {layout.title}, batches of {layout.batch_size:,}",
            against=f"TensorFlowOnSpark {VERSION}",
            ours=Series("rows/s", our_rates),
            theirs=Series("rows/s", their_rates),
            limit=limit,
        )
        for name, our_rates, their_rates, limit in [
            ("first pass", ours.first, theirs.first, AtLeast(30)),
            ("every later pass", ours.later, theirs.later, AtLeast(100)),
        ]
    ]
