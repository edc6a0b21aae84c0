"""Deleting what ended clusters have left on a host: all but their logs, and older logs.

An agent does it when it starts. A cluster has ended, for its host, when no agent of it holds the
lock on its folder.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tensorsparkml.executor.folders import (
    LOGS,
    TEMPORARY,
    hold_ended,
    remove_temporary,
    remove_tree,
)

logger = logging.getLogger(__name__)

KEPT_CLUSTERS = 20
KEPT_BYTES = 2**30
KEPT_SECONDS = 14 * 24 * 3600.0
_CLUSTER = re.compile("[0-9a-f]{12}")


@dataclass(frozen=True)
class EndedCluster:
    """The logs of a cluster that has ended.

    Attributes:
        folder: The cluster's folder.
        written: When its logs were last written, in seconds since 1970.
        size: Bytes of all their files.
    """

    folder: Path
    written: float
    size: int


def expired(clusters: Sequence[EndedCluster], now: float) -> list[EndedCluster]:
    """Return the clusters whose logs are to be deleted.

    The newest ones are kept: at most `KEPT_CLUSTERS`, `KEPT_BYTES` together, none older than
    `KEPT_SECONDS`. The very newest may be larger than that.
    """
    newest_first = sorted(clusters, key=lambda cluster: cluster.written, reverse=True)
    found: list[EndedCluster] = []
    size = 0
    for place, cluster in enumerate(newest_first):
        size += cluster.size
        too_many = place >= KEPT_CLUSTERS or (place > 0 and size > KEPT_BYTES)
        if too_many or now - cluster.written > KEPT_SECONDS:
            found.append(cluster)
    return found


def delete_expired(root: Path) -> None:
    """Delete what the clusters that have ended should not keep in a user's root folder."""
    clusters: list[EndedCluster] = []
    for folder in [path for path in root.iterdir() if _CLUSTER.fullmatch(path.name)]:
        with _if_ended(folder) as ended:
            if ended and (logs := _reduce_to_logs(folder)) is not None:
                clusters.append(logs)
    for cluster in expired(clusters, time.time()):
        with _if_ended(cluster.folder) as ended:
            if ended:
                remove_tree(cluster.folder)


@contextmanager
def _if_ended(folder: Path) -> Iterator[bool]:
    """Say whether a cluster has ended; its folder cannot be used again while this is open."""
    descriptor = hold_ended(folder)
    try:
        yield descriptor is not None
    except OSError as error:
        logger.warning("cannot delete the files of an ended cluster in %s: %s", folder, error)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _reduce_to_logs(folder: Path) -> EndedCluster | None:
    """Delete all but the logs, and return these; where there are none, delete the folder."""
    for link in folder.glob(f"*{TEMPORARY}"):
        remove_temporary(link)
    for entry in folder.iterdir():
        if entry.name != LOGS:
            remove_tree(entry)
    files = [
        found
        for path, _, names in os.walk(folder)
        for name in names
        if (found := _status(Path(path, name))) is not None
    ]
    if not files:
        remove_tree(folder)
        return None
    written = max(file.st_mtime for file in files)
    return EndedCluster(folder, written, sum(file.st_size for file in files))


def _status(path: Path) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return path.lstat()
    return None
