"""The slots of a cluster that has failed, which its user has not ended yet."""

import pytest

import tensorsparkml as tsm


def fail(args, ctx):
    raise ValueError("no good")


@pytest.mark.full
def test_they_are_given_back_with_the_failure(spark):
    cluster = tsm.Cluster(fail, spark=spark, num_workers=4, fed=False, packages=())
    cluster.start()
    try:
        with pytest.raises(tsm.errors.MainError, match="no good"):
            cluster.wait(600)
        ranks = tsm.run(lambda args, ctx: ctx.rank, spark=spark, num_workers=4, packages=())
        assert ranks == [0, 1, 2, 3]
    finally:
        cluster.stop()
