"""The features of `tf.train.Example`s that a dataset reads, and the tensors they become."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from tensorsparkml.data.columns.options import Matrix, Wanted
from tensorsparkml.data.files.tfrecord import TFRecordFiles
from tensorsparkml.errors import (
    ConfigurationError,
    DataError,
    MissingColumnError,
    UnsupportedColumnError,
)
from tensorsparkml.trainer.datasets.tf_dataset import BatchLayout

_LISTED = 30  # names in a message


class ParsedFeatures:
    """The features that are parsed, checked with the first record.

    Args:
        files: The files.
        layout: The columns of an element.
        schema: The features for `tf.io.parse_example`, or None for those of the first record.

    Raises:
        MissingColumnError: A requested feature does not exist.
        UnsupportedColumnError: A feature cannot be a column of a matrix.
        DataError: The first record does not have the features of the schema.
    """

    def __init__(
        self, files: TFRecordFiles, layout: BatchLayout, schema: Mapping[str, Any] | None
    ) -> None:
        import tensorflow as tf

        serialized = files.first_record()
        try:
            example = tf.train.Example.FromString(serialized)
        except Exception as error:  # protobuf's DecodeError, which TensorFlow does not export
            raise DataError(
                f"the first record of {files.name} is not a tf.train.Example"
            ) from error
        wanted = layout.columns()
        found = dict(schema) if schema is not None else _inferred(files, example, wanted)
        matrices = [each for each in wanted or layout.named() if isinstance(each, Matrix)]
        self._matrices = {matrix: _columns(matrix, found) for matrix in matrices}
        names = list(found)
        if wanted is not None:
            several = (
                self._matrices[each] if isinstance(each, Matrix) else [each] for each in wanted
            )
            names = list(dict.fromkeys(name for inside in several for name in inside))
        for name in [*names, *(name for inside in self._matrices.values() for name in inside)]:
            if name not in found:
                raise MissingColumnError(
                    f"there is no feature {name!r} in {files.name}; the features are "
                    f"{', '.join(list(found)[:_LISTED])}"
                )
        self._parsed = {name: found[name] for name in names}
        try:
            tf.io.parse_single_example(serialized, self._parsed)
        except (tf.errors.InvalidArgumentError, ValueError) as error:
            features = sorted(example.features.feature.items())
            has = ", ".join(f"{name} ({each.WhichOneof('kind')})" for name, each in features)
            raise DataError(
                f"the features of the schema do not fit the first record of {files.name}, which "
                f"has {has}: {error}"
            ) from error
        for matrix, inside in self._matrices.items():
            _check_matrix(matrix, {name: found[name] for name in inside})

    @property
    def single(self) -> list[str]:
        """The features that are in no matrix."""
        inside = {name for names in self._matrices.values() for name in names}
        return [name for name in self._parsed if name not in inside]

    def parse(self, serialized: Any) -> dict[Wanted, Any]:
        """Return the tensors of serialized examples, shape `(rows,)`, for features and matrices."""
        import tensorflow as tf

        columns: dict[Wanted, Any] = dict(tf.io.parse_example(serialized, self._parsed))
        rows = tf.shape(serialized)[0]
        for matrix, names in self._matrices.items():
            dtype = tf.as_dtype(matrix.dtype)
            parts = [
                tf.reshape(columns[name], (rows, _width(self._parsed[name]))) for name in names
            ]
            # Of one type before they are joined: one operation casts all.
            kinds = {part.dtype for part in parts}
            if len(kinds) > 1:
                parts = [tf.cast(part, dtype) for part in parts]
            columns[matrix] = tf.cast(tf.concat(parts, 1), dtype)
        return columns


def _columns(matrix: Matrix, available: Iterable[str]) -> list[str]:
    """Return the names of a matrix's columns."""
    if not isinstance(matrix.columns, str):
        return list(matrix.columns)
    found = [name for name in available if fnmatchcase(name, matrix.columns)]
    if not found:
        raise MissingColumnError(f"no feature has a name like {matrix.columns!r}")
    return found


def _check_matrix(matrix: Matrix, features: Mapping[str, Any]) -> None:
    import tensorflow as tf

    if matrix.fill is not None:
        raise ConfigurationError(
            f"{matrix} has a fill value, but records have no nulls; give the features of the "
            "schema a default_value"
        )
    for name, feature in features.items():
        if not isinstance(feature, tf.io.FixedLenFeature) or feature.dtype == tf.string:
            raise UnsupportedColumnError(
                f"feature {name!r} cannot be a column of {matrix}, because it is {feature}; a "
                "matrix needs numbers of a fixed length"
            )
        own: np.dtype = np.dtype(feature.dtype.as_numpy_dtype)
        if matrix.dtype.kind != "f" and not np.can_cast(own, matrix.dtype):
            raise UnsupportedColumnError(
                f"feature {name!r} has elements of dtype {own}, which may not fit the dtype "
                f"{matrix.dtype} of {matrix}; use a floating-point or larger dtype"
            )


def _width(feature: Any) -> int:
    return int(np.prod(feature.shape, dtype=np.int64))


def _inferred(
    files: TFRecordFiles, example: Any, wanted: Collection[Wanted] | None
) -> dict[str, Any]:
    """Return the features of a record, each with the length that it has there."""
    import tensorflow as tf

    dtypes = {"bytes_list": tf.string, "float_list": tf.float32, "int64_list": tf.int64}
    found = {}
    for name, feature in sorted(example.features.feature.items()):
        kind = feature.WhichOneof("kind")
        count = len(getattr(feature, kind).value) if kind else 0
        if not count:
            if wanted is not None and not any(_names(each, name) for each in wanted):
                continue
            raise DataError(
                f"feature {name!r} is empty in the first record of {files.name}, so its type or "
                "length is unknown; pass schema={…} with all features"
            )
        found[name] = tf.io.FixedLenFeature(() if count == 1 else (count,), dtypes[kind])
    return found


def _names(wanted: Wanted, name: str) -> bool:
    """Whether a requested column or matrix includes a feature."""
    if not isinstance(wanted, Matrix):
        return wanted == name
    if isinstance(wanted.columns, str):
        return fnmatchcase(name, wanted.columns)
    return name in wanted.columns
