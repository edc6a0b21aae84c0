"""Preprocessing layers learn from the rows of all nodes.

Every node gives its layer all rows, batch by batch: those of the first node, of the second one, and
so on. So any layer with a method `adapt` learns what it would learn in one process from the same
batches, and gets the same state on every node. The nodes exchange their batches step by step, so
that only one batch of each node is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.program.keras_versions import is_of_keras_2

__all__ = [
    "AllGather",
    "all_gather_of",
    "check_same",
    "of_all_nodes",
    "packed",
    "parts",
    "unpacked",
]

AllGather = Callable[[bytes], list[bytes]]
"""Hands bytes to all nodes and returns theirs, by rank."""

_WORD = 8  # bytes


def check_same(layers: Any, all_gather: Callable[[list[str]], list[list[str]]]) -> None:
    """Check that all nodes adapt layers of the same kinds.

    Args:
        layers: This node's layers, as for `parts`.
        all_gather: Exchanges the kinds of the layers.

    Raises:
        ConfigurationError: The nodes adapt layers of different kinds.
    """
    if isinstance(layers, Mapping):
        own = [f"{key}: {type(layer).__name__}" for key, layer in layers.items()]
    else:
        several = layers if isinstance(layers, Sequence) else [layers]
        own = [type(layer).__name__ for layer in several]
    for rank, found in enumerate(all_gather(own)):
        if found != own:
            raise ConfigurationError(
                "all nodes must make the same calls of ctx.adapt, but this node adapts "
                f"{', '.join(own)}, and node {rank} adapts {', '.join(found)}"
            )


def parts(layers: Any, dataset: Any) -> list[tuple[Any, Any]]:
    """Return each layer with the dataset from which it learns.

    Args:
        layers: A layer, which gets the dataset's elements; or a dict or list of layers, each of
            which gets the part of the elements with its name or position.
        dataset: A `tf.data.Dataset` of batches.

    Raises:
        ConfigurationError: An element has no such part, or something is not a layer to adapt.
    """
    if isinstance(layers, Mapping):
        chosen = [(layer, _part(dataset, key)) for key, layer in layers.items()]
    elif isinstance(layers, Sequence):
        chosen = [(layer, _part(dataset, place)) for place, layer in enumerate(layers)]
    else:
        chosen = [(layers, dataset)]
    for layer, _ in chosen:
        if is_of_keras_2(type(layer)):
            raise ConfigurationError(
                f"ctx.adapt takes layers of Keras 3, but {layer.name!r} is one of Keras 2; pass it "
                "its vocabulary or statistics when you create it"
            )
    return chosen


def of_all_nodes(dataset: Any, nodes: int, all_gather: AllGather) -> Any:
    """Return a `tf.data.Dataset` with the batches of all nodes; an element has those of one step.

    All nodes must read it, and equally far.

    Args:
        dataset: This node's batches. All nodes must have the same number.
        nodes: Number of nodes.
        all_gather: Exchanges a batch.
    """
    import tensorflow as tf

    spec = dataset.element_spec
    dtypes = [each.dtype for each in tf.nest.flatten(spec, expand_composites=True)]

    def encode(element: Any) -> bytes:
        tensors = tf.nest.flatten(element, expand_composites=True)
        pieces = [tf.io.serialize_tensor(tensor).numpy() for tensor in tensors]
        return bytes(tf.train.BytesList(value=pieces).SerializeToString())

    def decode(payload: bytes) -> Any:
        pieces = tf.train.BytesList.FromString(payload).value
        tensors = [
            tf.io.parse_tensor(piece, dtype) for piece, dtype in zip(pieces, dtypes, strict=True)
        ]
        return tf.nest.pack_sequence_as(spec, tensors, expand_composites=True)

    def batches() -> Iterator[Any]:
        for element in dataset:
            found = [decode(payload) for payload in all_gather(encode(element))]
            yield tf.nest.map_structure(lambda *of_nodes: _joined(of_nodes), *found)

    signature = tf.nest.map_structure(lambda each: _spec_of_all(each, nodes), spec)
    options = tf.data.Options()
    # A batch is fetched when it is asked for, so that the nodes' collectives have one order.
    options.autotune.enabled = False
    options.experimental_optimization.inject_prefetch = False
    together = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return together.with_options(options)


def all_gather_of(strategy: Any, nodes: int) -> AllGather:
    """Return a function that exchanges bytes between nodes of a `MultiWorkerMirroredStrategy`.

    Args:
        strategy: The strategy.
        nodes: Number of nodes.
    """
    import tensorflow as tf

    replicas = strategy.num_replicas_in_sync // nodes

    def of_replica(words: Any) -> Any:
        context = tf.distribute.get_replica_context()
        # The first of the node's replicas speaks for it.
        first = tf.equal(context.replica_id_in_sync_group % replicas, 0)
        return context.all_gather(words[: tf.size(words) * tf.cast(first, tf.int32)], axis=0)

    def gather(words: Any) -> Any:
        found = strategy.run(of_replica, args=(words,))
        return strategy.experimental_local_results(found)[0]

    signature = [tf.TensorSpec([None], tf.int64)]  # collectives gather no strings
    function = tf.function(gather, input_signature=signature, autograph=False)

    def all_gather(payload: bytes) -> list[bytes]:
        return unpacked(function(packed(payload)).numpy())

    return all_gather


def packed(payload: bytes) -> np.ndarray:
    """Return the number of bytes, followed by the bytes, as int64."""
    whole = payload + bytes(-len(payload) % _WORD)
    return np.concatenate([[len(payload)], np.frombuffer(whole, np.int64)])


def unpacked(words: np.ndarray) -> list[bytes]:
    """Return the concatenated bytes from several results of `packed` in `words`."""
    found = []
    while len(words):
        size = int(words[0])
        end = 1 - (-size // _WORD)
        found.append(words[1:end].tobytes()[:size])
        words = words[end:]
    return found


def _part(dataset: Any, key: Any) -> Any:
    spec = dataset.element_spec
    places = range(len(spec)) if isinstance(spec, tuple) else ()
    if key not in (spec if isinstance(spec, dict) else places):
        has = ", ".join(spec) if isinstance(spec, dict) else f"{len(places) or 'one'} without names"
        raise ConfigurationError(
            f"the dataset has no feature for layer {key!r}; it has {has}. Pass several layers as a "
            "dict, and give the dataset features with the same names and no label: "
            'features={"age": "age", "text": "review"}'
        )

    def choose(*element: Any) -> Any:
        return element[key] if isinstance(spec, tuple) else element[0][key]

    return dataset.map(choose)


def _joined(values: Sequence[Any]) -> Any:
    import tensorflow as tf

    if isinstance(values[0], tf.SparseTensor):
        return tf.sparse.concat(0, list(values), expand_nonconcat_dims=True)
    return tf.concat(values, 0)


def _spec_of_all(spec: Any, nodes: int) -> Any:
    """Return the spec of a batch's tensor when it has the rows of all nodes."""
    import tensorflow as tf

    rows, *row = spec.shape.as_list()
    shape = [None if rows is None else rows * nodes, *row]
    if isinstance(spec, tf.RaggedTensorSpec):
        return tf.RaggedTensorSpec(shape, spec.dtype, spec.ragged_rank, spec.row_splits_dtype)
    return type(spec)(shape, spec.dtype)
