"""Every later pass: the nodes read again what they have, against bare processes with local files.

The bare processes, one for each node and at the same time, memory-map Arrow files of the same rows,
cut batches of the same size and give them to `tf.data` as arrays that share the file's memory. They
read without a strategy; ours read the `DistributedDataset` that `model.fit` gets. The same loop,
TensorFlow's own, takes the batches on both sides.
"""

from __future__ import annotations

from benchmarks import data
from benchmarks.bare import run_together
from benchmarks.first_pass import LATER_PASSES, feed_rates
from benchmarks.report import AtLeast, Comparison, Series
from benchmarks.session import Session


def run(session: Session, repeats: int, kinds: list[str]) -> list[Comparison]:
    """Compare the later passes of each kind."""
    found = []
    for kind in kinds:
        layout = data.KINDS[kind]
        sources = [str(path) for path in data.node_files(kind, session.rows(kind))]
        arguments = [{"kind": kind, "source": source, "passes": LATER_PASSES} for source in sources]
        ours = feed_rates(session, kind, repeats, True).later
        theirs = [run_together("read", arguments) for _ in range(repeats)]
        found.append(
            Comparison(
                what=f"every later pass, {layout.title}, batches of {layout.batch_size:,}",
                against="the same Arrow batches from a local file straight into `tf.data`",
                ours=Series("rows/s", ours),
                theirs=Series("rows/s", theirs),
                limit=AtLeast(0.7),
            )
        )
    return found
