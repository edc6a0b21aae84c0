"""How busy Spark is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Activity:
    """The tasks of the stages that run.

    Attributes:
        running: How many run now.
        completed: How many have ended.
    """

    running: int
    completed: int


def activity(spark: SparkSession) -> Activity:
    """Return how many tasks an application runs."""
    tracker = spark.sparkContext.statusTracker()
    stages = [tracker.getStageInfo(each) for each in tracker.getActiveStageIds()]
    known = [stage for stage in stages if stage is not None]
    return Activity(
        sum(stage.numActiveTasks for stage in known),
        sum(stage.numCompletedTasks for stage in known),
    )
