"""PySpark's `predict_batch_udf`, as its users write it, and a function that does nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import Column


def batch_udf(
    path: str, size: int, convert: Callable[[Any], Any], shape: list[int] | None
) -> Callable[..., Any]:
    """Return a function from columns to a column of predictions.

    Args:
        path: Folder of the SavedModel.
        size: Rows of a batch.
        convert: Makes what the model takes of what PySpark gives.
        shape: Shape of a row, or None for scalars.
    """
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import ArrayType, FloatType

    def make() -> Callable[..., Any]:
        import tensorflow as tf

        loaded = tf.saved_model.load(path)
        apply = loaded.signatures["serving_default"]
        [(name, spec)] = apply.structured_input_signature[1].items()

        def predict(inputs: Any) -> Any:
            [output] = apply(**{name: tf.constant(convert(inputs), spec.dtype)}).values()
            return output.numpy()

        # What TensorFlow needs beside the signature lives as long as the model.
        predict.loaded = loaded  # type: ignore[attr-defined]
        return predict

    shapes: Any = None if shape is None else [shape]
    function: Callable[..., Any] = predict_batch_udf(
        make, return_type=ArrayType(FloatType()), batch_size=size, input_tensor_shapes=shapes
    )
    return function


def as_given(values: Any) -> Any:
    """Change nothing."""
    return values


def pixels(values: Any) -> np.ndarray:
    """Images from their bytes."""
    return np.stack([np.frombuffer(each, np.uint8) for each in values]).reshape(-1, 28, 28, 4)


def decoded(values: Any) -> Any:
    """Images from JPEG."""
    import tensorflow as tf

    def decode(value: Any) -> Any:
        image = tf.io.decode_image(value, channels=3, expand_animations=False)
        image.set_shape((None, None, 3))
        return tf.image.resize(image, (224, 224))

    return tf.map_fn(decode, tf.constant(list(values)), fn_output_signature=tf.float32)


def constants(*columns: str) -> Column:
    """Return what Spark needs for any function from the columns to the models' ten numbers."""
    from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]
    from pyspark.sql.types import ArrayType, FloatType

    def give(batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            first = batch[0] if isinstance(batch, tuple) else batch
            ends = pa.array(np.arange(0, 10 * len(first) + 1, 10, dtype=np.int32))
            yield pa.ListArray.from_arrays(ends, pa.array(np.zeros(10 * len(first), np.float32)))

    single, several = Iterator[pa.Array], Iterator[tuple[pa.Array, ...]]
    taken = single if len(columns) == 1 else several
    give.__annotations__ = {"batches": taken, "return": single}
    found: Column = arrow_udf(give, ArrayType(FloatType()))(*columns)
    return found
