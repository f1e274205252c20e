"""Opening JupyterLab on a project, and an agent file in it: in one that runs already, else in one that is started.

The notebook of an agent file is made by `widgets/server.py` in the server, and shown by the extension in `lab/`; here
the address is found that asks for it.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import signal
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from workbench.definition.project import CLAUDE_FOLDER, project_folder
from workbench.errors import FileError, SetupError
from workbench.markup import command

ASKED_IN_ADDRESS = "workbench-open"
TICKET_IN_ADDRESS = "workbench-ticket"
TICKET_SECONDS = 600
THIS_MACHINE = "127.0.0.1"
OPENING = "workbench/open"
"""The address, below the server's, that goes on to JupyterLab with an agent file opened."""


@dataclass(frozen=True, kw_only=True)
class LabSettings:
    """How a JupyterLab is started, where none runs yet."""

    ip: str | None = None
    """The address that it listens at; `None`: this machine only. "0.0.0.0" is every address, as a container needs."""
    port: int | None = None
    """`None`: 8888, or the next that is free."""
    opens_browser: bool = True
    allows_root: bool = False
    """Whether it may be started as root where other machines reach it. Where this machine alone does, it may."""


def open_agent(file: str | Path, settings: LabSettings = LabSettings()) -> int:
    """Opens an agent file in a notebook that edits and tries it; gives the exit code of the JupyterLab it started.

    A JupyterLab of this user that can see the file is used where there is one; else one is started in the file's
    project folder, and this returns when it ends.

    Raises:
        FileError: there is no such file, or it is not a Markdown file.
        SetupError: as root, JupyterLab is reached from other machines only where that is asked for.
    """
    from jupyter_server.serverapp import list_running_servers

    path = Path(file).resolve()
    if not path.is_file():
        raise FileError("there is no such file; name an agent file, such as .claude/agents/reviewer.md", path=file)
    if path.suffix != ".md":
        raise FileError("is not a Markdown file (.md), as agent files are", path=file)
    root = project_of(path)
    ticket = write_ticket()
    running = address_in_running(path, list_running_servers(), root=root, ticket=ticket)
    if running is not None:
        return _show(running, f"JupyterLab runs already; {path.name} opens", settings)
    return _run_lab(root, settings, default_url=f"/{OPENING}/{ticket}/{quote(_seen_from(root, path))}")


def open_lab(folder: str | Path | None = None, settings: LabSettings = LabSettings()) -> int:
    """Opens JupyterLab on the project of this folder, or of the working directory: one of this user that runs there
    already, else one that is started, whose exit code is given when it ends.

    Raises:
        FileError: there is no such folder.
        SetupError: as root, JupyterLab is reached from other machines only where that is asked for.
    """
    if folder is not None and not Path(folder).is_dir():
        raise FileError("there is no such folder", path=folder)
    from jupyter_server.serverapp import list_running_servers

    root = project_folder(folder)
    for server in list_running_servers():
        if Path(server["root_dir"]).resolve() == root:
            return _show(
                f"{server['url']}lab{_query({'token': server.get('token')})}", "JupyterLab runs already", settings
            )
    return _run_lab(root, settings, default_url="/lab")


def project_of(path: Path) -> Path:
    """The project that a file is opened in: the one it lies in. An agent of the user's home belongs to no project, and
    is opened in that of the working directory."""
    own = project_folder(path.parent)
    try:
        of_home = path.is_relative_to(Path.home().resolve() / CLAUDE_FOLDER) and own == Path.home().resolve()
    except RuntimeError:  # no home, as for some users in containers
        of_home = False
    return project_folder() if of_home else own


def address_in_running(
    path: Path, servers: Iterable[Mapping[str, Any]], *, root: Path | None = None, ticket: str = ""
) -> str | None:
    """The address, token included, that opens this file in the innermost server that can see it; `None`: none can.

    A file outside of `root`, its project, is seen by whoever sees that.
    """
    seen = path if root is None or path.is_relative_to(root) else root
    seeing = [server for server in servers if seen.is_relative_to(Path(server["root_dir"]).resolve())]
    if not seeing:
        return None
    server = max(seeing, key=lambda server: len(str(server["root_dir"])))
    asked = _seen_from(Path(server["root_dir"]).resolve(), path)
    query = {ASKED_IN_ADDRESS: asked, TICKET_IN_ADDRESS: ticket, "token": server.get("token")}
    return f"{server['url']}lab{_query(query)}"


def _query(values: Mapping[str, str | None]) -> str:
    """The end of an address that asks for what has a value; empty where nothing has."""
    given = {name: value for name, value in values.items() if value}
    return f"?{urlencode(given, safe='/')}" if given else ""


def _show(address: str, said: str, settings: LabSettings) -> int:
    print(f"{said} at\n    {address}")
    if settings.opens_browser:
        webbrowser.open(address)
    return 0


def write_ticket() -> str:
    """A ticket for one opening, kept where only this user can write: whoever has it was asked by the user, so that a
    notebook that is there already may be run. An address that came from anywhere else has none. It is good for
    ten minutes."""
    from jupyter_core.paths import jupyter_runtime_dir

    ticket = secrets.token_urlsafe(16)
    folder = Path(jupyter_runtime_dir())
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in folder.glob(_ticket_file(folder, "*").name):
        if not _is_good(old):
            old.unlink(missing_ok=True)
    os.close(os.open(_ticket_file(folder, ticket), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return ticket


def take_ticket(ticket: str) -> bool:
    """Whether this ticket was written and not taken before; it is used up."""
    from jupyter_core.paths import jupyter_runtime_dir

    if not ticket.replace("-", "").replace("_", "").isalnum():
        return False
    file = _ticket_file(Path(jupyter_runtime_dir()), ticket)
    try:
        is_good = _is_good(file)
        file.unlink()
    except FileNotFoundError:  # never written, or used up
        return False
    return is_good


def _is_good(ticket_file: Path) -> bool:
    return time.time() - ticket_file.stat().st_mtime < TICKET_SECONDS


def _ticket_file(folder: Path, ticket: str) -> Path:
    return folder / f"workbench-ticket-{ticket}"


def _run_lab(root: Path, settings: LabSettings, *, default_url: str) -> int:
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        settings = _as_root(settings)
    given = [
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url={default_url}",
        "--ContentsManager.allow_hidden=True",
    ]
    given += [f"--ip={settings.ip}"] if settings.ip is not None else []
    given += [f"--port={settings.port}"] if settings.port is not None else []
    given += ["--no-browser"] if not settings.opens_browser else []
    given += ["--allow-root"] if settings.allows_root else []
    print(f"JupyterLab starts in {root}; its address follows in some seconds", file=sys.stderr, flush=True)
    # -P: else the project's folder comes first where the server looks for modules, and a file there would be run by it.
    return _run_until_ended([sys.executable, "-P", "-m", "jupyterlab", *given], root)


def _as_root(settings: LabSettings) -> LabSettings:
    """How JupyterLab starts as root: where this machine alone reaches it, or where the user asked for more."""
    if settings.allows_root:
        return settings
    ip = THIS_MACHINE if settings.ip is None else settings.ip  # said, else Jupyter's own settings may name another
    if not _is_this_machine(ip):
        asked = command("workbench", "lab", "--ip", ip, "--allow-root")
        raise SetupError(
            f"as root, JupyterLab listens at {ip} only where that is asked for: whoever reaches its address acts as "
            f"root. Where that is meant, as in a container: `{asked}`, or `workbench open FILE` with the same"
        )
    print(
        f"You are root, and so is whoever has the address, token included: JupyterLab listens at {ip}, which no other "
        "machine reaches. Where one has to, as from outside of a container: `workbench lab --ip 0.0.0.0 --allow-root`",
        file=sys.stderr,
        flush=True,
    )
    return replace(settings, ip=ip, allows_root=True)


def _is_this_machine(ip: str) -> bool:
    try:
        return ipaddress.ip_address(ip).is_loopback
    except ValueError:
        return ip == "localhost"


def _run_until_ended(command: list[str], folder: Path) -> int:
    """The exit code of the command, which ends when we are ended."""
    # A terminal's Ctrl-C reaches the command by itself. SIGTERM, by which a container or a service ends us, does not,
    # and JupyterLab would live on with its port: it is handed on.
    with subprocess.Popen(command, cwd=folder) as running:
        before = signal.signal(signal.SIGTERM, lambda *_: running.terminate())
        try:
            return running.wait()
        except BaseException:
            running.kill()
            raise
        finally:
            signal.signal(signal.SIGTERM, before)


def _seen_from(root: Path, path: Path) -> str:
    """The path from the root; a path that is not below it as it is."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
