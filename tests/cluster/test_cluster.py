"""What a program and its user see of a cluster that works."""

import contextlib
import json
import logging
import os
import threading
from pathlib import Path

import psutil
import pytest

import tensorsparkml as tsm
from tensorsparkml import errors


def describe_node(args, ctx):
    return {
        "role": ctx.role,
        "task_index": ctx.task_index,
        "rank": ctx.rank,
        "num_workers": ctx.num_workers,
        "is_chief": ctx.is_chief,
        "cluster_spec": ctx.cluster_spec,
        "default_fs": ctx.default_fs,
        "path": ctx.absolute_path("model"),
        "environment": dict(os.environ),
        "tensorflow_loaded": "tensorflow" in __import__("sys").modules,
        "pid": os.getpid(),
    }


def test_context(spark):
    chief, worker, second = tsm.run(
        describe_node, spark=spark, num_workers=3, environment={"GREETING": "hello"}
    )
    assert (chief["role"], chief["task_index"], chief["rank"]) == ("chief", 0, 0)
    assert (worker["role"], worker["task_index"], worker["rank"]) == ("worker", 0, 1)
    assert (second["role"], second["task_index"], second["rank"]) == ("worker", 1, 2)
    assert [node["is_chief"] for node in (chief, worker, second)] == [True, False, False]
    spec = chief["cluster_spec"]
    assert {role: len(addresses) for role, addresses in spec.items()} == {"chief": 1, "worker": 2}
    assert len({address for addresses in spec.values() for address in addresses}) == 3
    for node in (chief, worker, second):
        assert node["num_workers"] == 3
        assert node["cluster_spec"] == spec
        assert node["path"] == str(Path.cwd() / "model")
        assert node["default_fs"].startswith("file:")
        assert not node["tensorflow_loaded"]
        environment = node["environment"]
        assert environment["GREETING"] == "hello"
        task = {"type": node["role"], "index": node["task_index"]}
        assert json.loads(environment["TF_CONFIG"]) == {"cluster": spec, "task": task}
        assert environment["DTENSOR_CLIENT_ID"] == str(node["rank"])
        assert environment["DTENSOR_NUM_CLIENTS"] == "3"
        assert environment["DTENSOR_JOBS"] == ",".join(spec["chief"] + spec["worker"])


def test_args_and_results_are_any_objects(spark):
    args = {"rates": (1, 2.5), "names": {"a"}}
    assert tsm.run(lambda args, ctx: (ctx.rank, args), args, spark=spark, num_workers=2) == [
        (0, args),
        (1, args),
    ]


def talk(args, ctx):
    for number in range(args):
        print(f"line {number}")
    print("überlauf", flush=True)
    return ctx.log_dir


def test_output_reaches_the_driver_and_is_kept(spark, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="tensorsparkml.node"):
        tsm.run(talk, 3, spark=spark, num_workers=2, log_dir=str(tmp_path))
    records = [record.getMessage() for record in caplog.records if record.name.endswith(".node")]
    for node in ("chief:0", "worker:0"):
        mine = [record for record in records if record.startswith(f"[{node}]")]
        assert mine == [f"[{node}] line {n}" for n in range(3)] + [f"[{node}] überlauf"]
    whole = (tmp_path / "nodes" / "worker-0.log").read_text()
    assert whole == "line 0\nline 1\nline 2\nüberlauf\n"


def test_output_is_live(spark, tmp_path, caplog):
    # The node goes on only after the driver has seen what it printed.
    seen = tmp_path / "seen"

    def main(args, ctx):
        print("are you there?", flush=True)
        while not seen.exists():
            threading.Event().wait(0.02)

    class Answer(logging.Handler):
        def emit(self, record):
            if "are you there?" in record.getMessage():
                seen.touch()

    logger = logging.getLogger("tensorsparkml.node")
    handler = Answer()
    logger.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, logger="tensorsparkml.node"):
            tsm.run(main, spark=spark)
    finally:
        logger.removeHandler(handler)


def test_flood_of_output_is_bounded_at_the_driver_and_whole_on_the_node(spark, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="tensorsparkml.node"):
        tsm.run(talk, 200_000, spark=spark, log_dir=str(tmp_path))
    whole = (tmp_path / "nodes" / "chief-0.log").read_text().splitlines()
    assert len(whole) == 200_001
    messages = [record.getMessage() for record in caplog.records]
    assert messages[-1] == "[chief:0] überlauf"
    left_out = sum(int(m.split("… ")[1].split()[0]) for m in messages if "lines left out" in m)
    relayed = sum("lines left out" not in m for m in messages if m.startswith("[chief:0]"))
    assert relayed + left_out == 200_001


def test_two_clusters_one_after_the_other_and_at_the_same_time(spark):
    def count(args, ctx):
        feed, rows = ctx.feed(), 0
        while not feed.should_stop():
            rows += len(feed.next_batch(10)["id"])
        return args, rows

    with (
        tsm.Cluster(count, "first", spark=spark, num_workers=1) as first,
        tsm.Cluster(count, "second", spark=spark, num_workers=2) as second,
    ):
        # Their feeds cross: each gets its own rows.
        second.train(spark.range(300))
        first.train(spark.range(100))
    assert first.results == [("first", 100)]
    assert second.results == [("second", 150), ("second", 150)]
    assert tsm.run(count, "third", spark=spark, data=spark.range(7)) == [("third", 7)]


def test_nodes_share_an_executor(spark):
    results = tsm.run(
        lambda args, ctx: os.environ["SPARK_EXECUTOR_DIRS"], spark=spark, num_workers=4
    )
    assert len(results) == 4
    assert len(set(results)) == 2


def test_what_main_starts_ends_with_it(spark):
    def main(args, ctx):
        import subprocess

        return subprocess.Popen(["sleep", "1000"]).pid

    for pid in tsm.run(main, spark=spark, num_workers=2):
        with contextlib.suppress(psutil.NoSuchProcess):
            assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_spools_are_removed(spark, tmp_path):
    def main(args, ctx):
        feed = ctx.feed()
        feed.next_batch(10)
        return sum(path.stat().st_size for path in Path(args).rglob("*.arrow"))

    results = tsm.run(
        main,
        str(tmp_path),
        spark=spark,
        num_workers=2,
        data=spark.range(5000),
        work_dir=str(tmp_path),
    )
    assert max(results) > 10_000
    assert not list(tmp_path.rglob("*.arrow"))


def test_block_that_raises_ends_the_cluster_at_once(spark):
    def main(args, ctx):
        threading.Event().wait()

    with (
        pytest.raises(KeyError),
        tsm.Cluster(main, spark=spark, num_workers=2),
    ):
        raise KeyError("mine")


def test_a_feed_is_fed_once(spark):
    def main(args, ctx):
        ctx.feed().next_batch(10)

    with (
        pytest.raises(errors.ConfigurationError, match="'train' was already delivered"),
        tsm.Cluster(main, spark=spark) as cluster,
    ):
        cluster.train(spark.range(10))
        cluster.train(spark.range(10))


def test_missing_column(spark):
    def main(args, ctx):
        ctx.feed(columns=["label"]).next_batch(10)

    with pytest.raises(errors.MissingColumnError, match=r"no column 'label'.* it has id"):
        tsm.run(main, spark=spark, data=spark.range(10))


def test_module_that_only_the_driver_has(spark, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def double(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import only_here

    double = only_here.double
    with pytest.raises(errors.MissingPackageError, match="addPyFile"):
        tsm.run(lambda args, ctx: double(ctx.rank), spark=spark)


def describe_single_node(args, ctx):
    import keras
    import tensorflow as tf

    dataset = ctx.dataset(batch_size=4, features="id")
    plain = ctx.strategy is tf.distribute.get_strategy() and not tf.distribute.has_strategy()
    trainer = keras.src.backend.tensorflow.trainer
    return (
        plain,
        isinstance(dataset, tf.data.Dataset),
        hasattr(trainer.TensorFlowTrainer._make_function, "__wrapped__"),
        hasattr(trainer.reduce_per_replica, "__wrapped__"),
    )


def test_a_single_node_uses_no_distribution_and_no_repair_of_it(spark):
    [found] = tsm.run(describe_single_node, spark=spark, data=spark.range(10))
    # How steps are counted is repaired on a single node too; what several need is not.
    assert found == (True, True, True, False)
