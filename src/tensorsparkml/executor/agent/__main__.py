"""The agent: the process beside each node that supervises it and owns its data.

Started by the launch task as `python -m tensorsparkml.executor.agent`, with its orders on standard
input. It imports neither TensorFlow nor PySpark, and ends, trainer included, when the cluster
ends, when the driver is gone or silent for longer than the heartbeat timeout, or when its executor
is gone.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
import threading
import traceback

from tensorsparkml.control.processes import kill_descendants
from tensorsparkml.control.protocol.gathered import encode_gathered
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.pipe_frames import read_frame
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.executor.agent.node import Node
from tensorsparkml.executor.agent.output_log import AgentLogHandler
from tensorsparkml.executor.folders import NodeFolders
from tensorsparkml.executor.process_tree import adopt_orphans
from tensorsparkml.executor.retention import delete_expired


def main() -> None:
    """Run the agent of one node, and end the process."""
    log_format = "%(asctime)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=log_format, handlers=[AgentLogHandler()])
    status = 1
    try:
        driver_gone = _run()
        if driver_gone is None:
            status = 0
        else:
            sys.stderr.write(f"{driver_gone}\n")
    except BaseException:  # as Python itself does at its end
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Python's own way out waits for the last call to the driver, up to a second with TLS.
        os._exit(status)


def _run() -> str | None:
    """Run the agent, and return why the driver counts as gone, or None."""
    orders = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    adopt_orphans()
    start = read_frame(orders)
    if start is None:
        return None
    body = json.loads(start)
    plan = ClusterPlan.decode(base64.b64decode(body["plan"]))
    folders = NodeFolders(plan, body["rank"])
    umask = os.umask(0o077)
    if not folders.own_logs:
        os.umask(umask)  # files in a folder of the user's are as the user wants them
    threading.Thread(target=delete_expired, args=(folders.root,), daemon=True).start()
    node = Node(plan, body["rank"], body["host"], body["executor"], orders, umask)
    try:
        print("listens", flush=True)
        found = read_frame(orders)
        if found is None:
            return None
        try:
            met = node.meet(json.loads(found))
        except ConnectionError as error:
            print(json.dumps({"unreachable": str(error)}), flush=True)
            return None
        print(json.dumps({"met": encode_gathered(met)}), flush=True)
        environment, pickled = read_frame(orders), read_frame(orders)
        if environment is None or pickled is None:
            return None
        peers = [Peer(**content["address"]) for content in met]
        return node.run(
            peers, json.loads(environment), pickled, lambda: print("started", flush=True)
        )
    finally:
        node.close()
        kill_descendants()


if __name__ == "__main__":
    main()
