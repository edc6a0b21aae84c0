"""What is no feed is named so that its user knows it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tensorsparkml.driver.feeds.sources import feed_rows
from tensorsparkml.errors import ConfigurationError


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (pd.DataFrame({"x": [1]}), "a pandas DataFrame"),
        (np.zeros(3), "a numpy ndarray"),
        ({"x": [1]}, "a dict"),
        (7, "a int"),
    ],
)
def test_other_data_is_named_with_what_makes_a_feed_of_it(data: Any, kind: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        feed_rows("data", data)
    assert f"data must be a Spark DataFrame or an RDD, not {kind};" in caught.value.message
    assert "spark.createDataFrame(...)" in caught.value.message
