"""Which columns go where in an element of a dataset."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tensorsparkml.errors import ConfigurationError, ShapeMismatchError
from tensorsparkml.trainer.datasets.feed_reader import Rows
from tensorsparkml.trainer.datasets.tf_dataset import BatchLayout

VALUES = {"a": "A", "b": "B", "y": "Y", "w": "W"}
WEIGHTS = "weights"


@pytest.mark.parametrize(
    ("arguments", "columns", "element"),
    [
        (("a", None, None), ["a"], "A"),
        ((["a"], None, None), ["a"], ("A",)),
        ((["b", "a"], None, None), ["b", "a"], ("B", "A")),
        (({"left": "b", "right": "a"}, None, None), ["b", "a"], {"left": "B", "right": "A"}),
        (("a", "y", None), ["a", "y"], ("A", "Y")),
        (("a", ["y", "b"], None), ["a", "y", "b"], ("A", ("Y", "B"))),
        (("a", {"out": "y"}, None), ["a", "y"], ("A", {"out": "Y"})),
        (("a", "y", False), ["a", "y"], ("A", "Y")),
        (("a", "y", True), ["a", "y"], ("A", "Y", WEIGHTS)),
        (("a", "y", "w"), ["a", "y", "w"], ("A", "Y", WEIGHTS)),
        # A column may serve twice, and is read once.
        (("a", "a", "a"), ["a"], ("A", "A", WEIGHTS)),
    ],
)
def test_columns_are_arranged_as_they_were_named(
    arguments: tuple[Any, Any, Any], columns: list[str], element: Any
) -> None:
    layout = BatchLayout(*arguments)
    assert layout.columns() == columns
    layout.resolve(["a", "b", "y", "w"])
    assert layout.arrange(VALUES, WEIGHTS) == element


@pytest.mark.parametrize(
    ("label", "weight", "features"),
    [
        (None, None, {"a", "b", "y", "w"}),
        ("y", None, {"a", "b", "w"}),
        ("y", True, {"a", "b", "w"}),
        ("y", "w", {"a", "b"}),
        (["y", "b"], "w", {"a"}),
    ],
)
def test_features_that_are_not_named_are_all_that_is_nothing_else(
    label: Any, weight: Any, features: set[str]
) -> None:
    layout = BatchLayout(None, label, weight)
    assert layout.columns() is None
    layout.resolve(list(VALUES))
    element = layout.arrange(VALUES, WEIGHTS)
    assert (element if label is None else element[0]) == {name: VALUES[name] for name in features}


@pytest.mark.parametrize("weight", ["w", True])
def test_weights_without_a_label_are_refused(weight: Any) -> None:
    with pytest.raises(ConfigurationError, match="sample_weight needs a label"):
        BatchLayout("a", None, weight)


@pytest.mark.parametrize("scale", [1.0, 1.25])
def test_weights_of_rows_are_one_in_every_step(scale: float) -> None:
    weights = BatchLayout("a", "y", True).weights({}, Rows([], 3, scale))
    assert (weights.dtype, weights.tolist()) == (np.dtype(np.float32), [1.0] * 3)


@pytest.mark.parametrize("dtype", [np.float64, np.int32])
def test_weights_of_a_column_are_the_same_in_every_step(dtype: Any) -> None:
    columns = {"w": np.array([1, 2, 4], dtype)}
    layout = BatchLayout("a", "y", "w")
    for step in (1.0, 1.5):
        weights = layout.weights(columns, Rows([], 3, step))
        assert weights.dtype == np.float32
        assert weights.tolist() == [1.0, 2.0, 4.0]
    assert columns["w"].tolist() == [1, 2, 4]


@pytest.mark.parametrize("weights", [np.ones((3, 2)), {"a": np.ones(3)}], ids=["list", "struct"])
def test_weights_are_one_number_per_row(weights: Any) -> None:
    with pytest.raises(ShapeMismatchError, match="sample_weight='w' must be a column with one"):
        BatchLayout("a", "y", "w").weights({"w": weights}, Rows([], 3, 1.0))


def test_a_batch_without_rows_has_no_weights() -> None:
    assert BatchLayout("a", "y", True).weights({}, Rows([], 0, 0.0)).shape == (0,)


def test_a_layout_needs_no_tensorflow() -> None:
    program = (
        f"import sys; sys.path[:0] = {[path for path in sys.path if path]!r}\n"
        "from tensorsparkml.trainer.datasets.tf_dataset import BatchLayout\n"
        "BatchLayout('a', 'y', True)\nassert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
