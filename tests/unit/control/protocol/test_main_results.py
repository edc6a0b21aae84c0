"""What main returns comes back as it was, and without a pickle where JSON is enough."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any, NamedTuple

import cloudpickle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.control.protocol.results import decode_result, encode_result

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
anything = st.recursive(
    plain
    | st.integers()
    | st.binary()
    | st.text(st.characters())
    | st.complex_numbers(allow_nan=False),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers() | st.text() | st.none(), inner)
    ),
)


def shape(value: Any) -> Any:
    """The types of a value and of all that is in it."""
    if isinstance(value, dict):
        return type(value), [(shape(key), shape(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [shape(item) for item in value]
    return type(value)


def there_and_back(value: Any) -> Any:
    return decode_result(encode_result(value))


@given(plain)
def test_plain_values_are_not_unpickled(value: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cloudpickle, "loads", None)
        patch.setattr(cloudpickle, "dumps", None)
        found = there_and_back(value)
    assert found == value
    assert shape(found) == shape(value)


@given(anything)
def test_all_values_come_back_equal_and_of_their_types(value: Any) -> None:
    found = there_and_back(value)
    assert found == value
    assert shape(found) == shape(value)


class Text(str):
    pass


class Point(NamedTuple):
    x: int


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        [(1, 2)],
        {1: "a"},
        {"a": {2: 3}},
        {None: 1},
        OrderedDict(a=1),
        Text("a"),
        {Text("a"): 1},
        Point(1),
        np.float64(0.5),
        np.str_("a"),
        [np.float32(0.5)],
        10**5000,
        "\ud83d\ude00",  # two halves, which JSON would make one character of
        {"\ud800": 1},
        b"a",
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_would_change_is_pickled(value: Any) -> None:
    found = there_and_back(value)
    assert found == value
    assert shape(found) == shape(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cloudpickle, "loads", lambda _: "unpickled")
        assert there_and_back(value) == "unpickled"


def test_numbers_that_are_none() -> None:
    nan, infinite, negative, zero = there_and_back([math.nan, math.inf, -math.inf, -0.0])
    assert math.isnan(nan)
    assert (infinite, negative) == (math.inf, -math.inf)
    assert math.copysign(1, zero) == -1


def test_what_is_in_two_places_stays_one_object() -> None:
    inner: list[Any] = [1]
    first, second = there_and_back([inner, inner])
    assert first is second
    inner.append(inner)
    found = there_and_back(inner)
    assert found[1] is found


def test_what_cannot_be_pickled_is_an_error() -> None:
    class Refuses:
        def __reduce__(self) -> Any:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        encode_result([Refuses()])
