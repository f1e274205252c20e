"""Routing cases: prompts, each with the agent that should get it, or nobody.

A case is a task whose `target` names who should get it: an agent, several of which any will do ("reviewer, tester"), or
"none", where the main model should do it itself.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.there import is_file_there, text_in
from workbench.errors import TaskFileError
from workbench.markup import counted
from workbench.secrets import without_secrets
from workbench.statistics.routing import NONE
from workbench.trial.description_tasks import propose_from_description
from workbench.trial.sealed import plain_words
from workbench.trial.task import Task

FILE_NAMES = ("routing.yaml", "routing.yml", "routing.jsonl", "routing.csv")
"""What a file of cases beside the agents is called."""
FEWEST_OF_AN_AGENT = 6
"""With fewer, no change of its recall can be shown: six that all move one way give p = 2/2^6 = 0.031."""
_PROMPTS = ("prompt", "input", "question", "text")
_EXPECTED = ("expect", "expected", "target", "agent")
_SEPARATOR = ", "
_LEAKED_CHARACTERS = 40
_MOST_CHARACTERS = 20_000_000


def accepted_of(case: Task) -> tuple[str, ...]:
    """Who may get this case, the first of them wanted most; ("none",) where nobody should."""
    return tuple(name.strip() for name in (case.target or NONE).split(",") if name.strip()) or (NONE,)


def case_file_of(folder: str | Path) -> Path | None:
    """The file of cases in this folder of agents; `None`: there is none."""
    return next((path for name in FILE_NAMES if is_file_there(path := Path(folder) / name)), None)


def load_cases(path: str | Path) -> tuple[Task, ...]:
    """The cases of a `.yaml`, `.yml`, `.jsonl`, `.json` or `.csv` file, in its order.

    Each has a `prompt` (or `input`), an `expect` (or `target`): the name of an agent, "none", or several names of which
    any will do, and may have an `id` and a `group`. YAML and JSON are a list of such, or have one under `cases` or
    `tasks`.

    Raises:
        TaskFileError: the file cannot be read, or a case lacks a prompt or who should get it; says which.
    """
    path = Path(path)
    try:
        text = text_in(path, encoding="utf-8-sig")
    except FileNotFoundError:
        raise TaskFileError("no such file of routing cases", path=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise TaskFileError(f"cannot be read: {error}", path=path) from error
    if len(text) > _MOST_CHARACTERS:
        raise TaskFileError(f"has {len(text):,} characters; at most {_MOST_CHARACTERS:,} are read", path=path)
    cases: dict[str, Task] = {}
    for number, row in enumerate(_rows(text, path), start=1):
        case = _case(row, number, path)
        if case.id in cases:
            raise TaskFileError(f"case {number}: the id {case.id!r} is there already; ids must differ", path=path)
        cases[case.id] = case
    if not cases:
        raise TaskFileError("holds no case; add some with a prompt and an expect", path=path)
    return tuple(cases.values())


def cases_of_descriptions(agents: Mapping[str, Agent]) -> tuple[Task, ...]:
    """A case for each `<example>` of the agents' descriptions: what its user says should go to that agent.

    They stand in what the model reads, so that recall on them is a ceiling and not what users will see.
    """
    cases = []
    for name, agent in agents.items():
        proposed = [each for each in propose_from_description(agent) if not each.is_draft]
        for number, each in enumerate(proposed, start=1):
            cases.append(Task(id=f"{name}-{number}", input=each.task.input, target=name, group="example"))
    return tuple(cases)


def lint_cases(cases: Sequence[Task], agents: Mapping[str, Agent]) -> tuple[str, ...]:
    """What of a set of cases would mislead, in words: agents that are not there, cases that are too easy, texts that
    the model reads anyway, two answers to one prompt, too few of an agent or of nobody's."""
    found = []
    wanted: dict[str, list[Task]] = defaultdict(list)
    for case in cases:
        wanted[accepted_of(case)[0]].append(case)
        for name in accepted_of(case):
            if name != NONE and name not in agents:
                found.append(f"{case.id}: expects {name!r}, which is no agent here; there are {_names(agents)}")
        named = next((name for name in accepted_of(case) if name != NONE and _says(case.input, name)), None)
        if named is not None:
            found.append(f"{case.id}: too easy: it names {named!r}; say what is to be done, and not by whom")
    descriptions = {name: plain_words(read_as_claude_code(agent).description or "") for name, agent in agents.items()}
    leaked = Counter(
        name
        for case in cases
        for name, description in descriptions.items()
        if len(case.input) >= _LEAKED_CHARACTERS and plain_words(case.input) in description
    )
    found += [
        f"{counted(count, 'prompt')} {'stands' if count == 1 else 'stand'} in the description of {name!r}, which the "
        "model reads: recall on them is a ceiling"
        for name, count in leaked.items()
    ]
    answers: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for case in cases:
        answers[plain_words(case.input)].add(accepted_of(case))
    found += [
        f"one prompt is expected at two places: {without_secrets(text)[:60]!r}"
        for text, places in answers.items()
        if len(places) > 1
    ]
    if not wanted[NONE]:
        found.append(
            "no case is for nobody (expect: none), so that nothing is said of an agent that is picked too often"
        )
    for name in agents:
        if 0 < len(wanted[name]) < FEWEST_OF_AN_AGENT:
            found.append(
                f"{name!r} has {counted(len(wanted[name]), 'case')}: with fewer than {FEWEST_OF_AN_AGENT} no change of "
                "its recall can be shown"
            )
    return tuple(found)


def _rows(text: str, path: Path) -> list[Any]:
    suffix = path.suffix.lower()
    try:
        if suffix == ".csv":
            return list(csv.DictReader(io.StringIO(text), strict=True))
        if suffix in (".jsonl", ".ndjson"):
            return [json.loads(line) for line in text.split("\n") if line.strip()]
        if suffix == ".json":
            return _list_in(json.loads(text), path)
        if suffix in (".yaml", ".yml"):
            import yaml

            return _list_in(yaml.safe_load(text), path)
    except csv.Error as error:
        raise TaskFileError(f"is not CSV: {error}", path=path) from None
    except json.JSONDecodeError as error:
        raise TaskFileError(f"is not JSON: {error}", path=path) from None
    except (ValueError, RecursionError) as error:
        raise TaskFileError(f"cannot be read: {error}", path=path) from None
    except Exception as error:
        # PyYAML's errors have no base that can be named without importing it, which only YAML files need.
        if type(error).__module__.partition(".")[0] == "yaml":
            raise TaskFileError(f"is not valid YAML: {error}", path=path) from None
        raise
    raise TaskFileError(f"ends in {suffix!r}; cases are read from .yaml, .jsonl, .json and .csv", path=path)


def _list_in(found: Any, path: Path) -> list[Any]:
    if isinstance(found, dict):
        found = next((found[name] for name in ("cases", "tasks", "prompts") if name in found), None)
    if not isinstance(found, list):
        raise TaskFileError("is no list of cases: each begins with `- prompt: ...`", path=path)
    return found


def _case(row: Any, number: int, path: Path) -> Task:
    if not isinstance(row, dict):
        raise TaskFileError(f"case {number}: is no mapping with a prompt and an expect", path=path)
    prompt = next((row[name] for name in _PROMPTS if row.get(name)), None)
    expected = next((row[name] for name in _EXPECTED if row.get(name)), None)
    names = [expected] if isinstance(expected, str) else expected
    if not isinstance(prompt, str) or not prompt.strip():
        raise TaskFileError(f"case {number}: has no `prompt`, the words of a user", path=path)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise TaskFileError(
            f"case {number}: has no `expect`: the name of an agent, none, or a list of names of which any will do",
            path=path,
        )
    group = row.get("group")
    return Task(
        id=str(row.get("id") or f"case-{number}"),
        input=prompt.strip(),
        target=_SEPARATOR.join(names),
        group=None if group in (None, "") else str(group),
    )


def _says(text: str, name: str) -> bool:
    plain = plain_words(text)
    return name.lower() in plain.split() or (
        "-" in name and (name.lower() in plain or name.replace("-", " ").lower() in plain)
    )


def _names(agents: Mapping[str, Agent]) -> str:
    shown = ", ".join(list(agents)[:8])
    return f"{shown}, ..." if len(agents) > 8 else shown
