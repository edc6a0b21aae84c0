"""A feed that stays open gets the rows of several jobs, over which its nodes take turns."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.example_plan import example_plan

from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.driver.feeds import delivery as feeding


class Rows:
    """A source whose jobs are never started."""

    context = None

    def feeding(self, send: Any) -> Any:
        return lambda: send


def test_the_jobs_of_a_feed_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[tuple[str, int]] = []

    def sending(plan: Any, peers: Any, ledger: Any, part: str, job: int, results: Any) -> None:
        jobs.append((part, job))

    monkeypatch.setattr(feeding, "sending", sending)
    monkeypatch.setattr(feeding, "task_results", lambda context, receiver: object())
    coordinator: Any = SimpleNamespace(
        has_feed=lambda name: False, open_feed=lambda ledger: None, readers=lambda: []
    )
    feed = feeding.OpenFeed(coordinator, example_plan(), FeedLedger("train", 8))
    rows: Any = Rows()
    for part in ("12", "13", "14"):  # a query that goes on from its checkpoint
        feed.job(rows, lambda error: None, part)
    assert jobs == [("12/", 0), ("13/", 1), ("14/", 2)]
