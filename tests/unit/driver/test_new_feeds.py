"""What a feed may be called and how it may be read."""

from __future__ import annotations

from typing import Any

import pytest

from tensorsparkml.driver.feeding import new_ledger
from tensorsparkml.errors import ConfigurationError


@pytest.mark.parametrize("name", ["train", "round-1", "2026_11.23", "née a b"])
def test_names_of_feeds(name: str) -> None:
    assert new_ledger(name, 2).name == name


@pytest.mark.parametrize("name", ["", ".", "..", "/data", "a/b", "copies", "train@1", " a", None])
def test_names_that_are_no_folders_are_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="cannot be the name of a feed: use letters"):
        new_ledger(name, 2)


@pytest.mark.parametrize("epochs", [0, True, 1.5])
def test_epochs_are_whole_numbers(epochs: Any) -> None:
    with pytest.raises(ConfigurationError, match="epochs must be an integer of at least 1"):
        new_ledger("train", 2, epochs)
