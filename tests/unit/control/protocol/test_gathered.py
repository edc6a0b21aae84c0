"""Values of many nodes as one JSON object."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.control.protocol.gathered import decode_gathered, encode_gathered

SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2)
NAMES = st.sampled_from(["values", "by_name", "a"])
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner))


@given(st.lists(VALUES, max_size=5) | VALUES.map(lambda value: [value] * 3))
def test_values_arrive_as_they_were(values: list[Any]) -> None:
    assert decode_gathered(json.loads(json.dumps(encode_gathered(values)))) == values


def test_objects_with_the_same_names_have_each_name_once() -> None:
    peers = [{"address": {"host": f"10.0.0.{rank}", "port": rank}, "gpus": []} for rank in range(9)]
    text = json.dumps(encode_gathered(peers))
    assert [text.count(f'"{name}"') for name in ("address", "host", "port", "gpus")] == [1] * 4
