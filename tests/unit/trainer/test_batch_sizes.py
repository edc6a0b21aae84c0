"""The size of a batch on each node, or on all of them."""

import pytest

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.trainer.argument_checks import size_on_node


@pytest.mark.parametrize(
    ("batch_size", "global_batch_size", "nodes", "expected"),
    [(32, None, 2, 32), (None, 64, 2, 32), (None, 64, 1, 64), (None, 3, 3, 1)],
)
def test_rows_on_each_node(batch_size, global_batch_size, nodes, expected):
    assert size_on_node(batch_size, global_batch_size, nodes, in_step=True) == expected


@pytest.mark.parametrize("sizes", [(None, None), (32, 64)])
def test_one_of_both_is_given(sizes):
    with pytest.raises(ConfigurationError, match=r"either batch_size=.* or global_batch_size="):
        size_on_node(*sizes, 2, in_step=True)


@pytest.mark.parametrize("size", [1, 63, 65])
def test_all_nodes_have_batches_of_the_same_size(size):
    with pytest.raises(ConfigurationError, match=f"={size} does not divide evenly among 2 nodes"):
        size_on_node(None, size, 2, in_step=True)


def test_nodes_that_do_not_train_in_step_have_no_global_batch():
    assert size_on_node(32, None, 2, in_step=False) == 32
    with pytest.raises(ConfigurationError, match=r"needs nodes that train in step.* batch_size"):
        size_on_node(None, 64, 2, in_step=False)
