"""Log records of the driver for the nodes' output and the progress of training."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tensorsparkml.driver.progress_display import beside_bars, progress_logger

logger = logging.getLogger(__name__)
node_logger = logging.getLogger("tensorsparkml.node")


def relay_lines(node: str, lines: Sequence[str]) -> None:
    """Log the lines that a node printed, each behind the node's name."""
    if node_logger.isEnabledFor(logging.INFO):
        with beside_bars():
            for line in lines:
                node_logger.info("[%s] %s", node, line)


def relay_warning(node: str, message: str) -> None:
    """Log what a node's agent warns of."""
    with beside_bars():
        logger.warning("[%s] %s", node, message)


def log_tensorboard(url: str) -> None:
    """Log where TensorBoard serves."""
    with beside_bars():
        logger.info("TensorBoard is at %s", url)


def relay_epoch(node: str, event: Mapping[str, Any]) -> None:
    """Log one line about an epoch that a node has trained."""
    if progress_logger.isEnabledFor(logging.INFO):
        with beside_bars():
            progress_logger.info("[%s] %s", node, describe_epoch(event))


def describe_epoch(event: Mapping[str, Any]) -> str:
    """Return one line about an epoch.

    Args:
        event: `epoch` counted from 1, `epochs` or None, `logs` by metric name, `seconds`, and
            `rows` that all nodes read in that time.
    """
    of = f"/{event['epochs']}" if event.get("epochs") else ""
    metrics = " ".join(f"{name} {value:.4f}" for name, value in event["logs"].items())
    speed = event["rows"] / event["seconds"] if event["seconds"] else 0.0
    return f"epoch {event['epoch']}{of}: {metrics} ({event['rows']:,} rows, {speed:,.0f} rows/s)"
