"""The helpers of the old API: paths, ports, GPUs, and errors that say what to use instead."""

from __future__ import annotations

import argparse
import errno
import os
import socket
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tensorflowonspark import TFNode, gpu_info, util
from tensorflowonspark.arguments import gpus_of
from tensorflowonspark.TFSparkNode import TFNodeContext, call, keep_port
from tensorsparkml.errors import ConfigurationError, NotEnoughGpusError


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("file://", "/a/b", "file:///a/b"),
        ("file://", "a/b", "file:///work/a/b"),
        ("hdfs://nn:8020", "/a/b", "hdfs://nn:8020/a/b"),
        ("hdfs://nn:8020", "a/b", "hdfs://nn:8020/user/me/a/b"),
        ("viewfs://", "a/b", "viewfs:///user/me/a/b"),
        ("s3a://bucket", "a/b", "s3a://bucket/a/b"),
        ("hdfs://nn", "file:///a", "file:///a"),
        ("file://", "gs://bucket/a", "gs://bucket/a"),
    ],
)
def test_paths(monkeypatch: pytest.MonkeyPatch, root: str, path: str, expected: str) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "me")
    ctx = SimpleNamespace(defaultFS=root, working_dir="/work")
    assert TFNode.hdfs_path(ctx, path) == expected
    assert TFNodeContext(defaultFS=root, working_dir="/work").absolute_path(path) == expected


def can_bind(port: int) -> bool:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", port))
            other.listen()
        except OSError as error:
            assert error.errno == errno.EADDRINUSE
            return False
        return True


def test_a_kept_port_is_nobody_elses_until_it_is_released() -> None:
    with socket.socket() as agents:  # bound, and not listening
        agents.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        agents.bind(("127.0.0.1", 0))
        port = agents.getsockname()[1]
        ctx = TFNodeContext(tmp_socket=keep_port(f"127.0.0.1:{port}"))
        assert ctx.tmp_socket is not None
        assert ctx.tmp_socket.getsockname() == ("127.0.0.1", port)
        assert not can_bind(port)
        ctx.release_port()
        assert ctx.tmp_socket is None
        assert can_bind(port)
        ctx.release_port()  # only warns


def test_training_nodes_are_counted() -> None:
    spec = {"ps": ["a:1"], "chief": ["b:1"], "worker": ["c:1", "d:1"], "evaluator": ["e:1"]}
    ctx = TFNodeContext(3, "worker", 1, spec)
    assert (ctx.num_workers, ctx.worker_num, ctx.executor_id) == (3, 3, 3)


@pytest.mark.parametrize(
    "error",
    [
        AttributeError("module 'tensorflow' has no attribute 'estimator'"),
        ImportError("cannot import name 'estimator' from 'tensorflow' (/x/__init__.py)"),
        ModuleNotFoundError("No module named 'tensorflow_estimator'"),
    ],
)
def test_estimators_are_gone(error: Exception) -> None:
    def map_fun(args: Any, ctx: Any) -> None:
        raise error

    with pytest.raises(ConfigurationError, match=r"no tf.estimator since 2.16. Use Keras"):
        call(map_fun, {}, TFNodeContext())


def test_other_errors_are_left_alone() -> None:
    def map_fun(args: Any, ctx: Any) -> None:
        raise AttributeError("'Model' object has no attribute 'estimator'")

    with pytest.raises(AttributeError, match="'Model' object"):
        call(map_fun, {}, TFNodeContext())


def test_arguments_are_in_argv_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["before"])
    seen = []
    call(lambda args, ctx: seen.append(sys.argv), ["--rate", "3"], TFNodeContext())
    call(lambda args, ctx: seen.append(sys.argv), {"rate": 3}, TFNodeContext())
    assert seen == [["--rate", "3"], ["--rate", "3"]]


@pytest.mark.parametrize("name", ["next_batch", "batch_results", "terminate"])
def test_functions_of_the_first_releases_name_the_feed(name: str) -> None:
    arguments = {"next_batch": (None, 1), "batch_results": (None, []), "terminate": (None,)}
    with pytest.raises(ConfigurationError, match=r"use the methods of ctx.get_data_feed\(\)"):
        getattr(TFNode, name)(*arguments[name])


def test_sessions_are_not_exported() -> None:
    with pytest.raises(ConfigurationError, match=r"use compat.export_saved_model"):
        TFNodeContext().export_saved_model(None, "/x", "serve", {})


def test_rdma_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="rdma"):
        TFNodeContext().start_cluster_server(1, rdma=True)


@pytest.mark.parametrize(
    ("tf_args", "gpus"),
    [
        ({}, None),
        ({"num_gpus": 2}, 2),
        (argparse.Namespace(), None),
        (argparse.Namespace(num_gpus=0), 0),
        (["--num_gpus", "3"], None),
        (None, None),
    ],
)
def test_gpus_of_arguments(tf_args: Any, gpus: int | None) -> None:
    assert gpus_of(tf_args) == gpus


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"GPU-a": 10, "GPU-b": 40, "GPU-c": 30, "GPU-d": 20}
    monkeypatch.setattr(gpu_info, "free_gpu_memory", lambda: free)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("four_gpus")
def test_gpus_with_most_free_memory_come_first() -> None:
    assert gpu_info.is_gpu_available()
    assert gpu_info.get_gpus(2) == "GPU-b,GPU-c"
    assert gpu_info.get_gpus(1, 3, format=gpu_info.AS_LIST) == ["GPU-a"]
    assert gpu_info.get_gpus(2, 1) == "GPU-d,GPU-a"
    assert gpu_info.get_gpus(2, 2) == "GPU-b,GPU-c"
    with pytest.raises(NotEnoughGpusError, match="5 GPUs were requested, but this host has 4"):
        gpu_info.get_gpus(5)


@pytest.mark.usefixtures("four_gpus")
def test_neighbours_take_different_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    nodes = ["10.0.0.1:1", "10.0.0.11:1", "10.0.0.1:2"]
    util.single_node_env(1, 2, nodes)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-c"
    util.single_node_env(1, 1, nodes)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-b"
    util.single_node_env(0)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_without_gpus_none_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_info, "free_gpu_memory", dict)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    util.single_node_env(2, 0)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_the_address_is_sparks_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_LOCAL_IP", "10.1.2.3")
    assert util.get_ip_address() == "10.1.2.3"
    monkeypatch.delenv("SPARK_LOCAL_IP")
    socket.inet_aton(util.get_ip_address())
