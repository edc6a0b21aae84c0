"""Damaged files, as `tfrecord_fuzz.py` makes them; it finds more if it runs for longer."""

from __future__ import annotations

from tensorsparkml.tfrecord.source.options import Mode
from tfrecord_fuzz import fuzz


def test_any_file_gives_rows_or_an_error() -> None:
    found = fuzz(0, lambda seed: seed < 600)
    assert found.total() == 600
    assert {outcome for outcome, count in found.items() if count > 20} >= {
        f"{mode} rows" for mode in Mode
    } | {f"{Mode.FAIL_FAST} error"}
