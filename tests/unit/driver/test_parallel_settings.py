"""What `run_parallel` refuses before it looks for slots."""

from __future__ import annotations

import pytest

from tensorsparkml.driver import parallel
from tensorsparkml.errors import ConfigurationError


def test_dynamic_allocation_is_refused_before_slots_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def check_settings(_: object) -> None:
        raise ConfigurationError("Spark does not run barrier stages with dynamic allocation")

    def free_slots(*_: object) -> int:
        raise AssertionError("executors that may never come must not be waited for")

    monkeypatch.setattr(parallel, "usable_session", lambda given: given)
    monkeypatch.setattr(parallel, "check_settings", check_settings)
    monkeypatch.setattr(parallel, "free_slots", free_slots)
    with pytest.raises(ConfigurationError, match="dynamic allocation"):
        parallel.run_parallel(print, [1, 2])
