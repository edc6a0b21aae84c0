"""The columns of classifiers, from logits and from probabilities."""

import numpy as np
import pytest

from tensorsparkml.ml.probabilities import Class, Logits, Probabilities

LOGITS = np.array([[0.0, 1.0, -2.0], [800.0, -800.0, 0.0], [3.0, 3.0, 3.0]])
MARGINS = np.array([-800.0, -1.5, 0.0, 2.0, 800.0])


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_logits_of_several_classes_become_probabilities():
    found = Probabilities(False, True)(LOGITS)
    np.testing.assert_allclose(found, softmax(LOGITS))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_array_equal(Logits(False, True)(LOGITS), LOGITS)


def test_probabilities_of_several_classes_stay_and_have_logits_that_give_them_back():
    probabilities = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]], np.float32)
    np.testing.assert_array_equal(Probabilities(False, False)(probabilities), probabilities)
    logits = Logits(False, False)(probabilities)
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(softmax(logits), probabilities, atol=1e-7)


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_a_margin_has_two_classes(shape):
    margins = MARGINS.reshape(shape)
    np.testing.assert_array_equal(Logits(True, True)(margins), np.stack([-MARGINS, MARGINS], 1))
    with np.errstate(over="ignore"):
        found = Probabilities(True, True)(margins)
        expected = 1 / (1 + np.exp(-MARGINS))
    np.testing.assert_allclose(found[:, 1], expected)
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_the_probability_of_the_second_class_has_finite_logits_in_its_order(shape):
    probabilities = np.array([0.0, 0.25, 0.75, 1.0], np.float32).reshape(shape)
    logits = Logits(True, False)(probabilities)
    assert np.isfinite(logits).all()
    assert (np.diff(logits[:, 1]) > 0).all()
    np.testing.assert_array_equal(logits[:, 0], -logits[:, 1])
    np.testing.assert_allclose(1 / (1 + np.exp(-logits[1:3, 1])), [0.25, 0.75])
    np.testing.assert_array_equal(
        Probabilities(True, False)(probabilities)[:, 1], [0, 0.25, 0.75, 1]
    )


def test_the_class_is_that_of_the_greatest_probability():
    np.testing.assert_array_equal(Class(False, True)(LOGITS), [1, 0, 0])
    np.testing.assert_array_equal(Class(True, True)(MARGINS), [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(Class(True, False)(np.array([[0.5], [0.51]])), [0, 1])
    assert Class(False, True)(LOGITS).dtype == np.float64
