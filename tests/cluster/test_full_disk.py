"""Rows that fill a node's disk."""

import os
import subprocess

import pytest

import tensorsparkml as tsm


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own, with room for two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a disk, and not in every container")
    yield str(folder)
    subprocess.run(["umount", folder], check=True)


def read(args, ctx):
    feed = ctx.feed()
    while not feed.should_stop():
        feed.next_batch(1000)


@pytest.mark.parametrize("direct", [pytest.param(True, marks=pytest.mark.full), False])
def test_a_full_disk_is_told_with_its_folder(spark, small_disk, direct):
    rows = spark.range(4_000_000, numPartitions=2)
    with (
        pytest.raises(tsm.errors.FeedError) as caught,
        tsm.Cluster(
            read,
            spark=spark,
            num_workers=2,
            packages=(),
            work_dir=small_disk,
            direct=rows if direct else None,
        ) as cluster,
    ):
        if not direct:
            cluster.train(rows)
    message = caught.value.message
    assert f"the disk of {os.uname().nodename} is full: {small_disk}/" in message
    assert "work_dir=…" in message
