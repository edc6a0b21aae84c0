"""Which fits share their nodes, and how threads share their models."""

import threading

import pytest

from tensorsparkml.ml import KerasEstimator
from tensorsparkml.ml.fitting.search import FitInGroups, groups


def estimators(*params):
    first = KerasEstimator(abs, epochs=1)
    return [first.copy({first.getParam(n): v for n, v in each.items()}) for each in params]


def test_params_of_the_model_share_nodes():
    found = groups(
        estimators(
            {"epochs": 1},
            {"numWorkers": 2},
            {"epochs": 2, "modelArgs": {"units": 3}},
            {"labelCol": "y"},
            {"numWorkers": 2, "optimizer": "sgd"},
        )
    )
    assert found == [[0, 2], [1, 4], [3]]


def test_fits_that_can_go_on_do_not_share_nodes():
    assert groups(estimators(*[{"checkpointDir": "/c"}] * 2)) == [[0], [1]]


def test_each_group_is_fitted_once_and_each_model_given_once():
    fits = []

    def fit(group):
        fits.append(len(group))
        return [each.value("epochs") for each in group]

    found = FitInGroups(estimators({"epochs": 1}, {"numWorkers": 2}, {"epochs": 3}), fit)
    assert list(found) == [(0, 1), (2, 3), (1, 1)]
    assert fits == [2, 1]


def test_threads_that_want_models_of_a_group_wait_for_the_one_that_fits_it():
    begun, end = threading.Event(), threading.Event()

    def fit(group):
        begun.set()
        assert end.wait(60)
        return [each.value("epochs") for each in group]

    found, models = FitInGroups(estimators({"epochs": 1}, {"epochs": 2}), fit), []
    threads = [threading.Thread(target=lambda: models.append(next(found))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert begun.wait(60)
    assert models == []
    end.set()
    for thread in threads:
        thread.join(60)
    assert sorted(models) == [(0, 1), (1, 2)]


def test_a_failure_of_a_group_is_that_of_each_of_its_models():
    def fit(group):
        raise RuntimeError("no nodes")

    found = FitInGroups(estimators({"epochs": 1}, {"epochs": 2}), fit)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no nodes"):
            next(found)
    with pytest.raises(StopIteration):
        next(found)
