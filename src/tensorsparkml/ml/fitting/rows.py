"""The rows of a fit: their columns, their labels and weights, and which of them validate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from tensorsparkml.data.columns.options import Matrix
from tensorsparkml.driver.spark.columns import (
    arrow_schema,
    positions,
    select_columns,
    with_positions,
)
from tensorsparkml.errors import ConfigurationError, DataError, NullValueError
from tensorsparkml.inference.engine.inputs import Input
from tensorsparkml.inference.features import check_columns
from tensorsparkml.ml.fitting.plan import Features, LabelRange

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType


@dataclass(frozen=True)
class Columns:
    """The columns that a fit reads.

    Attributes:
        features: The columns of the model's inputs.
        label: The column of labels, or columns by the names of the model's outputs; none where
            a program of the user's own reads them.
        weight: The column of weights, or None.
        indicator: The column that is true for rows to validate with, or None.
        labels: The values that the classes 0, 1, … stand for, or None.
        class_weights: Weights of rows by the value of their label.
    """

    features: Features
    label: str | Mapping[str, str]
    weight: str | None = None
    indicator: str | None = None
    labels: Sequence[Any] | None = None
    class_weights: Mapping[Any, float] | None = None

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns of features."""
        wanted = self.features.values() if isinstance(self.features, Mapping) else [self.features]
        found = [[each] if isinstance(each, str) else list(each.columns) for each in wanted]
        return list(dict.fromkeys(name for names in found for name in names))

    @property
    def label_names(self) -> list[str]:
        """Names of the columns of labels."""
        return [self.label] if isinstance(self.label, str) else list(self.label.values())

    @property
    def names(self) -> list[str]:
        """Names of all columns that are read."""
        others = [each for each in (self.weight, self.indicator) if each is not None]
        return list(dict.fromkeys([*self.feature_names, *self.label_names, *others]))

    @property
    def looked_at(self) -> bool:
        """Whether the values of some columns are checked before nodes start."""
        return bool(self.label_names) or self.weight is not None or self.indicator is not None

    @property
    def without_indicator(self) -> Columns:
        """The same columns, for rows that are all to validate with."""
        return replace(self, indicator=None)


class RowsOfFit:
    """The rows of a DataFrame, as the nodes get them.

    Args:
        data: The rows.
        columns: The columns that are read.

    Raises:
        ConfigurationError: The columns do not go together.
        DataError: A column is missing, or has a type that does not become a tensor.
    """

    def __init__(self, data: DataFrame, columns: Columns) -> None:
        self._columns = columns
        self._names = columns.names
        self._check_names()
        selected = select_columns(data, self._names)
        self._types = {field.name: field.dataType for field in selected.schema}
        self._data = with_positions(selected)
        self._check_types(arrow_schema(data.sparkSession, selected.schema))

    def check(self, *, validation: bool = False) -> LabelRange | None:
        """Look at the labels and the weights of all rows, in one Spark job.

        Args:
            validation: Whether these are rows to validate with, for messages.

        Returns:
            What the labels are, if they are single numbers.

        Raises:
            DataError: There are no rows, or a label or a weight cannot be one.
        """
        from pyspark.sql import functions as F

        asked: dict[str, Column] = {"rows": F.count(F.lit(1))}
        for place, name in enumerate(self._columns.label_names):
            asked[f"null{place}"] = F.count_if(self._column(name).isNull())
        if (single := self._single_label) is not None:
            found = self._label(single)
            asked |= {"least": F.min(found), "most": F.max(found)}
            asked["parts"] = F.count_if(found.cast("double") % 1 != 0)
            asked["nan"] = F.count_if(F.isnan(found.cast("double")))
            if self._columns.labels is not None:
                own = self._column(single)
                unknown = found < 0
                asked["unknown"] = F.count_if(unknown)
                asked["example"] = F.min(F.when(unknown, own).cast("string"))
        if (weight := self._columns.weight) is not None:
            column = self._column(weight).cast("double")
            good = F.coalesce((column >= 0) & ~F.isnan(column), F.lit(False))
            asked["weights"] = F.count_if(~good)
        if (indicator := self._columns.indicator) is not None:
            column = self._column(indicator)
            asked["unsaid"], asked["validating"] = F.count_if(column.isNull()), F.count_if(column)
        row = self._data.select([each.alias(name) for name, each in asked.items()]).first()
        assert row is not None
        self._refuse(row.asDict(), "validationData" if validation else "the DataFrame")
        if single is None:
            return None
        return LabelRange(single, float(row["least"]), float(row["most"]), row["parts"] == 0)

    def _refuse(self, found: Mapping[str, Any], what: str) -> None:
        rows = found["rows"]
        if not rows:
            raise DataError(f"{what} has no rows")
        for place, name in enumerate(self._columns.label_names):
            if count := found[f"null{place}"]:
                raise NullValueError(
                    f"labelCol {name!r} is null in {count:,} of {rows:,} rows; leave them out, as "
                    f"in df.na.drop(subset=[{name!r}])"
                )
        label = f"labelCol {self._single_label!r}"
        if found.get("nan"):
            raise DataError(f"{label} is NaN in {found['nan']:,} of {rows:,} rows; leave them out")
        if found.get("unknown"):
            raise DataError(
                f"{label} has values that labels does not name in {found['unknown']:,} of "
                f"{rows:,} rows, such as {found['example']!r}; add them to labels, or leave the "
                "rows out"
            )
        if found.get("weights"):
            raise DataError(
                f"weightCol {self._columns.weight!r} is null, NaN or negative in "
                f"{found['weights']:,} of {rows:,} rows; leave them out, or give them a weight"
            )
        if (indicator := self._columns.indicator) is not None:
            name = f"validationIndicatorCol {indicator!r}"
            if found["unsaid"]:
                raise NullValueError(f"{name} is null in {found['unsaid']:,} of {rows:,} rows")
            if found["validating"] in (0, rows):
                which = "no row" if found["validating"] == 0 else "all rows"
                raise DataError(f"{name} is true for {which}; it must be true for some")

    def split(self, fraction: float | None, seed: int | None) -> tuple[DataFrame, DataFrame | None]:
        """Return the rows to train with, and those to validate with, if there are any.

        Args:
            fraction: Part of the rows to validate with, or None.
            seed: Seed of the choice.
        """
        if (indicator := self._columns.indicator) is not None:
            validates = self._column(indicator)
            return self._sent(self._data.where(~validates)), self._sent(self._data.where(validates))
        if fraction is not None:
            train, validation = self._data.randomSplit([1 - fraction, fraction], seed)
            return self._sent(train), self._sent(validation)
        return self._sent(self._data), None

    def _column(self, name: str) -> Column:
        from pyspark.sql.functions import col

        return col(positions(len(self._names))[self._names.index(name)])

    def _sent(self, data: DataFrame) -> DataFrame:
        """Return the columns that go to the nodes."""
        columns = [self._column(name).alias(name) for name in self._columns.feature_names]
        columns += [self._label(name).alias(name) for name in self._columns.label_names]
        weight = self._weight()
        return data.select(*columns, *([] if weight is None else [weight.alias(WEIGHT)]))

    @property
    def weighted(self) -> bool:
        """Whether rows have weights."""
        return self._columns.weight is not None or self._columns.class_weights is not None

    def _weight(self) -> Column | None:
        from pyspark.sql import functions as F

        given, by_class = self._columns.weight, self._columns.class_weights
        factors = [] if given is None else [self._column(given).cast("float")]
        if by_class is not None:
            label = self._column(str(self._columns.label))
            factor = F.lit(1.0)
            for value, weight in by_class.items():
                factor = F.when(label == F.lit(value), F.lit(weight)).otherwise(factor)
            factors.append(factor.cast("float"))
        return reduce(lambda one, other: one * other, factors) if factors else None

    @property
    def _single_label(self) -> str | None:
        """The column of labels, if its values are single numbers or have numbers."""
        label = self._columns.label
        if not isinstance(label, str):
            return None
        return label if self._columns.labels is not None or _is_number(self._types[label]) else None

    def _label(self, name: str) -> Column:
        """Return the labels as numbers or vectors."""
        from pyspark.sql import functions as F
        from pyspark.sql.types import BooleanType, DecimalType

        column = self._column(name)
        if (labels := self._columns.labels) is not None:
            known = F.array(*map(F.lit, labels))
            return F.array_position(known, column) - 1
        if isinstance(self._types[name], BooleanType):
            return column.cast("int")
        return column.cast("double") if isinstance(self._types[name], DecimalType) else column

    def _check_names(self) -> None:
        features = self._columns.feature_names
        for name in self._columns.label_names:
            if name in features:
                raise ConfigurationError(f"labelCol {name!r} is also one of the features")
        label = self._columns.label
        by_class = {"labels": self._columns.labels, "classWeights": self._columns.class_weights}
        for param, values in by_class.items():
            if values is not None and not isinstance(label, str):
                raise ConfigurationError(f"{param} is for one labelCol, but labelCols has several")

    def _check_types(self, schema: pa.Schema) -> None:
        from pyspark.sql.types import BooleanType, StringType

        wanted = self._columns.features
        by_input: Mapping[str, str | Matrix] = (
            wanted if isinstance(wanted, Mapping) else {"": wanted}
        )
        check_columns([Input(name, None, each) for name, each in by_input.items()], schema, {})
        for name in self._columns.label_names:
            if isinstance(self._types[name], StringType) and self._columns.labels is None:
                raise ConfigurationError(
                    f"labelCol {name!r} has strings; name the classes in order with labels=[…], or "
                    "use Spark's StringIndexer"
                )
        self._check_labels()
        if (weight := self._columns.weight) is not None and not _is_number(self._types[weight]):
            raise ConfigurationError(
                f"weightCol {weight!r} must have numbers, not {_text(self._types[weight])}"
            )
        if (indicator := self._columns.indicator) is not None and not isinstance(
            self._types[indicator], BooleanType
        ):
            raise ConfigurationError(
                f"validationIndicatorCol {indicator!r} must have booleans, not "
                f"{_text(self._types[indicator])}"
            )

    def _check_labels(self) -> None:
        from pyspark.sql.types import StringType

        label, labels = self._columns.label, self._columns.labels
        by_class = self._columns.class_weights
        if not isinstance(label, str) or (labels is None and by_class is None):
            return
        type_ = self._types[label]
        if not isinstance(type_, StringType) and not _is_number(type_):
            raise ConfigurationError(
                f"labels and classWeights are for single values, but labelCol {label!r} has "
                f"{_text(type_)}"
            )
        has_text = isinstance(self._types[label], StringType)
        for param, values in (("labels", labels), ("classWeights", by_class)):
            for value in values or ():
                if isinstance(value, str) != has_text:
                    raise ConfigurationError(
                        f"{param} names {value!r}, but labelCol {label!r} has "
                        f"{_text(self._types[label])}"
                    )


WEIGHT = "weight of the row"


def _is_number(type_: DataType) -> bool:
    from pyspark.sql.types import BooleanType, NumericType

    return isinstance(type_, NumericType | BooleanType)


def _text(type_: DataType) -> str:
    return type_.simpleString()
