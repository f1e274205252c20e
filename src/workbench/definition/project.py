"""Where a project begins, so that `agents/x.md` means the same file wherever a notebook was started."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from workbench.definition.there import path_of

CLAUDE_FOLDER = ".claude"
"""The folder of a project, and of a user's home, in which Claude Code keeps agents, settings and plugins."""
PLUGIN_FOLDER = ".claude-plugin"
"""The folder that makes a plugin of the folder around it, or a marketplace of plugins."""
RECORD_FILE = "run.json"
"""In the folder of a record: what the run was, and the hashes of the record's other files."""
_OUTPUTS = "outputs"
_KEPT_OUT = (
    "# agent-workbench: answers, drafts and reports, which git keeps out; to keep them in, remove this file.\n*\n"
)


def project_folder(start: str | Path | None = None) -> Path:
    """The nearest folder, from `start` upwards, that has `.git`, `.claude`, `pyproject.toml`, or a folder `agents`
    with an agent file in it. A plugin in such a folder is a part of it, from wherever it is looked at: what was tried
    of its agents is in one place.

    `start` is the working directory unless given, and is the answer where no folder has any of them. The answer is
    never `.claude` itself: what is inside belongs to the folder around it, unless it is a repository of its own, as a
    plugin is that Claude Code fetched. The `.claude` of the user's home makes no project of the folders beside it.
    """
    folder = Path(start or ".").resolve()
    home = _home()
    plugins: list[Path] = []
    for candidate in (folder, *folder.parents):
        if CLAUDE_FOLDER in candidate.parts:
            if candidate.name != CLAUDE_FOLDER and (candidate / ".git").exists():
                return candidate
            continue
        if (candidate / ".git").exists() or (candidate / "pyproject.toml").is_file():
            return candidate
        if (candidate / CLAUDE_FOLDER).is_dir():
            is_inside = folder.is_relative_to(candidate / CLAUDE_FOLDER)
            if candidate != home or is_inside:
                return candidate
        if holds_agent_file(candidate / "agents"):
            if not (candidate / PLUGIN_FOLDER).is_dir():
                return candidate
            plugins.append(candidate)
    return next(iter(plugins), folder)


def holds_agent_file(folder: Path) -> bool:
    """Whether this folder, or one below it, has a Markdown file that begins with a frontmatter fence."""
    return any(looks_like_agent_file(path) for path in folder.rglob("*.md"))


def looks_like_agent_file(path: Path) -> bool:
    """Whether this is a Markdown file that begins with a frontmatter fence, be it valid or not."""
    try:
        if path.suffix != ".md" or not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(6).removeprefix(b"\xef\xbb\xbf").startswith(b"---")
    except OSError:  # a folder that may not be read holds no file for us
        return False


def write_folder(folder: Path) -> None:
    """Makes a folder and those above it, where they are not there. Into the `outputs` of a project, once it is made
    here, a `.gitignore` is written that says to git that nothing in it is the project's; one that was there already
    stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    if path_of(folder).is_dir():
        return
    real = folder.resolve()
    new = [each for each in (real, *real.parents) if each.name == _OUTPUTS and not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for outputs in new:
        if project_folder(outputs.parent) == outputs.parent:
            with suppress(FileExistsError), (outputs / ".gitignore").open("x", encoding="utf-8") as file:
                file.write(_KEPT_OUT)


def enter_project() -> Path:
    """Makes the project folder the working directory, and returns it.

    JupyterLab starts a notebook in the notebook's own folder, papermill and `workbench run` where they were
    called. A notebook that begins with this reads and writes the same relative paths in all three.
    """
    folder = project_folder()
    os.chdir(folder)
    return folder


def config_folder(home: Path | None = None) -> Path | None:
    """Where Claude Code keeps a user's own agents, skills, settings and sessions: that of this home, or else what
    `CLAUDE_CONFIG_DIR` names, or `.claude` of the user's home; `None`: there is no home."""
    named = os.environ.get("CLAUDE_CONFIG_DIR", "").strip()
    if home is None and named:
        return Path(named).expanduser()
    try:
        return (home or Path.home()) / CLAUDE_FOLDER
    except RuntimeError:  # as for some users in containers
        return None


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except RuntimeError:  # no home, as for some users in containers
        return None
