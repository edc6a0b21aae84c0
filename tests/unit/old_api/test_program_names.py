"""How the old API's wrappers of a program are sent, and called in messages."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tensorflowonspark.nodes import NodeNames
from tensorflowonspark.TFParallel import Instance
from tensorflowonspark.TFSparkNode import Program
from tensorsparkml.driver.lifecycle.pickling import pickle_main
from tensorsparkml.program.naming import function_name
from tensorsparkml.program.pickling import load_main


def map_fun(tf_args: Any, ctx: Any) -> None:
    pass


@pytest.mark.parametrize(
    ("function", "name"),
    [(map_fun, "map_fun"), (partial(map_fun), "map_fun"), (lambda tf_args, ctx: None, "main")],
)
def test_a_wrapper_has_the_name_of_the_users_function(function: Any, name: str) -> None:
    names = NodeNames(2, 0, None, False)
    for wrapper in (Program(function, names), Instance(function)):
        arrived, _ = load_main(pickle_main(wrapper, None))
        assert function_name(wrapper) == function_name(arrived) == name
