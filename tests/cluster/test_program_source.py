"""Executors that do not have the program's file still see its source."""

import importlib
import shutil
import sys

import pytest

import tensorsparkml as tsm

PROGRAM = """
def main(args, ctx):
    import tensorflow as tf

    dataset = ctx.dataset(batch_size=4, features="id")
    with ctx.strategy.scope():
        rows = tf.Variable(
            0,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
        )

    def count(batch):
        if tf.size(batch) == 4:
            rows.assign_add(tf.size(batch))

    @tf.function
    def full_batches():
        for batch in dataset:
            ctx.strategy.run(count, args=(batch,))

    full_batches()
    raise KeyError(int(rows.numpy()))
"""


@pytest.mark.parametrize(("nodes", "rows"), [pytest.param(1, 12, marks=pytest.mark.full), (2, 8)])
def test_a_loop_in_a_graph_and_a_traceback(spark, tmp_path, monkeypatch, nodes, rows):
    home = tmp_path / "beside_the_notebook"
    home.mkdir()
    (home / "training_program.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(home)
    monkeypatch.delitem(sys.modules, "training_program", raising=False)
    main = importlib.import_module("training_program").main
    cluster = tsm.Cluster(main, spark=spark, num_workers=nodes, direct=spark.range(13))
    shutil.rmtree(home)
    with pytest.raises(tsm.errors.MainError) as caught, cluster:
        pass
    assert "raise KeyError(int(rows.numpy()))" in (caught.value.remote_traceback or "")
    assert str(home / "training_program.py") in caught.value.remote_traceback
    # Those of 13 rows that are in full batches: of 4, 4, 4, 1, or of two nodes' 4, 3 and 4, 2.
    assert caught.value.message == f"main raised KeyError: {rows}"
