"""A SQL query is the training set: how long a flight is in the air, by its route and its plane.

    python examples/sql_query.py
    spark-submit --master spark://host:7077 examples/sql_query.py

The query joins two tables and computes the inputs; its rows go to the nodes as they are. The
predictions come back as a column, and the next query looks at them.
"""

import tempfile
from pathlib import Path

from session import start_spark

import tensorsparkml as tsm

DATA = Path(__file__).resolve().parent / "data"

FLIGHTS = """
    SELECT array(distance / 1000, seats / 100, cos(month * pi() / 6), hour / 24) AS inputs,
           air_time / 100 AS hundred_minutes,
           engine,
           pmod(hash(day, month), 5) = 0 AS is_test
    FROM flights JOIN planes USING (tailnum)
"""
ERRORS = """
    SELECT engine,
           count(*) AS flights,
           avg(abs(100 * (prediction - hundred_minutes))) AS error,
           avg(abs(100 * (mean - hundred_minutes))) AS error_of_the_mean
    FROM predicted CROSS JOIN (SELECT avg(hundred_minutes) AS mean FROM predicted)
    GROUP BY engine ORDER BY flights DESC LIMIT 2
"""


def main(args, ctx):
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    with ctx.strategy.scope():
        model = keras.Sequential(
            [keras.Input((4,)), layers.Dense(16, activation="relu"), layers.Dense(1)]
        )
        model.compile(keras.optimizers.Adam(5e-3), "mean_absolute_error")
    flights = ctx.dataset(batch_size=32, features="inputs", label="hundred_minutes")
    model.fit(flights, epochs=args["epochs"], verbose=0)
    return ctx.export(model, args["model"])


if __name__ == "__main__":
    spark = start_spark("sql")
    for table in ("flights", "planes"):
        file = str(DATA / f"{table}.csv.gz")
        rows = spark.read.csv(file, header=True, inferSchema=True)
        rows.createOrReplaceTempView(table)
    flights = spark.sql(FLIGHTS).cache()
    args = {"epochs": 5, "model": tempfile.mkdtemp(prefix="flights-model-")}
    model = tsm.run(main, args, data=flights.where("NOT is_test"), num_workers=2)[0]
    predicted = tsm.predict(flights.where("is_test"), model, features="inputs")
    predicted.createOrReplaceTempView("predicted")
    for row in spark.sql(ERRORS).collect():
        print(
            f"{row.engine}: {row.flights} test flights, off by {row.error:.1f} minutes "
            f"({row.error_of_the_mean:.1f} if all took the mean time)"
        )
