"""Runs `store_script.py`, and checks what its nodes saw."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from store_script import ROWS

from tensorsparkml.storage import write_directory

SCRIPT = Path(__file__).with_name("store_script.py")


def run_script(**arguments: Any) -> dict[str, Any]:
    defaults = {"native": None, "nobody": None, "options": {}, "environment": {}}
    result = subprocess.run(
        [sys.executable, str(SCRIPT), json.dumps(defaults | arguments)],
        capture_output=True,
        text=True,
        timeout=840,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout.rpartition("RESULT ")[2])


def check_shares(outcome: dict[str, Any], kind: str) -> None:
    """Each row on one node, shares that are even, and equal numbers of batches."""
    assert outcome["rows_read"] == ROWS
    batches = [node[kind] for node in outcome["nodes"]]
    rows = [list(itertools.chain(*node)) for node in batches]
    assert len(rows) == 2
    assert sorted(itertools.chain(*rows)) == list(range(ROWS))
    assert abs(len(rows[0]) - len(rows[1])) <= 1
    assert len(batches[0]) == len(batches[1]) > 1


def check_replacing(filesystem: Any, models: str, uri: str) -> None:
    """A folder is written twice, and is then all that is among the models."""

    def write(path: str) -> None:
        Path(path, "variables").mkdir(parents=True)
        Path(path, "saved.pb").touch()
        Path(path, "variables", "0").touch()

    for _ in range(2):
        write_directory(f"{uri}/one", write)
        assert filesystem.find(models) == [f"{models}/one/saved.pb", f"{models}/one/variables/0"]


def check_failures(outcome: dict[str, Any], missing: str, unreachable: str) -> None:
    """The two errors on each node."""
    for node in outcome["nodes"]:
        assert node["missing"].startswith(f"there are no files at {missing};")
        assert node["unreachable"].startswith(f"cannot list {unreachable}: ")
