"""What a batch runs: the notebooks that a plan file names, each with its parameters and a folder of its own."""

from __future__ import annotations

import datetime
import itertools
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from workbench.definition.project import looks_like_agent_file, project_folder
from workbench.definition.there import is_folder_there, text_in
from workbench.errors import BatchFileError, ParameterError
from workbench.headless.batch_state import has_not_ended
from workbench.headless.comparing_nothing import nothing_to_compare
from workbench.headless.job import Deadlines, Job
from workbench.headless.notebook_files import load_notebook
from workbench.headless.parameters import check_parameters, declared_parameters, with_own_tasks
from workbench.secrets import without_secrets

_OF_BATCH = {"out", "budget_usd", "budget_tokens", "at_once", "deadline_seconds", "cell_deadline_seconds", "notebooks"}
_OF_ENTRY = {"notebook", "name", "parameters", "grid", "agents"}
_LONGEST_NAME = 80
_DATE = "{date}"


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """The jobs of a batch in the order of its file, and the bounds within which all of them stay."""

    jobs: tuple[Job, ...]
    out: Path
    """The folder in which each job has one by its name."""
    at_once: int = 2
    """How many notebooks run at the same time."""
    live: bool | None = None
    """Who answers all of them: a model, or the stand-in (`False`); `None`: as the environment says."""
    budget_usd: float | None = None
    """What all of them together may spend; `None`: no limit."""
    budget_tokens: int | None = None


def load_batch(
    path: str | Path, *, live: bool | None = None, go_on: bool = False, today: datetime.date | None = None
) -> BatchPlan:
    """The plan that a YAML file holds, with every parameter checked against its notebook.

    `live`, if it is given, is the parameter `live` of every notebook, and who answers the batch. `{date}` in `out` is
    `today` (this day here, unless given) as 2026-11-29; with `go_on` it is the newest such folder in which a batch was
    begun and did not come to its end, so that one that was stopped before midnight goes on after it.

    The file is a mapping: `notebooks`, a list of entries, and optionally `out`, `budget_usd`, `budget_tokens`,
    `at_once`, `deadline_seconds` and `cell_deadline_seconds`. An entry names a `notebook`, and optionally its
    `parameters`; a `grid` of lists, of which every combination is a job; `agents`, a folder or pattern or a list of
    such (of which some may be missing), of which every agent file is a job (as the parameter `agent`; a parameter
    `tasks` that is not given is the agent's own file of tasks, without which it is not run; one that says what it is to
    be compared with is left out); a `name`, with the parameters in braces. Paths start at the project folder.

    Raises:
        BatchFileError: the file is missing, a field of it is wrong, or no agent is to be compared with anything; says
            which.
        ParameterError: a parameter is unknown to its notebook, of the wrong type, or looks like a key.
        FileError: a notebook cannot be read.
    """
    file = Path(path)
    found = _read(file)
    _refuse_unknown(found, _OF_BATCH, file, "")
    out = project_folder() / _dated(_text(found, "out", file, f"outputs/{file.stem}"), file, go_on=go_on, today=today)
    deadlines = Deadlines(
        notebook=_number(found, "deadline_seconds", file), cell=_number(found, "cell_deadline_seconds", file)
    )
    entries = found.get("notebooks")
    if not isinstance(entries, list) or not entries:
        raise BatchFileError("notebooks: must be a list with at least one notebook", path=file)
    found_jobs = (_jobs(entry, live, out, file, f"notebooks[{number}]") for number, entry in enumerate(entries, 1))
    jobs = [replace(job, deadlines=deadlines) for of_entry in found_jobs for job in of_entry]
    twice = sorted({job.name for job in jobs if sum(other.name == job.name for other in jobs) > 1})
    if twice:
        raise BatchFileError(f"two jobs are called {twice[0]!r}: put what differs into `name`", path=file)
    if all(job.unchanged for job in jobs):
        whys = "; ".join(left_out(jobs))
        raise BatchFileError(
            f"there is nothing to compare: {whys}. Edit one and come back; or give the parameter `against` (an earlier "
            "commit, such as HEAD~1), `model` or `leave_out`; or measure them as they are by the notebook `nightly`",
            path=file,
        )
    at_once = _number(found, "at_once", file, whole=True)
    tokens = _number(found, "budget_tokens", file, whole=True, least=0)
    return BatchPlan(
        jobs=tuple(jobs),
        out=out,
        at_once=2 if at_once is None else int(at_once),
        live=live,
        budget_usd=_number(found, "budget_usd", file, least=0),
        budget_tokens=None if tokens is None else int(tokens),
    )


def left_out(jobs: Sequence[Job]) -> list[str]:
    """What the agents are called that have nothing to be compared with, and why: a text for each reason."""
    whys = dict.fromkeys(job.unchanged for job in jobs if job.unchanged)
    alike = {why: [job for job in jobs if job.unchanged == why] for why in whys}
    return [f"{', '.join(Path(job.parameters['agent']).stem for job in of_it)} ({why})" for why, of_it in alike.items()]


def _read(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text_in(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BatchFileError(f"cannot be read: {reason}", path=file) from error
    except yaml.YAMLError as error:
        raise BatchFileError(f"is not YAML: {error}", path=file) from error
    if not isinstance(found, dict):
        raise BatchFileError("must be a mapping with `notebooks`", path=file)
    return found


def _dated(out: str, file: Path, *, go_on: bool, today: datetime.date | None) -> str:
    """The folder of a batch with the date in the place of `{date}`."""
    other = re.search(r"[{}]", out.replace(_DATE, ""))
    if other:
        raise BatchFileError(f"out: {out!r} has braces; in braces stands only {_DATE}, once", path=file)
    if out.count(_DATE) > 1:
        raise BatchFileError(f"out: {out!r} has {_DATE} more than once", path=file)
    if _DATE not in out:
        return out
    if go_on:
        pattern = out.replace(_DATE, "[0-9]" * 4 + "-[0-9][0-9]-[0-9][0-9]")
        begun = sorted(path for path in project_folder().glob(pattern) if path.is_dir())
        if begun and has_not_ended(begun[-1]):
            return begun[-1].relative_to(project_folder()).as_posix()
    return out.replace(_DATE, (today or datetime.datetime.now().astimezone().date()).isoformat())


def _jobs(entry: Any, live: bool | None, out: Path, file: Path, where: str) -> list[Job]:
    if isinstance(entry, str):
        entry = {"notebook": entry}
    if not isinstance(entry, dict):
        raise BatchFileError(f"{where}: must be a mapping with `notebook`, or the path of one", path=file)
    _refuse_unknown(entry, _OF_ENTRY, file, f"{where}.")
    notebook = Path(_text(entry, "notebook", file, None, where=f"{where}."))
    given = _mapping(entry, "parameters", file, where)
    grid = _mapping(entry, "grid", file, where)
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise BatchFileError(f"{where}.grid.{name}: must be a list with at least one value", path=file)
    declared = declared_parameters(load_notebook(project_folder() / notebook))
    if live is not None:
        if "live" not in declared:
            raise ParameterError(f"{notebook}: has no parameter `live`, which --live and --offline set; leave them out")
        if "live" in grid:
            raise BatchFileError(
                f"{where}.grid.live: --live and --offline decide who answers; leave them out", path=file
            )
        given["live"] = live
    agents = _agents(entry, file, where)
    if agents and "agent" not in declared:
        raise ParameterError(f"{notebook}: has no parameter `agent`, so it cannot be run for every agent of a folder")
    jobs = []
    above = os.path.commonpath([Path(agent).parent for agent in agents]) if agents else ""
    choices: list[str | None] = [*agents] or [None]
    for agent in choices:
        of_agent = {} if agent is None else {"agent": agent}
        for values in itertools.product(*grid.values()):
            parameters = {**given, **of_agent, **dict(zip(grid, values, strict=True))}
            parameters = check_parameters(declared, parameters, notebook=notebook)
            # Of two agents of one name in different folders, neither gets the other's.
            called = [] if agent is None else Path(os.path.relpath(agent, above)).with_suffix("").parts
            varied = [*called, *map(str, values)]
            name = _name(entry, notebook, parameters, varied, file, where)
            refusal = None
            try:
                parameters = with_own_tasks(declared, parameters, project=project_folder(), notebook=notebook)
            except ParameterError as error:
                refusal = str(error)
            nothing = nothing_to_compare(declared, parameters, project=project_folder())
            jobs.append(
                Job(
                    notebook=notebook,
                    out=out / name,
                    parameters=parameters,
                    refusal=refusal,
                    unchanged=None if agent is None or refusal or nothing is None else nothing.why,
                )
            )
    return jobs


def _agents(entry: Mapping[str, Any], file: Path, where: str) -> list[str]:
    """The agent files in and below the entry's folder, as Claude Code finds them, or of its pattern; seen from the
    project folder, in the order of their names."""
    if "agents" not in entry:
        return []
    project, written = project_folder(), entry["agents"]
    listed = written if isinstance(written, list) and written else [written]
    patterns = []
    for each in listed:
        wanted = _text({"agents": each}, "agents", file, None, where=f"{where}.")
        patterns.append(f"{wanted.rstrip('/')}/**/*.md" if is_folder_there(project / wanted) else wanted)
        if Path(patterns[-1]).is_absolute():
            raise BatchFileError(f"{where}.agents: {wanted!r} must start at the project folder", path=file)
    matches = {path for pattern in patterns for path in project.glob(pattern) if looks_like_agent_file(path)}
    found = sorted(path.relative_to(project).as_posix() for path in matches)
    if not found:
        shown = " or ".join(map(repr, patterns))
        raise BatchFileError(
            f"{where}.agents: no agent file matches {shown} in the project folder, {project}", path=file
        )
    return found


def _name(
    entry: Mapping[str, Any],
    notebook: Path,
    parameters: Mapping[str, Any],
    varied: Sequence[str],
    file: Path,
    where: str,
) -> str:
    if "name" not in entry:
        name = "-".join([notebook.stem, *varied])
    else:
        pattern = _text(entry, "name", file, None, where=f"{where}.")
        try:
            name = pattern.format_map({key: Path(str(value)).stem for key, value in parameters.items()})
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise BatchFileError(
                f"{where}.name: {pattern!r} cannot be filled in ({error}); in braces stand names of parameters that "
                "the entry sets",
                path=file,
            ) from error
    name = re.sub(r"[^\w.-]+", "-", without_secrets(name)).strip("-.")[:_LONGEST_NAME]
    if not name:
        raise BatchFileError(f"{where}.name: leaves no letter or digit to name a folder with", path=file)
    return name


def _refuse_unknown(found: Mapping[Any, Any], known: set[str], file: Path, where: str) -> None:
    for name in found:
        if name not in known:
            raise BatchFileError(f"{where}{name}: no such field; there are {', '.join(sorted(known))}", path=file)


def _mapping(entry: Mapping[str, Any], name: str, file: Path, where: str) -> dict[str, Any]:
    found = entry.get(name) or {}
    if not isinstance(found, dict):
        raise BatchFileError(f"{where}.{name}: must be a mapping, not {found!r}", path=file)
    return {str(key): value for key, value in found.items()}


def _text(found: Mapping[str, Any], name: str, file: Path, otherwise: str | None, *, where: str = "") -> str:
    value = found.get(name, otherwise)
    if not isinstance(value, str) or not value.strip():
        raise BatchFileError(f"{where}{name}: must be a text, not {value!r}", path=file)
    return value


def _number(
    found: Mapping[str, Any], name: str, file: Path, *, whole: bool = False, least: float | None = None
) -> float | None:
    """`None` where the field is not there; without `least`, it has to be more than 0."""
    value = found.get(name)
    if value is None:
        return None
    fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or (value <= 0 if least is None else value < least):
        kind = "a whole number" if whole else "a number"
        bound = "more than 0" if least is None else f"{least:g} or more"
        raise BatchFileError(f"{name}: must be {kind} of {bound}, not {value!r}", path=file)
    return float(value)
