"""Several fits over the same rows: which of them can share their nodes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorsparkml.ml.estimator import KerasEstimator
    from tensorsparkml.ml.model import KerasModel

# Params that change the model and its training, but neither the rows nor the nodes.
OF_THE_MODEL = frozenset(
    {
        "model",
        "modelArgs",
        "customObjects",
        "optimizer",
        "loss",
        "metrics",
        "epochs",
        "batchSize",
        "callbacks",
        "stepsPerExecution",
        "initialModel",
        "predictionCol",
        "probabilityCol",
        "rawPredictionCol",
        "outputCols",
    }
)


class FitInGroups:
    """An iterator over indices and models, which threads may share.

    Whoever asks for the first model of a group fits the whole group; others wait for it.

    Args:
        estimators: The estimators, each with its params.
        fit: Fits those of a group.
    """

    def __init__(
        self,
        estimators: Sequence[KerasEstimator],
        fit: Callable[[list[KerasEstimator]], list[KerasModel]],
    ) -> None:
        self._estimators = estimators
        self._fit = fit
        self._groups = groups(estimators)
        self._next = iter(index for group in self._groups for index in group)
        self._lock = threading.Lock()
        self._fitting = [threading.Lock() for _ in self._groups]
        self._models: dict[int, KerasModel] = {}
        self._errors: dict[int, Exception] = {}

    def __iter__(self) -> Iterator[tuple[int, KerasModel]]:
        return self

    def __next__(self) -> tuple[int, KerasModel]:
        with self._lock:
            index = next(self._next)
        place = next(place for place, group in enumerate(self._groups) if index in group)
        with self._fitting[place]:
            if place in self._errors:
                raise self._errors[place]
            if index not in self._models:
                group = self._groups[place]
                try:
                    models = self._fit([self._estimators[each] for each in group])
                except Exception as error:
                    self._errors[place] = error
                    raise
                self._models.update(zip(group, models, strict=True))
            return index, self._models.pop(index)


def groups(estimators: Sequence[KerasEstimator]) -> list[list[int]]:
    """Return the indices of estimators that can be fitted together, in order."""
    found: dict[Hashable, list[int]] = {}
    for index, each in enumerate(estimators):
        found.setdefault(_of_the_rows(each), []).append(index)
    return list(found.values())


def _of_the_rows(estimator: KerasEstimator) -> Hashable:
    """Return the params on which rows and nodes depend."""
    values = {each.name: estimator.value(each.name) for each in estimator.params}
    apart: list[Any] = [
        (name, id(value) if name == "validationData" else repr(value))
        for name, value in values.items()
        if name not in OF_THE_MODEL
    ]
    # Those that were interrupted would all go on from the same state.
    alone = () if values["checkpointDir"] is None else (id(estimator),)
    return (*apart, *alone)
