"""What a feed may be called."""

from __future__ import annotations

from typing import Any

import pytest

from tensorsparkml.control.protocol.names import feed_name
from tensorsparkml.errors import ConfigurationError


@pytest.mark.parametrize("name", ["train", "round-1", "2026_11.23", "née a b"])
def test_names_of_feeds(name: str) -> None:
    assert feed_name("feed", name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "/data", "a/b", "copies", "train@1", " a", None])
def test_names_that_are_no_folders_are_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="cannot be the name of a feed: use letters"):
        feed_name("feed", name)
