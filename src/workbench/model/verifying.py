"""Whether the workbench reads agent files as the Claude Code program on this machine does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_where_it_stands
from workbench.definition.facts import facts
from workbench.definition.files import load_agent
from workbench.definition.plugin_agents import plugin_place, plugin_root
from workbench.definition.sending import sending_as_subagent
from workbench.model.claude_code import Program
from workbench.model.observed import Observed, observe, observe_alone, observe_plugin


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that the program makes of a file, and the workbench says otherwise."""

    what: str
    program: Any
    workbench: Any


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A file, as the program read it and where the workbench differs."""

    path: Path
    observed: Observed
    differences: tuple[Difference, ...]

    @property
    def is_started(self) -> bool:
        """Whether the program started it as a subagent, so that its request could be read."""
        return self.observed.sent is not None


def verify_files(program: Program, paths: Sequence[Path]) -> tuple[Verified, ...]:
    """These agent files, each as the program reads it, in their order. What differs is looked at again with the file
    alone. Agents of a plugin are read in it.

    Raises:
        AgentFileError: a file cannot be read.
        SetupError: the program asked nothing that agents could be read from.
    """
    agents = [load_agent(path) for path in paths]
    alone = [number for number, path in enumerate(paths) if plugin_place(path) is None]
    seen = dict(zip(alone, observe(program, [agents[number].document.to_bytes() for number in alone]), strict=True))
    seen |= _in_plugins(program, paths, agents)
    found = []
    for number, (path, agent) in enumerate(zip(paths, agents, strict=True)):
        observed = seen[number]
        differences = tuple(differences_of(observed, agent))
        if differences and number in alone:
            observed = observe_alone(program, agent.document.to_bytes())
            differences = tuple(differences_of(observed, agent))
        found.append(Verified(path=path, observed=observed, differences=differences))
    return tuple(found)


def _in_plugins(program: Program, paths: Sequence[Path], agents: Sequence[Agent]) -> dict[int, Observed]:
    of_root: dict[Path, list[int]] = {}
    for number, path in enumerate(paths):
        if plugin_place(path) is not None and (root := plugin_root(path)) is not None:
            of_root.setdefault(root, []).append(number)
    found = {}
    for root, numbers in of_root.items():
        listed = observe_plugin(program, root)
        for number in numbers:
            name = read_where_it_stands(agents[number]).name or ""
            found[number] = listed.get(name, Observed(listed=False))
    return found


def differences_of(observed: Observed, agent: Agent) -> Iterator[Difference]:
    """Where the workbench says otherwise of this agent than the program was seen to do."""
    reading = read_where_it_stands(agent)
    for what in ("listed", "name", "description", "tools"):
        if getattr(observed, what) != getattr(reading, what):
            yield Difference(what=what, program=getattr(observed, what), workbench=getattr(reading, what))
    sending = sending_as_subagent(agent, in_background=False)
    if sending is None or not observed.listed:
        return
    if observed.sent is None:
        # A worktree would need a repository, and a tool of a server that server: neither is in an empty project.
        is_elsewhere = agent.isolation == "worktree" or (sending.searched and not sending.tools)
        if not sending.refused and not is_elsewhere:
            yield Difference(what="started", program=observed.refusal, workbench="started")
        return
    if sending.refused:
        yield Difference(what="started", program="started", workbench="refused, as none of its tools is one")
        return
    expected: Mapping[str, Any] = {
        "model": sending.model,
        "effort": sending.effort,
        "offered tools": sending.tools,
        "prompt": reading.prompt,
    }
    sent = observed.sent
    offered = tuple(tool for tool in sent.tools if tool != facts()["placeholder_tool"])
    seen = {
        "model": sent.model,
        "effort": sent.effort,
        "offered tools": offered,
        "prompt": sent.system[: len(reading.prompt)],
    }
    for what, value in expected.items():
        if seen[what] != value:
            yield Difference(what=what, program=seen[what], workbench=value)
