"""Settings are checked when they are made."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import tensorsparkml as tsm
from tensorsparkml.config import ClusterConfig, ClusterSettings, make_config
from tensorsparkml.errors import ConfigurationError


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("num_workers", 0),
        ("num_workers", -1),
        ("num_workers", 2.0),
        ("num_workers", "2"),
        ("num_workers", True),
        ("num_workers", None),
        ("slots", "keep"),
        ("slots", None),
        ("lease_seconds", 0),
        ("lease_seconds", -1.0),
        ("lease_seconds", "6"),
        ("lease_seconds", None),
        ("lease_seconds", float("nan")),
        ("start_seconds", 0.0),
        ("start_seconds", "two minutes"),
        ("packages", "tensorflow"),
        ("environment", {"OMP_NUM_THREADS": 4}),
        ("environment", {1: "x"}),
        ("log_dir", b"logs"),
        ("work_dir", "hdfs://nn/work"),
        ("tensorboard", "executor"),
        ("tensorboard", None),
        ("work_dir", 3),
        ("gpus", -1),
        ("gpus", True),
        ("gpus", 0.5),
        ("gpu_memory_growth", 1),
        ("progress", "bar"),
        ("progress", None),
        ("main_on_ps", 1),
    ],
)
def test_a_bad_value_is_named_with_its_setting(setting: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ClusterConfig(**{setting: value})
    assert setting in caught.value.message
    shown = next(iter(value.values())) if isinstance(value, dict) else value
    assert repr(shown) in caught.value.message


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_workers": 8, "slots": "release"},
        {"lease_seconds": 30, "start_seconds": 0.5},
        {"packages": (), "environment": {"OMP_NUM_THREADS": "4"}},
        {"log_dir": "/mnt/logs", "work_dir": "/scratch"},
        {"progress": False},
        {"gpus": 2, "gpu_memory_growth": True},
        {"gpus": 0},
        {"tensorboard": "chief", "log_dir": "hdfs://nn/logs"},
        {"tensorboard": "driver", "log_dir": "file:///mnt/logs"},
    ],
)
def test_good_values_are_kept(settings: dict[str, Any]) -> None:
    config = make_config(settings)
    assert {name: getattr(config, name) for name in settings} == settings


def test_the_first_node_is_the_chief() -> None:
    assert ClusterConfig().roles.nodes == (("chief", 0),)
    nodes = (("chief", 0), ("worker", 0), ("worker", 1))
    assert ClusterConfig(num_workers=3).roles.nodes == nodes


def test_main_on_parameter_servers_is_for_between_graph_replication() -> None:
    config = ClusterConfig(num_workers=2, num_ps=1, between_graph=True, main_on_ps=True)
    assert config.roles.with_main == [0, 1, 2]
    with pytest.raises(ConfigurationError, match="main_on_ps requires between_graph=True"):
        ClusterConfig(num_workers=2, num_ps=1, main_on_ps=True)


def test_unknown_settings_are_named_with_those_there_are() -> None:
    settings: Any = {"workers": 2, "num_workers": 2, "devices": 1}
    with pytest.raises(ConfigurationError) as caught:
        make_config(settings)
    assert "unknown setting devices, workers;" in caught.value.message
    for name in ClusterConfig.__dataclass_fields__:
        assert name in caught.value.message


def test_editors_know_every_setting() -> None:
    assert list(ClusterSettings.__annotations__) == list(ClusterConfig.__dataclass_fields__)
    for function in (tsm.run, tsm.run_parallel, tsm.Cluster):
        settings = inspect.signature(function).parameters["settings"]
        assert settings.annotation == "Unpack[ClusterSettings]"


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        ClusterConfig().num_workers = 3  # type: ignore[misc]


@pytest.mark.parametrize("log_dir", [None, "hdfs://nn/logs"])
def test_a_tensorboard_of_the_driver_needs_a_folder_that_it_sees(log_dir: str | None) -> None:
    with pytest.raises(ConfigurationError, match='tensorboard="driver" needs a log_dir'):
        ClusterConfig(tensorboard="driver", log_dir=log_dir)


def test_where_tensorboard_runs() -> None:
    assert ClusterConfig().tensorboard_place is None
    assert ClusterConfig(tensorboard=True).tensorboard_place == "chief"
    assert ClusterConfig(tensorboard="chief").tensorboard_place == "chief"
    assert ClusterConfig(tensorboard="driver", log_dir="/x").tensorboard_place == "driver"


@pytest.mark.parametrize(
    ("settings", "packages"),
    [
        ({}, ("tensorflow",)),
        ({"tensorboard": True}, ("tensorflow", "tensorboard")),
        ({"tensorboard": "driver", "log_dir": "/logs"}, ("tensorflow",)),
        ({"legacy_keras": True, "packages": ("a", "b")}, ("a", "b", "tf_keras")),
    ],
)
def test_executors_need_what_the_settings_use(
    settings: dict[str, Any], packages: tuple[str, ...]
) -> None:
    assert ClusterConfig(**settings).required_packages == packages


def test_folders_may_be_paths(tmp_path: Path) -> None:
    config = make_config({"log_dir": tmp_path / "logs", "work_dir": tmp_path})
    assert (config.log_dir, config.work_dir) == (f"{tmp_path}/logs", str(tmp_path))
