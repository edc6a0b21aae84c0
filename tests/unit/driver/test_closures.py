"""The functions that Spark's tasks get carry no more secrets than they need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cloudpickle
import pyarrow as pa
import pytest
from tests.unit.example_keys import KEYS, with_certificate
from tests.unit.example_plan import example_plan

from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.control.protocol.keys import FEEDER, of_node
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.driver.feeds.delivery import sending
from tensorsparkml.driver.inference.jobs import _row_task
from tensorsparkml.driver.spark.launch_job import launch_task


def feeding(plan: ClusterPlan) -> Any:
    return sending(plan, [], FeedLedger("train", 3), "", 0, None)  # type: ignore[arg-type]


def inference(plan: ClusterPlan) -> Any:
    return _row_task(plan.keys.credentials(FEEDER), [], "inference", pa.schema([]), ())


@pytest.mark.parametrize("make_task", [feeding, inference])
def test_tasks_that_bring_rows_have_the_token_of_feeders_only(
    make_task: Callable[[ClusterPlan], Any],
) -> None:
    keys = with_certificate(KEYS)
    assert keys.secret and keys.private_key and keys.certificate
    sent = cloudpickle.dumps(make_task(example_plan(keys=keys)))
    assert keys.token(FEEDER).encode() in sent
    assert keys.certificate.encode() in sent
    assert keys.secret.encode() not in sent
    assert keys.private_key.encode() not in sent
    assert keys.token(of_node(0)).encode() not in sent


def test_tasks_that_start_nodes_have_the_secret() -> None:
    """So that the test above could fail."""
    keys = with_certificate(KEYS)
    assert keys.secret
    assert keys.secret.encode() in cloudpickle.dumps(launch_task(example_plan(keys=keys), b""))
