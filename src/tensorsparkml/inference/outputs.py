"""`Output`: what becomes of a model's output, and of which Spark type it is. No TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tensorsparkml.checks import function, integer, optional, switch, text
from tensorsparkml.data.columns.names import listed
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.inference.models.signature import Signature, TensorSpec

VECTOR = "vector"

# Spark's types of TensorFlow's numbers. Half precision has none, and unsigned numbers need the next
# larger one.
_SPARK_TYPES = {
    "float16": "float",
    "bfloat16": "float",
    "float32": "float",
    "float64": "double",
    "int8": "tinyint",
    "uint8": "smallint",
    "int16": "smallint",
    "uint16": "int",
    "int32": "int",
    "uint32": "bigint",
    "int64": "bigint",
    "bool": "boolean",
    "string": "string",
}


@dataclass(frozen=True)
class Output:
    """What becomes of an output of a model: `outputs={"label": tsm.Output("scores", argmax=True)}`.

    By default an output of single values, or of one value per row, becomes a column of numbers,
    booleans or strings; one with rows of shape `(n,)` an array, `(n, m)` an array of arrays.

    Attributes:
        name: Name of the model's output; None for the only one.
        type: Spark type of the column, such as "double", or "vector" for Spark ML's vectors. None
            follows from the output's dtype and shape.
        argmax: Whether the column has the index of the largest value of each row, as `bigint`.
        top_k: Number of the largest values that the column has, the largest first, as
            `array<struct<index: bigint, value: …>>`.
        function: Gets the output of a batch as an array of shape `(rows, ...)`, and returns the
            column's values, an array or a list with one element per row. Needs `type`.

    Raises:
        ConfigurationError: An argument has the wrong type, or several of `argmax`, `top_k` and
            `function` are given.
    """

    name: str | None = None
    type: str | None = None
    argmax: bool = False
    top_k: int | None = None
    function: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        """Check the arguments, as far as this is possible without the model."""
        optional(text)("name of a tsm.Output", self.name)
        optional(text)("type of a tsm.Output", self.type)
        switch("argmax of a tsm.Output", self.argmax)
        optional(integer(1))("top_k of a tsm.Output", self.top_k)
        optional(function)("function of a tsm.Output", self.function)
        chosen = [self.argmax, self.top_k is not None, self.function is not None]
        if chosen.count(True) > 1:
            raise ConfigurationError(
                "a tsm.Output has one of argmax, top_k and function; make an output of each"
            )
        if self.function is not None and self.type is None:
            raise ConfigurationError(
                "a tsm.Output with a function needs the Spark type of what it returns, as in "
                "tsm.Output(function=f, type='string')"
            )
        if self.type is not None and (self.argmax or self.top_k is not None):
            raise ConfigurationError(
                "a tsm.Output with argmax or top_k has a type of its own; leave type out, or cast "
                "the column in Spark"
            )


@dataclass(frozen=True)
class Result:
    """A column of the results.

    Attributes:
        column: Its name.
        source: Name of the model's output that it comes from; None for the only one of a function.
        type: Its Spark type, as DDL; that of a vector is `array<double>`, until Spark converts it.
        output: What becomes of the output.
    """

    column: str
    source: str | None
    type: str
    output: Output

    @property
    def is_vector(self) -> bool:
        """Whether Spark makes a vector of it."""
        return self.output.type == VECTOR


# What users give: names of outputs, or columns with what becomes of an output.
Outputs = str | Output | Sequence[str] | Mapping[str, str | Output]


def check_outputs(name: str, value: Any) -> dict[str | None, Output] | None:
    """Check for outputs, and return them by the names of their columns; None for all.

    A single one has no name.
    """
    if value is None:
        return None
    if isinstance(value, Output) or (isinstance(value, str) and value):
        return {None: _output(value)}
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = [(each, each) for each in value]
    else:
        items = []
    strings = [key for key, _ in items if isinstance(key, str) and key]
    wrong = [each for _, each in items if not isinstance(each, str | Output)]
    if not items or wrong or len(set(strings)) < len(items):
        raise ConfigurationError(
            f"{name} must be names of the model's outputs, or a dict from columns to names or "
            f"tsm.Output(...), not {value!r}"
        )
    return {key: _output(each) for key, each in items}


def _output(value: str | Output) -> Output:
    return Output(value) if isinstance(value, str) else value


def results(
    asked: Mapping[str | None, Output] | None, signature: Signature, model: str
) -> list[Result]:
    """Return the columns of the results.

    Args:
        asked: What `check_outputs` has returned.
        signature: What the model gives.
        model: Names the model in messages.

    Raises:
        ConfigurationError: The model has no such output, or its type is none of Spark's.
    """
    specs = {each.name: each for each in signature.outputs}
    wanted: Mapping[str | None, Output] = (
        {name: Output(name) for name in specs} if asked is None else asked
    )
    found = []
    for column, output in wanted.items():
        name = output.name
        if name is None and len(specs) == 1:
            [name] = specs
        if name not in specs:
            what = "several outputs" if name is None else f"no output {name!r}"
            raise ConfigurationError(
                f"{model} has {what}; it has {listed(list(specs))}. Name one of them"
            )
        type_ = spark_type(specs[name], output, model)
        found.append(Result(column or name, name, type_, replace(output, name=name)))
    return found


def spark_type(spec: TensorSpec, output: Output, model: str) -> str:
    """Return the Spark type of an output, as DDL.

    Raises:
        ConfigurationError: It has none.
    """
    if output.type is not None:
        return "array<double>" if output.type == VECTOR else output.type
    if spec.dtype not in _SPARK_TYPES:
        raise ConfigurationError(
            f"output {spec.name!r} of {model} has the dtype {spec.dtype}, for which Spark has no "
            "type; give it one, as in tsm.Output(type='double'), or leave the output out"
        )
    element = _SPARK_TYPES[spec.dtype]
    shape = spec.row_shape
    if shape is None:
        raise ConfigurationError(
            f"output {spec.name!r} of {model} may have any shape; say what it becomes, as in "
            f"tsm.Output({spec.name!r}, type='array<{element}>')"
        )
    if output.argmax or output.top_k is not None:
        if not shape:
            raise ConfigurationError(
                f"output {spec.name!r} of {model} has single values, of which none is the "
                "largest; leave argmax and top_k out"
            )
        chosen = "bigint" if output.argmax else f"array<struct<index:bigint,value:{element}>>"
        return "array<" * (len(shape) - 1) + chosen + ">" * (len(shape) - 1)
    if shape == (1,):
        return element
    return "array<" * len(shape) + element + ">" * len(shape)
