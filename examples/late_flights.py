"""Which flights arrive late? A Keras model as a stage of a Spark ML pipeline.

    python examples/late_flights.py
    spark-submit --master spark://host:7077 examples/late_flights.py

Evenings are later than mornings, and on some days the weather makes all flights late. The network
learns a vector for each day of the year; the logistic regression beside it sees the day's number.
"""

import sys
import tempfile
from pathlib import Path

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import OneHotEncoder, StandardScaler, StringIndexer, VectorAssembler
from pyspark.sql import functions as F
from session import start_spark

from tensorsparkml.ml import KerasEstimator

FLIGHTS = Path(__file__).resolve().parent / "data" / "flights.csv.gz"


def build_model(width):
    import keras

    layers = keras.layers
    ticket, day = keras.Input((width,), name="ticket"), keras.Input((), name="day", dtype="int32")
    vector = layers.Embedding(367, 4, embeddings_regularizer=keras.regularizers.L2(1e-4))(day)
    hidden = layers.Dense(64, activation="relu")(layers.Concatenate()([ticket, vector]))
    output = layers.Dense(1, activation="sigmoid")(layers.Dropout(0.2)(hidden))
    model = keras.Model({"ticket": ticket, "day": day}, output)
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
    return model


def stop_early():
    import keras

    return [keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)]


def run():
    spark = start_spark("late flights")
    flights = spark.read.csv(f"file://{FLIGHTS}", header=True, inferSchema=True)
    day = F.dayofyear(F.make_date(F.lit(2013), "month", "day"))
    rows = flights.withColumn("label", F.expr("double(arrival_delay >= 15)"))
    rows = rows.withColumn("day", day).repartition(2).cache()
    train, test = rows.randomSplit([0.8, 0.2], seed=3)

    words, numbers = ["carrier", "origin"], ["hour", "distance"]
    indices, vectors = [f"{word}_index" for word in words], [f"{word}_vector" for word in words]
    prepare = Pipeline(
        stages=[
            StringIndexer(inputCols=words, outputCols=indices, handleInvalid="keep"),
            OneHotEncoder(inputCols=indices, outputCols=vectors),
            VectorAssembler(inputCols=[*vectors, *numbers], outputCol="raw"),
            StandardScaler(inputCol="raw", outputCol="ticket"),
            VectorAssembler(inputCols=["ticket", "day"], outputCol="features"),
        ]
    ).fit(train)
    network = KerasEstimator(
        build_model,
        modelArgs={"width": prepare.transform(train).first()["ticket"].size},
        inputs={"ticket": "ticket", "day": "day"},
        validationFraction=0.15,
        metrics=["auc"],
        epochs=30,
        batchSize=256,
        numWorkers=2,
        callbacks=stop_early,
        seed=1,
    )
    evaluator = BinaryClassificationEvaluator()
    print(f"flights that arrive late             {rows.select(F.avg('label')).first()[0]:.3f}")
    for name, last in {"logistic regression": LogisticRegression(), "network": network}.items():
        model = Pipeline(stages=[prepare, last]).fit(train)
        print(f"area under ROC, {name:20} {evaluator.evaluate(model.transform(test)):.4f}")
    summary = model.stages[-1].summary
    print(
        f"epochs                               {summary.totalEpochs}, best {summary.bestEpoch + 1}"
    )

    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="late-flights-")
    model.write().overwrite().save(f"file://{folder}/model")
    columns = ["day", "tailnum", "probability"]
    found, again = (
        sorted(map(tuple, each.transform(test).select(columns).collect()), key=str)
        for each in (model, PipelineModel.load(f"file://{folder}/model"))
    )
    print(f"same predictions after loading       {found == again}")


if __name__ == "__main__":
    run()
