"""What nodes print and how they train, in the driver's log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tensorsparkml.control.protocol.events import EpochEnded, Lines, NodeWarning, TensorBoardAt
from tensorsparkml.driver.monitoring.node_log import describe_epoch, relay_event

EVENT = EpochEnded(
    epoch=2, epochs=5, logs={"accuracy": 0.98765, "loss": 12.0}, seconds=2.5, rows=60_000
)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, "epoch 2/5: accuracy 0.9877 loss 12.0000 (60,000 rows, 24,000 rows/s)"),
        (
            {"epochs": None, "logs": {"loss": 0.5}},
            "epoch 2: loss 0.5000 (60,000 rows, 24,000 rows/s)",
        ),
        ({"seconds": 0.0, "rows": 3, "logs": {"a": 1.0}}, "epoch 2/5: a 1.0000 (3 rows, 0 rows/s)"),
    ],
)
def test_an_epoch_is_one_line(change: dict[str, Any], line: str) -> None:
    assert describe_epoch(replace(EVENT, **change)) == line


def test_an_epoch_is_logged_as_progress(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        relay_event("chief:0", EVENT)
    [record] = caplog.records
    assert record.name == "tensorsparkml.progress"
    assert record.getMessage() == f"[chief:0] {describe_epoch(EVENT)}"


def test_lines_are_logged_behind_the_node_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        relay_event("worker:1", Lines(("100% done", "%s %d")))
    assert [record.getMessage() for record in caplog.records] == [
        "[worker:1] 100% done",
        "[worker:1] %s %d",
    ]
    assert {record.name for record in caplog.records} == {"tensorsparkml.node"}


def test_warnings_and_tensorboard_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        relay_event("chief:0", NodeWarning("the disk is slow"))
        relay_event("chief:0", TensorBoardAt("http://h:6006"))
        relay_event("chief:0", TensorBoardAt(None))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "[chief:0] the disk is slow"),
        ("INFO", "TensorBoard is at http://h:6006"),
    ]
