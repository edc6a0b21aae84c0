"""The functions that Spark's tasks get carry no more secrets than they need."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import cloudpickle
import pyarrow as pa
import pytest
from tests.unit.example_keys import KEYS, with_certificate
from tests.unit.example_plan import example_plan

from tensorsparkml._version import __version__
from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.control.protocol.keys import FEEDER, of_node
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.driver.feeds.delivery import sending
from tensorsparkml.driver.inference.jobs import _row_task
from tensorsparkml.driver.spark.launch_job import launch_task
from tensorsparkml.driver.spark.remote_import import remote_import
from tensorsparkml.errors import MissingPackageError
from tensorsparkml.inference.engine.failure_reports import typed_errors
from tensorsparkml.inference.engine.task import Application
from tensorsparkml.inference.expressions import prediction_task
from tensorsparkml.inference.models.signature import Signature
from tensorsparkml.inference.models.source import Kind, ModelSource
from tensorsparkml.inference.outputs import Output, Result


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


def prediction() -> Any:
    source = ModelSource(Kind.FUNCTION, None, pickled=b"")
    result = Result("p", "p", "double", Output("p"))
    application = Application(source, Signature((), ()), ("x",), (), (result,), (pa.float64(),))
    return prediction_task(application)


@pytest.mark.parametrize(
    "function", [remote_import("tensorsparkml.executor.launch.task"), prediction()]
)
def test_tasks_say_when_their_python_lacks_this_library(function: Callable[..., Any]) -> None:
    sent = base64.b64encode(cloudpickle.dumps(function)).decode()
    arguments = "" if function.__code__.co_argcount == 0 else "iter([])"
    program = (
        "import base64, pickle, sys; sys.modules['tensorsparkml'] = None; "
        f"pickle.loads(base64.b64decode('{sent}'))({arguments})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    with pytest.raises(MissingPackageError) as caught, typed_errors():
        raise RuntimeError(done.stderr)
    assert caught.value.message.startswith(f"{sys.executable} on {os.uname().nodename} cannot ")
    assert f"install tensorsparkml=={__version__} there" in caught.value.message
