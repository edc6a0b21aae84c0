"""Actions run, end and are cancelled, as Spark's do."""

from __future__ import annotations

import threading
from typing import Any

from tensorsparkml.driver.spark.jobs import Action, SparkJob

SECONDS = 60.0  # which only a hang needs


class Jobs:
    """Spark's jobs: one that ends when it may, or when it runs and is cancelled."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.runs = threading.Event()
        self.tags: list[str] = []
        self.cancelled: list[str] = []
        self.error: Exception | None = None

    def run(self) -> list[Any]:
        self.runs.set()
        self.may_end.wait(SECONDS)
        if self.error is not None:
            raise self.error
        return [1, 2]

    def cancel(self, tag: str) -> None:
        self.cancelled.append(tag)
        if self.runs.is_set():
            self.error = InterruptedError("cancelled")
            self.may_end.set()

    @property
    def action(self) -> Action:
        return Action(self.run, self.tags.append, self.tags.remove, self.cancel)


Outcome = list[tuple[list[Any], Exception | None]]


def make(jobs: Jobs) -> tuple[SparkJob, Outcome]:
    outcome: Outcome = []
    return SparkJob(jobs.action, "tag", lambda *end: outcome.append(end)), outcome


def test_a_job_in_a_thread_of_its_own() -> None:
    jobs = Jobs()
    job, outcome = make(jobs)
    job.start()
    assert jobs.runs.wait(SECONDS)
    assert jobs.tags == ["tag"]
    assert not job.join(0.0)
    jobs.may_end.set()
    assert job.join(SECONDS)
    assert outcome == [([1, 2], None)]
    assert job.cancel(0.0)
    assert jobs.cancelled == []


def test_a_job_in_the_callers_thread_leaves_no_tag() -> None:
    jobs = Jobs()
    jobs.may_end.set()
    job, outcome = make(jobs)
    job.run()
    assert job.join(0.0)
    assert jobs.tags == []
    assert outcome == [([1, 2], None)]


def test_an_error_is_the_outcome() -> None:
    jobs = Jobs()
    jobs.error = OSError("lost")
    jobs.may_end.set()
    job, outcome = make(jobs)
    job.run()
    assert outcome == [([], jobs.error)]


def test_an_application_that_was_stopped_is_the_outcome() -> None:
    stopped = AttributeError("'NoneType' object has no attribute 'sc'")

    def add_tag(tag: str) -> None:
        raise stopped

    outcome: Outcome = []
    action = Action(list, add_tag, add_tag, add_tag)
    job = SparkJob(action, "tag", lambda *end: outcome.append(end))
    job.start()
    assert job.join(SECONDS)
    assert outcome == [([], stopped)]


def test_a_job_is_cancelled_until_spark_has_heard_it() -> None:
    jobs = Jobs()
    job, outcome = make(jobs)
    assert not job.cancel(0.01)  # it has not begun
    assert jobs.cancelled == ["tag"]
    jobs.cancelled.clear()
    job.start()
    assert job.cancel(SECONDS)
    assert set(jobs.cancelled) == {"tag"}
    assert outcome == [([], jobs.error)]
