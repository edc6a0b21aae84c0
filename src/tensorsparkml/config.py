"""The settings of a cluster, with their defaults, checked when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tensorsparkml.errors import ConfigurationError

SlotMode = Literal["auto", "hold", "release"]
BoardPlace = Literal["chief", "driver"]


@dataclass(frozen=True)
class ClusterConfig:
    """What can be set about a cluster.

    Attributes:
        num_workers: Number of nodes that train; the first one is the chief.
        slots: Whether launch tasks keep their Spark task slots while the nodes run (`hold`), give
            them back for the tasks that feed the nodes (`release`), or hold them where enough are
            left (`auto`).
        log_dir: Folder for the nodes' logs and event files: one that all hosts share, or a local
            one that is made on each host; or the URI of one on any filesystem that fsspec knows,
            to which each node copies them. None is a folder below `work_dir`.
        work_dir: Local folder for spools on each host. None is the system's temporary folder.
        spool_bytes: Size of the rows of one feed that each node keeps on its disk. Of a feed that
            is larger, rows are dropped once they are read, feeders wait while a node has so many
            unread, and Spark brings all rows again for every further pass. None is no limit, and
            1 GiB for a feed that is not cached.
        environment: Environment variables for the nodes' TensorFlow processes.
        packages: Import names that every executor must have, checked before the nodes start.
        gpus: GPUs of each node that trains. None is what Spark has assigned to the node's task
            and, where it schedules no GPUs, an even share of its host's; 0 is none.
        gpu_memory_growth: Whether TensorFlow takes memory of GPUs only as it needs it, instead of
            nearly all at once.
        tensorboard: Whether a TensorBoard serves the event files in `log_dir` while the cluster
            runs: on the chief's host (True or "chief") or on the driver's ("driver").
        lease_seconds: Silence after which agents and driver give each other up.
        start_seconds: How long the nodes may take to start.
        progress: Whether to show how far the feeds are: as bars where standard error is a
            terminal, and in notebooks; as lines of the logger `tensorsparkml.progress` elsewhere.
    """

    num_workers: int = 1
    slots: SlotMode = "auto"
    log_dir: str | None = None
    work_dir: str | None = None
    spool_bytes: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ("tensorflow",)
    gpus: int | None = None
    gpu_memory_growth: bool = False
    tensorboard: bool | BoardPlace = False
    lease_seconds: float = 6.0
    start_seconds: float = 120.0
    progress: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        workers = self.num_workers
        if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
            raise ConfigurationError(
                f"num_workers must be a positive integer, not {self.num_workers!r}"
            )
        if self.slots not in ("auto", "hold", "release"):
            raise ConfigurationError(
                f'slots must be "auto", "hold" or "release", not {self.slots!r}'
            )
        for name in ("lease_seconds", "start_seconds"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not value > 0:
                raise ConfigurationError(f"{name} must be a positive number, not {value!r}")
        logs: object = self.log_dir
        if logs is not None and not isinstance(logs, str):
            raise ConfigurationError(f"log_dir must be a path or a URI, not {logs!r}")
        folder: object = self.work_dir
        if folder is not None and (not isinstance(folder, str) or "://" in folder):
            raise ConfigurationError(
                f"work_dir must be the path of a local folder, which is made on each host, "
                f"not {folder!r}"
            )
        self._check_tensorboard()
        size: object = self.spool_bytes
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
            raise ConfigurationError(f"spool_bytes must be a positive integer, not {size!r}")
        gpus: object = self.gpus
        if gpus is not None and (not isinstance(gpus, int) or isinstance(gpus, bool) or gpus < 0):
            raise ConfigurationError(f"gpus must be None, 0 or a positive integer, not {gpus!r}")
        for name in ("progress", "gpu_memory_growth"):
            if not isinstance(getattr(self, name), bool):
                value = getattr(self, name)
                raise ConfigurationError(f"{name} must be True or False, not {value!r}")
        packages: object = self.packages
        if isinstance(packages, str):
            raise ConfigurationError(f"packages must be several names, not {packages!r}")
        for name, text in self.environment.items():
            if not isinstance(name, str) or not isinstance(text, str):
                raise ConfigurationError(
                    f"environment must map names to strings, but has {name!r}: {text!r}"
                )

    def _check_tensorboard(self) -> None:
        place: object = self.tensorboard
        if not isinstance(place, bool) and place not in ("chief", "driver"):
            raise ConfigurationError(
                f'tensorboard must be True, False, "chief" or "driver", not {place!r}'
            )
        logs = self.log_dir
        if place == "driver" and (
            logs is None or ("://" in logs and not logs.startswith("file://"))
        ):
            raise ConfigurationError(
                'tensorboard="driver" needs a log_dir that the driver and the chief share, such as '
                f'a mounted folder, not {logs!r}; tensorboard="chief" works with any'
            )

    @property
    def tensorboard_place(self) -> BoardPlace | None:
        """On whose host TensorBoard runs, or None for no TensorBoard."""
        return "chief" if self.tensorboard is True else self.tensorboard or None

    @property
    def roles(self) -> tuple[tuple[str, int], ...]:
        """Role and task index of every node by rank."""
        return (("chief", 0), *(("worker", index) for index in range(self.num_workers - 1)))


def make_config(settings: dict[str, Any]) -> ClusterConfig:
    """Return the configuration, or raise ConfigurationError for a setting that does not exist."""
    unknown = sorted(set(settings) - set(ClusterConfig.__dataclass_fields__))
    if unknown:
        known = ", ".join(sorted(ClusterConfig.__dataclass_fields__))
        raise ConfigurationError(f"unknown setting {', '.join(unknown)}; there are: {known}")
    return ClusterConfig(**settings)
