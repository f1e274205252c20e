"""What an author should know about an agent file. Each rule says in `lint_rules.toml` where it comes from.

The rules on how the file is read come with the reading itself (`claude_code.py`); here are those on what it
says.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from pathlib import Path

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import Reading, read_where_it_stands
from workbench.definition.document import Document
from workbench.definition.facts import base_tool, facts, may_be_tool, written_tool
from workbench.definition.fields import FIELD_OF_KEY, KEYS, Field
from workbench.definition.header import Entry, Problem, brief, problem_at
from workbench.definition.lint_text import text_problems
from workbench.definition.plugin_agents import IGNORED_KEYS, plugin_place
from workbench.definition.resolved import resolve_model_alias
from workbench.definition.sending import is_offered_beside

LONGEST_DESCRIPTION = 5_000
LONGEST_NAME = 50
MOST_NAMED = 5
"""Names in a message that is said of several."""

_RECORDS = frozenset(
    ("author", "authors", "category", "created", "date", "emoji", "license", "tags", "updated", "version", "vibe")
)
"""Keys that people keep for an index or for each other, and of which nobody thinks that they do anything."""
_LOOK_ALIKES = {"allowedtools": "tools", "tool": "tools", "modeloverride": "model", "colour": "color"}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Where a rule comes from and since when it holds."""

    id: str
    says: str
    source: str
    date: date
    """The day on which the source was last looked at."""
    versions: str
    """Of Claude Code, unless it says otherwise."""
    is_asked_for: bool = False
    """Whether it is looked at only where a project puts it under `on`, as it holds of many sound files."""


@cache
def rules() -> Mapping[str, Rule]:
    """Every rule by its id."""
    data = Path(__file__).with_name("lint_rules.toml").read_text(encoding="utf-8")
    table = tomllib.loads(data)
    return {id: Rule(id=id, **{"date": table["date"], **rule}) for id, rule in table["rules"].items()}


def check_agent(agent: Agent) -> tuple[Problem, ...]:
    """What is wrong or doubtful in the file of this agent, its changes applied, in the order of lines."""
    return check_reading(agent, read_where_it_stands(agent))


def check_reading(agent: Agent, reading: Reading) -> tuple[Problem, ...]:
    """`check_agent`, where what Claude Code makes of the agent is known already."""
    now = agent if agent.document.text == agent.text else parse_agent(agent.text)
    problems = [*_problems_of(now.document, now)]
    has_ignored = any(problem.field in IGNORED_KEYS for problem in problems)
    if has_ignored and agent.path is not None and plugin_place(agent.path) is not None:
        problems = [problem for problem in problems if problem.field not in IGNORED_KEYS]
    found = [*reading.problems, *problems]
    return tuple(sorted(dict.fromkeys(found), key=lambda problem: (problem.line, problem.column, problem.rule)))


def _problems_of(document: Document, agent: Agent) -> Iterator[Problem]:
    entries = {entry.key: entry for entry in document.entries}
    for entry in entries.values():
        yield from _of_entry(entry, agent)
    if document.open:
        yield from _of_all_tools(entries, agent)
        yield from text_problems(document, agent, entries)
    if document.open and not agent.prompt.strip():
        yield Problem(
            rule="empty-prompt",
            severity="warning",
            field="prompt",
            line=document.body_line,
            message="There is no prompt; with `--agent` Claude Code then sends its own text instead.",
            fix="Write the prompt after the closing `---`.",
        )


def _of_entry(entry: Entry, agent: Agent) -> Iterator[Problem]:
    key = entry.key
    field = FIELD_OF_KEY.get(key)
    if field is None:
        if key not in _RECORDS:
            yield _unknown_key(entry)
        return
    comment = _comment_of(entry)
    if comment is not None and (entry.value is None or field.kind == "lines"):
        yield problem_at(
            entry,
            "hash-comment",
            "warning",
            f"From ` #` on this is a comment, so nobody reads {brief(comment)}.",
            "Put the whole value in quotes.",
        )
    elif entry.value is None and not field.is_required and not field.is_asked_empty:
        yield problem_at(entry, "empty-value", "note", f"`{key}` has no value.", f"Give it one, or remove `{key}`.")
    if entry.value is None and not field.is_asked_empty:
        return
    match key:
        case "name":
            yield from _of_name(entry)
        case "description":
            yield from _of_description(entry)
        case "model":
            yield from _of_model(entry, agent.model)
        case "effort":
            yield from _of_effort(entry, field)
        case "permissionMode":
            yield from _of_permission_mode(entry, field)
        case "memory" if entry.value in field.values:
            yield problem_at(
                entry,
                "memory-adds-text",
                "note",
                "With `memory` Claude Code appends its own text to the prompt (some 13,000 characters), "
                "and switches Read, Write and Edit on.",
            )
        case _:
            yield from _of_kind(entry, field, agent)


def _of_kind(entry: Entry, field: Field, agent: Agent) -> Iterator[Problem]:
    """What holds of every field that is edited in the same way."""
    match field.kind:
        case "tools":
            yield from _of_tools(entry, agent)
        case "color":
            yield from _of_color(entry, field)
        case "choice":
            yield from _of_choice(entry, field)
        case "number":
            if isinstance(entry.value, bool) or not isinstance(entry.value, int) or entry.value < 1:
                yield problem_at(
                    entry,
                    "max-turns" if field.name == "max_turns" else "unknown-value",
                    "warning",
                    f"`{field.key}` is {brief(entry.value)}, not a whole number above 0.",
                    f"Write one without quotes: `{field.key}: 20`.",
                )
        case "switch":
            if not isinstance(entry.value, bool):
                yield problem_at(
                    entry,
                    "background" if field.name == "background" else "unknown-value",
                    "warning",
                    f"`{field.key}` is {brief(entry.value)}, which is text to YAML 1.2, not true or false.",
                    "Write `true`, or remove the key.",
                )


def _of_all_tools(entries: Mapping[str, Entry], agent: Agent) -> Iterator[Problem]:
    """What the lists of tools come to together."""
    tools, taken = entries.get("tools"), entries.get("disallowedTools")
    bases = {base_tool(tool) for tool in agent.tools or ()}
    gone = {base_tool(tool) for tool in agent.disallowed_tools or ()}
    if taken is not None and "*" in gone:
        yield problem_at(
            taken, "disallowed-star", "warning", "`*` takes no tool away.", "Name the tools, or give `tools` a list."
        )
    if tools is not None and taken is not None and bases and bases <= gone:
        yield problem_at(
            taken,
            "nothing-left",
            "error",
            "All that `tools` gives is taken away again: the agent has no tool.",
            "Take some of them out of `disallowedTools`.",
        )


def _unknown_key(entry: Entry) -> Problem:
    meant = _meant_by(entry.key)
    if meant is not None:
        return problem_at(
            entry,
            "misspelt-key",
            "warning",
            f"Claude Code ignores `{entry.key}` in an agent file.",
            f"Write `{meant}` if that is what is meant.",
            replacement=meant,
        )
    return problem_at(
        entry, "unknown-key", "note", f"Claude Code ignores `{entry.key}`: it is none of its {len(KEYS)} keys."
    )


@lru_cache(maxsize=256)
def _meant_by(key: str) -> str | None:
    """The key that is meant by one that is none: a project writes the same ones in all its agents."""
    plain = re.sub(r"[-_ ]", "", key).lower()
    small = {known.lower(): known for known in KEYS}
    if plain in _LOOK_ALIKES or plain in small:
        return _LOOK_ALIKES.get(plain) or small[plain]
    near = difflib.get_close_matches(plain, small, n=1, cutoff=0.83)
    return small[near[0]] if near else None


def _comment_of(entry: Entry) -> str | None:
    text = entry.suffix.strip() if entry.source or entry.style == "block" else entry.text.partition(":")[2].strip()
    return text if text.startswith("#") and len(text) > 1 and entry.style != "recovered" else None


def _of_name(entry: Entry) -> Iterator[Problem]:
    name = entry.value
    if not isinstance(name, str):
        return
    if name in facts()["built_in_agents"]:
        yield problem_at(
            entry,
            "replaces-built-in",
            "warning",
            f"Claude Code has an agent {name} of its own, which this one replaces.",
            "Give it another name, unless that is what you want.",
        )
        return
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", name) or not 3 <= len(name) <= LONGEST_NAME:
        if ":" in name or name.startswith("-"):
            return
        yield problem_at(
            entry,
            "name-form",
            "note",
            f"The name {brief(name)} is not 3 to {LONGEST_NAME} lowercase letters, digits and hyphens; "
            "Claude Code takes it, other tools may not.",
        )


def _of_description(entry: Entry) -> Iterator[Problem]:
    length = len(entry.value) if isinstance(entry.value, str) else 0
    if length > LONGEST_DESCRIPTION:
        yield problem_at(
            entry,
            "long-description",
            "warning",
            f"The description has {length:,} characters, all shown to the model in each conversation; "
            f"the advice is at most {LONGEST_DESCRIPTION:,}, best 200 to 1,000.",
            "Move detail into the prompt.",
        )


def _of_tools(entry: Entry, agent: Agent) -> Iterator[Problem]:
    tools = (agent.tools if entry.key == "tools" else agent.disallowed_tools) or ()
    if entry.key == "tools" and not tools:
        yield problem_at(
            entry,
            "no-tools",
            "warning",
            "`tools` is empty: the agent is launched without any tool.",
            "Remove the key to give it all tools.",
        )
    unknown = []
    for tool in tools:
        problems = [*_of_tool(entry, tool, agent)]
        yield from problems
        if not problems and not may_be_tool(tool):
            unknown.append(written_tool(tool))
    if entry.key == "tools" and tools and not any(map(may_be_tool, tools)):
        yield problem_at(
            entry,
            "zero-tools",
            "error",
            "None of these names is a tool; Claude Code refuses to launch an agent with zero tools.",
            f"Known tools: {', '.join(_proposed(agent))}.",
        )
    elif unknown:
        yield _unknown_tools(entry, unknown)
    if entry.key == "disallowedTools":
        yield from _of_scopes_taken_away(entry, tools)
        for tool in sorted(set(tools) & set(agent.tools or ())):
            yield problem_at(
                entry,
                "tool-in-both",
                "warning",
                f"{brief(tool)} is in `tools` too; it is removed.",
                "Take it out of one of the two.",
            )


_TOOLS_INSTEAD = {"MultiEdit": ("Edit",), "LS": ("Bash", "Glob")}
"""Tools that do what one did that is gone."""


def _instead_of(gone: str, entry: Entry, agent: Agent) -> str:
    """What to do about a tool that is gone, where others that the agent would be offered do the same."""
    instead = _TOOLS_INSTEAD.get(gone, ()) if entry.key == "tools" else ()
    others = [tool for tool in agent.tools or () if base_tool(tool) != gone]
    found = [tool for tool in instead if is_offered_beside(tool, others, agent.disallowed_tools or ())]
    return f"Remove it; {found[-1]} does what it did." if found else "Remove it."


def _proposed(agent: Agent) -> list[str]:
    """The tools that a subagent is offered that names them, and takes away what this one does."""
    return [tool for tool in facts()["tools"] if is_offered_beside(tool, (), agent.disallowed_tools or ())]


def _unknown_tools(entry: Entry, names: Sequence[str]) -> Problem:
    """One finding for all of a list: those of another program come in dozens."""
    named = ", ".join(map(brief, names[:MOST_NAMED]))
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return problem_at(
        entry,
        "unknown-tool",
        "note",
        f"{named}{more} {'is no tool that was' if len(names) == 1 else 'are no tools that were'} seen with "
        f"{facts()['product']} {facts()['version']}.",
        "Tools of MCP servers are written `mcp__server__tool`.",
    )


def _of_scopes_taken_away(entry: Entry, tools: tuple[str, ...]) -> Iterator[Problem]:
    for tool in tools:
        if "(" in tool:
            yield problem_at(
                entry,
                "scope-takes-all",
                "warning",
                f"{brief(tool)} takes all of {written_tool(tool)} away, whatever stands in parentheses.",
                f"Write `{written_tool(tool)}` if that is what is meant.",
            )


def _of_tool(entry: Entry, tool: str, agent: Agent) -> Iterator[Problem]:
    base = written_tool(tool)
    if tool.count("(") != tool.count(")") or base[:1] in "[\"'" or base[-1:] in "]\"'":
        yield problem_at(
            entry,
            "tool-form",
            "warning",
            f"{brief(tool)} has a bracket or quote too many.",
            "Write the tools with commas between them: `Read, Grep`.",
        )
    elif base in facts()["gone_tools"]:
        yield problem_at(
            entry,
            "gone-tool",
            "warning",
            f"{facts()['product']} {facts()['version']} has no tool {base} any more.",
            _instead_of(base, entry, agent),
        )
    elif base in facts()["main_thread_tools"]:
        yield problem_at(entry, "main-thread-tool", "note", f"{base} never reaches a subagent.", "Remove it.")
    elif base in facts()["foreground_tools"] and entry.key == "tools":
        yield problem_at(
            entry,
            "foreground-tool",
            "note",
            f"{base} reaches a subagent only where it is waited for, and not in the background, where it usually runs.",
            "Do without it, or say in the description that the agent is to be waited for.",
        )
    elif "(" in tool and base_tool(tool) in facts()["tools"].keys() - {"Agent"} and entry.key == "tools":
        yield problem_at(
            entry,
            "scope-limits-nothing",
            "note",
            f"{brief(tool)} gives a subagent all of {base}: what stands in parentheses limits nothing there.",
            "Limit it in the permissions of the settings.",
        )
    elif not may_be_tool(tool):
        right = next((known for known in facts()["tools"] if known.lower() == base.lower()), None)
        near = difflib.get_close_matches(base, facts()["tools"], n=1, cutoff=0.75) if right is None else []
        meant = right or (near[0] if near else "")
        others, denied = [each for each in agent.tools or () if each != tool], agent.disallowed_tools or ()
        is_useless = entry.key == "tools" and bool(meant) and not is_offered_beside(meant, others, denied)
        withheld = f"Remove it: with these tools a subagent is not offered {meant}."
        if near:
            yield problem_at(
                entry,
                "misspelt-tool",
                "warning",
                f"{brief(base)} is no tool.",
                withheld if is_useless else f"Write `{meant}` if that is what is meant.",
                replacement=None if is_useless else meant,
            )
        elif right is not None:
            yield problem_at(
                entry,
                "tool-case",
                "warning",
                f"{brief(base)} is no tool: names are matched by their case.",
                withheld if is_useless else f"Write `{right}`.",
                replacement=None if is_useless else right,
            )


def _of_model(entry: Entry, model: str | None) -> Iterator[Problem]:
    if not model or model.lower() == "inherit":
        return
    id = resolve_model_alias(model)
    retired: Mapping[str, date] = facts()["retired_models"]
    if model.strip() in facts()["remapped_models"]:
        yield problem_at(
            entry,
            "remapped-model",
            "warning",
            f"{model.strip()} is retired: Claude Code asks {id} for it, other tools get an error.",
            f"Write `{id}`.",
            replacement=id,
        )
        return
    if model.lower() in facts()["aliases"] or id in facts()["models"]:
        return
    if id in retired:
        is_past = retired[id] < date.today()
        yield problem_at(
            entry,
            "retired-model",
            "error" if is_past else "warning",
            f"{id} {'was retired' if is_past else 'retires'} on {retired[id]}.",
            "Write `sonnet`, `opus`, `haiku` or `fable`, which stand for the newest of their line.",
        )
    elif model.lower() in ("mythos", "default"):
        yield problem_at(
            entry,
            "not-an-alias",
            "warning",
            f"`{model}` is no alias in an agent file: it is sent as it is, and no model has that name.",
            "Write `inherit`, or a full id such as `claude-mythos-5-2`.",
        )
    else:
        near = difflib.get_close_matches(model.lower(), facts()["aliases"], n=1, cutoff=0.75)
        yield problem_at(
            entry,
            "unknown-model",
            "note" if id.startswith("claude-") else "warning",
            f"{brief(model)} is neither an alias nor a known model id; it is sent as it is, "
            "and fails at run time if there is no such model.",
            f"Write `{near[0]}` if that is what is meant." if near else f"Aliases: {', '.join(facts()['aliases'])}.",
            replacement=near[0] if near else None,
        )


def _of_color(entry: Entry, field: Field) -> Iterator[Problem]:
    if entry.value in field.values:
        return
    lower = str(entry.value).lower()
    is_known = lower in field.values
    yield problem_at(
        entry,
        "color-case" if is_known else "unknown-color",
        "warning" if is_known else "note",
        f"{brief(entry.value)} is none of the colours that Claude Code knows.",
        f"Write `{lower}`." if is_known else f"Use one of {', '.join(field.values)}.",
        replacement=lower if is_known else None,
    )


def _of_effort(entry: Entry, field: Field) -> Iterator[Problem]:
    if isinstance(entry.value, int) and not isinstance(entry.value, bool):
        yield problem_at(
            entry,
            "effort-number",
            "note",
            "`effort` is a number: Claude Code takes it and then sends no level, so the model decides.",
            f"Use one of {', '.join(field.values)}.",
        )
    elif str(entry.value).lower() not in field.values:
        yield problem_at(
            entry,
            "unknown-effort",
            "warning",
            f"{brief(entry.value)} is no effort level; the default is sent instead.",
            f"Use one of {', '.join(field.values)}.",
        )


def _of_permission_mode(entry: Entry, field: Field) -> Iterator[Problem]:
    if entry.value in ("acceptEdits", "auto"):
        yield problem_at(
            entry,
            "permission-beats-session",
            "warning",
            f"As a subagent it may change files without asking, whatever the session allows: `{entry.value}` beats the "
            "session's mode, `dontAsk` too.",
            "Remove `permissionMode`, and let the session decide.",
        )
    elif entry.value in ("bypassPermissions", "plan", "dontAsk"):
        yield problem_at(
            entry,
            "permission-does-nothing",
            "note",
            f"`{entry.value}` has no effect in a subagent, nor with `--agent`.",
            "Remove `permissionMode`, or limit the agent by its `tools`.",
        )
    else:
        yield from _of_choice(entry, field)


def _of_choice(entry: Entry, field: Field) -> Iterator[Problem]:
    if field.values and entry.value not in field.values:
        yield problem_at(
            entry,
            "unknown-value",
            "warning",
            f"{brief(entry.value)} is not a value of `{entry.key}`.",
            f"Use one of {', '.join(field.values)}.",
        )
