"""Runs `store_script.py` and `load_script.py`, and checks what they saw."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from store_script import ROWS
from tfrecord_flows import ROWS as TABLE_ROWS

from tensorsparkml.storage import write_directory

FOLDER = Path(__file__).parent


def run_script(name: str = "store_script.py", **arguments: Any) -> dict[str, Any]:
    defaults = {
        "native": None,
        "nobody": None,
        "options": {},
        "environment": {},
        "spark": {},
        "saved": [],
        "end_to_end": False,
    }
    result = subprocess.run(
        [sys.executable, str(FOLDER / name), json.dumps(defaults | arguments)],
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


def check_tfrecords(outcome: dict[str, Any], uri: str) -> None:
    """All that was written is there once, but for the partition that was replaced."""
    found = outcome["tfrecords"]
    others = [number for number in range(3 * TABLE_ROWS) if number % 3 != 1]
    negative = [-number for number in range(1, TABLE_ROWS, 3)]
    assert found["ids"] == sorted(negative + others)
    assert found["chosen"] == TABLE_ROWS
    assert found["streamed"] == len(found["ids"])
    assert found["refused"].startswith(f"{uri}-tfrecords is there already; set mode to")
    assert found["left"] == ["_SUCCESS", "part=0", "part=1", "part=2"]


def check_saved(outcome: dict[str, Any], loaded: dict[str, Any]) -> None:
    """Each pipeline was replaced only when it was to be, and predicts the same elsewhere."""
    saved = outcome["saved"]
    assert list(loaded["predicted"]) == list(saved["refused"])
    for uri, (pipeline, model) in saved["refused"].items():
        assert pipeline.startswith("AnalysisException: [PATH_ALREADY_EXISTS]")
        assert model == (
            f"ConfigurationError: {uri} exists already; to replace it, use "
            "write().overwrite().save(path)"
        )
        assert loaded["predicted"][uri] == saved["predicted"]


def check_damaged(loaded: dict[str, Any], uri: str) -> None:
    """What is said of a changed file, alone and in a pipeline, and without metadata."""
    changed, in_pipeline, incomplete = loaded["damaged"]
    assert changed.startswith(f"DataError: {uri}/stages/1_KerasModel_")
    assert changed.endswith(
        "/model.keras is not the file that was saved, or not all of it; save it again"
    )
    assert in_pipeline == changed
    assert incomplete.startswith(f"DataError: there is no KerasModel in {uri}/stages/1_KerasModel_")
    assert incomplete.endswith(", or not all of it")
