"""Saves an estimator and a model, and what is to be found in them when they are loaded.

`tests/cluster/test_saved_stages.py` shows that later versions load them. Run it when a release
writes its folders in another way, with the lowest versions of Keras and Spark that
`pyproject.toml` allows, as they read no files of later ones; `make test-lowest` installs them:

    .venv-lowest/bin/python tools/save_stages.py tests/data/saved
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import tensorsparkml as tsm
from tensorsparkml.ml import KerasEstimator

LABELS = ["near", "far", "lost"]


def make_estimator() -> KerasEstimator:
    """One without functions, whose pickles other versions of Python cannot read."""
    import keras

    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return KerasEstimator(
        model,
        featuresCol="x",
        labelCol="kind",
        labels=LABELS,
        classWeights={"lost": 2.0},
        metrics=["accuracy"],
        validationIndicatorCol="validates",
        epochs=2,
        batchSize=8,
        seed=4,
    )


def described(stage: Any) -> dict[str, Any]:
    """Its uid and its params, without Keras models."""
    values = {each.name: value for each, value in stage.extractParamMap().items()}
    names = sorted(values.keys() - {"model", "initialModel"})
    return {"uid": stage.uid, "params": {name: values[name] for name in names}}


def weights_of(model: Any) -> list[Any]:
    return [each.tolist() for each in model.get_weights()]


def save(folder: Path) -> None:
    tsm.ensure_java()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[1]").getOrCreate()
    rows = spark.range(0, 48, 1, 1).selectExpr(
        "array(float(id % 7) / 7, float(id % 5) / 5) AS x",
        "array('near', 'far', 'lost')[id % 3] AS kind",
        "id % 4 = 0 AS validates",
    )
    estimator = make_estimator()
    model = estimator.fit(rows)
    estimator.setParams(initialModel=model)
    scored = model.transform(rows.select("x").limit(8)).collect()
    expected = {
        "estimator": described(estimator),
        "weights": {
            "model": weights_of(estimator.value("model")),
            "initialModel": weights_of(model.keras_model()),
        },
        "model": described(model),
        "summary": model.summary.to_json(),
        "rows": [row.x for row in scored],
        "predictions": [row.prediction for row in scored],
        "probabilities": [row.probability.tolist() for row in scored],
    }
    for name, stage in {"estimator": estimator, "model": model}.items():
        stage.save(f"file://{(folder / name).resolve()}")
    for checksum in folder.rglob(".*.crc"):  # of Hadoop's local filesystem alone
        checksum.unlink()
    (folder / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")
    spark.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path, help="folder of the folders of all versions")
    save(parser.parse_args().target / tsm.__version__)
