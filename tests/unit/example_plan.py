"""A plan of a cluster, for tests that need one."""

import sys
from dataclasses import replace
from typing import Any

from tests.unit.example_keys import KEYS

from tensorsparkml._version import __version__
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.roles import make_roles

_PLAN = ClusterPlan(
    cluster_id="c0ffee",
    keys=KEYS,
    coordinator="grpc+tcp://10.0.0.1:7000",
    roles=make_roles(3),
    launched=3,
    hold=True,
    direct_feed=None,
    direct_limited=False,
    lease_seconds=6.0,
    version=__version__,
    python=".".join(map(str, sys.version_info[:2])),
    packages=(),
    default_fs="file:///",
    working_dir="/",
    log_dir=None,
    work_dir=None,
    environment={},
    gpus=None,
    gpu_memory_growth=False,
    tensorboard=False,
)


def example_plan(**changes: Any) -> ClusterPlan:
    """Return a plan that differs from the example in some fields."""
    return replace(_PLAN, **changes)
