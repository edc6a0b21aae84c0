"""Calls of strangers, who reach a worker through TensorFlow's server."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cloudpickle
import numpy as np
import pytest

from tensorsparkml.errors import SpentFeedError
from tensorsparkml.trainer.parameter_servers import worker_datasets as served_module
from tensorsparkml.trainer.parameter_servers.signing import sign
from tensorsparkml.trainer.parameter_servers.worker_datasets import CALL, OPEN, ServedDatasets

KEY = "the cluster's"


class Opens:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("key", [None, "another", ""])
def test_a_call_that_is_not_signed_is_not_unpickled(tmp_path: Path, key: str | None) -> None:
    trap, errors = tmp_path / "unpickled", list[BaseException]()
    served = ServedDatasets(SimpleNamespace(), KEY, errors.append)
    body = cloudpickle.dumps(Opens(trap))
    signed = body if key is None else sign(key, CALL, 0, body)
    with pytest.raises(PermissionError, match="does not come from a node of the cluster"):
        served.answer(OPEN.encode(), np.int64(0), signed)
    assert not trap.exists()
    assert errors == []  # a stranger does not end the node
    with pytest.raises(PermissionError):  # nor can one use a call for another dataset
        served.answer(OPEN.encode(), np.int64(1), sign(KEY, CALL, 0, body))
    assert not trap.exists()


def test_a_signed_call_is_answered(tmp_path: Path) -> None:
    """So that the test above could fail."""
    trap, errors = tmp_path / "unpickled", list[BaseException]()
    served = ServedDatasets(SimpleNamespace(), KEY, errors.append)
    body = sign(KEY, CALL, 0, cloudpickle.dumps(Opens(trap)))
    with pytest.raises(TypeError):  # what was unpickled is no call
        served.answer(OPEN.encode(), np.int64(0), body)
    assert trap.exists()
    assert len(errors) == 1


def test_passes_that_are_broken_off_do_not_add_up() -> None:
    served = ServedDatasets(SimpleNamespace(), KEY, lambda _: None)
    opened = served_module._Opened(range(3), [])
    served._opened[0] = opened
    handles = [served.answer(b"begin", np.int64(0), b"")[0] for _ in range(100)]
    assert len(served._passes) == 16
    with pytest.raises(SpentFeedError, match="16 other passes have begun"):
        served.answer(b"next", handles[0], b"")
