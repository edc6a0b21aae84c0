"""A pipeline with a Keras model, saved by one Spark application and loaded by another."""

from typing import Any

from pyspark.ml import PipelineModel
from pyspark.ml.feature import VectorAssembler

from tensorsparkml.inference.models.loading import signature_of
from tensorsparkml.ml import KerasModel
from tensorsparkml.ml.fitting.plan import Task, Trained
from tensorsparkml.ml.keras_files import archive_of


def make_pipeline() -> PipelineModel:
    """One whose model was not trained, as a fit would take longer than all else."""
    import keras

    keras.utils.set_random_seed(2)
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "softmax")])
    trained = Trained(archive_of(made), signature_of(made), Task.MULTICLASS, False, {}, 0.0)
    model = KerasModel.of(trained, None).setParams(labels=["near", "far", "lost"])
    assembler = VectorAssembler(inputCols=["a", "b"], outputCol="features")
    return PipelineModel([assembler, model])


def predictions(session: Any, pipeline: PipelineModel) -> list[list[Any]]:
    rows = session.range(0, 9, 1, 1).selectExpr("id * 0.7 AS a", "4 - id AS b")
    scored = pipeline.transform(rows).select("prediction", "probability")
    return [[row.prediction, row.probability.tolist()] for row in scored.collect()]


def save_pipeline(session: Any, uris: list[str]) -> dict[str, Any]:
    """Save a model, fail to save anything over it, and then replace it by a pipeline."""
    pipeline = make_pipeline()
    model = pipeline.stages[-1]
    refused = {}
    for uri in uris:
        model.save(uri)
        refused[uri] = [failure(each.save, uri) for each in (pipeline, model)]
        pipeline.write().overwrite().save(uri)
    return {"predicted": predictions(session, pipeline), "refused": refused}


def failure(function: Any, *arguments: Any) -> str:
    """What the error says."""
    try:
        function(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError(f"{arguments} is no error")


def damage(uri: str, options: dict[str, Any]) -> list[str]:
    """What is said of the model in a pipeline when a byte is another one, and without metadata."""
    import fsspec

    filesystem, path = fsspec.core.url_to_fs(uri, **options)
    [stage] = filesystem.glob(f"{path}/stages/1_*")
    content = filesystem.cat(f"{stage}/model.keras")
    half = len(content) // 2
    changed = bytes([content[half] ^ 1])
    filesystem.pipe(f"{stage}/model.keras", content[:half] + changed + content[half + 1 :])
    model = f"{uri}/stages/{stage.rpartition('/')[2]}"
    found = [failure(KerasModel.load, model), failure(PipelineModel.load, uri)]
    filesystem.rm(f"{stage}/metadata", recursive=True)
    return [*found, failure(KerasModel.load, model)]
