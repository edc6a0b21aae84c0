"""How a fit went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class TrainingSummary:
    """How a fit went: `model.summary`.

    Attributes:
        history: The metrics of each epoch, by their names as in Keras, such as `val_loss`.
        rows: Number of rows that the model was trained with.
        validationRows: Number of rows that it was validated with.
        seconds: How long the training took, without the start of the nodes.
    """

    history: Mapping[str, Sequence[float]]
    rows: int
    validationRows: int
    seconds: float

    @property
    def totalEpochs(self) -> int:  # camelCase, as in Spark ML
        """Number of epochs."""
        return max((len(values) for values in self.history.values()), default=0)

    @property
    def objectiveHistory(self) -> list[float]:
        """The loss of each epoch, as Spark's summaries call it."""
        return list(self.history.get("loss", ()))

    @property
    def bestEpoch(self) -> int:
        """The epoch, from 0, with the smallest loss: of the rows to validate with, if any."""
        losses = self.history.get("val_loss") or self.history.get("loss") or [0.0]
        return min(range(len(losses)), key=lambda epoch: losses[epoch])

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return asdict(self)
