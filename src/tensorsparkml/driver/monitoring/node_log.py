"""Log records of the driver for the nodes' output and the progress of training."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import assert_never

from tensorsparkml.control.protocol.events import (
    EpochEnded,
    Lines,
    LogEvent,
    NodeWarning,
    TensorBoardAt,
)
from tensorsparkml.driver.monitoring.progress_display import beside_bars, progress_logger

logger = logging.getLogger(__name__)
node_logger = logging.getLogger("tensorsparkml.node")


def relay_lines(node: str, lines: Sequence[str]) -> None:
    """Log the lines that a node printed, each after the node's name."""
    if node_logger.isEnabledFor(logging.INFO):
        with beside_bars():
            for line in lines:
                node_logger.info("[%s] %s", node, line)


def relay_warning(node: str, message: str) -> None:
    """Log a warning of a node's agent."""
    with beside_bars():
        logger.warning("[%s] %s", node, message)


def log_tensorboard(url: str) -> None:
    """Log TensorBoard's URL."""
    with beside_bars():
        logger.info("TensorBoard is at %s", url)


def relay_epoch(node: str, event: EpochEnded) -> None:
    """Log one line about an epoch that a node has trained."""
    if progress_logger.isEnabledFor(logging.INFO):
        with beside_bars():
            progress_logger.info("[%s] %s", node, describe_epoch(event))


def relay_event(node: str, event: LogEvent) -> None:
    """Log an event of a node."""
    match event:
        case Lines(lines):
            relay_lines(node, lines)
        case NodeWarning(message):
            relay_warning(node, message)
        case EpochEnded():
            relay_epoch(node, event)
        case TensorBoardAt(url):
            if url is not None:
                log_tensorboard(url)
        case _:
            assert_never(event)


def describe_epoch(event: EpochEnded) -> str:
    """Return a line about an epoch."""
    of = f"/{event.epochs}" if event.epochs else ""
    metrics = " ".join(f"{name} {value:.4f}" for name, value in event.logs.items())
    speed = event.rows / event.seconds if event.seconds else 0.0
    return f"epoch {event.epoch}{of}: {metrics} ({event.rows:,} rows, {speed:,.0f} rows/s)"
