"""Counts the rows of files; all nodes share the work."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tensorsparkml.data.files.listing import FoundFile
from tensorsparkml.errors import DataError

# Hands a value to all nodes and returns theirs, by rank.
AllGather = Callable[[Any], list[Any]]


def exchange_counts(
    files: Sequence[FoundFile], counted: Mapping[int, list[int]], all_gather: AllGather
) -> list[list[int]]:
    """Tell the other nodes what this one has counted, and return what all have.

    Args:
        files: The files, in the same order on every node.
        counted: Numbers of rows by part, by index of the file.
        all_gather: Exchanges values with the other nodes.

    Returns:
        The numbers of rows by file and part.

    Raises:
        DataError: The nodes see different files.
    """
    listing = "\n".join(f"{file.path}\t{file.size}" for file in files)
    digest = hashlib.sha256(listing.encode()).hexdigest()
    rows: dict[int, list[int]] = {}
    for other, value in enumerate(all_gather({"files": digest, "rows": counted})):
        if value["files"] != digest:
            raise DataError(
                f"node {other} found other files than this node, which found {name_of(files)}; all "
                "nodes must see the same folder, and it must not change while they open it"
            )
        # JSON makes strings of the indexes.
        rows |= {int(index): counts for index, counts in value["rows"].items()}
    return [rows[index] for index in range(len(files))]


def name_of(files: Sequence[FoundFile]) -> str:
    """Return the files as messages name them."""
    others = f" and {len(files) - 1} other files" if len(files) > 1 else ""
    return files[0].path + others
