"""What is checked on the nodes before they read rows, and how fits are grouped."""

from types import SimpleNamespace

import pytest

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.ml.fitting.plan import LabelRange, Task
from tensorsparkml.ml.fitting.training import check_labels, check_names, task_of
from tensorsparkml.ml.summary import TrainingSummary


def labels(least, most, whole=True):
    return LabelRange("y", least, most, whole)


@pytest.mark.parametrize(
    ("found", "classes", "loss"),
    [
        (labels(0, 1), 2, "binarycrossentropy"),
        (labels(0.1, 0.9, whole=False), 2, "binarycrossentropy"),
        (labels(0, 9), 10, "sparsecategoricalcrossentropy"),
        (labels(3, 5), None, "sparsecategoricalcrossentropy"),
    ],
)
def test_labels_that_fit(found, classes, loss):
    check_labels(found, classes, loss)


@pytest.mark.parametrize(
    ("found", "classes", "loss", "message"),
    [
        (labels(0, 2), 2, "binarycrossentropy", "values from 0 to 2, .* labels are 0 and 1"),
        (labels(-1, 1), 2, "binaryfocalcrossentropy", "from -1 to 1"),
        (labels(0, 10), 10, "sparsecategoricalcrossentropy", "from 0 to 10, .* from 0 to 9"),
        (labels(-1, 1), None, "sparsecategoricalcrossentropy", "from -1 to 1, .* from 0; change"),
        (labels(0, 1, whole=False), 2, "sparsecategoricalcrossentropy", "not whole"),
        (labels(0, 1), 2, "categoricalcrossentropy", "takes one-hot vectors"),
    ],
)
def test_labels_that_do_not_fit(found, classes, loss, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        check_labels(found, classes, loss)
    assert "labelCol 'y'" in str(caught.value)


def test_names_of_inputs_are_those_of_the_model():
    check_names("inputs", "input", {"a": "x", "b": "y"}, ["b", "a"])
    check_names("inputs", "input", {"a": "x"}, [])  # it does not know them yet
    with pytest.raises(ConfigurationError, match=r"has the inputs 'a', but inputs names 'b'"):
        check_names("inputs", "input", {"b": "x"}, ["a"])


class BinaryCrossentropy:
    def get_config(self):
        return {"from_logits": True}


def mean_squared_error():
    pass


@pytest.mark.parametrize(
    ("loss", "shape", "task", "from_logits"),
    [
        ("binary_crossentropy", (None, 1), Task.BINARY, False),
        (BinaryCrossentropy(), (None, 1), Task.BINARY, True),
        (BinaryCrossentropy(), (None,), Task.BINARY, True),
        (BinaryCrossentropy(), (None, 4), Task.REGRESSION, False),  # several labels of one row
        (["SparseCategoricalCrossentropy"], (None, 4), Task.MULTICLASS, False),
        ({"y": "categorical_crossentropy"}, (None, 4), Task.MULTICLASS, False),
        (mean_squared_error, (None, 1), Task.REGRESSION, False),
        ("mse", (None, 4), Task.REGRESSION, False),
    ],
)
def test_the_loss_says_what_a_model_is_for(loss, shape, task, from_logits):
    model = SimpleNamespace(outputs=[SimpleNamespace(shape=shape)], loss=loss)
    assert task_of(model) == (task, from_logits)


def test_a_model_with_several_outputs_has_no_task():
    assert task_of(SimpleNamespace(outputs=[1, 2], loss=["mse", "mse"])) == (None, False)


def test_a_summary_knows_the_best_epoch():
    history = {"loss": [3.0, 1.0, 2.0], "val_loss": [5.0, 6.0, 4.0]}
    found = TrainingSummary(history, 10, 5, 1.0)
    assert (found.bestEpoch, found.totalEpochs) == (2, 3)
    assert found.objectiveHistory == [3.0, 1.0, 2.0]
    assert TrainingSummary({"loss": [3.0, 1.0, 2.0]}, 10, 0, 1.0).bestEpoch == 1
    assert TrainingSummary(**found.to_json()) == found
