"""Values of several nodes, which all of them get."""

from __future__ import annotations

import json
import zlib

from tensorsparkml.control.coordinator.gathering import Gathering
from tensorsparkml.control.protocol.gathered import decode_gathered


def test_the_last_value_completes_it_and_a_repeated_call_changes_nothing() -> None:
    gathering = Gathering(3)
    assert not gathering.take(2, "c")
    assert not gathering.take(0, "a")
    assert not gathering.take(2, "again")
    assert not gathering.complete
    assert gathering.missing == [1]
    assert gathering.take(1, "b")
    assert gathering.complete
    assert decode_gathered(json.loads(gathering.reply())["gathered"]) == ["a", "b", "c"]
    assert not gathering.take(1, "again")
    assert gathering.reply() is gathering.reply()


def test_a_long_reply_is_compressed() -> None:
    gathering, value = Gathering(1_000), {"host": "10.0.0.1", "spool": "/tmp/" + "x" * 200}
    for rank in range(1_000):
        gathering.take(rank, value)
    reply = gathering.reply()
    assert decode_gathered(json.loads(zlib.decompress(reply))["gathered"]) == [value] * 1_000
    assert len(reply) < 20_000
