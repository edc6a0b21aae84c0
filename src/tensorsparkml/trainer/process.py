"""The trainer process: runs main on one node.

Started by the agent as `python -m tensorsparkml.trainer.process`, with TF_CONFIG and its like
already in the environment. What it must not find there comes over standard input, which then is
its lifeline: when that ends, the agent is gone, and the process kills itself and all that main has
started.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO, NoReturn

from tensorsparkml.control.processes import MARK
from tensorsparkml.control.protocol.failures import Failure, first_line, from_exception
from tensorsparkml.control.protocol.pipe_frames import read_frame
from tensorsparkml.control.protocol.results import encode_result
from tensorsparkml.control.protocol.tf_config import cluster_spec
from tensorsparkml.program.naming import function_name
from tensorsparkml.program.pickling import load_main
from tensorsparkml.program.source import is_unknown
from tensorsparkml.roles import WORKER
from tensorsparkml.trainer.agent_client import AgentClient
from tensorsparkml.trainer.agent_watch import end_with_agent, watch_agent
from tensorsparkml.trainer.context import Context, Settings
from tensorsparkml.trainer.garbage import collect_rarely_until_imported
from tensorsparkml.trainer.parameter_servers.worker_datasets import ServedDatasets
from tensorsparkml.trainer.repairs.model_guard import on_joint_call
from tensorsparkml.trainer.strategies import repair_keras, repair_steps, serve

logger = logging.getLogger(__name__)


def main() -> None:
    """Run one node's main."""
    lifeline = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    mark = os.environ[MARK]
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    settings, pickled = read_frame(lifeline), read_frame(lifeline)
    if settings is None or pickled is None:
        return
    may_exit = threading.Event()
    node = Settings.from_json(json.loads(settings))
    threading.Thread(target=_watch, args=(lifeline, node, mark, may_exit), daemon=True).start()
    agent = AgentClient(node.agent, node.credentials)
    threading.Thread(target=watch_agent, args=(agent, node, mark), name="beat", daemon=True).start()
    if node.serves:
        _serve(node, agent, may_exit)
    collect_rarely_until_imported()
    context = Context(node, agent)
    if context._synchronous:
        repair_keras()
        on_joint_call(agent.joint_call, agent.joint_call_ended)
    else:
        repair_steps()
    outcome = run_main(pickled, context, agent.began)
    failed = isinstance(outcome, Failure)
    if isinstance(outcome, Failure):
        agent.failed(outcome)
    else:
        context._report_progress()
        agent.finished(base64.b64encode(outcome).decode())
        may_exit.wait()  # others may still need this node's TensorFlow server
    _leave(1 if failed else 0)


def _leave(status: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    # Python's own way out takes TensorFlow up to ten seconds, in which it may wait for its peers.
    os._exit(status)


def _serve(node: Settings, agent: AgentClient, may_exit: threading.Event) -> NoReturn:
    """Run TensorFlow's server until the training has ended, and exit."""
    peer = node.peers[node.rank]

    def fail(error: BaseException) -> NoReturn:
        agent.failed(_failure(error, context, "a dataset that the program made"))
        _leave(1)

    context = Context(node, agent)
    datasets = ServedDatasets(context, node.datasets_key, fail)
    try:
        if peer.role == WORKER:
            datasets.register()
        server = serve(cluster_spec(node.peers), peer.role, peer.task_index)
    except Exception as error:  # of TensorFlow: whatever it raises is why the node cannot serve
        message = f"TensorFlow's server did not start: {error}"
        agent.failed(from_exception(error, kind="LaunchError", message=message))
        _leave(1)
    logger.info("TensorFlow's server of %s runs at %s", peer.name, server.target)
    may_exit.wait()
    _leave(0)


def run_main(
    pickled: bytes, context: Context, began: Callable[[], None] = lambda: None
) -> bytes | Failure:
    """Call main and return its pickled result, or why there is none.

    Args:
        pickled: main and its argument.
        context: What main gets, too.
        began: Called when main is about to begin, and all that it needs was imported.
    """
    try:
        function, args = load_main(pickled)
    except Exception as error:  # unpickling imports the user's modules, which may raise anything
        message = (
            f"the program cannot be loaded on this node: {type(error).__qualname__}: {error}; ship "
            "the modules that it needs with spark.sparkContext.addPyFile(...), or install them on "
            "every executor"
        )
        return from_exception(error, kind="MissingPackageError", message=message)
    name = function_name(function)
    began()
    try:
        result = function(args, context)
    except SystemExit as error:
        if error.code in (0, None):
            return encode_result(None)
        message = f"{name} called sys.exit({error.code!r})"
        return from_exception(error, kind="MainExitError", message=message)
    except BaseException as error:  # main is the user's: whatever it raises is reported
        return _failure(error, context, name)
    try:
        return encode_result(result)
    except Exception as error:  # objects raise whatever they like when they are pickled
        message = (
            f"{name} returned a {type(result).__qualname__}, which cannot be sent to the driver: "
            f"{error}; return plain values, such as history.history instead of history"
        )
        return from_exception(error, kind="UnpicklableError", message=message)


def _failure(error: BaseException, context: Context, what: str) -> Failure:
    if (explained := context._explain(error)) is not None:
        explained.__cause__ = error
        return from_exception(explained, kind="MainError", message=explained.message)
    text = str(error)
    if consequence := _follows_from_peer(error):
        # TensorFlow's are kilobytes long and say little: the node's log has them.
        logger.error("%s raised %s: %s", what, type(error).__qualname__, text)
        text = first_line(text)
    return from_exception(
        error,
        kind="MainError",
        message=f"{what} raised {type(error).__qualname__}: {text}{_unknown_source(error)}",
        consequence=consequence,
    )


def _unknown_source(error: BaseException) -> str:
    """Say so where AutoGraph could not rewrite a function because nobody knew its source."""
    tensorflow: Any = sys.modules.get("tensorflow")
    if tensorflow is None:
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    unknown = [frame for frame in frames if is_unknown(frame.filename)]
    refused = isinstance(error, tensorflow.errors.OperatorNotAllowedInGraphError)
    if not unknown or not refused:
        return ""
    return (
        f"\n{unknown[-1].name}() has no source text here, because the driver could not find it. "
        "AutoGraph needs it to turn if, while and for over tensors into graph operations: define "
        "the function in a file or a notebook cell, or use tf.cond and tf.while_loop"
    )


def _follows_from_peer(error: BaseException) -> bool:
    """Whether TensorFlow raises such an error where another node has failed."""
    tensorflow: Any = sys.modules.get("tensorflow")
    if tensorflow is None:
        return False
    errors = tensorflow.errors
    lost = (errors.UnavailableError, errors.AbortedError, errors.CancelledError)
    return isinstance(error, lost) or (
        isinstance(error, errors.InternalError) and "Collective" in str(error)
    )


def _watch(lifeline: BinaryIO, node: Settings, mark: str, may_exit: threading.Event) -> None:
    if read_frame(lifeline) is None:
        end_with_agent(node, mark, "is gone; something killed it")
    may_exit.set()


if __name__ == "__main__":
    main()
