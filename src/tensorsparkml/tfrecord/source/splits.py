"""Divides files among tasks, as Spark does it for its own sources. Pure.

https://spark.apache.org/docs/latest/sql-performance-tuning.html: files that cannot be split are
read by one task, and tasks read several small files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_OPEN_COST = 4 * 2**20  # bytes that a task could read in the time that it takes to open a file


@dataclass(frozen=True)
class Split:
    """A part of a file: the records that begin there.

    Attributes:
        file: Number of the file.
        begin: Where it begins.
        end: Where it ends; None for the end of the file.
    """

    file: int
    begin: int
    end: int | None


def divide(
    sizes: Sequence[int], splittable: Sequence[bool], most_bytes: int, parts: int
) -> list[list[Split]]:
    """Return what each task reads.

    Args:
        sizes: Bytes of the files.
        splittable: Whether several tasks may read a file.
        most_bytes: Bytes that a task reads at most, if the files can be divided so.
        parts: Number of tasks among which the bytes are divided, if there are enough.
    """
    total = sum(sizes) + _OPEN_COST * len(sizes)
    target = min(most_bytes, max(_OPEN_COST, -(-total // max(parts, 1))))
    splits: list[tuple[int, Split]] = []
    for file, (size, may_split) in enumerate(zip(sizes, splittable, strict=True)):
        if not may_split or size <= target:
            splits.append((size, Split(file, 0, None)))
            continue
        for begin in range(0, size, target):
            end = begin + target
            splits.append(
                (min(target, size - begin), Split(file, begin, end if end < size else None))
            )
    # The largest first, so that what is left over fills the gaps.
    splits.sort(key=lambda each: -each[0])
    tasks: list[list[Split]] = []
    filled = 0
    for size, split in splits:
        if not tasks or filled + size > target:
            tasks.append([])
            filled = 0
        tasks[-1].append(split)
        filled += size + _OPEN_COST
    return [sorted(task, key=lambda split: (split.file, split.begin)) for task in tasks]
