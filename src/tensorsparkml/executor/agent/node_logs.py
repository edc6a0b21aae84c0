"""The agent's work on its node's log folder while the node runs: TensorBoard and copies."""

from __future__ import annotations

from pathlib import Path

from tensorsparkml.control.protocol.events import NodeWarning, TensorBoardAt
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.executor.agent.coordinator_link import Reporter
from tensorsparkml.executor.agent.log_upload import LogCopies
from tensorsparkml.executor.tensorboard import TensorBoard
from tensorsparkml.roles import CHIEF
from tensorsparkml.storage import local_path


class NodeLogs:
    """TensorBoard over a node's log folder, and its copies elsewhere, where the plan has them.

    Args:
        plan: The cluster.
        rank: Rank of the node.
        folder: The node's local log folder.
        host: Address to listen on.
        reporter: Tells the driver.
    """

    def __init__(
        self, plan: ClusterPlan, rank: int, folder: Path, host: str, reporter: Reporter
    ) -> None:
        self._reporter = reporter
        self._board: TensorBoard | None = None
        self._copies: LogCopies | None = None
        if plan.log_dir is not None and local_path(plan.log_dir) is None:
            self._copies = LogCopies(folder, plan.log_dir, self._warn)
        if plan.tensorboard and plan.roles.nodes[rank][0] == CHIEF:
            self._board = TensorBoard(folder, host, self._serving, self._ended)

    @property
    def process_ids(self) -> list[int]:
        """The processes that run for it."""
        return [] if self._board is None else [self._board.process_id]

    def close(self) -> None:
        """End TensorBoard, and copy what is left."""
        if self._board is not None:
            self._board.stop()
        if self._copies is not None:
            self._copies.finish()

    def _serving(self, url: str) -> None:
        self._reporter.send(TensorBoardAt(url))

    def _ended(self, message: str) -> None:
        self._reporter.send(TensorBoardAt(None))
        self._warn(message)

    def _warn(self, message: str) -> None:
        self._reporter.send(NodeWarning(message))
