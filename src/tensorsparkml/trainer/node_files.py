"""Opening files on a node, together with the other nodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tensorsparkml.data.files.listing import FoundFile, find_files
from tensorsparkml.data.files.parquet import ParquetFiles
from tensorsparkml.data.files.row_counts import AllGather
from tensorsparkml.data.files.tfrecord import TFRecordFiles
from tensorsparkml.data.spool.shuffle import check_seed
from tensorsparkml.errors import DataError
from tensorsparkml.storage import StrPath
from tensorsparkml.trainer.all_gather import Exchange
from tensorsparkml.trainer.datasets.file_reader import Shuffle
from tensorsparkml.trainer.datasets.progress_reporter import ProgressReporter
from tensorsparkml.trainer.datasets.tfrecord_dataset import find_corrupt_record

Uris = StrPath | Sequence[StrPath]


class NodeFiles:
    """What a program has opened.

    Every opening has a key, which is the same on all nodes: the name of a feed, or the place among
    the program's calls.

    Args:
        exchange: The other nodes.
        rank: Rank of this node.
        nodes: Number of nodes.
        absolute_path: Makes a path one that does not depend on the process.
        copies: Folder for copies of files that are far away.
    """

    def __init__(
        self,
        exchange: Exchange,
        rank: int,
        nodes: int,
        absolute_path: Callable[[StrPath], str],
        copies: Path,
    ) -> None:
        self._exchange = exchange
        self._rank = rank
        self._nodes = nodes
        self._absolute_path = absolute_path
        self._copies = copies
        self._reporters: list[ProgressReporter] = []
        self._tfrecords: list[TFRecordFiles] = []

    @property
    def rows_read(self) -> int:
        """Rows that the program has read by calls of its own, not as feeds."""
        return sum(reporter.progress.rows for reporter in self._reporters)

    def new_reporter(self) -> ProgressReporter:
        """Return what counts the rows of one more call."""
        self._reporters.append(ProgressReporter())
        return self._reporters[-1]

    def parquet(self, uri: Uris, filesystem: Any = None, key: str | None = None) -> ParquetFiles:
        """Open Parquet files; see `Context.read_parquet`."""
        found = self._find(uri, filesystem)
        return ParquetFiles(found, self._rank, self._nodes, self._all_gather(key))

    def tfrecord(self, uri: Uris, filesystem: Any = None) -> TFRecordFiles:
        """Open TFRecord files; see `Context.read_tfrecord`."""
        found, all_gather = self._find(uri, filesystem), self._all_gather(None)
        files = TFRecordFiles(found, self._rank, self._nodes, all_gather, self._copies)
        self._tfrecords.append(files)
        return files

    def shuffle(self, shuffle: bool, seed: int | None, rows: int) -> Shuffle | None:
        """Return how the rows of the next call are shuffled, the same on all nodes, or None.

        Raises:
            ConfigurationError: There is a seed and no shuffling, or it is none.
        """
        drawn = check_seed(shuffle, seed)
        if drawn is None:
            return None
        if seed is None:
            key = f"seed {len(self._reporters)}"
            drawn = int(self._exchange.all_gather(key, drawn)[0])
        return Shuffle(drawn, rows)

    def explain(self, error: BaseException) -> DataError | None:
        """Return what is known about an error of TensorFlow's, or None."""
        if type(error).__name__ == "DataLossError":
            for files in self._tfrecords:
                if (found := find_corrupt_record(files)) is not None:
                    return found
        return None

    def _find(self, uri: Uris, filesystem: Any) -> list[FoundFile]:
        given = [uri] if isinstance(uri, str | os.PathLike) else uri
        if filesystem is None:
            uris = [self._absolute_path(each) for each in given]
        else:
            uris = [os.fspath(each) for each in given]
        return find_files(uris, filesystem)

    def _all_gather(self, key: str | None) -> AllGather:
        name = key or f"files {len(self._reporters)}"
        return lambda value: self._exchange.all_gather(name, value)
