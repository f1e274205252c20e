"""What Claude Code makes of an agent file: whether it is listed, what the model is shown of it, what is sent.

A model of the program's own reader (`two_passes.py`) with its rules on names and types, measured against version
2.1.332.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench.definition.agent import Agent
from workbench.definition.document import Document, parse_document
from workbench.definition.facts import facts
from workbench.definition.header import STRICT_REFUSE, Problem, Severity, brief, problem_at
from workbench.definition.lines import as_shown
from workbench.definition.plugin_agents import PluginPlace, plugin_place, plugin_problems
from workbench.definition.resolved import Resolved, resolve
from workbench.definition.two_passes import (
    Parsed,
    ReadingKind,
    parse_as_claude_code,
    shown_description,
    split_tools,
)

_WINDOWS_PATH = re.compile(r"(?<![A-Za-z])[A-Za-z]:\\")

_REPAIRED_KEYS = ("name", "description", "tools", "disallowedTools", "model")
TOOLS_OF_MEMORY = ("Write", "Edit", "Read")


@dataclass(frozen=True, kw_only=True)
class Granted:
    """The tools that a file grants, by the names that stand in it, whether or not each is a tool."""

    named: tuple[str, ...] | None
    """`None`: all, but for those denied."""
    denied: tuple[str, ...] = ()
    """Of all; what is taken away from a list does not stand in `named`."""

    @property
    def is_all(self) -> bool:
        """Whether nothing is held back."""
        return self.named is None and not self.denied

    @property
    def in_words(self) -> str:
        """As the model is shown them."""
        if self.named is not None:
            return ", ".join(self.named) or "None"
        return f"All tools except {', '.join(self.denied)}" if self.denied else "All tools"


ALL_TOOLS = Granted(named=None)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Claude Code's reading of one file, alone in a project's `.claude/agents`."""

    kind: ReadingKind
    """`dropped`: it is not listed, for the reasons in `problems`; `placeholder`: an agent of a plugin whose header says
    nothing to Claude Code, and which is listed all the same."""
    name: str | None = None
    """`None`, like the other fields, where the file is dropped."""
    description: str | None = None
    """As the model is shown it: a backslash and an n have become a line end."""
    granted: Granted | None = None
    sent: Resolved | None = None
    """The model and the effort with which it is asked, and why."""
    prompt: str = ""
    """The text after the header, blanks at its edges trimmed. For an empty one Claude Code sends its own
    text, and with `memory` it appends how to use the memory. Also given for a dropped file."""
    problems: tuple[Problem, ...] = ()
    """What is lost or changed on the way, in the order of lines."""

    @property
    def tools(self) -> str | None:
        """As the model is shown them: "All tools", "Read, Grep" or "All tools except Write"."""
        return None if self.granted is None else self.granted.in_words

    @property
    def model(self) -> str | None:
        """The id that is asked for; an absent or inherited model gives the session's default."""
        return None if self.sent is None else self.sent.model

    @property
    def effort(self) -> str | None:
        """The effort that is sent; also `None` where no level is sent."""
        return None if self.sent is None else self.sent.effort

    @property
    def listed(self) -> bool:
        """Whether the agent is offered to the model at all."""
        return self.kind != "dropped"


def read_as_claude_code(
    source: Agent | Document | bytes,
    *,
    model: str | None = None,
    effort: str | None = None,
    place: PluginPlace | None = None,
) -> Reading:
    """What Claude Code makes of an agent with its changes, of a document, or of bytes. Never raises.

    `model` and `effort` are what is asked for beside the file, which counts before what it says. What the environment
    says of models counts too: see `resolve`. With a `place` it is read as an agent of that plugin.
    """
    document = _document_of(source)
    parsed = parse_as_claude_code(document)
    values = parsed.values
    if place is not None:
        return _read_in_plugin(document, parsed, place, model=model, effort=effort)
    reasons = tuple(_reasons_to_drop(document, parsed))
    problems = [*_reader_problems(document, parsed), *reasons]
    if reasons:
        return Reading(kind="dropped", prompt=parsed.prompt, problems=_in_order(problems))
    problems += _backslash_problems(document, values["description"])
    problems += _ignored_hooks(document, values.get("hooks"))
    if parsed.kind == "repaired":
        problems += _repair_problems(document, parsed)
    return Reading(
        kind=parsed.kind,
        name=values["name"],
        description=shown_description(values["description"]),
        granted=_granted(values),
        sent=resolve(values.get("model"), values.get("effort"), asked_model=model, asked_effort=effort),
        prompt=parsed.prompt,
        problems=_in_order(problems),
    )


def read_where_it_stands(agent: Agent) -> Reading:
    """What Claude Code makes of an agent with its changes, in the plugin that its file stands in, if in one."""
    return read_as_claude_code(agent, place=None if agent.path is None else plugin_place(agent.path))


def _read_in_plugin(
    document: Document, parsed: Parsed, place: PluginPlace, *, model: str | None, effort: str | None
) -> Reading:
    values = parsed.values
    problems = [*_reader_problems(document, parsed), *plugin_problems(document, values, place)]
    if parsed.kind == "repaired":
        problems += _repair_problems(document, parsed)
    if parsed.kind == "dropped":
        problems.append(replace(_not_yaml(document, parsed), message="The header is not YAML, and says nothing then."))
    says_nothing = parsed.header is None or parsed.kind == "dropped"
    return Reading(
        kind="placeholder" if says_nothing else parsed.kind,
        name=place.name_of(values),
        description=place.description_of(values),
        granted=_granted(values),
        sent=resolve(values.get("model"), values.get("effort"), asked_model=model, asked_effort=effort),
        prompt=parsed.prompt,
        problems=_in_order(problems),
    )


def resolve_agent(agent: Agent, *, model: str | None = None, effort: str | None = None) -> Resolved:
    """What a request for this agent carries: what Claude Code sends, and for a file that it drops, what the file says.

    `model` and `effort` are what is asked for beside the file.
    """
    sent = read_as_claude_code(agent, model=model, effort=effort).sent
    return sent or resolve(agent.model, agent.effort, asked_model=model, asked_effort=effort)


def _document_of(source: Agent | Document | bytes) -> Document:
    if isinstance(source, Document):
        return source
    if isinstance(source, Agent) and source.document.text == source.text:
        return source.document
    return parse_document(source if isinstance(source, bytes) else source.text)


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))


def tool_list(value: Any) -> tuple[str, ...] | None:
    """The tools that a value names, as Claude Code parts them; `None` where it is neither text nor a list."""
    if isinstance(value, str):
        return split_tools(value)
    if isinstance(value, list):
        return tuple(tool for item in value if isinstance(item, str) for tool in split_tools(item))
    return None


def _granted(values: Mapping[str, Any]) -> Granted:
    allowed, denied = tool_list(values.get("tools")), tool_list(values.get("disallowedTools")) or ()
    denied = tuple(tool for tool in denied if tool != "*")  # which takes nothing away
    if not allowed or "*" in allowed:
        return Granted(named=None, denied=denied)
    if values.get("memory") in facts()["memories"]:
        allowed += tuple(tool for tool in TOOLS_OF_MEMORY if tool not in allowed)
    return Granted(named=tuple(tool for tool in allowed if tool not in denied))


def _reasons_to_drop(document: Document, parsed: Parsed) -> Iterator[Problem]:
    if parsed.header is None:
        if document.open and not any(problem.severity == "error" for problem in document.problems):
            yield Problem(
                rule="no-header",
                severity="error",
                message="Claude Code finds no header and does not list the file.",
                fix="Start it with a line `---` and close the header with a line `---`.",
            )
        yield from (p for p in document.problems if p.severity == "error" and p.rule != "not-yaml")
        return
    if parsed.kind == "dropped":
        yield _not_yaml(document, parsed)
        return
    values = parsed.values
    for key in ("name", "description"):
        value = values.get(key)
        if value is None or value == "":
            yield _at(
                document,
                key,
                f"missing-{key}",
                "error",
                f"There is no `{key}`; Claude Code skips the file without a word.",
                f"Add `{key}: ...` to the header.",
            )
        elif not isinstance(value, str):
            kind = {list: "a list", dict: "a mapping", bool: "true or false"}.get(type(value), "a number")
            yield _at(
                document,
                key,
                "not-text",
                "error",
                f"`{key}` is {kind} to YAML, not text; Claude Code skips the file.",
                "Put it in quotes.",
            )
    name = values.get("name")
    if isinstance(name, str) and ":" in name:
        yield _at(
            document,
            "name",
            "name-colon",
            "error",
            f"The name {name!r} holds `:`, which is kept for plugins; Claude Code skips the file.",
            "Use lowercase letters and hyphens.",
        )
    if isinstance(name, str) and name.startswith("-"):
        yield _at(
            document,
            "name",
            "name-leading-hyphen",
            "error",
            f"The name {name!r} starts with a hyphen; Claude Code skips the file.",
            "Start it with a letter.",
        )
    yield from _reasons_in_hooks(document, values.get("hooks"))


def _fault_in_event(entries: Any) -> str:
    # Few agents have hooks, and every command that shows one would load what checks them.
    from workbench.definition.hooks import fault_in_event

    return fault_in_event(entries)


def _reasons_in_hooks(document: Document, hooks: Any) -> Iterator[Problem]:
    if isinstance(hooks, list):
        yield _at(
            document,
            "hooks",
            "hooks-list",
            "error",
            "`hooks` is a list; Claude Code drops the whole file silently.",
            "Write a mapping from event to list (`{}` for none), or remove the key.",
        )
    elif isinstance(hooks, dict):
        if fault := _fault_in_event(hooks.get("PreToolUse")):
            yield _at(
                document,
                "hooks",
                "hooks-entry",
                "error",
                f"In `hooks`, PreToolUse {fault}; Claude Code drops the whole file silently.",
                "Write entries of `matcher` and `hooks`, a list of `type: command` with its `command`.",
            )
    elif hooks:  # what JavaScript takes for false does nothing: text without a letter, nought
        yield _at(
            document,
            "hooks",
            "hooks-not-a-mapping",
            "error",
            f"Claude Code reads `hooks` as {brief(hooks)}, no mapping, and drops the whole file silently.",
            "Write a mapping from event to list on lines of its own (`{}` for none), or remove the key.",
        )


def _ignored_hooks(document: Document, hooks: Any) -> Iterator[Problem]:
    """Events that are none, and entries of others than PreToolUse, with which Claude Code is not so strict."""
    if not isinstance(hooks, dict):
        return
    known = facts()["hook_events"]
    unknown = [event for event in hooks if event not in known]
    if unknown:
        near = {event: difflib.get_close_matches(event, known, n=1, cutoff=0.75) for event in unknown}
        meant = [f"`{found[0]}`" for found in near.values() if found]
        named = ", ".join(map(brief, unknown))
        yield _at(
            document,
            "hooks",
            "hooks-event",
            "warning",
            f"In `hooks`, {named} is no event; Claude Code ignores it."
            if len(unknown) == 1
            else f"In `hooks`, {named} are no events; Claude Code ignores them.",
            f"Write {', '.join(meant)} if that is what is meant."
            if meant
            else "Events are PreToolUse, PostToolUse, Stop and others of the documentation.",
        )
    for event, entries in hooks.items():
        if event != "PreToolUse" and event in known and (fault := _fault_in_event(entries)):
            yield _at(
                document,
                "hooks",
                "hooks-entry",
                "warning",
                f"In `hooks`, {event} {fault}; Claude Code ignores the entry.",
                "Write entries of `matcher` and `hooks`, a list of `type: command` with its `command`.",
            )


def _at(
    document: Document,
    key: str,
    rule: str,
    severity: Severity,
    message: str,
    fix: str,
) -> Problem:
    entry = document.entry(key)
    if entry is not None:
        return problem_at(entry, rule, severity, message, fix)
    return Problem(rule=rule, severity=severity, message=message, field=key, fix=fix)


def _not_yaml(document: Document, parsed: Parsed) -> Problem:
    found = next((problem for problem in document.problems if problem.rule == "not-yaml"), None)
    if found is None:
        return Problem(
            rule="not-yaml",
            severity="error",
            line=2,
            fix="Put the values in quotes.",
            message="What Claude Code takes for the header is not YAML; it drops the file without a word.",
        )
    entry = document.entry(found.field) if found.field else None
    if entry is not None and ": " in entry.source and entry.text.endswith("\r\n"):
        return replace(
            found,
            rule="crlf-and-colon",
            severity="error",
            message="`: ` inside an unquoted value of a file with CRLF line ends: "
            "Claude Code drops the file without a word, as its repair does not know CRLF.",
        )
    return replace(found, severity="error", message=f"{found.message} Claude Code drops it without a word.")


def _reader_problems(document: Document, parsed: Parsed) -> Iterator[Problem]:
    """What the document's own reader noticed, in the light of what Claude Code does about it."""
    for problem in document.problems:
        if problem.rule != "not-yaml":
            if not (parsed.header is None and problem.severity == "error"):
                yield problem
        elif parsed.kind == "repaired":
            yield replace(
                problem,
                rule="repaired",
                message=problem.message.removesuffix(STRICT_REFUSE)
                + "; Claude Code repairs this, other readers do not.",
            )
        elif parsed.kind == "strict" and parsed.header is not None:
            yield problem
    if parsed.header is not None and len(parsed.header) < len(document.header.rstrip(" \t\r\n")):
        line, column = _cut(document, parsed)
        field = next((entry.key for entry in reversed(document.entries) if entry.key_line <= line), None)
        yield Problem(
            rule="cut-at-dashes",
            severity="error",
            line=line,
            column=column,
            field=field,
            message="Claude Code takes this `---` for the end of the header; the rest becomes prompt.",
            fix='Write it otherwise, or in double quotes as "\\x2d--".',
        )


def _cut(document: Document, parsed: Parsed) -> tuple[int, int]:
    before = document.lead + document.open + (parsed.header or "")
    last_break = before.rfind("\n")
    return before.count("\n") + 1, len(before) - last_break


def _repair_problems(document: Document, parsed: Parsed) -> Iterator[Problem]:
    """Fields that mean one thing to their author and another to the repair."""
    for entry in {entry.key: entry for entry in document.entries}.values():
        mine, theirs = entry.value, parsed.values.get(entry.key)
        if entry.key not in _REPAIRED_KEYS or _is_same(entry.key, mine, theirs):
            continue
        if isinstance(mine, str) and isinstance(theirs, str) and as_shown(mine).startswith(theirs.rstrip()):
            yield problem_at(
                entry,
                "truncated",
                "error",
                f"Claude Code sees {len(theirs):,} of the {len(mine):,} characters of `{entry.key}`: "
                "it takes the lines after them for other keys.",
                "Set the value anew and save: it is then quoted.",
            )
        else:
            yield problem_at(
                entry,
                "read-differently",
                "error",
                f"Claude Code reads `{entry.key}` as {brief(theirs)}, as it repairs the header line by line.",
                "Set the value anew and save: it is then quoted as needed.",
            )


def _is_same(key: str, mine: Any, theirs: Any) -> bool:
    if key in ("tools", "disallowedTools"):
        return tool_list(mine) == tool_list(theirs)
    if isinstance(mine, str) and isinstance(theirs, str):
        return as_shown(mine).strip() == theirs.strip()
    return bool(mine == theirs)


def _backslash_problems(document: Document, description: str) -> Iterator[Problem]:
    if "\\n" in description:
        is_path = _WINDOWS_PATH.search(description) is not None
        yield _at(
            document,
            "description",
            "backslash-n",
            "warning" if is_path else "note",
            "A backslash and an n in the description are shown to the model as a line end.",
            "Write the path with `/`." if is_path else "Break the line instead, in a block that starts with `|-`.",
        )
