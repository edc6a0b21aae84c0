"""`Misfit`: a value that does not fit, before it is known which row of which column it is in."""

from __future__ import annotations

from tensorsparkml.errors import DataError


class Misfit(Exception):
    """A value that cannot be converted.

    Attributes:
        kind: The error to raise for it.
        index: Place of the value among those that were to be converted, or None if unknown.
        what: What is wrong, as the predicate of a sentence whose subject is the column.
        advice: What to do, as sentences.
    """

    def __init__(self, kind: type[DataError], index: int | None, what: str, advice: str) -> None:
        super().__init__(what)
        self.kind = kind
        self.index = index
        self.what = what
        self.advice = advice
