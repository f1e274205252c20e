"""Rules on the agents of a project together: names that stand twice, skills that are not there, what all cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from workbench.definition.agent import Agent
from workbench.definition.claude_code import Reading
from workbench.definition.finding import folders_up_to_the_repository
from workbench.definition.header import Problem, Severity
from workbench.definition.project import CLAUDE_FOLDER, config_folder, project_folder
from workbench.definition.there import is_file_there

MUCH_DESCRIBED = 60_000
"""Characters of all descriptions that one project shows in each conversation: about 15,000 tokens."""
_WORDS_A_RUN = 4
_ALIKE = 0.6
"""Of the runs of words of the shorter description, how many stand in the other of two that compete."""
_FEWEST_RUNS = 8
_MOST_HOLDERS = 20
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True)
class AgentFile:
    """What of an agent file counts beside others: small, as it comes from another process."""

    path: Path
    roster: Path
    """The folder whose agents are listed together with it."""
    name: str | None
    """As Claude Code lists it; `None`: it does not."""
    description: str
    """As the model is shown it; empty where the file is dropped."""
    has_all_tools: bool = False
    """Whether it names no tools, and so has all of them."""
    skills: tuple[str, ...] = ()
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Line and column of the values by key, of duplicates the last."""


def agent_file_of(path: Path, agent: Agent, reading: Reading, *, roster: Path) -> AgentFile:
    """What counts of an agent that was read from this path."""
    return AgentFile(
        path=path,
        roster=roster,
        name=reading.name,
        description=reading.description or "",
        has_all_tools=reading.granted is not None and reading.granted.is_all,
        skills=agent.skills or (),
        places={entry.key: (entry.line, entry.column) for entry in agent.document.entries},
    )


def project_problems(files: Sequence[AgentFile]) -> Iterator[tuple[Path, Problem]]:
    """What is wrong or doubtful between these files, each with the file that it is said of."""
    of_roster: dict[Path, list[AgentFile]] = {}
    for file in files:
        of_roster.setdefault(file.roster, []).append(file)
    for together in of_roster.values():
        yield from _of_names(together)
        yield from _of_cost(together)
        yield from _of_competition(together)
    for file in files:
        yield from _of_skills(file)
        if file.has_all_tools:
            yield (
                file.path,
                _at(
                    file,
                    "name",
                    "inherits-all-tools",
                    "note",
                    "The agent names no tools, and so has all of them.",
                    "Name those that it needs: `tools: Read, Grep, Glob`.",
                ),
            )


def _of_names(files: Sequence[AgentFile]) -> Iterator[tuple[Path, Problem]]:
    first: dict[str, AgentFile] = {}
    by_case: dict[str, str] = {}
    for file in files:
        name = file.name
        if name is None:
            continue
        if name in first:
            yield (
                file.path,
                _at(
                    file,
                    "name",
                    "duplicate-name",
                    "error",
                    f"{first[name].path} defines an agent {name!r} too; Claude Code lists one of them, without a word.",
                    "Give one of them another name.",
                ),
            )
        elif (other := by_case.get(name.lower())) is not None:
            yield (
                file.path,
                _at(
                    file,
                    "name",
                    "names-differ-by-case",
                    "warning",
                    f"{first[other].path} defines {other!r}; both are listed, and a person takes them for one.",
                    "Give one of them another name.",
                ),
            )
        first.setdefault(name, file)
        by_case.setdefault(name.lower(), name)


def _of_cost(files: Sequence[AgentFile]) -> Iterator[tuple[Path, Problem]]:
    total = sum(len(file.description) for file in files)
    if total > MUCH_DESCRIBED:
        longest = max(files, key=lambda file: len(file.description))
        most = len(longest.description)
        yield (
            longest.path,
            _at(
                longest,
                "description",
                "much-described",
                "note",
                f"The descriptions of the {len(files)} agents here have {total:,} characters together, about "
                f"{total // 4:,} tokens, shown in each conversation; this one is the longest: {most:,}.",
                "Shorten the longest, and remove agents that are never picked.",
            ),
        )


def _of_competition(files: Sequence[AgentFile]) -> Iterator[tuple[Path, Problem]]:
    """Descriptions of which most stands word by word in another's: the main model picks one of the two at random.

    Only agents that share a run of words are held beside each other, so that thousands take no longer than they are.
    """
    runs = [_runs_of_words(file.description) for file in files]
    holders: dict[str, list[int]] = {}
    for number, run in ((number, run) for number, of in enumerate(runs) for run in of):
        holders.setdefault(run, []).append(number)
    shared: dict[tuple[int, int], int] = {}
    for numbers in holders.values():
        if len(numbers) <= _MOST_HOLDERS:  # else it is a phrase of a house, as "Use this agent when you need to"
            for pair in combinations(numbers, 2):
                shared[pair] = shared.get(pair, 0) + 1
    told = set()
    for (one, other), count in sorted(shared.items()):
        first, second = files[one], files[other]
        is_twin = first.name == second.name  # which has a rule of its own
        shorter = min(len(runs[one]), len(runs[other]))
        if not is_twin and other not in told and shorter >= _FEWEST_RUNS and count >= _ALIKE * shorter:
            told.add(other)
            yield (
                second.path,
                _at(
                    second,
                    "description",
                    "competes",
                    "warning",
                    f"Most of this description stands word by word in that of {first.name!r}: the main model has "
                    "little to pick one of the two by.",
                    "Say what each of them is for that the other is not; `workbench route` measures which is picked.",
                ),
            )


def _runs_of_words(text: str) -> frozenset[str]:
    words = _WORD.findall(text.lower())
    count = max(0, len(words) - _WORDS_A_RUN + 1)
    return frozenset(" ".join(words[start : start + _WORDS_A_RUN]) for start in range(count))


def _of_skills(file: AgentFile) -> Iterator[tuple[Path, Problem]]:
    if not file.skills:
        return
    homes = tuple(_skill_homes(project_folder(file.path.resolve().parent)))
    missing = [
        repr(skill)
        for skill in file.skills
        if ":" not in skill  # else it is one of a plugin, whose name stands before the colon
        and not any(is_file_there(folder / "skills" / skill / "SKILL.md") for folder in homes)
    ]
    if missing:
        what = f"is no skill {missing[0]}" if len(missing) == 1 else f"are no skills {', '.join(missing)}"
        yield (
            file.path,
            _at(
                file,
                "skills",
                "missing-skill",
                "warning",
                f"There {what} in {CLAUDE_FOLDER}/skills of the project or of your home.",
                "Add what is missing, take it out, or write PLUGIN:NAME for one of a plugin.",
            ),
        )


def _at(file: AgentFile, key: str, rule: str, severity: Severity, message: str, fix: str) -> Problem:
    line, column = file.places.get(key, (1, 1))
    return Problem(rule=rule, severity=severity, field=key, line=line, column=column, message=message, fix=fix)


def _skill_homes(project: Path) -> Iterator[Path]:
    yield from (folder / CLAUDE_FOLDER for folder in folders_up_to_the_repository(project))
    yield project  # a plugin keeps its skills beside its agents
    own = config_folder()
    if own is not None:
        yield own
