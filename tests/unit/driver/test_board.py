"""What the driver decides about TensorBoard."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tensorsparkml.config import ClusterConfig
from tensorsparkml.driver.monitoring.tensorboard import DriverBoard, absolute_log_dir
from tensorsparkml.errors import MissingPackageError


def test_log_folders_are_absolute_or_uris(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_log_dir("logs") == f"{tmp_path}/logs"
    assert absolute_log_dir("/mnt/../logs") == "/logs"
    assert absolute_log_dir("file:///mnt/logs") == "/mnt/logs"
    assert absolute_log_dir("s3://bucket/logs") == "s3://bucket/logs"


def test_a_driver_without_the_package_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    DriverBoard(ClusterConfig(tensorboard="chief"))
    with pytest.raises(MissingPackageError, match=r"tensorsparkml\[tensorboard\]"):
        DriverBoard(ClusterConfig(tensorboard="driver", log_dir="/logs"))
