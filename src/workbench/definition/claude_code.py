"""What Claude Code makes of an agent file: whether it is listed, what the model is shown of it, what is sent.

A model of the program's own reader (`two_passes.py`) with its rules on names and types, measured against version
2.1.332.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench.definition.agent import Agent
from workbench.definition.document import Document, parse_document
from workbench.definition.facts import facts
from workbench.definition.header import Problem, Severity, brief, problem_at
from workbench.definition.lines import as_shown
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
_TOOLS_OF_MEMORY = ("Write", "Edit", "Read")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Claude Code's reading of one file, alone in a project's `.claude/agents`."""

    kind: ReadingKind
    """`dropped`: it is not listed, for the reasons in `problems`."""
    name: str | None = None
    """`None`, like the other fields, where the file is dropped."""
    description: str | None = None
    """As the model is shown it: a backslash and an n have become a line end."""
    tools: str | None = None
    """As the model is shown them: "All tools", "Read, Grep" or "All tools except Write"."""
    sent: Resolved | None = None
    """The model and the effort with which it is asked, and why."""
    prompt: str = ""
    """The text after the header, blanks at its edges trimmed. For an empty one Claude Code sends its own
    text, and with `memory` it appends how to use the memory. Also given for a dropped file."""
    problems: tuple[Problem, ...] = ()
    """What is lost or changed on the way, in the order of lines."""

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
    source: Agent | Document | bytes, *, model: str | None = None, effort: str | None = None
) -> Reading:
    """What Claude Code makes of an agent with its changes, of a document, or of bytes. Never raises.

    `model` and `effort` are what is asked for beside the file, which counts before what it says. What the environment
    says of models counts too: see `resolve`.
    """
    document = _document_of(source)
    parsed = parse_as_claude_code(document)
    values = parsed.values
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
        tools=_shown_tools(values),
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
    return parse_document(source if isinstance(source, bytes) else source.text)


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))


def _tool_list(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return split_tools(value)
    if isinstance(value, list):
        return tuple(tool for item in value if isinstance(item, str) for tool in split_tools(item))
    return None


def _shown_tools(values: Mapping[str, Any]) -> str:
    allowed, denied = _tool_list(values.get("tools")), _tool_list(values.get("disallowedTools")) or ()
    denied = tuple(tool for tool in denied if tool != "*")  # which takes nothing away
    if not allowed or "*" in allowed:
        return f"All tools except {', '.join(denied)}" if denied else "All tools"
    if values.get("memory") in facts()["memories"]:
        allowed += tuple(tool for tool in _TOOLS_OF_MEMORY if tool not in allowed)
    return ", ".join(tool for tool in allowed if tool not in denied) or "None"


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
        if fault := _fault_in_event(hooks.get("PreToolUse", [])):
            yield _at(
                document,
                "hooks",
                "hooks-entry",
                "error",
                f"In `hooks`, PreToolUse {fault}; Claude Code drops the whole file silently.",
                "Write entries of `matcher` and `hooks`, a list of `type: command` with its `command`.",
            )
    elif hooks is not None and hooks is not False and hooks != "":
        yield _at(
            document,
            "hooks",
            "hooks-not-a-mapping",
            "error",
            f"Claude Code reads `hooks` as {brief(hooks)}, no mapping, and drops the whole file silently.",
            "Write a mapping from event to list on lines of its own (`{}` for none), or remove the key.",
        )


def _fault_in_event(entries: Any) -> str:
    """What is wrong in the entries of one hook event; empty where nothing is."""
    if not isinstance(entries, list):
        return "is no list"
    for entry in entries:
        if not isinstance(entry, dict):
            return f"has an entry that is {brief(entry)}, no mapping"
        if not isinstance(entry.get("matcher", ""), str):
            return "has a `matcher` that is no text"
        if not isinstance(entry.get("hooks"), list):
            return "has an entry without a list `hooks`"
        for hook in entry["hooks"]:
            if not isinstance(hook, dict) or hook.get("type") not in facts()["hook_types"]:
                return "has a hook of no known `type`"
            timeout = hook.get("timeout", 0)
            if not isinstance(timeout, int | float) or isinstance(timeout, bool):
                return "has a `timeout` that is no number"
    return ""


def _ignored_hooks(document: Document, hooks: Any) -> Iterator[Problem]:
    """Entries of other events than PreToolUse, with which Claude Code is not so strict."""
    for event, entries in hooks.items() if isinstance(hooks, dict) else ():
        if event != "PreToolUse" and (fault := _fault_in_event(entries)):
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
                message=problem.message.partition(";")[0] + "; Claude Code repairs this, other readers do not.",
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
        return _tool_list(mine) == _tool_list(theirs)
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
