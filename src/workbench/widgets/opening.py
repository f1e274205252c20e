"""Opening an agent file in JupyterLab: in one that runs already, else in one that is started for it.

The notebook is made in the browser, by the extension in `lab/`; here its address is found.
"""

from __future__ import annotations

import subprocess
import sys
import webbrowser
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from workbench.definition.project import project_folder
from workbench.errors import FileError

_ASKED_IN_ADDRESS = "workbench-open"


def open_agent(file: str | Path) -> int:
    """Opens an agent file in a notebook that edits and tries it; gives the exit code of the JupyterLab it started.

    A JupyterLab of this user that can see the file is used where there is one; else one is started in the file's
    project folder, and this returns when it ends.

    Raises:
        FileError: there is no such file, or it is not a Markdown file.
    """
    from jupyter_server.serverapp import list_running_servers

    path = Path(file).resolve()
    if not path.is_file():
        raise FileError("there is no such file; name an agent file, such as agents/reviewer.md", path=file)
    if path.suffix != ".md":
        raise FileError("is not a Markdown file (.md), as agent files are", path=file)
    running = address_in_running(path, list_running_servers())
    if running is not None:
        webbrowser.open(running)
        return 0
    root = project_folder(path.parent)
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}"]
    command.append(f"--LabApp.default_url=/lab?{_asked(path.relative_to(root))}")
    return subprocess.run(command, cwd=root, check=False).returncode


def address_in_running(path: Path, servers: Iterable[Mapping[str, Any]]) -> str | None:
    """The address, token included, that opens this file in the innermost server that can see it; `None`: none can."""
    seeing = [server for server in servers if path.is_relative_to(Path(server["root_dir"]).resolve())]
    if not seeing:
        return None
    server = max(seeing, key=lambda server: len(str(server["root_dir"])))
    token = f"&{urlencode({'token': server['token']})}" if server.get("token") else ""
    return f"{server['url']}lab?{_asked(path.relative_to(Path(server['root_dir']).resolve()))}{token}"


def _asked(path: Path) -> str:
    return urlencode({_ASKED_IN_ADDRESS: path.as_posix()}, safe="/")
