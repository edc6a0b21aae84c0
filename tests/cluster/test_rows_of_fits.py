"""What is wrong with the rows of a fit is known before a node starts."""

import pytest
from pyspark.ml.functions import array_to_vector
from pyspark.sql import functions as F

from tensorsparkml import errors
from tensorsparkml.ml import KerasEstimator
from tensorsparkml.ml.fitting.rows import RowsOfFit

NAN = float("nan")


def build():
    raise AssertionError("a node has started")


@pytest.fixture(scope="module")
def rows(spark):
    return spark.createDataFrame(
        [
            (1.0, 0, "a", 1.0, True, [0.0, 1.0], True, None, NAN, -1.0),
            (2.0, 1, "b", 0.5, False, [1.0, 0.0], False, 1.0, 1.0, 1.0),
            (3.0, 2, "c", 2.0, True, [1.0, 0.0], True, 2.0, 2.0, 1.0),
        ],
        "x double, y int, word string, weight double, flag boolean, pair array<double>, "
        "is_val boolean, holes double, nan double, negative double",
    )


# Params, with the error and what its message says.
WRONG = [
    (
        {"featuresCol": "z"},
        errors.MissingColumnError,
        "no column 'z' in the DataFrame; it has x",
    ),
    ({"labelCol": "z"}, errors.MissingColumnError, "no column 'z'"),
    ({"weightCol": "z"}, errors.MissingColumnError, "no column 'z'"),
    ({"validationIndicatorCol": "z"}, errors.MissingColumnError, "no column 'z'"),
    ({"inputs": {"a": "x", "b": ["weight", "z"]}}, errors.MissingColumnError, "no column 'z'"),
    ({"labelCol": "x"}, errors.ConfigurationError, "labelCol 'x' is also one of the features"),
    ({"labelCol": "word"}, errors.ConfigurationError, "'word' has strings; name the classes"),
    (
        {"labelCol": "word", "labels": ["a", "b"]},
        errors.DataError,
        "labelCol 'word' has values that labels does not name in 1 of 3 rows, such as 'c'",
    ),
    (
        {"labels": ["a", "b"]},
        errors.ConfigurationError,
        "labels names 'a', but labelCol 'y' has int",
    ),
    ({"classWeights": {"a": 1}}, errors.ConfigurationError, "classWeights names 'a', but"),
    ({"labelCol": "pair", "labels": [1, 2]}, errors.ConfigurationError, "has array<double>"),
    ({"labelCols": {"a": "y"}, "labels": [0, 1]}, errors.ConfigurationError, "for one labelCol"),
    (
        {"labelCol": "holes"},
        errors.NullValueError,
        r"labelCol 'holes' is null in 1 of 3 rows; .* df.na.drop\(subset=\['holes'\]\)",
    ),
    ({"labelCols": {"a": "y", "b": "holes"}}, errors.NullValueError, "'holes' is null in 1 of 3"),
    ({"labelCol": "nan"}, errors.DataError, "labelCol 'nan' is NaN in 1 of 3 rows"),
    ({"weightCol": "word"}, errors.ConfigurationError, "must have numbers, not string"),
    ({"weightCol": "holes"}, errors.DataError, "null, NaN or negative in 1 of 3 rows"),
    ({"weightCol": "nan"}, errors.DataError, "null, NaN or negative in 1 of 3 rows"),
    ({"weightCol": "negative"}, errors.DataError, "null, NaN or negative in 1 of 3 rows"),
    ({"validationIndicatorCol": "y"}, errors.ConfigurationError, "booleans, not int"),
]


@pytest.mark.parametrize(("params", "error", "message"), WRONG)
def test_what_is_wrong_is_known_before_a_node_starts(rows, params, error, message):
    estimator = KerasEstimator(build, featuresCol="x", labelCol="y", batchSize=1)
    with pytest.raises(error, match=message):
        estimator.setParams(**params).fit(rows)


def test_rows_to_validate_with_are_some_of_them(rows):
    estimator = KerasEstimator(
        build, featuresCol="x", labelCol="y", batchSize=1, validationIndicatorCol="is_val"
    )
    with pytest.raises(errors.DataError, match="'is_val' is true for all rows"):
        estimator.fit(rows.where("is_val"))
    with pytest.raises(errors.DataError, match="'is_val' is true for no row"):
        estimator.fit(rows.where("not is_val"))
    with pytest.raises(errors.NullValueError, match="'is_val' is null in 1 of 3 rows"):
        estimator.fit(rows.withColumn("is_val", F.expr("IF(y = 1, NULL, is_val)")))
    with pytest.raises(errors.DataError, match="the DataFrame has no rows"):
        estimator.fit(rows.limit(0))
    estimator.setParams(validationIndicatorCol=None, validationData=rows.limit(0))
    with pytest.raises(errors.DataError, match="validationData has no rows"):
        estimator.fit(rows)


def sent(rows, *split, **params):
    """The rows that nodes would get."""
    estimator = KerasEstimator(build, **{"featuresCol": "x", "labelCol": "y", **params})
    found = RowsOfFit(rows, estimator.columns())
    assert found.check() is not None
    train, validation = found.split(*(split or (None, None)))
    return [None if each is None else each.orderBy("x").collect() for each in (train, validation)]


def test_labels_become_numbers(rows):
    train, validation = sent(rows, labelCol="word", labels=["c", "b", "a"])
    assert [row.word for row in train] == [2, 1, 0]
    assert validation is None
    assert [row.flag for row in sent(rows, labelCol="flag")[0]] == [1, 0, 1]
    assert [row.flag for row in sent(rows, labelCol="flag", labels=[True, False])[0]] == [0, 1, 0]
    [train, _] = sent(rows.withColumn("y", F.col("y").cast("decimal(5, 2)")))
    assert [row.y for row in train] == [0.0, 1.0, 2.0]


def test_weights_are_those_of_rows_and_classes(rows):
    weights = {"weightCol": "weight", "classWeights": {0: 4.0, 2: 0.25}}
    assert [row[2] for row in sent(rows, **weights)[0]] == [4.0, 0.5, 0.5]


def test_the_indicator_splits_the_rows(rows):
    train, validation = sent(rows, validationIndicatorCol="flag")
    assert ([row.x for row in train], [row.x for row in validation]) == ([2.0], [1.0, 3.0])


def test_a_fraction_is_chosen_by_the_seed(spark):
    many = spark.range(1000).selectExpr("double(id) x", "int(id % 2) y")
    first, again, other = (sent(many, 0.3, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert 200 < len(first[1]) < 400
    assert sorted(row.x for part in first for row in part) == list(range(1000))


def test_vectors_are_features_and_labels(rows):
    vectors = rows.withColumn("y", array_to_vector("pair"))
    found = RowsOfFit(vectors, KerasEstimator(build, featuresCol="x", labelCol="y").columns())
    assert found.check() is None  # they are no single numbers
