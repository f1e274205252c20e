"""The agent as git has it in its last commit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from workbench.definition.agent import Agent, parse_agent
from workbench.errors import AgentFileError

_SECONDS = 10


def load_committed(path: str | Path) -> Agent:
    """The agent in this file as the last commit (HEAD) has it.

    Raises:
        AgentFileError: there is no git, no repository, no commit, or the file is in none.
    """
    path = Path(path)
    if shutil.which("git") is None:
        raise AgentFileError("git is not installed, so there is no committed version to show", path=path)
    real = path.resolve()
    if not real.parent.is_dir():
        raise AgentFileError("its folder is gone, so there is no committed version to show", path=path)
    if _git(real.parent, "rev-parse", "--is-inside-work-tree").returncode != 0:
        raise AgentFileError("is in no git repository; `git init` makes one", path=path)
    shown = _git(real.parent, "show", f"HEAD:./{real.name}")
    if shown.returncode != 0:
        raise AgentFileError("is in no commit yet; `git add` and `git commit` put it into one", path=path)
    return parse_agent(shown.stdout, path=path)


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=folder,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise AgentFileError(f"git gave no answer within {_SECONDS} s", path=folder) from error
