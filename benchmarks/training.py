"""Training and its start: the demo's model, fed by Spark, against bare processes.

The bare side is two processes under `MultiWorkerMirroredStrategy` that a shell script starts, with
the same rows, batch size and number of steps. Their rows are in memory. They use the library's
repair of Keras too, without which `fit` fails there, so that only Spark and the feed differ. The
two sides take turns, each time in new processes.

Steps are counted from the end of the first, which compiles, to the end of the last, ends of epochs
included. The start is from the call of `tsm.run`, in a Spark application that has run Python
before, or of the shell script, to the end of the chief's first step.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import tensorsparkml as tsm
from benchmarks import data, nodes
from benchmarks.bare import command
from benchmarks.first_pass import count_rows
from benchmarks.report import AtLeast, AtMostLonger, Comparison, Series
from benchmarks.session import Session

_BATCH_SIZE = 64
_EPOCHS = 4
_SCRIPT = Path(__file__).with_name("bare.sh")


@dataclass
class Trained:
    """Of each repeat, the steps per second and the seconds to the first."""

    rates: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)

    def add(self, called: float, ends: list[float]) -> None:
        """Add a repeat: when it was called, and when its steps ended."""
        self.rates.append((len(ends) - 1) / (ends[-1] - ends[0]))
        self.starts.append(ends[0] - called)


@cache
def trainings(session: Session, repeats: int) -> tuple[Trained, Trained]:
    """Train in turns; ours and theirs, kept for the other benchmark of this run."""
    examples = str(data.ROOT / "examples" / "mnist_keras.py")
    session.spark.sparkContext.addPyFile(examples)
    digits = session.spark.read.parquet(str(data.digits()))
    assert count_rows(digits) == digits.count()  # Spark has started its Python, too
    ours, theirs = Trained(), Trained()
    for _ in range(repeats):
        args = {"batch_size": _BATCH_SIZE, "epochs": _EPOCHS}
        called = time.time()
        ends = tsm.run(
            nodes.train_digits, args, spark=session.spark, data=digits, num_workers=data.NODES
        )[0]
        ours.add(called, ends)
        called = time.time()
        bare_ends = _train_bare()
        assert len(bare_ends) == len(ends), (len(bare_ends), len(ends))
        theirs.add(called, bare_ends)
    return ours, theirs


def _train_bare() -> list[float]:
    sources = [str(path) for path in data.digits_in_arrays()]
    arguments = {"batch_size": _BATCH_SIZE, "epochs": _EPOCHS, "sources": sources}
    done = subprocess.run(
        [str(_SCRIPT), *map(str, _free_ports()), *command("train", arguments)],
        cwd=data.ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "1", "KERAS_BACKEND": "tensorflow"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    ends: list[float] = json.loads(done.stdout.splitlines()[-1])
    return ends


def _free_ports() -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(data.NODES)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def run_steps(session: Session, repeats: int, kinds: list[str]) -> list[Comparison]:
    """Compare steps per second."""
    ours, theirs = trainings(session, repeats)
    return [
        Comparison(
            what=f"training the demo's model, fed, batches of {_BATCH_SIZE}",
            against="the same from memory, bare `MultiWorkerMirroredStrategy` processes",
            ours=Series("steps/s", ours.rates),
            theirs=Series("steps/s", theirs.rates),
            limit=AtLeast(0.95),
        )
    ]


def run_start(session: Session, repeats: int, kinds: list[str]) -> list[Comparison]:
    """Compare the time to the first step."""
    ours, theirs = trainings(session, repeats)
    return [
        Comparison(
            what="start: from `tsm.run` to the end of the first training step",
            against="the same two bare processes started by a shell script",
            ours=Series("s", ours.starts),
            theirs=Series("s", theirs.starts),
            limit=AtMostLonger(2.0),
        )
    ]
