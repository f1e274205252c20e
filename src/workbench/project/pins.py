"""The versions that the workbench is tested with, brought into the environment that it runs in."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from importlib.metadata import version

from workbench.errors import SetupError
from workbench.shipped.files import shipped


def install_pins() -> int:
    """Installs the tested version of everything that the workbench needs, in place of those that are there; gives the
    exit code of pip, or of uv where there is no pip.

    Raises:
        SetupError: neither is there.
    """
    return subprocess.run(_command(), check=False).returncode


def _command() -> list[str]:
    wanted = ["--constraint", str(shipped("constraints.txt")), f"agent-workbench=={version('agent-workbench')}"]
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-P", "-m", "pip", "install", *wanted]
    uv = shutil.which("uv")
    if uv is None:
        raise SetupError(
            f"neither pip nor uv is there for {sys.executable}; install again with "
            f"--constraint {shipped('constraints.txt')}"
        )
    return [uv, "pip", "install", "--python", sys.executable, *wanted]
