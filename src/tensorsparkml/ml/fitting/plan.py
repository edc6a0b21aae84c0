"""What an estimator tells the nodes, and what they tell it. No Spark, no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from tensorsparkml.data.columns.options import Matrix
from tensorsparkml.inference.models.signature import Signature

Features = str | Matrix | Mapping[str, str | Matrix]


class Task(Enum):
    """What a model with one output is for, which its loss says."""

    REGRESSION = "regression"
    BINARY = "binary classification"
    MULTICLASS = "classification"


@dataclass(frozen=True)
class LabelRange:
    """What the labels of all rows are.

    Attributes:
        column: Name of the column.
        least: The smallest one.
        most: The largest one.
        whole: Whether all are whole numbers.
    """

    column: str
    least: float
    most: float
    whole: bool


@dataclass(frozen=True)
class ModelPlan:
    """How each node makes and compiles its model.

    Attributes:
        pickled: What the user's own code brings, pickled: the function that returns the model or
            None, its arguments, the custom objects, the callbacks or the function that makes them,
            and the optimizer, the loss and the metrics that replace those of the model.
        archive: A `.keras` file, if there is no function.
        initial: A `.keras` file whose weights training begins with.
    """

    pickled: bytes = field(repr=False)
    archive: bytes | None = field(default=None, repr=False)
    initial: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class FitPlan:
    """A fit.

    Attributes:
        model: How the model is made.
        features: The columns of the model's inputs.
        label: The column of labels, or columns by the names of the outputs.
        weight: The column of weights, or None.
        validates: Whether there are rows to validate with.
        labels: What the labels are, if they are single numbers.
        epochs: Number of epochs.
        batch_size: Rows of a step, over all nodes.
        seed: Seed of Keras, or None.
        steps_per_execution: Number of steps in each call, or None.
        mixed_precision: Whether layers compute in half precision.
        checkpoint: Folder for the state after each epoch, or None.
    """

    model: ModelPlan
    features: Features
    label: str | Mapping[str, str]
    weight: str | None
    validates: bool
    labels: LabelRange | None
    epochs: int
    batch_size: int
    seed: int | None
    steps_per_execution: int | None
    mixed_precision: bool
    checkpoint: str | None


@dataclass(frozen=True)
class Trained:
    """What the chief returns.

    Attributes:
        archive: The trained model, as a `.keras` file.
        signature: What it takes and gives.
        task: What it is for; None for several outputs.
        from_logits: Whether its output is logits, and not probabilities.
        history: The metrics of each epoch, by their names.
        seconds: How long the training took, without the start of the nodes.
    """

    archive: bytes = field(repr=False)
    signature: Signature
    task: Task | None
    from_logits: bool
    history: Mapping[str, Sequence[float]]
    seconds: float


@dataclass(frozen=True)
class Refused:
    """What a node returns that finds that the model does not fit the rows, before it reads any.

    All nodes find the same, so none waits for another.

    Attributes:
        message: What is wrong, and what to change.
    """

    message: str
