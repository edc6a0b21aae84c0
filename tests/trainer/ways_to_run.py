"""The ways in which users run a program, each of which pickles its main and leaves no file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

# What the program ends with, in the place of starting a cluster.
PICKLE = """
from tensorsparkml.driver.lifecycle.pickling import pickle_main
with open({output!r}, "wb") as file:
    file.write(pickle_main(main, {args!r}))
"""
IPYTHON = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell(open(sys.argv[1]).read()).raise_error()
"""
WAYS = ("script", "module", "command", "exec", "ipython", "jupyter")
# Which file a traceback then names.
FILE_NAMES = {
    "script": "train.py",
    "module": "train.py",
    "command": "<command>",
    "exec": "<no source: <string>>",
    "ipython": "<ipython-input-",
    "jupyter": "ipykernel_",
}


def pickle_main_of(program: str, way: str, folder: Path, args: object = None) -> bytes:
    """Run a program that defines `main`, remove its folder, and return the pickle of main."""
    home, output = folder / "home", folder / "main.pickle"
    home.mkdir()
    script = home / "train.py"
    pickle = PICKLE.format(output=str(output), args=args)
    text = program + pickle
    script.write_text(program if way == "module" else text)
    if way == "jupyter":
        _run_cell(text, home)
    else:
        command = {
            "script": [str(script)],
            "module": ["-c", f"from train import main{pickle}"],
            "command": ["-c", text],
            "exec": ["-c", f"exec({text!r}, {{'__name__': '__main__'}})"],
            "ipython": ["-c", IPYTHON, str(script)],
        }[way]
        subprocess.run([sys.executable, *command], cwd=home, check=True, env=_environment(folder))
    shutil.rmtree(home)
    return output.read_bytes()


def _run_cell(text: str, home: Path) -> None:
    from jupyter_client import BlockingKernelClient, KernelManager

    manager = KernelManager(kernel_name="python3")
    # Not a kernel that some other environment has registered under this name.
    manager.kernel_spec.argv[0] = sys.executable
    manager.start_kernel(cwd=str(home), env=_environment(home.parent))
    client: BlockingKernelClient = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        reply = client.execute_interactive(text, timeout=120)
        assert reply["content"]["status"] == "ok", reply["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _environment(folder: Path) -> dict[str, str]:
    # IPython and Jupyter write to the user's home.
    homes = {"HOME": str(folder), "IPYTHONDIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder)}
    return {**os.environ, **homes}
