"""Linting files and folders: rules with the severities that a project gives them, and the lines that it silences.

A project says in its `pyproject.toml`:

    [tool.workbench.lint]
    off = ["says-not-when"]                   # rules that are not looked at
    on = ["inherits-all-tools"]               # rules that are not looked at unless asked for
    exclude = ["docs/**"]                     # files, as patterns from the project folder
    [tool.workbench.lint.severity]
    long-prompt = "warning"                   # "error", "warning" or "note"

A YAML comment in the header silences rules: at the end of a line for that entry, on a line of its own for the entry
below it, and below the last entry for the prompt, of which no line can be marked without the model reading it.

    tools: Read, Wirte      # workbench: off misspelt-tool
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, get_args

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_where_it_stands
from workbench.definition.fields import KEYS
from workbench.definition.files import load_agent
from workbench.definition.finding import folders_up_to_the_repository
from workbench.definition.header import Problem, Severity
from workbench.definition.lint import MOST_NAMED, check_reading, rules
from workbench.definition.lint_project import AgentFile, agent_file_of, project_problems
from workbench.definition.plugin_agents import plugin_place
from workbench.definition.project import CLAUDE_FOLDER, looks_like_agent_file, project_folder
from workbench.definition.there import is_file_there, is_folder_there, is_there, text_in
from workbench.errors import AgentFileError, LintSettingsError

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_MANY = 200
"""Files from which on several processes read them: fewer are read before those have started."""
_SILENCE = re.compile(r"#\s*workbench:\s*off\b[ \t]*([^#\n]*)")
_README = re.compile(r"readme|index|agents|claude|contributing|changelog|license", re.IGNORECASE)
_GUIDE = re.compile(rf"\b(?:{_README.pattern}|guide|guidelines|overview|summary|template|notes?)\b", re.IGNORECASE)
_NEVER_SEARCHED = {"node_modules", "__pycache__", "site-packages", ".git", ".venv"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A problem, and the file that it is in."""

    path: Path
    problem: Problem

    @property
    def fingerprint(self) -> str:
        """What stays the same while lines move: of file, rule, field and message, 16 hex digits."""
        said = "\0".join((self.path.as_posix(), self.problem.rule, self.problem.field or "", self.problem.message))
        return hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class LintSettings:
    """What a project says of its rules."""

    off: frozenset[str] = frozenset()
    on: frozenset[str] = frozenset()
    """Rules that are looked at only where they are asked for."""
    severity: Mapping[str, Severity] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    """Patterns of paths from the folder of the settings, with `/`."""


@dataclass(frozen=True, kw_only=True)
class LintReport:
    """What was found in files, in their order."""

    findings: tuple[Finding, ...]
    read: tuple[Path, ...]
    """Agent files that were looked at."""
    skipped: tuple[Path, ...] = ()
    """Markdown files that are no agents: a README, a guide, a page with a title."""
    unreadable: tuple[tuple[Path, str], ...] = ()
    """Files that could not be read, and why."""

    @property
    def files(self) -> int:
        """How many agent files were looked at."""
        return len(self.read)

    def count(self, severity: Severity) -> int:
        return sum(finding.problem.severity == severity for finding in self.findings)

    def without(self, baseline: Iterable[str]) -> LintReport:
        """Without the findings that a baseline holds, each once for as often as it holds it."""
        known: dict[str, int] = {}
        for each in baseline:
            known[each] = known.get(each, 0) + 1
        left = []
        for finding in self.findings:
            if known.get(finding.fingerprint, 0) > 0:
                known[finding.fingerprint] -= 1
            else:
                left.append(finding)
        return replace(self, findings=tuple(left))


def lint_paths(paths: Sequence[str | Path], settings: LintSettings | None = None) -> LintReport:
    """What is wrong or doubtful in these agent files, and in those of these folders, alone and together.

    In a folder, Markdown files that begin with no header are no agents, and are skipped. `settings` are those of the
    nearest folder of each file's repository that has any, unless given.

    Raises:
        AgentFileError: there is no such file or folder.
        LintSettingsError: the settings of a project are wrong; the message says where.
    """
    files, skipped = _files_of(paths)
    settings_of = {project: _settings_for(project, settings) for project in {*files.values(), *skipped.values()}}
    wanted = [path for path, project in files.items() if not _is_excluded(path, *settings_of[project])]
    unreadable, read = [], []
    for path, checked in zip(wanted, _checked(wanted), strict=True):
        if isinstance(checked, str):
            unreadable.append((path, checked))
        elif checked is None:
            skipped[path] = files[path]
        else:
            read.append(checked)
    beside: dict[Path, list[Problem]] = {}
    for path, problem in project_problems([checked.file for checked in read]):
        beside.setdefault(path, []).append(problem)
    findings = [
        Finding(path=path, problem=problem)
        for checked in read
        for path in (checked.file.path,)
        for problem in _settled(
            (*checked.problems, *beside.get(path, ())), checked.silenced, settings_of[files[path]][1]
        )
    ]
    for path, project in skipped.items():
        findings += _of_skipped(path, settings_of[project][1])
    return LintReport(
        findings=tuple(findings),
        read=tuple(checked.file.path for checked in read),
        skipped=tuple(skipped),
        unreadable=tuple(unreadable),
    )


def _of_skipped(path: Path, settings: LintSettings) -> Iterator[Finding]:
    """What is no agent file to us, and an agent to Claude Code where it stands in a plugin."""
    if (place := plugin_place(path)) is not None:
        problem = Problem(
            rule="plugin-lists-all",
            severity="warning",
            message=f"Claude Code lists every Markdown file in the `agents` of a plugin, this one as "
            f"{place.name_of({})!r}: {place.description_of({})!r}.",
            fix="Move it out of `agents`.",
        )
        yield from (Finding(path=path, problem=each) for each in _settled([problem], {}, settings))


def _settled(
    problems: Iterable[Problem], silenced: Mapping[str, set[str]], settings: LintSettings
) -> tuple[Problem, ...]:
    """The problems as the project and the file want them said: without what is off or silenced, in order of lines."""
    known = rules()
    kept = [
        replace(problem, severity=settings.severity.get(problem.rule, problem.severity))
        for problem in (*problems, *_unknown(silenced))
        if problem.rule not in settings.off
        and problem.rule not in silenced.get(problem.field or "prompt", ())
        and (problem.rule in settings.on or not known[problem.rule].is_asked_for)
    ]
    kept = sorted(dict.fromkeys(kept), key=lambda problem: (problem.line, problem.column, problem.rule))
    return tuple(_with_keys_together(kept))


def _with_keys_together(problems: Sequence[Problem]) -> Iterator[Problem]:
    """One finding for all keys of a file that Claude Code does not know: they come in dozens, of one other program."""
    unknown = [problem for problem in problems if problem.rule == "unknown-key"]
    for problem in problems:
        if problem.rule != "unknown-key" or len(unknown) == 1:
            yield problem
        elif problem is unknown[0]:
            keys = ", ".join(f"`{each.field}`" for each in unknown[:MOST_NAMED])
            more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
            yield replace(problem, message=f"Claude Code ignores {keys}{more}: they are none of its {len(KEYS)} keys.")


def _settings_for(project: Path, given: LintSettings | None) -> tuple[Path, LintSettings]:
    """Where the patterns of the settings begin, and the settings: those given, or those of the nearest folder whose
    `pyproject.toml` speaks of lint, from the project up to the root of its repository. A plugin in a repository is a
    project of its own, and seldom has settings."""
    if given is not None:
        return project, given
    for folder in folders_up_to_the_repository(project):
        if (written := _written_settings(folder / "pyproject.toml")) is not None:
            return folder, _settings_in(written, folder / "pyproject.toml")
    return project, LintSettings()


def load_lint_settings(project: str | Path) -> LintSettings:
    """What the `pyproject.toml` of this folder says of lint; the usual, where it says nothing.

    Raises:
        LintSettingsError: it says what cannot be; the message says where.
    """
    path = Path(project) / "pyproject.toml"
    written = _written_settings(path)
    return LintSettings() if written is None else _settings_in(written, path)


def _settings_in(written: Mapping[str, Any], path: Path) -> LintSettings:
    for name in written:
        if name not in ("off", "on", "severity", "exclude"):
            raise LintSettingsError(
                f"[tool.workbench.lint] {name} is no setting; those are off, on, severity, exclude", path=path
            )
    off, on, exclude = (written.get(name, []) for name in ("off", "on", "exclude"))
    severity = written.get("severity", {})
    for name, value in (("off", off), ("on", on), ("exclude", exclude)):
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise LintSettingsError(f"[tool.workbench.lint] {name} is a list of texts", path=path)
    if not isinstance(severity, dict):
        raise LintSettingsError("[tool.workbench.lint.severity] is a table of rules", path=path)
    for rule in (*off, *on, *severity):
        if rule not in rules():
            raise LintSettingsError(
                f"[tool.workbench.lint] there is no rule {rule!r}; `workbench lint --explain all` lists them", path=path
            )
    for rule, value in severity.items():
        if value not in SEVERITIES:
            raise LintSettingsError(
                f"[tool.workbench.lint.severity] {rule} is {value!r}; it is one of {', '.join(SEVERITIES)}", path=path
            )
    return LintSettings(off=frozenset(off), on=frozenset(on), severity=dict(severity), exclude=tuple(exclude))


def _written_settings(path: Path) -> Mapping[str, Any] | None:
    """The table of lint in this `pyproject.toml`; `None` where there is none."""
    try:
        written = tomllib.loads(text_in(path)).get("tool", {}).get("workbench", {}).get("lint")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise LintSettingsError(f"cannot be read: {error}", path=path) from error
    if written is not None and not isinstance(written, dict):
        raise LintSettingsError("[tool.workbench.lint] is a table", path=path)
    return written


def agent_files_named(paths: Sequence[str | Path]) -> tuple[Path, ...]:
    """The agent files that these paths name, and those in the folders among them.

    Raises:
        AgentFileError: there is no such file or folder.
    """
    return tuple(_files_of(paths)[0])


def _files_of(paths: Sequence[str | Path]) -> tuple[dict[Path, Path], dict[Path, Path]]:
    """The agent files that these paths name, each with its project, and the Markdown files that are none, likewise."""
    found: dict[Path, Path] = {}
    skipped: dict[Path, Path] = {}
    project_of = cache(project_folder)
    for given in map(Path, paths):
        if is_folder_there(given):
            for path in _markdown_in(given):
                if looks_like_agent_file(path):
                    found.setdefault(path, project_of(path.parent))
                elif is_there(path) and not is_file_there(path):
                    found.setdefault(path, project_of(path.parent))  # whoever reads it is told that it is no file
                else:
                    skipped.setdefault(path, project_of(path.parent))
        elif is_there(given):
            found.setdefault(given, project_of(given.parent))
        else:
            raise AgentFileError("there is no such file or folder", path=given)
    return found, skipped


def _markdown_in(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if each not in _NEVER_SEARCHED)
        yield from (Path(here, name) for name in sorted(names) if name.endswith(".md"))


def _is_excluded(path: Path, project: Path, settings: LintSettings) -> bool:
    if not settings.exclude:
        return False
    # A link is excluded by where it stands: what it leads to may be outside of the project.
    name = path.parent.resolve().relative_to(project).joinpath(path.name).as_posix()
    return any(fnmatch(name, pattern) for pattern in settings.exclude)


def _roster_of(path: Path) -> Path:
    """The folder whose agents are listed together with this file: `.claude/agents`, or the outermost `agents`."""
    parts = path.resolve().parents
    for folder in reversed(parts):
        if folder.name == "agents" and (
            folder.parent.name == CLAUDE_FOLDER or (folder.parent / ".claude-plugin").is_dir()
        ):
            return folder
    return next((folder for folder in reversed(parts) if folder.name == "agents"), parts[0])


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """What a process found in a file, without the text of it."""

    file: AgentFile
    problems: tuple[Problem, ...]
    silenced: Mapping[str, set[str]]


def _checked(paths: Sequence[Path]) -> Iterator[_Checked | str | None]:
    cores = os.cpu_count() or 1
    if len(paths) < _MANY or cores < 2:
        yield from map(_check, paths)
        return
    with ProcessPoolExecutor(cores) as pool:
        yield from pool.map(_check, paths, chunksize=50)


def _check(path: Path) -> _Checked | str | None:
    """What is found in a file; or why it cannot be read; `None` where it is no agent."""
    try:
        agent = load_agent(path)
    except AgentFileError as error:
        return str(error)
    reading = read_where_it_stands(agent)
    if not reading.listed and _is_documentation(path, agent):
        return None
    file = agent_file_of(path, agent, reading, roster=_roster_of(path))
    return _Checked(file=file, problems=check_reading(agent, reading), silenced=_silenced(agent))


def _is_documentation(path: Path, agent: Agent) -> bool:
    """Whether a file without a name is no agent that lost it: a README or a guide, or a page with a title."""
    keys = {entry.key for entry in agent.document.entries}
    if "name" in keys:
        return False
    if not keys:
        return _GUIDE.search(path.stem) is not None
    return keys.isdisjoint(KEYS) or _README.fullmatch(path.stem) is not None


def _silenced(agent: Agent) -> dict[str, set[str]]:
    """By field, the rules that comments of the header silence."""
    found: dict[str, set[str]] = {}
    above = agent.document.head
    for entry in agent.document.entries:
        # A `|` or `>` block is text, whatever stands in it, but for the line that it begins on.
        inside = entry.text.partition("\n")[0] if entry.style == "block" else entry.text
        found.setdefault(entry.key, set()).update(_named(above + inside))
        above = entry.gap
    found.setdefault("prompt", set()).update(_named(above))
    return found


def _unknown(silenced: Mapping[str, Iterable[str]]) -> Iterator[Problem]:
    for rule in sorted({rule for of in silenced.values() for rule in of} - rules().keys()):
        yield Problem(
            rule="unknown-silence",
            severity="warning",
            message=f"A comment silences {rule!r}, which is no rule.",
            fix="`workbench lint --explain all` lists them.",
        )


def _named(text: str) -> set[str]:
    return {rule for match in _SILENCE.finditer(text) for rule in re.split(r"[\s,]+", match[1].strip()) if rule}
