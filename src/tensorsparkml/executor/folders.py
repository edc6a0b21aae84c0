"""The folders in which a node keeps its files, accessible to its user alone.

Everything lies below a root of the user's own, which has a folder for each cluster: in it each
node's rows, and the logs of all. Agents hold a lock on the folder of their cluster, so that whoever
deletes what ended clusters have left (see `retention`) knows which they are.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.executor.agent.log_upload import node_log_dir
from tensorsparkml.storage import local_path

LOGS = "logs"
TEMPORARY = ".temporary"  # ends the names of links to the nodes' temporary folders


class NodeFolders:
    """The paths of one node.

    Attributes:
        root: The folder that holds this user's clusters.
        cluster: The folder of the node's cluster.
        spool: Where the node's rows lie.
        log_dir: The local folder for logs and event files.
        log: The file for what the program prints.
        agent_log: The file for what the agent has to say.
        own_logs: Whether `log_dir` is one of ours, rather than the user's.

    Args:
        plan: The cluster.
        rank: Rank of the node.
    """

    def __init__(self, plan: ClusterPlan, rank: int) -> None:
        self.root = root_below(Path(plan.work_dir or tempfile.gettempdir()))
        self.cluster = self.root / plan.cluster_id
        name = plan.name(rank).replace(":", "-")
        self.spool = self.cluster / f"{name}.spool"
        self.log_dir = node_log_dir(plan.log_dir, self.cluster, name)
        self.log = self.log_dir / "nodes" / f"{name}.log"
        self.agent_log = self.log_dir / "nodes" / f"{name}.agent.log"
        self.own_logs = plan.log_dir is None or local_path(plan.log_dir) is None
        self._temporary = self.cluster / f"{name}{TEMPORARY}"

    def claim(self) -> int:
        """Make the cluster's folder and return a file descriptor that marks it as in use.

        It is in use until all copies of the descriptor, in all processes, are closed.

        Raises:
            ConfigurationError: A folder cannot be made, or is not this user's alone.
        """
        with _explained(self.root.parent):
            self.root.parent.mkdir(parents=True, exist_ok=True)
        private_folder(self.root)
        return hold(self.cluster)

    def open_agent_log(self) -> BinaryIO:
        """Open the agent's log.

        Raises:
            ConfigurationError: It cannot be written.
        """
        with _explained(self.agent_log, setting="log_dir"):
            self.agent_log.parent.mkdir(0o700 if self.own_logs else 0o777, True, exist_ok=True)
            return open_log(self.agent_log, 0o600 if self.own_logs else 0o666)

    def make_temporary(self) -> Path:
        """Make the node's temporary folder, and return it.

        It lies in the system's one, since names of Unix sockets are limited to about 100 bytes.
        The cluster's folder has a link to it, by which it is found if the agent cannot delete it.
        """
        folder = Path(tempfile.mkdtemp(prefix="tsm-"))
        self._temporary.symlink_to(folder)
        return folder

    def remove(self) -> None:
        """Delete the node's rows and temporary folder."""
        remove_tree(self.spool)
        remove_temporary(self._temporary)


def root_below(parent: Path) -> Path:
    """Return the folder for this user's clusters in a folder that users may share."""
    return parent / f"tensorsparkml-{os.geteuid()}"


def private_folder(path: Path) -> None:
    """Make a folder that only this user can enter, or check that it is one.

    Raises:
        ConfigurationError: It is something else, and the message says what.
    """
    found: os.stat_result | None = None
    while found is None:
        with _explained(path), suppress(FileExistsError):
            path.mkdir(mode=0o700)
        # Whoever deletes what ended clusters have left may do so with this one in between.
        with suppress(FileNotFoundError):
            found = path.lstat()  # which does not follow a link
    if found.st_uid != os.geteuid():
        problem = f"belongs to {_user(found.st_uid)}"
    elif stat.S_ISLNK(found.st_mode):
        problem = "is a symbolic link"
    elif not stat.S_ISDIR(found.st_mode):
        problem = "is not a folder"
    elif found.st_mode & 0o077:
        problem = f"is open to other users (mode {stat.S_IMODE(found.st_mode):04o})"
    else:
        return
    raise ConfigurationError(
        f"{path} must be a folder that only {_user(os.geteuid())} can enter, but it {problem}; "
        "remove it, or set work_dir to another folder"
    )


def hold(folder: Path) -> int:
    """Make a private folder, and return a file descriptor with a shared lock on it."""
    while True:
        private_folder(folder)
        with suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            # Without locks, as some network filesystems are, nobody can take it for ended either.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            if _is_at(descriptor, folder):
                return descriptor
            os.close(descriptor)  # it was deleted before the lock was there


def hold_ended(folder: Path) -> int | None:
    """Return a descriptor with the only lock on a folder, or None where somebody uses it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(descriptor, folder):
            return descriptor
    os.close(descriptor)
    return None


def open_log(path: Path, mode: int = 0o666) -> BinaryIO:
    """Open a file to append to it and to read it, but not through a symbolic link."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, mode), "r+b", buffering=0)


def remove_temporary(link: Path) -> None:
    """Delete the temporary folder that a link of `make_temporary` leads to, and the link."""
    with suppress(OSError):
        folder = link.readlink()
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
            remove_tree(folder)
    link.unlink(missing_ok=True)


def remove_tree(folder: Path) -> None:
    """Delete a folder, also where a program has taken its own right to write in parts of it."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        _let_us_in(folder)
        for path, names, _ in os.walk(folder):
            for name in names:  # before the walk enters them
                _let_us_in(Path(path, name))
        shutil.rmtree(folder, ignore_errors=True)


def _let_us_in(folder: Path) -> None:
    with suppress(OSError):
        if not folder.is_symlink():
            folder.chmod(0o700)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open folder still is the one of that path."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    return False


def _user(number: int) -> str:
    with suppress(KeyError):
        return f"user {pwd.getpwuid(number).pw_name} ({number})"
    return f"user {number}"


@contextmanager
def _explained(path: Path, setting: str = "work_dir") -> Iterator[None]:
    """Turn an operating system's error into one that says what to change."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"cannot create or open {path}: {error.strerror}; set {setting} to a folder in which "
            f"{_user(os.geteuid())} can write"
        ) from error
