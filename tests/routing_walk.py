"""Twelve published agents of one repository, chosen by rule, one of which is never picked; with cases and a router that
follows keywords."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.router_server import Decide, Listed
from tests.test_routing import passes_controls
from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.files import load_agent
from workbench.routing.listing import entries_in

MANY = 12
VAGUE = "A good one."
"""Of which no word is asked for."""
CASES_OF_IT, CASES_OF_OTHERS = 16, 8
_WORD = re.compile(r"[a-z]{6,}")


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A project in which an agent is never picked."""

    folder: Path
    name: str
    """The agent's."""
    file: Path
    better: str
    """Its description as it was published."""


def twelve_agents(corpus: Path) -> dict[str, Agent]:
    """By name, the first twelve of the first repository, in the order of the alphabet, that has so many listed agents
    of which each has a description with words of its own."""
    by_repository: dict[str, dict[str, Agent]] = {}
    for row in csv.DictReader((corpus / "index.csv").read_text(encoding="utf-8").splitlines()):
        agent = load_agent(corpus / row["file"])
        if (name := read_as_claude_code(agent).name) is not None:
            by_repository.setdefault(row["repo"], {}).setdefault(name, agent)
    for repository in sorted(by_repository, key=str.lower):
        agents = by_repository[repository]
        chosen = dict(sorted(agents.items(), key=lambda each: each[0].lower())[:MANY])
        if len(chosen) == MANY and all(len(own_words(chosen, name)) >= 2 for name in chosen):
            return chosen
    raise AssertionError(f"no repository of the corpus has {MANY} such agents")


def own_words(agents: dict[str, Agent], name: str) -> list[str]:
    """The long words of an agent's description that stand in no name and in no other description."""
    texts = {each: (read_as_claude_code(agent).description or "").lower() for each, agent in agents.items()}
    others = " ".join([*agents, *(text for each, text in texts.items() if each != name), "tools except"]).lower()
    return [word for word in sorted(set(_WORD.findall(texts[name]))) if word not in others]


def begin_walk(corpus: Path, project: Path) -> Walk:
    """Writes the agents with their cases. The first of them that has two words of its own is described vaguely."""
    agents = twelve_agents(corpus)
    name = next(iter(agents))
    folder = project / ".claude" / "agents"
    folder.mkdir(parents=True)
    for each, agent in agents.items():
        written = agent.replace(description=VAGUE) if each == name else agent
        (folder / f"{each}.md").write_bytes(written.to_bytes())
    others = list(agents)[1:4]
    wanted = [(name, CASES_OF_IT), *((each, CASES_OF_OTHERS) for each in others)]
    cases = [
        {"id": f"{each}-{number}", "prompt": _prompt(own_words(agents, each), number), "expect": each}
        for each, count in wanted
        for number in range(count)
    ]
    cases += [
        {"id": f"nobody-{number}", "prompt": f"Say hello, number {number}.", "expect": "none"}
        for number in range(CASES_OF_OTHERS)
    ]
    (folder / "routing.yaml").write_text(yaml.safe_dump(cases, allow_unicode=True), encoding="utf-8")
    better = read_as_claude_code(agents[name]).description
    assert better is not None
    return Walk(folder=folder, name=name, file=folder / f"{name}.md", better=better)


def _prompt(words: list[str], number: int) -> str:
    return f"It is a {words[number % len(words)]} day {number}, so do it."


def keyword_router() -> Decide:
    """Passes its controls, and picks the agent in whose line the long word of the prompt stands."""

    def decide(prompt: str, listed: Listed) -> str | None:
        words = _WORD.findall(prompt)
        return next(
            (name for name, line in entries_in(listed.text).items() if any(word in line.lower() for word in words)),
            None,
        )

    return passes_controls(decide)
