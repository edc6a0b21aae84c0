"""Takes the failures that tasks of predictions report, and cancels their stages."""

from __future__ import annotations

import logging
import secrets
import threading
from typing import TYPE_CHECKING, Any

from tensorsparkml.control.protocol.keys import Keys
from tensorsparkml.driver.lifecycle.addresses import listen
from tensorsparkml.driver.lifecycle.certificate import make_certificate
from tensorsparkml.driver.spark.private_api import cancel_stage
from tensorsparkml.driver.spark.session import is_remote
from tensorsparkml.inference.engine.failure_reports import REPORTER, FailureReports

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)
_lock = threading.Lock()
_servers: dict[str, FailureServer] = {}  # the one of the running application, by its id


class FailureServer:
    """Listens for the failures of one application's tasks.

    Args:
        context: The application.
        host: The driver's host, as executors reach it.
        bind_address: Address to listen on, or a name, of which one address is taken.

    Attributes:
        reports: What tasks need to report.

    Raises:
        LaunchError: It cannot listen there.
    """

    def __init__(self, context: SparkContext, host: str, bind_address: str) -> None:
        self._context = context
        certificate, private_key = make_certificate()
        keys = Keys(secrets.token_hex(32), {}, certificate, private_key)
        handlers = {"failed": self._on_failed}
        self._server, location = listen(host, bind_address, keys.guard(REPORTER), handlers)
        self.reports = FailureReports(location, keys.credentials(REPORTER))

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()

    def _on_failed(self, body: dict[str, Any]) -> None:
        logger.info("stage %d is cancelled: %s", body["stage"], body["text"])
        cancel_stage(self._context, body["stage"], body["text"])


def failure_reports(spark: SparkSession) -> FailureReports | None:
    """Return where the tasks of an application report failures, or None over Spark Connect.

    Raises:
        LaunchError: The driver cannot listen on its address.
    """
    if is_remote(spark):
        return None
    context = spark.sparkContext
    with _lock:
        if context.applicationId not in _servers:
            for ended in _servers.values():  # a process has one application at a time
                ended.close()
            _servers.clear()
            host = spark.conf.get("spark.driver.host") or "127.0.0.1"
            bind_address = spark.conf.get("spark.driver.bindAddress", None) or host
            _servers[context.applicationId] = FailureServer(context, host, bind_address)
        return _servers[context.applicationId].reports
