"""The TensorBoard process, beside the chief's agent or beside the driver.

Started as `python -m tensorsparkml.board.process <folder> <host>`. It answers with its URL as a
line of standard output. Its standard input is its lifeline: when that ends, whoever started it is
gone, and the process kills itself and what TensorBoard has started.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

from tensorsparkml.control.protocol.pipe_frames import read_frame


def main() -> None:
    """Serve the event files of a folder until the lifeline ends."""
    folder, host = sys.argv[1:]
    threading.Thread(target=_end_with_lifeline, name="lifeline", daemon=True).start()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # TensorBoard prints what it likes
    from tensorboard import program

    board = program.TensorBoard()
    board.configure(logdir=folder, host=host, port=0)
    answers.write(json.dumps({"url": board.launch()}) + "\n")
    answers.close()
    threading.Event().wait()


def _end_with_lifeline() -> None:
    with os.fdopen(os.dup(sys.stdin.fileno()), "rb") as lifeline:
        read_frame(lifeline)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
