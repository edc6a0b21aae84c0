"""What the records of some files have: the ground for a schema. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tensorsparkml.errors import DataError
from tensorsparkml.tfrecord.codec.features import Kind


@dataclass(frozen=True)
class FeatureSummary:
    """What records have as one of their features.

    Attributes:
        kind: Its kind; None while all that was seen has no values.
        several: Whether some record has more than one value.
        text: Whether all bytes are UTF-8.
        steps: Whether it is a feature list.
        where: The file and the record that showed the kind, for messages.
    """

    kind: Kind | None
    several: bool = False
    text: bool = True
    steps: bool = False
    where: str = ""


Summary = Mapping[str, FeatureSummary]


def merged(one: Summary, other: Summary) -> dict[str, FeatureSummary]:
    """Return what the records of two summaries have.

    Raises:
        DataError: They have different kinds of values for the same feature.
    """
    found = dict(one)
    for name, feature in other.items():
        found[name] = _both(name, found[name], feature) if name in found else feature
    return found


def _both(name: str, one: FeatureSummary, other: FeatureSummary) -> FeatureSummary:
    if one.steps is not other.steps:
        raise DataError(
            f"{name!r} is a feature of the context in some records and a feature list in others "
            f"({one.where}, {other.where}); give a schema with the one to read"
        )
    several, text = one.several or other.several, one.text and other.text
    if one.kind is None or other.kind is None:
        known = other if one.kind is None else one
        return replace(known, several=several, text=text)
    if one.kind is not other.kind:
        raise DataError(
            f"the feature {name!r} has {one.kind.words} in {one.where}, and {other.kind.words} in "
            f"{other.where}; give a schema, with which the others are malformed records"
        )
    return replace(one, several=several, text=text)
