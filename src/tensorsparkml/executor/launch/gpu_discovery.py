"""The GPUs of this host, as NVIDIA's driver library knows them."""

from __future__ import annotations


def free_gpu_memory() -> dict[str, int]:
    """Return the free bytes of each GPU of this host by its UUID, in the driver's order.

    Empty where the package `nvidia-ml-py` or the driver is missing.
    """
    try:
        import pynvml
    except ImportError:
        return {}
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver, or not for this user
        return {}
    try:
        free: dict[str, int] = {}
        for index in range(pynvml.nvmlDeviceGetCount()):
            gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
            try:
                memory = int(pynvml.nvmlDeviceGetMemoryInfo(gpu).free)
            except pynvml.NVMLError:  # one that shares its memory with the CPU
                memory = 0
            free[_text(pynvml.nvmlDeviceGetUUID(gpu))] = memory
        return free
    finally:
        pynvml.nvmlShutdown()


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name  # bytes before release 11.510
