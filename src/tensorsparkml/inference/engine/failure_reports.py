"""A failure that no repetition mends ends its Spark stage at once, with its own message.

Spark repeats a task that fails, by default three times. But a null in a column stays one. So a task
tells the driver, which cancels the stage; the message is the reason that Spark then gives. Where
the driver cannot be reached, the task fails as any other.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from tensorsparkml import errors
from tensorsparkml.control.protocol.keys import Credentials
from tensorsparkml.control.protocol.rpc import RpcClient
from tensorsparkml.driver.spark.remote_import import failed_import
from tensorsparkml.errors import InferenceError, MissingPackageError, TensorSparkMLError

logger = logging.getLogger(__name__)

REPORTER = "inference"  # how a task calls itself
_CALL_SECONDS = 10.0
_CANCELLED_SECONDS = 30.0  # until Spark has ended the task
_TEXT = re.compile(r"tensorsparkml\.errors\.(\w+): (.*?)(?: SQLSTATE: \w+)?$", re.MULTILINE)


@dataclass(frozen=True)
class FailureReports:
    """Where tasks report failures.

    Attributes:
        location: Where the driver listens.
        credentials: What it takes to call it.
    """

    location: str
    credentials: Credentials

    def send(self, stage: int, error: TensorSparkMLError) -> None:
        """Report a failure, and wait until Spark ends this task; return if it does not."""
        try:
            client = RpcClient(self.location, self.credentials)
            client.call("failed", {"stage": stage, "text": as_text(error)}, timeout=_CALL_SECONDS)
        except (pa.ArrowException, OSError) as problem:
            logger.warning("cannot tell the driver why this task fails: %s", problem)
            return
        time.sleep(_CANCELLED_SECONDS)


class RepeatedError(Exception):
    """A failure that Spark may mend when it repeats the task; its cause says which."""


def as_text(error: TensorSparkMLError) -> str:
    """Return an error as one line, as tracebacks end with it."""
    return f"tensorsparkml.errors.{type(error).__name__}: {' '.join(error.message.split())}"


def from_text(text: str) -> TensorSparkMLError | None:
    """Return the first error of this library in a text of Spark's, or None."""
    for kind, message in _TEXT.findall(text):
        if (found := errors.by_name(kind)) is not None:
            return found(message.strip())
    lacks = failed_import(text)
    return None if lacks is None else MissingPackageError(lacks)


@contextmanager
def typed_errors() -> Iterator[None]:
    """Raise the errors of this library as such, where Spark's exceptions carry them.

    Predictions are computed by actions of Spark, which raise Spark's exceptions:

        with tsm.typed_errors():
            predictor.transform(df).write.parquet("scores")

    Raises:
        TensorSparkMLError: An action in the block failed for this reason. Spark's exception is its
            `__cause__`.
    """
    try:
        yield
    except TensorSparkMLError:
        raise
    except Exception as error:
        if (found := from_text(str(error))) is None:
            raise
        raise found from error


def to_typed(error: Exception) -> TensorSparkMLError:
    """Return a failure of the user's code or of TensorFlow as an error of this library."""
    if isinstance(error, TensorSparkMLError):
        return error
    found = InferenceError(f"the model raised {type(error).__name__}: {error}")
    found.__cause__ = error
    return found
