"""`GrowingFeed`: a feed to which the driver adds rows until the feed is closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tensorsparkml.checks import checked
from tensorsparkml.driver.feeds.delivery import NAMES, FeedReport, OpenFeed
from tensorsparkml.driver.feeds.sources import row_source, spark_rows
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark import RDD
    from pyspark.sql import DataFrame


class GrowingFeed:
    """A feed to which rows can be added repeatedly. The nodes see a single feed.

    Nodes drop rows once they have read them. Leaving the cluster's with block closes the feed.

    Args:
        coordinator: The cluster's coordinator.
        feed: The feed.
    """

    def __init__(self, coordinator: Coordinator, feed: OpenFeed) -> None:
        self._coordinator = coordinator
        self._feed = feed
        self._added = 0
        self._complete = True
        self._closed = False

    @property
    def wanted(self) -> bool:
        """Whether any node still wants rows."""
        return not self._coordinator.feed_unwanted(self._feed.name)

    @property
    def report(self) -> FeedReport:
        """What has been fed and read so far."""
        return self._feed.report(self._complete)

    @checked(data=spark_rows, columns=NAMES["columns"])
    def add(self, data: DataFrame | RDD[Any], columns: Sequence[str] | None = None) -> bool:
        """Feed rows, and return when all are on the nodes or the nodes need no more.

        Args:
            data: The rows.
            columns: As for `Cluster.train`.

        Returns:
            Whether all rows were delivered.

        Raises:
            ConfigurationError: The feed was closed.
            TensorSparkMLError: The feed or a node failed.
        """
        if self._closed:
            raise ConfigurationError(f"feed {self._feed.name!r} was closed; open another one")
        delivered = self._feed.deliver(row_source(data, columns), part=str(self._added))
        self._added += 1
        self._complete = self._complete and delivered
        return delivered

    def close(self) -> None:
        """End the feed: the nodes read the rest, and no rows can be added."""
        self._closed = True
        self._feed.close()
