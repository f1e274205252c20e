"""What the Claude Code program on this machine makes of agent files: it is started on them, against a server of our
own on 127.0.0.1, and what it asks is read. No model is asked, and no tool is run.

    files -> batches of 40, no two of one name -> the program, with its main model played by us:
        its first request lists the agents        -> name, description, tools as shown
        we call each agent once, 18 at a time     -> the request that the subagent itself sends
    what a batch leaves in doubt is started alone

A start takes about a second of processor time, alone or with forty files.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.resolved import deciding_variables
from workbench.errors import SetupError
from workbench.model.claude_code import Program, clean_environment
from workbench.model.failures import first_lines
from workbench.model.loopback import OK, Asked, loopback_server, object_of
from workbench.model.plugin_copy import write_agents_of_plugin

FILES_A_START = 40
CALLS_A_TURN = 18
"""The program runs at most 20 subagents at once."""
SECONDS_A_START = 300.0
_IS_SUBAGENT = "x-claude-code-agent-id"
_NO_HOOKS = json.dumps({"disableAllHooks": True})
"""Settings with which no hook of an agent file is run either."""
_TASK = "workbench-verify-{}"
_TASK_IN = re.compile(r"workbench-verify-(\d+)")


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What the program asked for an agent."""

    model: str
    effort: str | None
    system: str
    """The prompt, and what the program adds to it."""
    tools: tuple[str, ...]
    """The names of the tools that are offered, in the order of the alphabet."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What the program made of one file."""

    listed: bool
    name: str | None = None
    description: str | None = None
    """As its main model is shown it, like the tools."""
    tools: str | None = None
    sent: Sent | None = None
    """As a subagent; `None` where it was not started."""
    refusal: str = ""
    """What the program said where it did not start it."""


@dataclass(frozen=True, kw_only=True)
class _Start:
    """What one start of the program showed, by the names of the agents."""

    shown: Mapping[str, str]
    """The entries of the list; empty text where it cannot be told where one begins."""
    sent: Mapping[str, Sent]
    refusals: Mapping[str, str]


def observe(
    program: Program, files: Sequence[bytes], *, seconds_a_start: float = SECONDS_A_START
) -> tuple[Observed, ...]:
    """What the program makes of each of these files, as agents of a project, in their order.

    Raises:
        SetupError: the program did not start, took longer than it may, or asked nothing that agents could be read from.
    """
    found: dict[int, Observed] = {}
    names = [read_as_claude_code(data).name for data in files]
    for batch in _batches(names):
        start = _started(program, [files[number] for number in batch], seconds=seconds_a_start)
        strays = set(start.shown) - {names[number] for number in batch}
        for number in batch:
            name = names[number]
            if name is None and not any(stray.encode() in files[number] for stray in strays):
                found[number] = Observed(listed=False)
            elif name is not None and start.shown.get(name):
                found[number] = _observed(start, name)
    for number in range(len(files)):
        if number not in found:
            found[number] = observe_alone(program, files[number], seconds_a_start=seconds_a_start)
    return tuple(found[number] for number in range(len(files)))


def observe_alone(program: Program, data: bytes, *, seconds_a_start: float = SECONDS_A_START) -> Observed:
    """What the program makes of this file where a project has no other; raises as `observe` does."""
    start = _started(program, [data], seconds=seconds_a_start)
    name = next(iter(start.shown), None)
    return Observed(listed=False) if name is None else _observed(start, name)


def _batches(names: Sequence[str | None]) -> Iterator[list[int]]:
    """Rows in batches in which no two have one name, as the program compares them: by letters and digits alone."""
    batches: list[tuple[list[int], set[str]]] = []
    for number, name in enumerate(names):
        plain = "".join(c for c in (name or f"0{number}").casefold() if c.isalnum()) or str(number)
        for batch, used in batches:
            if len(batch) < FILES_A_START and plain not in used:
                break
        else:
            batch, used = [], set()
            batches.append((batch, used))
        batch.append(number)
        used.add(plain)
    yield from (batch for batch, _ in batches)


def _observed(start: _Start, name: str) -> Observed:
    entry = start.shown[name]
    description, found, tools = entry.rstrip().removesuffix(")").rpartition(" (Tools: ")
    return Observed(
        listed=True,
        name=name,
        description=description if found else entry,
        tools=tools if found else None,
        sent=start.sent.get(name),
        refusal=start.refusals.get(name, ""),
    )


@dataclass(kw_only=True)
class _Conversation:
    """The main model's part, played: it calls each agent once and then says one word."""

    seconds: float
    """So long the program may take."""
    names: list[str] = field(default_factory=list)
    listing: str = ""
    sent: dict[str, Sent] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    known: threading.Event = field(default_factory=threading.Event)
    """Set once the program has said which agents there are."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _called: int = 0

    def answer(self, asked: Asked) -> Sequence[Mapping[str, Any]]:
        self.known.wait(self.seconds)
        texts = list(_texts(asked.body.get("messages")))
        with self._lock:
            if _IS_SUBAGENT in asked.headers:
                self._keep(asked, texts)
                return OK
            self.listing = self.listing or next((text for text in texts if self._lists(text)), "")
            self._keep_refusals(asked.body.get("messages"))
            wanted = range(self._called, min(self._called + CALLS_A_TURN, len(self.names)))
            self._called = wanted.stop
            return [_call(number, self.names[number]) for number in wanted] or OK

    def _lists(self, text: str) -> bool:
        return any(f"\n- {name}: " in text for name in self.names)

    def _keep(self, asked: Asked, texts: Iterable[str]) -> None:
        task = next((found for found in map(_TASK_IN.search, texts) if found), None)
        if task is not None:
            self.sent.setdefault(self.names[int(task[1])], sent_in(asked.body))

    def _keep_refusals(self, messages: Any) -> None:
        for message in messages if isinstance(messages, list) else ():
            for block in message["content"] if isinstance(message.get("content"), list) else ():
                if block.get("type") == "tool_result" and block.get("is_error"):
                    name = self.names[int(str(block.get("tool_use_id")).rpartition("_")[2])]
                    self.refusals[name] = " ".join(_texts([{"content": block.get("content") or ""}]))


def _call(number: int, name: str) -> Mapping[str, Any]:
    asked = {"description": "verify", "subagent_type": name, "prompt": _TASK.format(number)}
    return {"type": "tool_use", "id": f"toolu_{number}", "name": "Agent", "input": asked}


def sent_in(body: Mapping[str, Any]) -> Sent:
    """What a request carries of an agent."""
    system = [str(block.get("text") or "") for block in body.get("system") or ()]
    effort = (body.get("output_config") or {}).get("effort")
    return Sent(
        model=str(body.get("model")),
        effort=None if effort is None else str(effort),
        system=system[-1] if system else "",  # those before it are the program's own
        tools=tuple(sorted(str(tool.get("name")) for tool in body.get("tools") or ())),
    )


def _texts(messages: Any) -> Iterator[str]:
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content")
        if isinstance(content, str):
            yield content
        elif isinstance(content, list):
            yield from (str(part.get("text")) for part in content if part.get("type") == "text")


def observe_plugin(program: Program, root: Path) -> dict[str, Observed]:
    """What the program makes of the agents of the plugin in this folder, by what it calls them; raises as `observe`
    does. It is given a copy of the agents: nothing else of the plugin is loaded, and no command of it run."""
    start = _started(program, (), seconds=SECONDS_A_START, plugin=root)
    return {name: _observed(start, name) for name in start.shown}


def _started(program: Program, files: Sequence[bytes], *, seconds: float, plugin: Path | None = None) -> _Start:
    """One start of the program in a project that has these agent files alone, or in an empty one with the agents of a
    plugin."""
    talk = _Conversation(seconds=seconds)
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder, loopback_server(talk.answer) as (url, _):
        project, home = Path(folder) / "project", Path(folder) / "home"
        agents = project / ".claude" / "agents"
        agents.mkdir(parents=True)
        home.mkdir()
        for number, data in enumerate(files):
            (agents / f"{number:04d}.md").write_bytes(data)
        given = ["--setting-sources", "project", "--settings", _NO_HOOKS]
        if plugin is not None:
            given += ["--plugin-dir", str(write_agents_of_plugin(plugin.resolve(), Path(folder) / "plugin"))]
        _run(program, (*given, "--", "Go."), project, home, url, talk)
    return _Start(shown=_entries(talk.listing, talk.names), sent=talk.sent, refusals=talk.refusals)


def _run(program: Program, arguments: Sequence[str], project: Path, home: Path, url: str, talk: _Conversation) -> None:
    """Runs the program to its end. The names of its agents are in the first thing that it writes."""
    environment = clean_environment(home)
    del environment["CLAUDE_CODE_DISABLE_AUTO_MEMORY"]  # an agent's `memory` would do nothing
    environment |= deciding_variables() | {  # they count for the workbench's own reading as well
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "none",
        "NO_PROXY": "127.0.0.1",
        "CLAUDE_CONFIG_DIR": str(home / ".claude"),
        "CLAUDE_CODE_TMPDIR": str(home),
        "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
        "CLAUDE_CODE_MAX_RETRIES": "0",
        "CLAUDE_AGENT_SDK_DISABLE_BUILTIN_AGENTS": "1",
    }
    asked = ("-p", "--output-format", "stream-json", "--verbose", "--strict-mcp-config", "--no-session-persistence")
    with tempfile.TemporaryFile() as trouble:
        try:
            process = subprocess.Popen(
                [program.path, *asked, *arguments],
                cwd=project,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=trouble,
            )
        except OSError as error:
            raise SetupError(f"{program.path} could not be run: {error}") from error
        has_begun, is_late = False, threading.Event()

        def stop() -> None:
            is_late.set()
            process.kill()

        late = threading.Timer(talk.seconds, stop)
        late.start()
        try:
            for line in process.stdout or ():
                event = object_of(line)
                if event.get("subtype") == "init" and not has_begun:
                    talk.names += [str(name) for name in event.get("agents") or ()]
                    has_begun = True
                    talk.known.set()
            process.wait()
        finally:
            late.cancel()
            process.kill()
            process.communicate()
            talk.known.set()
        failed = (
            f"was stopped after {talk.seconds:g} seconds, in which it did not end"
            if is_late.is_set()
            else "ended before it said which agents there are"
            if not has_begun
            else "asked nothing in which it lists agents"
            if talk.names and not talk.listing
            else ""
        )
        if failed:
            trouble.seek(0)
            raise SetupError(
                f"{program.path} ({program.version}) {failed}; its exit code was {process.returncode}, and it said: "
                f"{first_lines(trouble.read())}"
            )


def _entries(listing: str, names: Iterable[str]) -> dict[str, str]:
    """By name, what stands behind it in the list."""
    places = {name: [match.end() for match in re.finditer(rf"^- {re.escape(name)}: ", listing, re.M)] for name in names}
    begins = {name: found[0] - len(f"- {name}: ") for name, found in places.items() if found}
    last_tools = listing.rfind("(Tools: ")
    end = listing.find("\n", last_tools)
    ends = sorted((*begins.values(), len(listing) if end < 0 else end + 1))
    entries = {}
    for name, found in places.items():
        if len(found) > 1 and len(places) > 1:
            entries[name] = ""  # one of them is in a description, and it cannot be told which
        elif found:
            entries[name] = listing[found[0] : next(place for place in ends if place > begins[name]) - 1]
    return entries
