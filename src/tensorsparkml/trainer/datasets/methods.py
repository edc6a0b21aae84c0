"""The methods of `tf.data.Dataset` on the datasets that nodes share.

A program that changes its dataset, as in `ctx.dataset(...).map(f)`, must mean the same with one
node and with several. A distributed dataset has no such methods, and a plain one has too many.
Methods that change each batch separately, or take the first batches, are applied to the batches of
each node. Methods that could make the nodes' numbers of batches differ are refused, because nodes
that are not in step wait for each other forever. A single node refuses them too, so that a program
that works on one node also works on two.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn

from tensorsparkml.errors import ConfigurationError

__all__ = ["ALLOWED", "REFUSED", "add_methods", "call_with", "with_shared_methods"]

_SPARK = "do this in Spark"
_SIZE = "give ctx.dataset another batch_size"
_ORDER = "use shuffle=True of tsm.run or cluster.train"
_PLAIN = "use `map`, which changes each batch separately"
# What to do instead.
REFUSED = {
    "apply": _PLAIN,
    "as_numpy_iterator": "read arrays with ctx.feed",
    "batch": _SIZE,
    "bucket_by_sequence_length": _SIZE,
    "concatenate": "use union on the DataFrames",
    "enumerate": _SPARK,
    "filter": _SPARK,
    "flat_map": _SPARK,
    "fingerprint": _SPARK,
    "get_single_element": "iterate over the dataset",
    "group_by_window": _SPARK,
    "ignore_errors": _SPARK,
    "interleave": _SPARK,
    "padded_batch": _SIZE,
    "ragged_batch": _SIZE,
    "rebatch": _SIZE,
    "rejection_resample": _SPARK,
    "save": _SPARK,
    "scan": _PLAIN,
    "shard": "each node already has its own share of the rows",
    "shuffle": _ORDER,
    "sparse_batch": _SIZE,
    "snapshot": "use `cache()`",
    "take_while": _SPARK,
    "unbatch": "read rows with ctx.feed",
    "unique": _SPARK,
    "window": _SPARK,
}
ALLOWED = ("cache", "map", "prefetch", "repeat", "skip", "take", "with_options")


def with_shared_methods(dataset: Any) -> Any:
    """Return a node's `tf.data.Dataset` with only the methods that a distributed one has.

    The datasets that its methods return are restricted in the same way.
    """
    import tensorflow as tf

    guarded = dataset.with_options(tf.data.Options())  # the same elements in an object of its own
    for name in ALLOWED:
        setattr(guarded, name, _with_guarded_result(getattr(dataset, name)))
    _refuse_others(guarded)
    return guarded


def add_methods(
    dataset: Any,
    derive: Callable[[Callable[[Any], Any]], Any],
    map_batches: Callable[..., Any],
) -> None:
    """Give a distributed dataset the methods of a `tf.data.Dataset`.

    Args:
        dataset: The distributed dataset.
        derive: Returns a dataset like this one, with a function applied to each node's dataset. The
            function must keep the same number of elements on all nodes.
        map_batches: Returns a dataset like this one, with a function applied to each batch, in a
            given number of parallel calls.
    """

    def cache(filename: str = "") -> Any:
        if filename:
            raise ConfigurationError("cache() takes no file name here; leave it out")
        return derive(lambda pairs: pairs.cache())

    methods: dict[str, Callable[..., Any]] = {  # ALLOWED
        "cache": cache,
        # Always in order: the nodes' batches of a step belong together.
        "map": lambda map_func, num_parallel_calls=None, deterministic=None, **_: map_batches(
            map_func, num_parallel_calls
        ),
        "prefetch": lambda buffer_size, name=None: dataset,  # it prefetches already
        "repeat": lambda count=None, name=None: derive(lambda pairs: pairs.repeat(count)),
        "skip": lambda count, name=None: derive(lambda pairs: pairs.skip(count)),
        "take": lambda count, name=None: derive(lambda pairs: pairs.take(count)),
        "with_options": lambda options, name=None: derive(
            lambda pairs: pairs.with_options(options)
        ),
    }
    for name, method in methods.items():
        setattr(dataset, name, method)
    _refuse_others(dataset)


def call_with(function: Callable[..., Any], batch: Any) -> Any:
    """Call a function with a batch as `tf.data.Dataset.map` does."""
    return function(*batch) if isinstance(batch, tuple) else function(batch)


def _with_guarded_result(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        return with_shared_methods(method(*args, **kwargs))

    return call


def _refuse_others(dataset: Any) -> None:
    for name in REFUSED:
        setattr(dataset, name, functools.partial(_refuse, name))


def _refuse(name: str, *_: Any, **__: Any) -> NoReturn:
    raise ConfigurationError(
        f"a dataset that nodes share has no `{name}`, because the nodes could then have different "
        f"numbers of batches and wait for each other forever; {REFUSED[name]}"
    )
