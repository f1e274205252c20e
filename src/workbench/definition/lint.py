"""What an author should know about an agent file. Each rule says in `lint_rules.toml` where it comes from.

The rules on how the file is read come with the reading itself (`claude_code.py`); here are those on what it
says.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.document import Document
from workbench.definition.facts import facts
from workbench.definition.fields import FIELD_OF_KEY, KEYS, Field
from workbench.definition.header import Entry, Problem, brief, problem_at
from workbench.definition.resolved import resolve_model_alias

LONGEST_DESCRIPTION = 5_000
LONGEST_NAME = 50

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


@cache
def rules() -> Mapping[str, Rule]:
    """Every rule by its id."""
    data = resources.files("workbench.definition").joinpath("lint_rules.toml").read_text(encoding="utf-8")
    table = tomllib.loads(data)
    return {id: Rule(id=id, **{"date": table["date"], **rule}) for id, rule in table["rules"].items()}


def check_agent(agent: Agent) -> tuple[Problem, ...]:
    """What is wrong or doubtful in the file of this agent, its changes applied, in the order of lines."""
    document = parse_agent(agent.text).document
    found = [*read_as_claude_code(document).problems, *_problems_of(document, parse_agent(document.text))]
    return tuple(sorted(dict.fromkeys(found), key=lambda problem: (problem.line, problem.column, problem.rule)))


def _problems_of(document: Document, agent: Agent) -> Iterator[Problem]:
    for entry in {entry.key: entry for entry in document.entries}.values():
        yield from _of_entry(entry, agent)
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
        yield _unknown_key(entry)
        return
    comment = _comment_of(entry)
    if comment is not None and (entry.value is None or key in ("description", "initialPrompt")):
        yield problem_at(
            entry,
            "hash-comment",
            "warning",
            f"From ` #` on this is a comment, so nobody reads {brief(comment)}.",
            "Put the whole value in quotes.",
        )
    elif entry.value is None and key not in ("name", "description", "tools"):
        yield problem_at(entry, "empty-value", "note", f"`{key}` has no value.", f"Give it one, or remove `{key}`.")
    if entry.value is None and key != "tools":
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


def _unknown_key(entry: Entry) -> Problem:
    plain = re.sub(r"[-_ ]", "", entry.key).lower()
    meant = _LOOK_ALIKES.get(plain) or next((key for key in KEYS if key.lower() == plain), None)
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


def _comment_of(entry: Entry) -> str | None:
    text = entry.suffix.strip() if entry.source or entry.style == "block" else entry.text.partition(":")[2].strip()
    return text if text.startswith("#") and len(text) > 1 and entry.style != "recovered" else None


def _of_name(entry: Entry) -> Iterator[Problem]:
    name = str(entry.value)
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
    for tool in tools:
        yield from _of_tool(entry, tool)
    if entry.key == "tools" and tools and not any(map(_may_resolve, tools)):
        yield problem_at(
            entry,
            "zero-tools",
            "error",
            "None of these names is a tool; Claude Code refuses to launch an agent with zero tools.",
            f"Known tools: {', '.join(facts()['tools'])}.",
        )
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


def _of_scopes_taken_away(entry: Entry, tools: tuple[str, ...]) -> Iterator[Problem]:
    for tool in tools:
        base, bracket, _ = tool.partition("(")
        if bracket:
            yield problem_at(
                entry,
                "scope-takes-all",
                "warning",
                f"{brief(tool)} takes all of {base.strip()} away, whatever stands in parentheses.",
                f"Write `{base.strip()}` if that is what is meant.",
            )


def _of_tool(entry: Entry, tool: str) -> Iterator[Problem]:
    base = tool.partition("(")[0].strip()
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
            "Remove it; Edit, Glob and Bash do what MultiEdit and LS did."
            if base in ("MultiEdit", "LS")
            else "Remove it.",
        )
    elif base in facts()["main_thread_tools"]:
        yield problem_at(entry, "main-thread-tool", "note", f"{base} never reaches a subagent.", "Remove it.")
    elif "(" in tool and base in facts()["tools"] and base not in ("Agent", "Task") and entry.key == "tools":
        yield problem_at(
            entry,
            "scope-limits-nothing",
            "note",
            f"{brief(tool)} gives a subagent all of {base}: what stands in parentheses limits nothing there.",
            "Limit it in the permissions of the settings.",
        )
    elif not _may_resolve(tool):
        right = next((known for known in facts()["tools"] if known.lower() == base.lower()), None)
        if right is not None:
            yield problem_at(
                entry,
                "tool-case",
                "warning",
                f"{brief(base)} is no tool: names are matched by their case.",
                f"Write `{right}`.",
                replacement=right,
            )
        else:
            yield problem_at(
                entry,
                "unknown-tool",
                "note",
                f"{brief(base)} is no tool that was seen with {facts()['product']} {facts()['version']}.",
                "Tools of MCP servers are written `mcp__server__tool`.",
            )


def _may_resolve(tool: str) -> bool:
    base = tool.partition("(")[0].strip()
    return base in facts()["tools"] or base == "*" or base.startswith("mcp__")


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
        is_past = retired[id] < facts()["date"]
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
        yield problem_at(
            entry,
            "unknown-model",
            "note" if id.startswith("claude-") else "warning",
            f"{brief(model)} is neither an alias nor a known model id; it is sent as it is, "
            "and fails at run time if there is no such model.",
            f"Aliases: {', '.join(facts()['aliases'])}.",
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


def _of_choice(entry: Entry, field: Field) -> Iterator[Problem]:
    if field.values and entry.value not in field.values:
        yield problem_at(
            entry,
            "unknown-value",
            "warning",
            f"{brief(entry.value)} is not a value of `{entry.key}`.",
            f"Use one of {', '.join(field.values)}.",
        )
