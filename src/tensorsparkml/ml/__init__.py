"""Keras models, and programs of the user's own, as stages of Spark ML's pipelines."""

from tensorsparkml.ml.estimator import KerasEstimator
from tensorsparkml.ml.model import KerasModel
from tensorsparkml.ml.summary import TrainingSummary
from tensorsparkml.ml.tf_estimator import TFEstimator
from tensorsparkml.ml.tf_model import TFModel

__all__ = ["KerasEstimator", "KerasModel", "TFEstimator", "TFModel", "TrainingSummary"]
