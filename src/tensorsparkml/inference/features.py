"""Matches columns with the inputs of a model, at the driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from tensorsparkml.checks import as_list
from tensorsparkml.data.columns.convert import column_spec
from tensorsparkml.data.columns.names import MASK, Names, listed
from tensorsparkml.data.columns.options import Column, Wanted
from tensorsparkml.data.columns.types import is_binary, is_struct, leaf_type
from tensorsparkml.errors import ConfigurationError, ShapeMismatchError, UnsupportedColumnError
from tensorsparkml.inference.engine.inputs import (
    Decoder,
    Input,
    column_options,
    misfit_of_dtypes,
    wrong_dtype,
)
from tensorsparkml.inference.models.signature import TensorSpec

# For a function, which does not say what it takes, inputs have the names that the user gives.
Specs = Sequence[TensorSpec] | None


def columns_of_inputs(features: Any, specs: Specs, model: str) -> dict[str, Any]:
    """Return what each input of a model gets, in the order of the model.

    Args:
        features: A column, a matrix, several in the order of the inputs, or a dict of them by the
            names of the inputs.
        specs: The model's inputs, or None for those of a function.
        model: Names the model in messages.

    Raises:
        ConfigurationError: An input has no column, or a column has no input.
    """
    if specs is None:
        if isinstance(features, Mapping):
            return dict(features)
        values = as_list(features) or [features]
        return {_name(value, place): value for place, value in enumerate(values)}
    names = [each.name for each in specs]
    has = f"{model} has the inputs {', '.join(map(repr, names))}"
    if not isinstance(features, Mapping):
        values = as_list(features) or [features]
        if len(values) != len(names):
            raise ConfigurationError(
                f"{has}, but features has {len(values)} columns; pass features={{input: column}}"
            )
        return dict(zip(names, values, strict=True))
    for name in features:
        if name not in names:
            raise ConfigurationError(
                f"{has}, but features names an input {name!r} (for {str(features[name])!r}); use "
                "the names of the model's inputs"
            )
    for name in names:
        if name not in features:
            raise ConfigurationError(f"{has}, but features has no column for {name!r}")
    return {name: features[name] for name in names}


def _name(value: Any, place: int) -> str:
    return value if isinstance(value, str) else f"input {place}"


def column_of(name: str, convert: Mapping[str, Column]) -> str:
    """Return the column that a name needs: that of a mask needs the column itself."""
    column = name.removesuffix(MASK)
    options = convert.get(column)
    return column if options is not None and options.mask else name


def of_each(name: str, option: Any, columns: Mapping[str, Wanted]) -> dict[str, Any]:
    """Return an option of each input.

    Args:
        name: Name of the option, for messages.
        option: A value for the only input, a dict of values by columns, or None.
        columns: The column of each input.

    Raises:
        ConfigurationError: There are several inputs, or a column is none of theirs.
    """
    if option is None:
        return {}
    if not isinstance(option, Mapping):
        if len(columns) > 1:
            raise ConfigurationError(
                f"{name}={option!r} is for one input, but there are {len(columns)}; pass "
                f"{name}={{column: value}}"
            )
        return dict.fromkeys(columns, option)
    known = [each for each in columns.values() if isinstance(each, str)]
    for column in option:
        if column not in known:
            raise ConfigurationError(
                f"{name} names the column {column!r}, which no input gets; they get {listed(known)}"
            )
    return {each: option[column] for each, column in columns.items() if column in option}


def decoder(name: str, value: Any, spec: TensorSpec | None) -> Decoder:
    """Return what decodes the values of a binary column.

    Args:
        name: Name of the input.
        value: `"image"`, or a function of the bytes of one row.
        spec: What the model says of the input.

    Raises:
        ConfigurationError: It is neither, or the input has not the shape of an image.
    """
    from tensorsparkml.inference.engine.decoding import ImageDecoder, RowDecoder

    if callable(value):
        return RowDecoder(value)
    if value != "image":
        raise ConfigurationError(
            f'decode must be "image" or a function of the bytes of a row, not {value!r}'
        )
    shape = spec.row_shape if spec else None
    if spec is None or shape is None or len(shape) != 3 or None in shape:
        raise ConfigurationError(
            f'decode="image" needs an input of the shape (height, width, channels), but input '
            f"{name!r} has {'no known shape' if shape is None else f'the shape {shape}'}; pass a "
            "function that decodes the bytes of a row"
        )
    height, width, channels = (size for size in shape if size is not None)
    return ImageDecoder(height, width, channels, spec.dtype)


def check_columns(
    inputs: Sequence[Input], schema: pa.Schema, convert: Mapping[str, Column]
) -> None:
    """Check that the columns of a DataFrame can become what the inputs take, by their types.

    Args:
        inputs: What each input gets.
        schema: The DataFrame's schema.
        convert: How columns become tensors, where the default is not wanted.

    Raises:
        DataError: A column is missing, or cannot.
        ConfigurationError: What is asked for is not possible for the column.
    """
    names = Names(schema, convert)
    for each in inputs:
        if isinstance(each.wanted, str):
            _check(each, each.wanted, names, convert)
        else:
            for name in names.of_matrix(each.wanted):
                names.look_up(name)


def _check(each: Input, name: str, names: Names, convert: Mapping[str, Column]) -> None:
    place, is_mask = names.look_up(name)
    type_ = place.field.type
    if is_struct(type_):
        raise ConfigurationError(
            f"column {name!r} is a struct, but an input takes one tensor; name a field of it: "
            f"{', '.join(repr(inner.field.name) for inner in place.fields())}"
        )
    if each.decoder is not None and not is_binary(leaf_type(type_)):
        raise UnsupportedColumnError(
            f"column {name!r} of type {type_} cannot be decoded; decode is for binary columns"
        )
    options = column_options(each, names, convert) or Column()
    sizes = options.shape is not None
    packed = options.dtype is not None and is_binary(type_)
    lengths_known = sizes or not (packed or _nested(type_))
    spec = column_spec(place.field, None, options) if lengths_known else None
    if each.spec is None or each.decoder is not None or is_mask or spec is None:
        return
    if problem := misfit_of_dtypes(spec.dtype, each.spec.dtype):
        raise wrong_dtype(each, each.spec, problem)
    shape = each.spec.row_shape
    if shape is not None and not sizes and shape not in ((), (1,)):
        raise ShapeMismatchError(
            f"column {name!r} has single values, but input {each.name!r} of the model takes rows "
            f"of the shape {shape}; name another column, or make an array of several in Spark"
        )


def _nested(type_: pa.DataType) -> bool:
    return bool(leaf_type(type_) != type_ or pa.types.is_struct(type_))
