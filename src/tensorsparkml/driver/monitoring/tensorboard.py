"""The driver's part of TensorBoard: its URL, and the process on the driver's host."""

from __future__ import annotations

import importlib.util
import logging
import os
from pathlib import Path
from urllib.parse import urlsplit

from tensorsparkml.config import ClusterConfig
from tensorsparkml.control.coordinator.conditions import TensorBoardKnown
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.errors import MissingPackageError
from tensorsparkml.executor.tensorboard import TensorBoard
from tensorsparkml.storage import local_path

logger = logging.getLogger(__name__)


def absolute_log_dir(log_dir: str) -> str:
    """Return the folder for logs as an absolute path or a URI, which all hosts can use."""
    local = local_path(log_dir)
    return log_dir if local is None else os.path.abspath(local)


def wait_for_board(coordinator: Coordinator, seconds: float) -> str | None:
    """Return TensorBoard's URL as soon as it serves, or None if it does not or no longer does.

    Args:
        coordinator: The cluster's coordinator, which gets the URL.
        seconds: How long to wait at most.
    """
    coordinator.wait_for(TensorBoardKnown(), seconds)
    return coordinator.snapshot().tensorboard_url


class DriverBoard:
    """The TensorBoard on the driver's host, if the settings ask for one.

    Args:
        config: The cluster's settings.

    Raises:
        MissingPackageError: The settings ask for it, and the driver's Python lacks it.
    """

    def __init__(self, config: ClusterConfig) -> None:
        self._wanted = config.tensorboard_place == "driver"
        self._board: TensorBoard | None = None
        if self._wanted and importlib.util.find_spec("tensorboard") is None:
            raise MissingPackageError(
                "the driver's Python lacks tensorboard: pip install 'tensorsparkml[tensorboard]'"
            )

    def start(
        self, plan: ClusterPlan, host: str, bind_address: str, coordinator: Coordinator
    ) -> None:
        """Start TensorBoard if the settings ask for it, and tell the coordinator when it serves.

        Args:
            plan: The cluster's plan.
            host: Address at which others reach the driver.
            bind_address: Address to listen on.
            coordinator: The cluster's coordinator.
        """
        if not self._wanted or plan.log_dir is None:
            return

        def serving(url: str) -> None:
            shown = f"[{host}]" if ":" in host else host
            coordinator.tensorboard_at(f"http://{shown}:{urlsplit(url).port}/")

        def ended(message: str) -> None:
            coordinator.tensorboard_at(None)
            logger.warning("%s", message)

        self._board = TensorBoard(Path(plan.log_dir), bind_address, serving, ended)

    def stop(self) -> None:
        """End TensorBoard."""
        if self._board is not None:
            self._board.stop()
