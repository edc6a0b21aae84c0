"""Datasets that a worker reads for the chief: the worker's end.

Where main runs on the chief alone, a worker's process runs TensorFlow's server, and has a context
of its own, which knows the worker's share. Steps that run on its server call a Python function in
this process, which makes datasets with that context and hands out their elements. What travels
between the two processes is in `remote_datasets.py`; rows never do.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cloudpickle
import numpy as np

from tensorsparkml.errors import SpentFeedError, UnsupportedVersionError
from tensorsparkml.trainer.parameter_servers.signing import sign, verify

# TensorFlow's name of the first Python function in a process, under which the chief calls it.
TOKEN = "pyfunc_0"
# Passes over one dataset that may be under way. Nobody tells of one that the chief breaks off.
_MOST_PASSES = 16
OPEN, BEGIN, NEXT, WHO = "open", "begin", "next", "who"
# What is signed.
CALL, SPECIFICATION = "call", "specification"


@dataclass(frozen=True)
class _Opened:
    """A dataset, and what an element's tensors look like, one by one."""

    dataset: Any
    tensors: list[Any]


@dataclass(frozen=True)
class _Pass:
    opened: _Opened
    elements: Iterator[Any]


class ServedDatasets:
    """Answers the calls that the chief's program makes in this process.

    Args:
        context: This node's `Context`.
        key: Signs what chief and workers send each other.
        fail: Ends the process, because of an error that is the program's.
    """

    def __init__(self, context: Any, key: str, fail: Callable[[BaseException], object]) -> None:
        self._context = context
        self._key = key
        self._fail = fail
        self._lock = threading.Lock()
        self._opened: dict[int, _Opened] = {}
        self._passes: dict[int, _Pass] = {}
        self._numbers = itertools.count()
        self._function: Any = None

    def register(self) -> None:
        """Make this process answer; before any other Python function is given to TensorFlow.

        Raises:
            UnsupportedVersionError: TensorFlow gives the function another name than the chief
                expects.
        """
        import tensorflow as tf

        def call(operation: Any, number: Any, body: Any) -> Any:
            return tf.numpy_function(self.answer, [operation, number, body], [tf.string])

        arguments = [tf.TensorSpec([], dtype) for dtype in (tf.string, tf.int64, tf.string)]
        # TensorFlow forgets the Python function when the graph is gone that has it.
        self._function = tf.function(call, autograph=False).get_concrete_function(*arguments)
        operations = self._function.graph.get_operations()
        tokens = [each.get_attr("token") for each in operations if each.type == "PyFunc"]
        if tokens != [TOKEN.encode()]:
            raise UnsupportedVersionError(
                f"TensorFlow {tf.__version__} is not supported with parameter servers: it names "
                f"the first Python function of a process {tokens}, not {TOKEN!r}"
            )

    def answer(self, operation: bytes, number: int, body: bytes) -> list[Any]:
        """Do what the chief asks.

        Args:
            operation: `open` to make a dataset, `begin` to begin a pass over it, `next` to go on
                with the pass, or `who` to tell which worker this is.
            number: Number of the dataset; for `next`, of the pass.
            body: For `open`, the pickled name of the context's method and its arguments, signed.

        Returns:
            For `open`, the pickled specification of an element, signed. For `begin`, the number of
            the pass. For `next`, whether there is a further element, and the arrays of its tensors;
            without one, arrays without rows. For `who`, the worker's task index.

        Raises:
            PermissionError: What is to be unpickled was not signed with the cluster's key.
        """
        asked = operation.decode()
        # TensorFlow's server lets in strangers: they shall neither be unpickled nor end the node.
        call = verify(self._key, CALL, int(number), body) if asked == OPEN else b""
        try:
            if asked == OPEN:
                return self._open(int(number), call)
            if asked == BEGIN:
                return self._begin(int(number))
            if asked == NEXT:
                return self._next(int(number))
            return [np.int64(self._context.task_index)]
        except BaseException as error:  # of the user's data and functions, which may raise anything
            self._fail(error)
            raise

    def _open(self, number: int, call: bytes) -> list[Any]:
        import tensorflow as tf

        method, args, kwargs = cloudpickle.loads(call)
        dataset = getattr(self._context, method)(*args, **kwargs)
        spec = dataset.element_spec
        tensors = tf.nest.flatten(spec, expand_composites=True)
        with self._lock:
            self._opened[number] = _Opened(dataset, tensors)
        return [_scalar(sign(self._key, SPECIFICATION, number, cloudpickle.dumps(spec)))]

    def _begin(self, number: int) -> list[Any]:
        opened = self._opened[number]
        begun = _Pass(opened, iter(opened.dataset))
        with self._lock:
            handle = next(self._numbers)
            self._passes[handle] = begun
            under_way = [each for each, one in self._passes.items() if one.opened is opened]
            for abandoned in under_way[:-_MOST_PASSES]:
                del self._passes[abandoned]
        return [np.int64(handle)]

    def _next(self, handle: int) -> list[Any]:
        import tensorflow as tf

        under_way = self._passes.get(handle)
        if under_way is None:
            raise SpentFeedError(
                f"a pass over the dataset has ended, because {_MOST_PASSES} other passes have "
                "begun since then; read one pass at a time"
            )
        for element in under_way.elements:
            # Only workers in lockstep need batches without rows.
            if tf.nest.flatten(element)[0].shape[:1] == [0]:
                continue
            tensors = tf.nest.flatten(element, expand_composites=True)
            return [np.bool_(True), *(_array(tensor) for tensor in tensors)]
        with self._lock:
            del self._passes[handle]
        return [np.bool_(False), *(_no_rows(spec) for spec in under_way.opened.tensors)]


def _array(tensor: Any) -> Any:
    value = tensor.numpy()
    return _scalar(value) if isinstance(value, bytes) else value


def _no_rows(spec: Any) -> Any:
    shape = [size or 0 for size in spec.shape.as_list()] if spec.shape.rank is not None else []
    if spec.dtype.as_numpy_dtype is object:
        return np.full(shape, b"", object)
    return np.zeros(shape, spec.dtype.as_numpy_dtype)


def _scalar(value: bytes) -> Any:
    """Return bytes as NumPy does not shorten them, which ends its own at the last byte not zero."""
    found = np.empty((), object)
    found[()] = value
    return found
