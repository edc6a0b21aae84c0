"""What nodes pass each other while layers learn, and what is refused before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.trainer.datasets.adaptation import packed, parts, unpacked
from tensorsparkml.trainer.file_context import FileContext


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_bytes_of_all_nodes_come_back(payloads: list[bytes]) -> None:
    words = [packed(payload) for payload in payloads]
    assert all(each.dtype == np.int64 for each in words)
    assert unpacked(np.concatenate([np.zeros(0, np.int64), *words])) == payloads


class Layer:
    name = "layer"

    def adapt(self, data: Any) -> None:
        pass


class OfKeras2(Layer):
    __module__ = "tf_keras.layers"


def dataset(spec: Any) -> Any:
    """What stands for a dataset: `map` gives the function."""
    return SimpleNamespace(element_spec=spec, map=lambda function: function)


def test_one_layer_gets_the_elements() -> None:
    layer, rows = Layer(), dataset("spec")
    assert parts(layer, rows) == [(layer, rows)]


def test_layers_get_what_has_their_name_or_place() -> None:
    first, second = Layer(), Layer()
    found = parts({"b": first, "a": second}, dataset({"a": "A", "b": "B", "c": "C"}))
    assert [layer for layer, _ in found] == [first, second]
    assert [choose({"a": 1, "b": 2, "c": 3}) for _, choose in found] == [2, 1]
    found = parts([first, second], dataset(("A", "B", "C")))
    assert [choose(1, 2, 3) for _, choose in found] == [1, 2]


@pytest.mark.parametrize(
    ("layers", "spec", "message"),
    [
        ({"x": Layer()}, {"a": "A", "b": "B"}, "no feature for layer 'x'; it has a, b"),
        ({"x": Layer()}, ("A", "B"), "no feature for layer 'x'; it has 2 without names"),
        ({"x": Layer()}, "A", "no feature for layer 'x'; it has one without names"),
        ([Layer(), Layer()], ("A",), "no feature for layer 1; it has 1 without names"),
        ([Layer()], {"a": "A"}, "no feature for layer 0; it has a"),
        (OfKeras2(), "A", "'layer' is one of Keras 2"),
    ],
)
def test_what_cannot_be_adapted_is_refused(layers: Any, spec: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parts(layers, dataset(spec))


@pytest.mark.parametrize(
    ("is_chief", "reads_feeds", "shares"), [(True, False, 1), (False, True, 2)]
)
def test_parameter_servers_are_refused(is_chief: bool, reads_feeds: bool, shares: int) -> None:
    node = FileContext()
    node.num_ps, node.is_chief, node._reads_feeds, node._shares = 1, is_chief, reads_feeds, shares
    spec = type("TensorSpec", (), {"__module__": "tensorflow"})()
    with pytest.raises(ConfigurationError, match="does not work with parameter servers"):
        node.adapt(Layer(), spec)
