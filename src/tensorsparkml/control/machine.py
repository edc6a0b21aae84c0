"""The id of this machine."""

from __future__ import annotations

import functools
import os
import uuid
from pathlib import Path


@functools.cache
def machine_id() -> str:
    """Return what no other machine has: the id that Linux draws when it boots, where there is one.

    Containers of one machine have the same, and see what others write to a common folder at once.
    Two machines with a common folder, such as one of NFS, do not.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{os.uname().nodename}/{uuid.getnode():x}"
