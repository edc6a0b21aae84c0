"""TensorBoard beside a cluster that trains, and its files afterwards."""

import json
import logging
import re
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
from node_processes import node_processes, wait_until

import tensorsparkml as tsm
from tensorsparkml import errors


def boards() -> list[psutil.Process]:
    return [
        process
        for process in node_processes()
        if "tensorsparkml.board.process" in process.cmdline()
    ]


def agent_of(board: psutil.Process) -> psutil.Process:
    parent = board.parent()
    assert "tensorsparkml.executor.agent" in parent.cmdline()
    return parent


def wait_for(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.02)


def train(seen, ctx):
    """Train, and hold the last epoch until somebody has seen the first ones."""
    import keras

    with ctx.strategy.scope():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(loss="mse")
    dataset = ctx.dataset(
        batch_size=8, features="x", label="y", transform=lambda x, y: (x[:, None], y[:, None])
    )
    hold = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: wait_for(seen) if epoch == 2 else None
    )
    model.fit(dataset, epochs=3, verbose=0, callbacks=[*ctx.callbacks(tensorboard=True), hold])
    return ctx.log_dir


def tags(url: str) -> dict:
    with urllib.request.urlopen(f"{url}data/plugin/scalars/tags", timeout=300) as reply:
        return json.load(reply)


def losses(folder: Path) -> list[float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    found = [events.Tensors(tag) for tag in events.Tags()["tensors"] if tag == "epoch_loss"]
    return [event.step for event in found[0]]


@pytest.mark.parametrize(
    ("place", "uri"),
    [
        pytest.param("chief", "{}", marks=pytest.mark.full),
        ("chief", "local://{}"),
        pytest.param("driver", "file://{}", marks=pytest.mark.full),
    ],
    ids=["chief", "other filesystem", "driver"],
)
def test_training_is_seen_while_it_runs_and_afterwards(spark, tmp_path, caplog, place, uri):
    seen, logs = tmp_path / "seen", tmp_path / "logs"
    data = spark.range(0, 64, 1, 2).selectExpr("float(id) / 64 AS x", "float(id) / 32 AS y")
    with (
        caplog.at_level(logging.INFO, logger="tensorsparkml.driver"),
        tsm.Cluster(
            train, str(seen), spark=spark, direct=data, num_workers=2, log_dir=uri.format(logs),
            work_dir=str(tmp_path / "work"), tensorboard=place,
        ) as cluster,
    ):  # fmt: skip
        url = cluster.tensorboard_url
        assert re.fullmatch(r"http://(127\.0\.0\.1|localhost):\d+/", url)
        assert wait_until(lambda: "epoch_loss" in tags(url).get("train", {})), tags(url)
        (running,) = boards()
        seen.touch()
    assert cluster.tensorboard_url is None
    assert not running.is_running()
    assert f"TensorBoard is at {url}" in caplog.messages
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert losses(logs / "train") == [0, 1, 2]
    names = {path.name for path in (logs / "nodes").iterdir()}
    nodes = {f"{node}{kind}.log" for node in ("chief-0", "worker-0") for kind in ("", ".agent")}
    assert names == {*nodes, "tensorboard.log"}
    # What was copied elsewhere does not stay on the hosts, too.
    copied = uri.startswith("local")
    assert [Path(folder).exists() for folder in cluster.results] == [not copied] * 2


def stay(path, ctx):
    wait_for(path)
    return "done"


def test_a_tensorboard_that_dies_is_a_warning(spark, tmp_path, caplog):
    go_on = tmp_path / "go on"
    with tsm.Cluster(stay, str(go_on), spark=spark, tensorboard=True, log_dir=str(tmp_path)) as run:
        assert run.tensorboard_url is not None
        (board,) = boards()
        with caplog.at_level(logging.WARNING, logger="tensorsparkml.driver"):
            board.kill()
            assert wait_until(lambda: run.tensorboard_url is None)
            assert wait_until(lambda: bool(caplog.messages))
        go_on.touch()
    assert run.results == ["done"]
    (message,) = caplog.messages
    assert message.startswith("[chief:0] TensorBoard has ended (signal 9); its output is in")
    assert str(tmp_path / "nodes" / "tensorboard.log") in message


def test_an_agent_that_is_killed_leaves_no_tensorboard(spark, tmp_path):
    with (
        pytest.raises(errors.AgentLostError),
        tsm.Cluster(stay, str(tmp_path / "never"), spark=spark, tensorboard=True) as cluster,
    ):
        assert cluster.tensorboard_url is not None
        (board,) = boards()
        family = [board, *board.children(recursive=True)]
        agent_of(board).kill()
        assert wait_until(lambda: not any(process.is_running() for process in family))


def test_without_one_there_is_no_url(spark):
    with tsm.Cluster(lambda args, ctx: ctx.rank, spark=spark) as cluster:
        assert cluster.tensorboard_url is None
    assert cluster.results == [0]


def test_a_filesystem_that_nobody_knows_is_named_before_the_nodes_start(spark):
    with pytest.raises(
        errors.ConfigurationError, match=r"log_dir on .*nosuch://bucket/logs"
    ) as told:
        tsm.run(stay, spark=spark, log_dir="nosuch://bucket/logs")
    assert told.value.node == "chief:0"
