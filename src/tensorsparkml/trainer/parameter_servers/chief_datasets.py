"""Datasets that a worker reads for the chief: the chief's end.

The dataset that the chief gets is a graph, which runs where TensorFlow runs the step that reads it:
on a worker. There it calls that worker's `ServedDatasets`, in which the rows are.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import cloudpickle

from tensorsparkml.errors import DataError
from tensorsparkml.program.pickling import dumps
from tensorsparkml.trainer.parameter_servers.signing import sign, verify
from tensorsparkml.trainer.parameter_servers.worker_datasets import (
    BEGIN,
    CALL,
    NEXT,
    OPEN,
    SPECIFICATION,
    TOKEN,
    WHO,
)

_PREFETCHED_BATCHES = 2


class RemoteDatasets:
    """Makes datasets of what the workers read, each its own share.

    Args:
        workers: Number of workers; the program is connected to all of them.
        key: Signs what chief and workers send each other.
    """

    def __init__(self, workers: int, key: str) -> None:
        self._workers = workers
        self._key = key
        self._numbers = itertools.count()

    def dataset(self, method: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Let every worker make a dataset, and return the one that stands for all of them.

        Args:
            method: Name of a method of `Context`.
            args: Its arguments.
            kwargs: Its keyword arguments.

        Raises:
            DataError: The workers' datasets differ.
        """
        import tensorflow as tf

        number = next(self._numbers)
        spec = self._open(number, dumps((method, tuple(args), kwargs)))
        tensors = tf.nest.flatten(spec, expand_composites=True)
        dtypes = [tensor.dtype for tensor in tensors]

        def begin(_: Any) -> Any:
            (handle,) = _call(BEGIN, tf.constant(number, tf.int64), b"", [tf.int64])
            return tf.ensure_shape(handle, [])

        def rows(handle: Any) -> Any:
            more, *values = _call(NEXT, handle, b"", [tf.bool, *dtypes])
            for value, tensor in zip(values, tensors, strict=True):
                value.set_shape(tensor.shape)
            return tf.ensure_shape(more, []), *values

        def element(_: Any, *values: Any) -> Any:
            return tf.nest.pack_sequence_as(spec, values, expand_composites=True)

        def one_pass(handle: Any) -> Any:
            elements = tf.data.Dataset.from_tensors(handle).repeat().map(rows)
            return elements.take_while(lambda more, *_: more).map(element)

        # The pass begins when an iterator asks, so that each iteration has a pass of its own.
        dataset = tf.data.Dataset.range(1).map(begin).flat_map(one_pass)
        return dataset.prefetch(_PREFETCHED_BATCHES)

    def _open(self, number: int, call: bytes) -> Any:
        signed = sign(self._key, CALL, number, call)
        # All at once: workers that open files wait for each other. And in threads, where TensorFlow
        # calls at once although it may be tracing the function that makes the dataset.
        with ThreadPoolExecutor(self._workers) as calls:
            answers = list(calls.map(partial(_open_on, number, signed), range(self._workers)))
        # TensorFlow does not tell whether it is the worker that answers.
        specs = [
            cloudpickle.loads(verify(self._key, SPECIFICATION, number, answer))
            for answer in answers
        ]
        for worker, spec in enumerate(specs):
            if spec != specs[0]:
                raise DataError(
                    f"the workers' batches differ: those of worker:0 are {specs[0]}, but those of "
                    f"worker:{worker} are {spec}; give the columns shapes with convert=…"
                )
        return specs[0]


def this_worker() -> Any:
    """Return the task index, int64, of the worker on which TensorFlow runs this."""
    import tensorflow as tf

    (index,) = _call(WHO, tf.constant(0, tf.int64), b"", [tf.int64])
    return tf.ensure_shape(index, [])


def _open_on(number: int, body: bytes, worker: int) -> bytes:
    import tensorflow as tf

    with tf.device(f"/job:worker/replica:0/task:{worker}/device:CPU:0"):
        (spec,) = _call(OPEN, tf.constant(number, tf.int64), body, [tf.string])
    return bytes(spec.numpy())


def _call(operation: str, number: Any, body: bytes, dtypes: list[Any]) -> Any:
    """Call the Python function of the process in which TensorFlow runs this."""
    import tensorflow as tf

    arguments = [tf.constant(operation), number, tf.constant(body)]
    return tf.raw_ops.PyFunc(input=arguments, token=TOKEN, Tout=dtypes)
