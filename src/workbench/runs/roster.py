"""What a project's agents cost every conversation, and which of them say the same of when to pick them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench.definition.description import read_examples
from workbench.definition.lint_project import MUCH_DESCRIBED
from workbench.definition.project import project_folder
from workbench.definition.project_agents import (
    UNMEASURED,
    Places,
    ProjectAgent,
    listing_line,
    load_project_agents,
    names_taken_for_one,
)
from workbench.definition.resolved import resolve_model
from workbench.markup import Table, counted, html, html_table, notebook_html, plain_table, visible
from workbench.runs.estimate import BYTES_PER_TOKEN
from workbench.runs.upkeep import tokens_of, usd_of
from workbench.statistics.overlap import rank_pairs
from workbench.trial.conversations import Conversations
from workbench.trial.defaults import LONGEST_DESCRIPTION

DAYS_A_MONTH = 30
MOST_PAIRS = 10
_PAGE = """\
<p>{{ summary }}</p>
{% for table in tables %}{{ table }}{% endfor %}
"""


@dataclass(frozen=True, kw_only=True)
class RosterRow:
    """An agent of the project, and what its line in the list costs."""

    agent: ProjectAgent
    tokens: int
    """Of its line, in every conversation; 0 where it is not listed or known to the program alone."""
    usd: float | None
    """A month; `None` where the price is not known."""
    saved_tokens: int
    """What a description of at most so many characters would save of them; `roster` is told how many."""
    saved_usd: float | None
    example_tokens: int
    """Those of them that are `<example>` blocks."""


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Two listed agents whose descriptions have much in common."""

    one: str
    other: str
    cosine: float
    """0..1; a rank among the pairs, and no proof: see `statistics.overlap`."""
    shared: tuple[str, ...]
    """Words that both have, the rarest first."""


@dataclass(frozen=True, kw_only=True, repr=False)
class ProjectRoster:
    """All agents that one project sees. Shows itself as text and as HTML tables that need no kernel."""

    project: str
    rows: tuple[RosterRow, ...]
    """Those that come first in front."""
    overlaps: tuple[Overlap, ...]
    """The most alike first."""
    taken_for_one: tuple[tuple[str, ...], ...]
    """Names of listed agents that differ in case and separators alone."""
    conversations: Conversations
    model: str
    """Whose price is taken."""
    at_most: int
    """Characters of a description, for what a shorter one would save."""

    @property
    def tokens(self) -> int:
        """Of all lines, in every conversation; of several that share a name, the longest counts."""
        return sum(row.tokens for row in self._counted())

    @property
    def usd(self) -> float | None:
        """A month."""
        return _sum(row.usd for row in self._counted())

    @property
    def saved_tokens(self) -> int:
        """What descriptions of at most `at_most` characters would save of `tokens`."""
        return sum(row.saved_tokens for row in self._counted())

    @property
    def saved_usd(self) -> float | None:
        """A month."""
        return _sum(row.saved_usd for row in self._counted())

    @property
    def summary(self) -> str:
        """What there is and what it costs, in sentences."""
        own = [row.agent for row in self.rows if row.agent.where != "built in"]
        sharing = [agent.name for agent in own if agent.standing == "one of several"]
        listed = sum(agent.standing == "listed" for agent in own) + len(set(sharing))
        built_in = sum(row.agent.where == "built in" and row.agent.standing == "listed" for row in self.rows)
        talked = self.conversations
        said = [
            f"{counted(listed, 'agent') if listed else 'No agent'} of {self.project} and {built_in} of the program are "
            "listed in every conversation."
            if own
            else f"{self.project} sees no agent but {built_in} of the program: none is in its .claude/agents or in "
            "those above it, in your home, or in an enabled plugin."
        ]
        if self.tokens:
            said.append(
                f"Their lines take {self.tokens:,} tokens there, {_usd(self.usd)} a month at {talked.a_day:g} "
                f"conversations a day of {talked.requests_each:,.0f} requests with {self.model} ({talked.source})."
            )
        if self.saved_tokens:
            said.append(
                f"Descriptions of at most {self.at_most:,} characters would save {self.saved_tokens:,} tokens, "
                f"{_usd(self.saved_usd)}."
            )
        if sharing:
            said.append(
                f"Of {len(sharing)} files that share {counted(len(set(sharing)), 'name')}, one a name is listed."
            )
        counts = Counter(agent.standing for agent in own if agent.standing in ("shadowed", "not listed"))
        if counts:
            said.append(f"Beside them: {', '.join(f'{count} {standing}' for standing, count in counts.items())}.")
        characters = sum(len(row.agent.description or "") for row in self._counted())
        if characters > MUCH_DESCRIBED:
            said.append(
                f"The descriptions have {characters:,} characters: from {MUCH_DESCRIBED:,} on Claude Code warns."
            )
        said += [f"{' and '.join(names)} are taken for one by whoever calls them." for names in self.taken_for_one]
        return " ".join(said)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        return {
            "project": self.project,
            "agents": [
                {
                    **asdict(row.agent),
                    "path": None if row.agent.path is None else str(row.agent.path),
                    "folder": None if row.agent.folder is None else str(row.agent.folder),
                    **{name: value for name, value in asdict(row).items() if name != "agent"},
                }
                for row in self.rows
            ],
            "overlaps": [asdict(each) for each in self.overlaps],
            "taken_for_one": [list(names) for names in self.taken_for_one],
            "conversations": asdict(self.conversations),
            "model": self.model,
            "tokens": self.tokens,
            "usd_a_month": self.usd,
            "at_most": self.at_most,
            "saved_tokens": self.saved_tokens,
            "saved_usd_a_month": self.saved_usd,
        }

    def tables(self) -> tuple[Table, ...]:
        """The agents, why some are not simply listed, and the pairs that have most in common."""
        agents = Table(
            title="Agents",
            headings=("agent", "from", "standing", "tokens", "USD a month", "shorter saves", "in examples"),
            rows=tuple(_cells(row) for row in self.rows),
            note=f"Tokens of a line of the list at {BYTES_PER_TOKEN} bytes each, cached after the first request of a "
            f"conversation. What comes first: {' > '.join(dict.fromkeys(row.agent.where for row in self.rows))}. "
            f"Built-in descriptions are not counted: only the program knows them.{self._unmeasured()}",
            muted=frozenset(number for number, row in enumerate(self.rows) if row.agent.standing != "listed"),
        )
        pairs = Table(
            title="Descriptions with most in common",
            headings=("pair", "in common", "rare words of both"),
            rows=tuple(
                (f"{each.one} / {each.other}", f"{each.cosine:.2f}", ", ".join(each.shared)) for each in self.overlaps
            ),
            note="Ranked by parts of words, rare ones first. No pair is called the same: whether the main model takes "
            "one for the other, only routing shows (workbench route).",
        )
        reasons = Table(
            title="Not simply listed",
            headings=("agent", "file", "why"),
            rows=tuple(
                (row.agent.name, self._seen(row.agent.path), row.agent.because)
                for row in self.rows
                if row.agent.because
            ),
        )
        return tuple(table for table in (agents, reasons, pairs) if table.rows)

    def __str__(self) -> str:
        return "\n".join([visible(self.summary), "", *(plain_table(table) for table in self.tables())]).rstrip("\n")

    __repr__ = __str__

    def _repr_html_(self) -> str:
        tables = [html_table(table) for table in self.tables()]
        return notebook_html(html(_PAGE, summary=self.summary, tables=tables))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def _unmeasured(self) -> str:
        """What of the order nobody measured, where it decides for these agents."""
        seen = [where for where in UNMEASURED if any(row.agent.where == where for row in self.rows)]
        told = " and ".join(f"{where} agents" for where in seen)
        return (
            f" Where {told} come in that order is from documentation and public reports, not measured." if seen else ""
        )

    def _seen(self, path: Path | None) -> str:
        """As seen from the project."""
        if path is None:
            return ""
        return path.relative_to(self.project).as_posix() if path.is_relative_to(self.project) else str(path)

    def _counted(self) -> Iterator[RosterRow]:
        """Of each name the one that is listed; of several, the longest."""
        by_name: dict[str, RosterRow] = {}
        for row in self.rows:
            if row.tokens and row.tokens > (by_name[row.agent.name].tokens if row.agent.name in by_name else 0):
                by_name[row.agent.name] = row
        yield from by_name.values()


def roster(
    project: str | Path | None = None,
    places: Places | None = None,
    *,
    conversations: Conversations | None = None,
    at_most: int = LONGEST_DESCRIPTION,
) -> ProjectRoster:
    """All agents that a project sees: which of them are listed, which are shadowed and why, what each line costs every
    conversation, what a description of `at_most` characters would save, and which descriptions have most in common.

    `project` is that of the working directory unless given. `conversations` are assumed unless given;
    `count_conversations` counts the user's own.

    Raises:
        AgentFileError: what `--agents` is given in `places` is no JSON object of agents.
        PriceFileError: the file named in WORKBENCH_PRICES is missing or wrong.
    """
    talked = conversations or Conversations()
    model = resolve_model(talked.model)
    agents = load_project_agents(project, places)
    listed = [agent for agent in agents if agent.standing == "listed" and agent.description]
    return ProjectRoster(
        project=str(project_folder() if project is None else Path(project).resolve()),
        rows=tuple(_row(agent, talked, model, at_most) for agent in agents),
        overlaps=tuple(
            Overlap(one=listed[pair.one].name, other=listed[pair.other].name, cosine=pair.cosine, shared=pair.shared)
            for pair in rank_pairs([agent.description or "" for agent in listed], most=MOST_PAIRS)
        ),
        taken_for_one=names_taken_for_one(agents),
        conversations=talked,
        model=model,
        at_most=at_most,
    )


def _row(agent: ProjectAgent, talked: Conversations, model: str, at_most: int) -> RosterRow:
    is_listed = agent.standing in ("listed", "one of several")
    tokens = tokens_of(agent.line) if is_listed and agent.line else 0
    description = agent.description or ""
    shorter = tokens_of(listing_line(agent.name, description[:at_most], agent.tools)) if tokens else 0
    examples = sum(tokens_of(example.source) for example in read_examples(description)) if tokens else 0
    return RosterRow(
        agent=agent,
        tokens=tokens,
        usd=_usd_of(model, tokens, talked),
        saved_tokens=tokens - shorter,
        saved_usd=_usd_of(model, tokens - shorter, talked),
        example_tokens=examples,
    )


def _usd_of(model: str, tokens: int, talked: Conversations) -> float | None:
    return usd_of(model, tokens, talked.a_day * DAYS_A_MONTH, max(1.0, talked.requests_each), is_cached=True)


def _cells(row: RosterRow) -> tuple[str, ...]:
    agent = row.agent
    if not row.tokens:
        return (agent.name, agent.where, agent.standing, "", "", "", "")
    saved = f"{row.saved_tokens:,} ({_usd(row.saved_usd)})" if row.saved_tokens else ""
    return (
        agent.name,
        agent.where,
        agent.standing,
        f"{row.tokens:,}",
        "?" if row.usd is None else f"{row.usd:.2f}",
        saved,
        f"{row.example_tokens:,}" if row.example_tokens else "",
    )


def _usd(value: float | None) -> str:
    return "at an unknown price" if value is None else f"USD {value:.2f}"


def _sum(values: Iterator[float | None]) -> float | None:
    found = list(values)
    return None if None in found else math.fsum(value for value in found if value is not None)
