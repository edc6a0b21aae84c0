"""The GPUs of this host."""

from __future__ import annotations

from tensorsparkml.errors import NotEnoughGpusError
from tensorsparkml.executor.launch.gpu_assignment import by_free_memory
from tensorsparkml.executor.launch.gpu_discovery import free_gpu_memory

AS_STRING = "string"
AS_LIST = "list"


def is_gpu_available() -> bool:
    """Whether this host has a GPU; needs the package `nvidia-ml-py`."""
    return bool(free_gpu_memory())


def get_gpus(
    num_gpu: int = 1,
    worker_index: int = -1,
    format: str = AS_STRING,  # the old name
) -> str | list[str]:
    """Return GPUs of this host for `CUDA_VISIBLE_DEVICES`, as UUIDs, most free memory first.

    Args:
        num_gpu: Number of GPUs.
        worker_index: Index of the caller among the callers on this host, so that they choose
            different GPUs; -1 for the first.
        format: `AS_STRING` for a string with commas, or `AS_LIST`.

    Raises:
        NotEnoughGpusError: The host has fewer GPUs.
    """
    gpus = by_free_memory(free_gpu_memory())
    if len(gpus) < num_gpu:
        raise NotEnoughGpusError(
            f"{num_gpu} GPUs were requested, but this host has {len(gpus)}; request fewer, or "
            "check that NVIDIA's driver and the package nvidia-ml-py are installed"
        )
    if not num_gpu:
        chosen: tuple[str, ...] = ()
    else:
        turns = len(gpus) // num_gpu  # after which they are shared
        first = max(worker_index, 0) % turns * num_gpu
        chosen = gpus[first : first + num_gpu]
    return list(chosen) if format == AS_LIST else ",".join(chosen)
