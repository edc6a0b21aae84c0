"""Keras models as stages of Spark ML's pipelines."""

from tensorsparkml.ml.estimator import KerasEstimator
from tensorsparkml.ml.model import KerasModel
from tensorsparkml.ml.summary import TrainingSummary

__all__ = ["KerasEstimator", "KerasModel", "TrainingSummary"]
