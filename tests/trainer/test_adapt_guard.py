"""Distributed datasets are refused where Keras's layers learn, and nodes' batches are joined."""

from two_processes import Node, run_processes


def adapt_to_a_distributed_dataset(node: Node) -> dict:
    from tensorsparkml.trainer.repairs import adapt_guard

    adapt_guard.install()
    import keras
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    rows = tf.data.Dataset.from_tensor_slices([[1.0], [2.0]]).batch(1)
    distributed = strategy.distribute_datasets_from_function(lambda _: rows)
    layers = {
        "Normalization": keras.layers.Normalization(),
        "Discretization": keras.layers.Discretization(num_bins=2),
        "StringLookup": keras.layers.StringLookup(),
        "IntegerLookup": keras.layers.IntegerLookup(),
        "TextVectorization": keras.layers.TextVectorization(),
        "FeatureSpace": keras.utils.FeatureSpace(features={"a": "float_normalized"}),
    }
    errors = {}
    for name, layer in layers.items():
        try:
            layer.adapt(data=distributed) if name != "FeatureSpace" else layer.adapt(distributed)
        except Exception as error:
            errors[name] = (type(error).__name__, str(error))
    layers["Normalization"].adapt(rows)
    return {"errors": errors, "mean": float(layers["Normalization"].mean[0, 0])}


def test_layers_say_what_to_do_with_a_distributed_dataset():
    [outcome] = run_processes(adapt_to_a_distributed_dataset, nodes=1)
    assert len(outcome.value["errors"]) == 6
    for name, (kind, message) in outcome.value["errors"].items():
        assert kind == "ConfigurationError"
        assert message.startswith(f"{name}.adapt would see only this node's part")
        assert "call ctx.adapt(layer, dataset)" in message
    assert outcome.value["mean"] == 1.5


def join_batches(node: Node) -> dict:
    import tensorflow as tf

    from tensorsparkml.trainer.datasets.adaptation import all_gather_of, of_all_nodes

    cpus = tf.config.list_physical_devices("CPU")
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpus[0], two)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    gathered = all_gather_of(strategy, nodes=1)(b"of a node with two replicas")

    ragged = tf.ragged.constant([["a"], ["b", "c"], []])
    sparse = tf.sparse.from_dense([[1, 0], [0, 2], [3, 0]])
    rows = {"dense": tf.range(6.0), "pair": (ragged, sparse)}
    rows["dense"] = tf.reshape(rows["dense"], (3, 2))
    local = tf.data.Dataset.from_tensor_slices(rows).batch(2, drop_remainder=True)
    together = of_all_nodes(local, 2, lambda payload: [payload, payload])
    [element] = list(together)
    return {
        "gathered": gathered,
        "shape": together.element_spec["dense"].shape.as_list(),
        "dense": element["dense"].numpy().tolist(),
        "ragged": element["pair"][0].to_list(),
        "sparse": tf.sparse.to_dense(element["pair"][1]).numpy().tolist(),
    }


def test_batches_of_all_nodes_are_joined():
    [outcome] = run_processes(join_batches, nodes=1)
    assert outcome.value == {
        "gathered": [b"of a node with two replicas"],
        "shape": [4, 2],
        "dense": [[0, 1], [2, 3]] * 2,
        "ragged": [[b"a"], [b"b", b"c"]] * 2,
        "sparse": [[1, 0], [0, 2]] * 2,
    }
