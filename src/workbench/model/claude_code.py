"""The Claude Code program on this machine: what it asks first, captured, and a way to a model through it.

Two uses, both without any tool being run. `capture_frame` starts the program once against a server of our own on
127.0.0.1, keeps its first request in the user's cache folder (`frames.py`), and asks no model. `open_program` lets the
program ask a model itself; a hook refuses the first tool that the model calls and ends the program there, so that a
decision costs one request.

Measured against version 2.1.332. Nothing of the program's texts is known here: two agents of ours, one that sorts
before all and one that sorts behind, are the ends of the list that is looked for.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.definition.agent_list import entries_in
from workbench.errors import SetupError
from workbench.model.api import DEADLINE_SECONDS, STOPPED, Attempt, OnLimits, OnText
from workbench.model.failures import first_lines, shown
from workbench.model.frames import LISTING_MARK, PROMPT_MARK, CapturedFrame, find_frame, save_frame
from workbench.model.loopback import loopback_server, object_of
from workbench.model.stream import details_with, name_of, usage_of
from workbench.trial.decisions import PROGRAM
from workbench.trial.trial import Endpoint, Failure, Frame, Reply, Request

PROGRAM_VARIABLE = "WORKBENCH_CLAUDE"
"""Names the program; "none": there is none here."""
SECONDS_TO_START = 60.0
_FIRST, _LAST = "aaaa-workbench-first", "zzzz-workbench-last"
_HEADERS = ("anthropic-beta", "anthropic-version")
_DAY = re.compile(r"\b20\d\d-\d\d-\d\d\b")
_ANY_DAY = "2026-01-01"
_DECIDING = ("Agent", "Task", "Bash", "Edit", "Write", "NotebookEdit", "Skill", "Workflow")
"""With several turns, the tools that end them: what calls an agent, and what does the work itself."""
_SAME_EACH_TIME = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "CLAUDE_CODE_DISABLE_GIT_INSTRUCTIONS": "1",
}
"""What would differ from start to start, or between two machines, is off."""
_PASSED = frozenset(
    {"PATH", "LANG", "LANGUAGE", "TZ", "TERM", "TMPDIR", "TMP", "TEMP", "SHELL", "LD_LIBRARY_PATH"}
    | {"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "PROGRAMFILES", "PROGRAMDATA"}
)
"""Variables, in capitals, that the program is started with as they are, like all that begin with `LC_`."""
_WAY_OUT = frozenset(
    {"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"}
)
"""And those, where it asks a model: without them a server may be out of reach."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """The Claude Code program."""

    path: Path
    version: str

    @property
    def name(self) -> str:
        return f"{PROGRAM} {self.version}"

    @property
    def key(self) -> str:
        """What tells this file from another of the same version, without reading its 200 MB."""
        return f"{self.version} {self.path.stat().st_size}"


def find_program() -> Program | None:
    """The program that `WORKBENCH_CLAUDE` names, or else that of the extra `claude-code`, or else `claude` on the path;
    `None`: there is none.

    Raises:
        SetupError: what `WORKBENCH_CLAUDE` names is none.
    """
    named = os.environ.get(PROGRAM_VARIABLE, "").strip()
    if named.lower() == "none":
        return None
    path = Path(named) if named else _bundled() or _on_path()
    if path is None:
        return None
    try:
        said = subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            timeout=SECONDS_TO_START,
            check=True,
            stdin=subprocess.DEVNULL,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(
            f"{path} does not start as the Claude Code program: {error}; set {PROGRAM_VARIABLE} to it, or to none"
        ) from error
    version = re.search(r"(?<!\d)\d++(?:\.\d++)++", said)
    if version is None:
        raise SetupError(
            f"{path} does not say its version; set {PROGRAM_VARIABLE} to the Claude Code program, or to none"
        )
    return Program(path=path, version=version[0])


def _bundled() -> Path | None:
    found = importlib.util.find_spec("claude_agent_sdk")
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(found.submodule_search_locations[0]) / "_bundled"
    return next((path for path in (folder / "claude", folder / "claude.exe") if path.is_file()), None)


def _on_path() -> Path | None:
    found = shutil.which("claude")
    return None if found is None else Path(found)


def capture_frame(program: Program, *, model: str, effort: str | None) -> Frame:
    """What this program asks first for this model and effort: out of the cache folder, or captured in about a second
    and kept there. No model is asked.

    Raises:
        SetupError: the program asked nothing that a list of agents could be put into.
    """
    found = find_frame(program_key=program.key, model=model, effort=effort)
    if found is not None:
        return found
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder, loopback_server() as (url, requests):
        project, home = _folders(Path(folder), {_FIRST: _FIRST, _LAST: _LAST})
        arguments = [*_arguments(program, model, effort), "--setting-sources", "project", "--", PROMPT_MARK]
        environment = clean_environment(home) | {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "none",
            "NO_PROXY": "127.0.0.1",
        }
        try:
            ended = subprocess.run(
                arguments,
                cwd=project,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS_TO_START,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise SetupError(f"{program.path} could not be run: {error}") from error
        said = [each for each in requests if _mentions(each.body, _FIRST) and _mentions(each.body, _LAST)]
        if not said:
            raise SetupError(
                f"{program.path} ({program.version}) asked nothing in which it lists agents; it ended with "
                f"{ended.returncode} and said: {first_lines(ended.stderr)}"
            )
        headers, body = said[0].headers, said[0].body
        paths = {str(project): "/home/user/project", str(home): "/home/user", folder: "/home"}
    captured = _captured(program, headers, _without_paths(body, paths), model=model, effort=effort)
    return save_frame(captured, program_key=program.key)


def _captured(
    program: Program, headers: Mapping[str, str], body: dict[str, Any], *, model: str, effort: str | None
) -> CapturedFrame:
    listing = next(text for text in _texts(body["messages"]) if _FIRST in text and _LAST in text)
    region = _region(listing)
    built_in = {name: entry for name, entry in entries_in(region).items() if name not in (_FIRST, _LAST)}
    marked = _marked(body, region)
    marked.pop("metadata", None)  # who asks, and from which device
    if json.dumps(marked).count(LISTING_MARK) != 1 or json.dumps(marked["messages"]).count(PROMPT_MARK) != 1:
        raise SetupError(
            f"Claude Code {program.version} asks in a way that is not known here: its request has no single place for "
            f"the prompt and the agents; set {PROGRAM_VARIABLE} to another version, or to none for an approximation"
        )
    return CapturedFrame(
        program=program.name,
        model=model,
        effort=effort,
        headers={name: headers[name] for name in _HEADERS if name in headers},
        built_in=built_in,
        body=marked,
    )


def _region(listing: str) -> str:
    """The part of a text that lists the agents, from the first of ours to the end of the last."""
    begin = listing.index(f"- {_FIRST}: ")
    end = (
        listing.index("\n", listing.index(f"- {_LAST}: ")) if "\n" in listing[listing.index(_LAST) :] else len(listing)
    )
    return listing[begin:end]


def _marked(value: Any, region: str) -> Any:
    if isinstance(value, str):
        return _DAY.sub(_ANY_DAY, value.replace(region, LISTING_MARK))
    if isinstance(value, list):
        return [_marked(each, region) for each in value]
    if isinstance(value, dict):
        # The kind of a block is a word of the API, and stays whatever a list of agents may hold.
        return {name: each if name == "type" else _marked(each, region) for name, each in value.items()}
    return value


def _without_paths(value: Any, paths: Mapping[str, str]) -> Any:
    text = json.dumps(value, ensure_ascii=False)
    for path, other in paths.items():
        text = text.replace(path, other).replace(
            re.sub(r"[^A-Za-z0-9]", "-", path), re.sub(r"[^A-Za-z0-9]", "-", other)
        )
    return json.loads(text)


def _texts(messages: Any) -> Iterator[str]:
    for message in messages:
        content = message["content"]
        if isinstance(content, str):
            yield content
        else:
            yield from (part["text"] for part in content if part.get("type") == "text")


def _mentions(body: Mapping[str, Any], name: str) -> bool:
    return any(f"- {name}: " in text for text in _texts(body.get("messages") or ()))


def _folders(root: Path, descriptions: Mapping[str, str]) -> tuple[Path, Path]:
    """A project with such agents, and a home with nothing in it."""
    project, home = root / "project", root / "home"
    agents = project / ".claude" / "agents"
    agents.mkdir(parents=True)
    home.mkdir()
    for name, description in descriptions.items():
        (agents / f"{name}.md").write_text(
            f"---\nname: {name}\ndescription: {json.dumps(description)}\n---\nAnswer.\n", encoding="utf-8"
        )
    return project, home


def _arguments(program: Program, model: str, effort: str | None) -> list[str]:
    asked = ["-p", "--output-format", "stream-json", "--verbose", "--strict-mcp-config", "--no-session-persistence"]
    return [str(program.path), *asked, "--model", model, *(("--effort", effort) if effort else ())]


def clean_environment(home: Path) -> dict[str, str]:
    """What any program needs of the user's environment, and no more of it: no credential, no settings, and this home
    in place of their own."""
    kept = {name: value for name, value in os.environ.items() if name.upper() in _PASSED or name.startswith("LC_")}
    return kept | _SAME_EACH_TIME | {"HOME": str(home), "USERPROFILE": str(home)}


@dataclass(frozen=True, kw_only=True)
class ListedAgent:
    """An agent as the program is to list it."""

    name: str
    description: str
    tools: tuple[str, ...] | None = None
    """`None`: all of them."""


def program_endpoint(program: Program, endpoint: Endpoint) -> Endpoint:
    """The endpoint of decisions that the program itself asks for, where its requests go to `endpoint`."""
    return Endpoint(kind="server", base_url=f"{program.name.replace(' ', '-')}+{endpoint.base_url}")


class OpenProgram:
    """An `OpenModel`: the way to a model through the program, with these agents by variant of request.

    The list of a request is in its `system`, as text; which agents that are, `agents` says by that text.
    """

    def __init__(
        self,
        program: Program,
        agents: Mapping[str, tuple[ListedAgent, ...]],
        *,
        base_url: str,
        max_turns: int = 1,
    ) -> None:
        self._program = program
        self._agents = agents
        self._base_url = base_url
        self._max_turns = max_turns

    def __call__(self, endpoint: Endpoint, *, connections: int = 8) -> AbstractAsyncContextManager[ProgramModel]:
        return self._open(endpoint)

    @asynccontextmanager
    async def _open(self, endpoint: Endpoint) -> AsyncIterator[ProgramModel]:
        yield ProgramModel(
            endpoint=endpoint,
            program=self._program,
            agents=self._agents,
            base_url=self._base_url,
            max_turns=self._max_turns,
        )


@dataclass(frozen=True, kw_only=True)
class ProgramModel:
    """A `Model` that is asked through the program. Its reply has the tool that the model called first."""

    endpoint: Endpoint
    program: Program
    agents: Mapping[str, tuple[ListedAgent, ...]]
    base_url: str
    max_turns: int = 1
    """With more than one, tools that only read are run and the program goes on until an agent is called."""

    async def ask(
        self,
        request: Request,
        *,
        draw: int = 0,
        on_text: OnText | None = None,
        on_first_token: Callable[[], None] | None = None,
        on_limits: OnLimits | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> Attempt:
        """Starts the program once; see `Model.ask`."""
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
            project, home = _folders(Path(folder), {})
            for agent in self.agents[request.system]:
                _write_agent(project, agent)
            prompt = "\n\n".join(str(message["content"]) for message in request.messages)
            process = await asyncio.create_subprocess_exec(
                *_arguments(self.program, request.model, request.effort),
                *("--setting-sources", "project", "--settings", json.dumps({"hooks": _hooks(self.max_turns)})),
                *("--max-turns", str(self.max_turns + 1), "--", prompt),
                cwd=project,
                env=clean_environment(home) | _credentials(self.base_url, request.max_tokens),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                output, trouble = await asyncio.wait_for(process.communicate(), deadline_seconds)
            except TimeoutError:
                return Attempt(
                    failure=Failure(type="deadline", message=f"no decision within {deadline_seconds:g} seconds")
                )
            except asyncio.CancelledError:
                return Attempt(failure=STOPPED)
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if on_first_token is not None:
            on_first_token()
        seconds = time.perf_counter() - began
        return _attempt_of(output, trouble, process.returncode or 0, seconds=seconds, may_read=self.max_turns > 1)

    async def count(self, request: Request) -> int | None:
        """Never: what the program will ask is not known before."""
        return None


def _write_agent(project: Path, agent: ListedAgent) -> None:
    tools = "" if agent.tools is None else f"tools: {json.dumps(list(agent.tools))}\n"
    text = f"---\nname: {json.dumps(agent.name)}\ndescription: {json.dumps(agent.description)}\n{tools}---\nAnswer.\n"
    # By number: the name of an agent may be no name of a file, and the program lists it by what stands in the file.
    number = len(list((project / ".claude" / "agents").iterdir()))
    (project / ".claude" / "agents" / f"{number:04d}.md").write_text(text, encoding="utf-8")


def _hooks(max_turns: int) -> dict[str, Any]:
    """Refuses what the model calls first, and ends the program there; with several turns, only what calls an agent or
    changes anything."""
    said = {
        "continue": False,
        "stopReason": "decided",
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": "deny",
            "permissionDecisionReason": "decided",
        },
    }
    matcher = "*" if max_turns == 1 else "|".join(_DECIDING)
    command = f"{shutil.which('echo') or 'echo'} '{json.dumps(said)}'"
    return {"PreToolUse": [{"matcher": matcher, "hooks": [{"type": "command", "command": command}]}]}


def _credentials(base_url: str, max_tokens: int) -> dict[str, str]:
    """What the program logs in with, and by which way it reaches a model: the user's own, which goes nowhere but to the
    address that they set it for."""
    given = {name: value for name, value in os.environ.items() if name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")}
    way_out = {name: value for name, value in os.environ.items() if name.upper() in _WAY_OUT}
    return (
        way_out
        | (given or {"ANTHROPIC_API_KEY": "none"})
        | {
            "ANTHROPIC_BASE_URL": base_url,
            "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(max_tokens),
            "CLAUDE_CODE_MAX_RETRIES": "0",
        }
    )


def _attempt_of(output: bytes, trouble: bytes, code: int, *, seconds: float, may_read: bool) -> Attempt:
    events = [object_of(line) for line in output.split(b"\n") if line.strip()]
    result = next((event for event in events if event.get("type") == "result"), None)
    messages = [event["message"] for event in events if event.get("type") == "assistant" and _is_main(event)]
    blocks = [block for message in messages for block in message.get("content") or () if isinstance(block, dict)]
    called = [
        (name_of(block.get("name")) or "", block.get("input")) for block in blocks if block.get("type") == "tool_use"
    ]
    if may_read:  # what was read before is no decision
        called = [each for each in called if each[0] in _DECIDING] or called
    text = "".join(str(block.get("text") or "") for block in blocks if block.get("type") == "text")
    # Our hook ends the program once a tool is called, which it may report as an error: with a call there is a decision.
    if result is None or (not called and (result.get("is_error") or code)):
        said = (result or {}).get("result")
        status = (result or {}).get("api_error_status")
        return Attempt(
            failure=Failure(
                type="program",
                message=f"the program ended with {code}: {shown(str(said)) if said else first_lines(trouble)}",
                status=status if isinstance(status, int) else None,
            )
        )
    return Attempt(
        reply=Reply(
            text=text,
            stop_reason="tool_use" if called else "end_turn",
            stop_details=details_with(None, called=called),
            model=name_of(messages[0].get("model")) or "" if messages else "",
            usage=usage_of(result.get("usage")),
            seconds=seconds,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
    )


def _is_main(event: Mapping[str, Any]) -> bool:
    return isinstance(event.get("message"), dict) and event.get("parent_tool_use_id") is None
