"""Which flights arrive late? A Keras model as a stage of a Spark ML pipeline.

    python examples/late_flights.py
    spark-submit --master spark://host:7077 examples/late_flights.py

Weather and holidays make some days late, evenings are later than mornings, and airlines differ.
The network learns how these go together; the logistic regression beside it adds them up.
"""

import sys
import tempfile
from pathlib import Path

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.sql import functions as F
from session import start_spark

from tensorsparkml.ml import KerasEstimator

FLIGHTS = Path(__file__).resolve().parent / "data" / "flights.csv.gz"
WORDS = ["carrier", "origin"]


def build_model():
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(32, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
    return model


def stop_early():
    import keras

    return [keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True)]


def run():
    spark = start_spark("late flights")
    flights = spark.read.csv(f"file://{FLIGHTS}", header=True, inferSchema=True)
    flights = flights.withColumn("late", F.col("arrival_delay") >= 15)
    flights = flights.withColumn("week", F.floor((F.col("month") * 31 + F.col("day")) / 7))
    rows = flights.withColumn("label", F.col("late").cast("double")).repartition(4).cache()
    train, test = rows.randomSplit([0.8, 0.2], seed=3)
    indexer = StringIndexer(
        inputCols=[*WORDS, "week"], outputCols=["c", "o", "w"], handleInvalid="keep"
    )
    encoder = OneHotEncoder(inputCols=["c", "o", "w"], outputCols=["cv", "ov", "wv"])
    hours = (F.col("hour") - 13) / 5
    train, test = (each.withColumn("h", hours) for each in (train, test))
    assembler = VectorAssembler(inputCols=["cv", "ov", "wv", "h"], outputCol="features")
    network = KerasEstimator(
        build_model,
        epochs=30,
        batchSize=256,
        numWorkers=2,
        validationFraction=0.15,
        metrics=["auc"],
        callbacks=stop_early,
        seed=1,
    )
    evaluator = BinaryClassificationEvaluator()
    areas = {}
    for name, last in {"logistic regression": LogisticRegression(), "network": network}.items():
        model = Pipeline(stages=[indexer, encoder, assembler, last]).fit(train)
        areas[name] = evaluator.evaluate(model.transform(test))
    summary = model.stages[-1].summary
    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="late-flights-")
    model.write().overwrite().save(f"file://{folder}/model")
    again = evaluator.evaluate(PipelineModel.load(f"file://{folder}/model").transform(test))
    late = rows.where("late").count() / rows.count()
    print(f"flights that arrive late  {late:.3f}")
    print(f"epochs                    {summary.totalEpochs}, best {summary.bestEpoch + 1}")
    for name, area in areas.items():
        print(f"area under ROC, {name:20} {area:.4f}")
    print(f"area under ROC, loaded again         {again:.4f}")


if __name__ == "__main__":
    run()
