"""The settings of a cluster, with their defaults, checked when they are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict, cast

from tensorsparkml.checks import (
    Check,
    choice,
    integer,
    names,
    optional,
    path,
    positive_seconds,
    switch,
    variables,
)
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.roles import Roles, make_roles
from tensorsparkml.storage import StrPath

SlotMode = Literal["auto", "hold", "release"]
BoardPlace = Literal["chief", "driver"]

_CHECKS: dict[str, Check] = {
    "num_workers": integer(1),
    "num_ps": integer(0),
    "between_graph": switch,
    "main_on_ps": switch,
    "evaluator": switch,
    "driver_ps_nodes": switch,
    "legacy_keras": switch,
    "slots": choice("auto", "hold", "release"),
    "log_dir": optional(path),
    "work_dir": optional(path),
    "spool_bytes": optional(integer(1)),
    "environment": variables,
    "packages": lambda name, value: tuple(names(name, value)),
    "gpus": optional(integer(0)),
    "gpu_memory_growth": switch,
    "tensorboard": choice(True, False, "chief", "driver"),
    "tls": switch,
    "lease_seconds": positive_seconds,
    "start_seconds": positive_seconds,
    "progress": switch,
}


@dataclass(frozen=True)
class ClusterConfig:
    """The settings of a cluster.

    Attributes:
        num_workers: Number of nodes that train, the chief included.
        num_ps: Number of parameter servers. With parameter servers, main runs on the chief only,
            which dispatches steps to the workers (`ctx.strategy` is a `ParameterServerStrategy`),
            unless `between_graph` is set.
        between_graph: Whether main runs on the chief and on all workers, even with parameter
            servers. Programs of TensorFlow 1 need this, because they build a graph on each worker.
        main_on_ps: With `between_graph`: whether main also runs on the parameter servers, for
            programs that start TensorFlow's server there themselves. It is ended when training has
            ended.
        evaluator: Whether one more node runs main alongside training, with the role `evaluator`.
        driver_ps_nodes: Whether the parameter servers run on the driver's host, where they need no
            task slot.
        legacy_keras: Whether `tf.keras` is Keras 2, of the package tf_keras.
        slots: Whether the tasks that start the nodes keep their task slots while the nodes run
            (`hold`), free them for the tasks that feed the nodes (`release`), or hold them if that
            leaves a slot for feeding (`auto`).
        log_dir: Folder for the nodes' logs and event files: one that all hosts share, a local one
            that is created on each host, or a URI on any filesystem that fsspec supports, to which
            each node copies them. Defaults to a folder below `work_dir`.
        work_dir: Local folder for rows on each host. Defaults to the system's temporary folder.
        spool_bytes: How many bytes of one feed each node keeps on its disk. If a feed is larger,
            nodes drop rows once they have read them, feeders wait while a node holds this many
            unread bytes, and Spark sends all rows again for every further pass. None means no
            limit, or 1 GiB for a feed with `cache=False`.
        environment: Environment variables for the nodes' TensorFlow processes.
        packages: Import names of packages that every executor must have, checked before the nodes
            start.
        gpus: Number of GPUs of each node that trains. None means the GPUs that Spark has assigned
            to the node's task or, if Spark schedules no GPUs, an even share of the host's GPUs.
            0 hides all GPUs.
        gpu_memory_growth: Whether TensorFlow allocates GPU memory as needed, instead of nearly all
            at once.
        tensorboard: Whether a TensorBoard shows the event files in `log_dir` while the cluster
            runs: on the chief's host (True or "chief") or on the driver's ("driver").
        tls: Whether the connections between driver, executors and nodes are encrypted, with a
            certificate that is created for this cluster.
        lease_seconds: Heartbeat timeout: silence after which agents and driver declare each other
            dead. Processes that end and connections that break are noticed within seconds.
        start_seconds: How long the nodes may take to start.
        progress: Whether to show the progress of feeds: as bars in terminals and notebooks, or else
            as lines of the logger `tensorsparkml.progress`.
    """

    num_workers: int = 1
    num_ps: int = 0
    between_graph: bool = False
    main_on_ps: bool = False
    evaluator: bool = False
    driver_ps_nodes: bool = False
    legacy_keras: bool = False
    slots: SlotMode = "auto"
    log_dir: str | None = None
    work_dir: str | None = None
    spool_bytes: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ("tensorflow",)
    gpus: int | None = None
    gpu_memory_growth: bool = False
    tensorboard: bool | BoardPlace = False
    tls: bool = True
    lease_seconds: float = 30.0
    start_seconds: float = 120.0
    progress: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        for name, check in _CHECKS.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))
        if self.num_ps and not self.between_graph and self.num_workers < 2:
            raise ConfigurationError(
                "parameter servers need num_workers=2 or more: a chief, which dispatches steps, "
                "and a worker, which runs them; raise num_workers, or set between_graph=True"
            )
        for name in ("between_graph", "driver_ps_nodes"):
            if getattr(self, name) and not self.num_ps:
                raise ConfigurationError(f"{name} requires num_ps >= 1")
        if self.main_on_ps and not self.between_graph:
            raise ConfigurationError("main_on_ps requires between_graph=True")
        folder, logs = self.work_dir, self.log_dir
        if folder is not None and "://" in folder:
            raise ConfigurationError(
                f"work_dir must be the path of a local folder, not {folder!r}; each host creates "
                "this folder"
            )
        if self.tensorboard == "driver" and (
            logs is None or ("://" in logs and not logs.startswith("file://"))
        ):
            raise ConfigurationError(
                'tensorboard="driver" needs a log_dir that the driver and the chief share, such as '
                f'a mounted folder, not {logs!r}; tensorboard="chief" works with any log_dir'
            )

    @property
    def tensorboard_place(self) -> BoardPlace | None:
        """Whether TensorBoard runs on the chief's or the driver's host; None for no TensorBoard."""
        return "chief" if self.tensorboard is True else self.tensorboard or None

    @property
    def node_environment(self) -> dict[str, str]:
        """Environment variables for the nodes' TensorFlow processes."""
        legacy = {"TF_USE_LEGACY_KERAS": "1"} if self.legacy_keras else {}
        return {**legacy, **self.environment}

    @property
    def required_packages(self) -> tuple[str, ...]:
        """Import names of the packages that every executor needs for these settings."""
        board = ("tensorboard",) if self.tensorboard_place == "chief" else ()
        legacy = ("tf_keras",) if self.legacy_keras else ()
        return (*self.packages, *board, *legacy)

    @property
    def launched_nodes(self) -> int:
        """Number of nodes that Spark tasks start; these are the first ones."""
        return len(self.roles.nodes) - (self.num_ps if self.driver_ps_nodes else 0)

    @property
    def roles(self) -> Roles:
        """The nodes and their roles."""
        return make_roles(
            self.num_workers, self.num_ps, self.evaluator, self.between_graph, self.main_on_ps
        )


class ClusterSettings(TypedDict, total=False):
    """The fields of `ClusterConfig` as keyword arguments, for editors and type checkers."""

    num_workers: int
    num_ps: int
    between_graph: bool
    main_on_ps: bool
    evaluator: bool
    driver_ps_nodes: bool
    legacy_keras: bool
    slots: SlotMode
    log_dir: StrPath | None
    work_dir: StrPath | None
    spool_bytes: int | None
    environment: Mapping[str, str]
    packages: Sequence[str]
    gpus: int | None
    gpu_memory_growth: bool
    tensorboard: bool | BoardPlace
    tls: bool
    lease_seconds: float
    start_seconds: float
    progress: bool


def make_config(settings: ClusterSettings) -> ClusterConfig:
    """Return the configuration, or raise ConfigurationError for a setting that does not exist."""
    check_names(settings)
    return ClusterConfig(**cast(dict[str, Any], settings))


def check_names(settings: Iterable[str]) -> None:
    """Raise ConfigurationError for a setting that does not exist."""
    unknown = sorted(set(settings) - set(ClusterConfig.__dataclass_fields__))
    if unknown:
        known = ", ".join(sorted(ClusterConfig.__dataclass_fields__))
        raise ConfigurationError(f"unknown setting {', '.join(unknown)}; the settings are {known}")
