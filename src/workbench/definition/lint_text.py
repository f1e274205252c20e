"""Rules on what an agent's texts say: a prompt that claims what the agent has not, a description that says not when,
what was left in them by mistake, and secrets.

Each looks for what is surely meant and leaves the rest: what they find in 400 published files is held by
`tests/test_linting.py`.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from workbench.definition.agent import Agent
from workbench.definition.document import Document
from workbench.definition.facts import base_tool, facts, tools_that_write
from workbench.definition.header import Entry, Problem, Severity, brief, problem_at
from workbench.definition.lines import count_lines, lines_of
from workbench.definition.sending import is_offered_beside
from workbench.key_covers import covered_lines
from workbench.key_forms import (
    LatePattern,
    has_block_of_cookies,
    places_of,
    places_of_keys,
    without_known_forms,
    without_private_keys,
)
from workbench.secrets import secrets_of, without_secrets

LONG_PROMPT = 40_000
"""Characters; more than 99 of 100 published prompts have fewer."""
SHORT_DESCRIPTION = 25
"""Characters; nobody can say in fewer what for and when."""

_FENCE = re.compile(r"^[^\S\n]{0,3}(`{3,}|~{3,})[ \t]*([^`\n]*)", re.MULTILINE)
_PLACEHOLDERS = re.compile(
    r"\{\{\s*[A-Za-z_][\w -]{0,60}\}\}|<%[^%\n]{1,60}%>|\[(?:INSERT|YOUR|TODO|FILL IN|PLACEHOLDER)\b[^\]\n]{0,60}\]"
    r"|<(?:insert|your)[ _-][^>\n]{1,60}>|\bLorem ipsum\b|\bTODO:|\bFIXME:|\bTBD\b|\bXXX\b"
)
_ARGUMENTS = re.compile(r"\$ARGUMENTS\b")
_ARGUMENTS_EXPLAINED = re.compile(r"\$ARGUMENTS`? (?:placeholder|variable)\b")
"""In a prompt about commands, whose templates hold it on purpose."""
_HOME = re.compile(
    r"(?<![\w/])(?:/Users/|/home/)(?!user\b|username\b|you\b|runner\b|app\b|node\b|ubuntu\b|<)[A-Za-z0-9._-]+/"
    r"|\b[A-Z]:\\Users\\(?!user\b|username\b|you\b|<)\w+"
)
_ENGLISH = re.compile(r"\b(?:the|and|of|for|with|to|that|an?|in|on)\b", re.IGNORECASE)
_WHEN = re.compile(
    r"\b(?:when(?:ever)?|used? (?:this|it|for|to|after|before|by|proactively|when)|invoked?|call (?:this|it)|delegate"
    r"|proactive(?:ly)?|before|after|if (?:you|the|an?|there)|for (?:any|all|every)|trigger\w*|must be used|examples?"
    r"|asks?|needs?|requests?|wants?|during|in case|(?:auto[- ]?)?activates?|fires|kicks in|runs? (?:on|after|at))\b"
    r"|<example>",
    re.IGNORECASE,
)
_OTHER_AGENT = re.compile(
    r"\b(?:use|using|launch|invoke|call|engage|with) the [`'\"]?([a-z0-9]+(?:-[a-z0-9]+)+)[`'\"]? (?:sub)?agent\b",
    re.IGNORECASE,
)


_CHANGING = ("edit", "modify", "change", "write", "create", "touch")
_READ_ONLY = re.compile(
    r"(?:\b(?:you|this agent|it) (?:must |may |should |can |will )?"
    r"|^[ \t]*(?:[-*] |\d+[.)] )?(?:\*\*)?(?:[\w-]+\.\*\* )?)"
    r"(?:never|not|do not|don't|cannot) (?:" + "|".join(_CHANGING) + r")(?: or \w+)?"
    r" (?:any |the |to )?(?:source |project |existing )?(?:files?|code|source)\b"
    r"|\b(?:you are|you work|this agent is|strictly) (?:an? )?(?:\*\*)?read-only\b"
    r"(?! (?:replica|user|file ?system|root))"
    r"|\bread-only (?:role|agent|specialist|mode)\b|^[ \t]*[-*] \*\*read-only\b",
    re.IGNORECASE | re.MULTILINE,
)
_TOOL_NAMED = re.compile(r"\b(assistant )?(?i:use|using|with|via|the) (?:the )?`?([A-Z][A-Za-z]+)`?(?: tool| to)\b")
"""First, whether it is the assistant of an example that has the tool."""
_MAY_NAME_TOOL = re.compile(r"[A-Z](?<![A-Za-z][A-Z])[A-Za-z]++`?(?: tool| to)\b")
"""What stands in each line that names a tool; as it begins with one of few signs, it is found ten times as fast. No
word is read again from a capital within it."""


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """What a prompt says that the agent does, and the tools of which one is needed for it."""

    rule: str
    what: str
    pattern: LatePattern
    tools: tuple[str, ...]


_STEP = r"^[ \t]*+(?:(?:\d++[.)]|[-*])[ \t]*+)?(?:\*\*)?"
_MAY_BE_STEP = re.compile(_STEP + r"(?:run|execute|write|save|create)\b", re.IGNORECASE)
"""How each line begins of which a claim below is made by a step."""
_WRITES_FILES = LatePattern(
    _STEP + r"(?:write|save|create)\b(?:\*\*)? (?:the |an? |your |all )?(?:[\w-]+ ){0,3}(?:to|in|at|into) "
    r"`[^`\n./]*+[./][^`\n]*+`",
    re.IGNORECASE | re.MULTILINE,
)
_CLAIMS = (
    _Claim(
        rule="prompt-runs-commands",
        what="run commands",
        pattern=LatePattern(
            _STEP + r"(?:run|execute)\b(?:\*\*)? (?:`[^`\n]+`|(?:the |all |any )?(?:existing |full )?"
            r"(?:tests?|test suite|linters?|build)\b)",
            re.IGNORECASE | re.MULTILINE,
        ),
        tools=("Bash", "Monitor"),
    ),
    _Claim(
        rule="prompt-searches-the-web",
        what="search the web",
        pattern=LatePattern(
            r"\b(?:search (?:the web|online|the internet)|web search(?:es)? (?:for|to)|google for)\b", re.I
        ),
        tools=("WebSearch", "WebFetch"),
    ),
    _Claim(
        rule="prompt-writes-files",
        what="write files",
        pattern=_WRITES_FILES,
        tools=("Write", "Edit", "Bash", "NotebookEdit"),
    ),
)


_SIGNS = (
    *("ead-only", "lorem ipsum", "todo:", "fixme:", "tbd", "xxx"),
    *("search the web", "search online", "search the internet", "web search", "google for"),
)
_SIGNS_BY_FORM = (
    re.compile(
        r"\$arguments|/users/|/home/|:\\users\\|\{\{|<%|\[(?:insert|your|todo|fill in|placeholder)|<(?:insert|your)"
    ),
    re.compile(
        rf" (?=[{''.join(sorted({verb[0] for verb in _CHANGING}))}])"
        rf"(?:(?<=ever )|(?<=ot )|(?<=n't ))(?:{'|'.join(_CHANGING)})"
    ),
)
"""Of what a line in small letters holds one where a pattern finds anything in it, apart from claims of a step and names
of tools: to look for these in a whole prompt takes a hundredth of the time (benchmark `linting`)."""


def text_problems(document: Document, agent: Agent, entries: dict[str, Entry]) -> Iterator[Problem]:
    """What is wrong or doubtful in the description and the prompt, in no order."""
    if (description := entries.get("description")) is not None and isinstance(description.value, str):
        yield from _of_description(description, agent)
    yield from _secrets_of(document)
    yield from _of_prompt(document, agent)


def _of_description(entry: Entry, agent: Agent) -> Iterator[Problem]:
    text = str(entry.value).strip()
    if len(text) < SHORT_DESCRIPTION:
        yield problem_at(
            entry,
            "short-description",
            "warning",
            f"The description has {len(text)} characters; the main model picks an agent by it alone.",
            "Say what the agent does, and when it is to be used.",
        )
    elif _is_english(text) and not _WHEN.search(text):
        yield problem_at(
            entry,
            "says-not-when",
            "note",
            "The description says what the agent is, and not when it is to be used; the main model picks by this text.",
            "Add a sentence such as “Use when ...”.",
        )
    others = {match[1].lower() for match in _OTHER_AGENT.finditer(text)}
    if others and agent.name is not None and not _names(text, agent.name):
        yield problem_at(
            entry,
            "names-another-agent",
            "warning",
            f"The description speaks of the agent{'s' if len(others) > 1 else ''} "
            f"{', '.join(sorted(map(repr, others)))}, and the agent is called "
            f"{brief(agent.name)}: it may have been renamed.",
            f"Write {brief(agent.name)} there, if that is what is meant.",
        )
    if (match := _PLACEHOLDERS.search(text)) is not None:
        yield problem_at(
            entry,
            "placeholder-left",
            "warning",
            f"{brief(match[0])} looks like a placeholder that was not filled in.",
            "Fill it in, or remove it.",
        )


def _names(text: str, name: str) -> bool:
    """Whether it speaks of the agent of this name: then others that it names are those that it hands on to."""
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE) is not None


def _is_english(text: str) -> bool:
    """Whether words of English can be looked for in it."""
    foreign = 0 if text.isascii() else sum(not letter.isascii() for letter in text)
    return foreign < len(text) / 50 and bool(_ENGLISH.search(text))


def _secrets_of(document: Document) -> Iterator[Problem]:
    if not _may_hold_secret(document.text):
        return
    lines = enumerate(lines_of(document.text), start=1)
    numbers = [number for number, line in lines if without_secrets(line) != line]
    if not numbers:  # a key that takes several lines, or stands on another than its name
        pairs = zip(document.text, without_secrets(document.text), strict=False)
        same = next((place for place, (one, other) in enumerate(pairs) if one != other), 0)
        numbers = [1 + count_lines(document.text[:same])]
    for number in numbers:
        yield Problem(
            rule="secret-in-file",
            severity="error",
            line=number,
            field="prompt" if number >= document.body_line else None,
            message="A key or password stands here: it is sent to the model in each run, and lies in the project.",
            fix="Remove it, and have it revoked where it was issued.",
        )


def _may_hold_secret(text: str) -> bool:
    """Whether anything would be taken out of the text. Asked of the lines alone that can hold a key, each with those
    beside it, that may name it or show what it is: to ask it of a whole file takes twice as long as all other rules
    (benchmark `linting`)."""
    if any(secret in text for secret, _ in secrets_of(os.environ)):
        return True
    if "data:image/" in text or has_block_of_cookies(text):
        return without_secrets(text) != text
    shown = covered_lines(text)
    return _has_known_form(text) or (_has_known_form(shown) and without_secrets(text) != text)


def _has_known_form(text: str) -> bool:
    return without_private_keys(text) != text or any(
        without_known_forms(part) != part for part in _parts_that_can_hold_key(text)
    )


def _parts_that_can_hold_key(text: str) -> Iterator[str]:
    """The lines, each run of them one text: the dearest questions are then asked of the run alone that gives cause."""
    runs: list[list[int]] = []
    end_of_line = 0
    for place in sorted(places_of_keys(text)):
        if place < end_of_line:
            continue  # each line is looked at once, however many places it has
        found = text.find("\n", place)
        end_of_line = len(text) if found < 0 else found
        begin, end = _with_lines_beside(text, place)
        if runs and begin <= runs[-1][1] + 1:
            runs[-1][1] = end
        else:
            runs.append([begin, end])
    return (text[begin:end] for begin, end in runs)


def _with_lines_beside(text: str, place: int) -> tuple[int, int]:
    """Where the line above that of this place begins, and where the one below ends."""
    begin = text.rfind("\n", 0, max(0, text.rfind("\n", 0, place))) + 1
    end = text.find("\n", place)
    end = len(text) if end < 0 else text.find("\n", end + 1)
    return begin, len(text) if end < 0 else end


def _of_prompt(document: Document, agent: Agent) -> Iterator[Problem]:
    """Outside of code blocks, but for what can stand in one by mistake as well."""
    if len(agent.prompt) > LONG_PROMPT:
        yield _in_prompt(
            document.body_line,
            "long-prompt",
            "note",
            f"The prompt has {len(agent.prompt):,} characters, about {len(agent.prompt) // 4:,} tokens, paid with each "
            "request of the agent.",
            "Move what is needed now and then into files that the agent reads, or into a skill.",
        )
    tools, may_change = _tools_of(agent), _may_change_files(agent)
    denied = frozenset(base_tool(tool) for tool in agent.disallowed_tools or ())
    lines = agent.prompt.split("\n")
    seen = {"arguments-placeholder"} if _ARGUMENTS_EXPLAINED.search(agent.prompt) else set()
    for number, is_code in _lines_to_ask(agent.prompt, lines, has_tools=bool(tools)):
        line = document.body_line + number
        for problem in _of_line(lines[number], line, tools, denied, is_code=is_code, may_change=may_change):
            if problem.rule not in seen:  # once a file: what is repeated is one habit
                seen.add(problem.rule)
                yield problem


def _lines_to_ask(prompt: str, lines: Sequence[str], *, has_tools: bool) -> Iterator[tuple[int, bool]]:
    """The numbers, from 0, of the lines in which a pattern may find anything, and whether each is code: to ask each of
    each line would take twice as long as all other rules (benchmark `linting`)."""
    small = prompt.lower()
    places = [*places_of(_SIGNS, small)]
    for form in _SIGNS_BY_FORM:
        places += [found.start() for found in form.finditer(small)]
    wanted = {*_numbers_of_lines(small, places)}
    if has_tools:
        wanted |= {*_numbers_of_lines(prompt, [found.start() for found in _MAY_NAME_TOOL.finditer(prompt)])}
        wanted |= {number for number, line in enumerate(lines) if _MAY_BE_STEP.match(line)}
    if not wanted:
        return
    fences = [*_FENCE.finditer(prompt)]
    numbers = [*_numbers_of_lines(prompt, [fence.start() for fence in fences])]
    code = [*_stretches_of_code(zip(numbers, fences, strict=True), len(lines))]
    begins = [stretch.start for stretch in code]
    for number in sorted(wanted.difference(numbers)):
        before = bisect_right(begins, number)
        yield number, before > 0 and number in code[before - 1]


def _numbers_of_lines(text: str, places: Iterable[int]) -> Iterator[int]:
    """Of the lines, from 0, on which these places are, in order."""
    number = done = 0
    for place in sorted(places):
        number += text.count("\n", done, place)
        done = place
        yield number


def _stretches_of_code(fences: Iterable[tuple[int, re.Match[str]]], lines: int) -> Iterator[range]:
    """The lines from a fence to the one that closes it, or to the end, of which there are so many."""
    begin, mark = 0, ""
    for number, fence in fences:
        if not mark:
            begin, mark = number, fence[1]
        elif fence[1].startswith(mark) and not fence[2].strip():
            yield range(begin, number)
            mark = ""
    if mark:
        yield range(begin, lines)


def _tools_of(agent: Agent) -> frozenset[str]:
    """The tools that a prompt can be held to; empty where the agent has all, or none, which is said elsewhere."""
    has = {base_tool(tool) for tool in agent.tools or ()}
    has -= {base_tool(tool) for tool in agent.disallowed_tools or ()}
    return frozenset() if "*" in has else frozenset(has)


def _may_change_files(agent: Agent) -> bool:
    """Whether it may, by more than a tool to write what the prompt has it write."""
    gone = {base_tool(tool) for tool in agent.disallowed_tools or ()}
    if agent.tools == ():
        return False
    named = {base_tool(tool) for tool in agent.tools or ("*",)}
    changing = (tools_that_write() if "*" in named else tools_that_write() & named) - gone
    return bool(changing) and not (changing == {"Write"} and _WRITES_FILES.compiled.search(agent.prompt))


def _changing_tools(tools: Collection[str]) -> str:
    return ", ".join(sorted(tools_that_write().intersection(tools))) or "all tools"


def _allows(tools: Collection[str], claim: _Claim) -> bool:
    return any(tool in claim.tools or tool.startswith("mcp__") for tool in tools)


def _of_line(
    line: str, number: int, tools: Collection[str], denied: Collection[str], *, is_code: bool, may_change: bool
) -> Iterator[Problem]:
    if _ARGUMENTS.search(line):
        yield _in_prompt(
            number,
            "arguments-placeholder",
            "warning",
            "$ARGUMENTS is filled in for slash commands and skills; an agent is sent it as it stands.",
            "Remove it: what the agent is to do comes as its task.",
        )
    if (match := _HOME.search(line)) is not None:
        yield _in_prompt(
            number,
            "home-path",
            "note",
            f"{brief(match[0])} is a folder of one person's machine.",
            "Name it from the root of the project.",
        )
    if is_code:
        return
    if (match := _PLACEHOLDERS.search(line)) is not None and "`" not in line:
        yield _in_prompt(
            number,
            "placeholder-left",
            "note",
            f"{brief(match[0])} looks like a placeholder that was not filled in.",
            "Fill it in; where it is an example for the model, put it between backquotes.",
        )
    if may_change and (match := _READ_ONLY.search(line)) is not None:
        yield _in_prompt(
            number,
            "claims-read-only",
            "note",
            f"The prompt says {brief(match[0])}, and the agent may: it has {_changing_tools(tools)}.",
            "Take what changes files out of its tools, by `tools` or `disallowedTools`.",
        )
    if tools:
        yield from _claims_of(line, number, tools, denied)


def _to_be_given(tools: Sequence[str], has: Collection[str], denied: Collection[str]) -> str:
    """What gives the agent one of these tools, so that a subagent is offered it; empty where nothing does."""
    for kept_from in ((), denied):  # what is taken away by hand was meant so: that is touched last
        for tool in (each for each in tools if (base_tool(each) in denied) == bool(kept_from)):
            if is_offered_beside(tool, has, {*denied} - {base_tool(tool)}):
                taken = ", and take it out of `disallowedTools`" if kept_from else ""
                return f"Add {tool} to `tools`{taken}"
    return ""


def _claims_of(line: str, number: int, has: Collection[str], denied: Collection[str]) -> Iterator[Problem]:
    for tool in (tool for of_example, tool in _TOOL_NAMED.findall(line) if not of_example):
        if tool in facts()["main_thread_tools"] or tool in facts()["gone_tools"]:
            yield _in_prompt(
                number,
                "prompt-names-lost-tool",
                "warning",
                f"The prompt speaks of the tool {tool}, which a subagent never has.",
                "Say what is to be done without it.",
            )
        elif base_tool(tool) in facts()["tools"] and base_tool(tool) not in has:
            yield _in_prompt(
                number,
                "prompt-names-tool",
                "note",
                f"The prompt speaks of the tool {tool}, which `tools` does not give the agent.",
                f"{given}, or take it out of the prompt."
                if (given := _to_be_given((tool,), has, denied))
                else f"Take it out of the prompt: beside {', '.join(sorted(has))} a subagent is not offered {tool}.",
            )
    for claim in _CLAIMS:
        if _allows(has, claim) or not claim.pattern.compiled.search(line):
            continue
        yield _in_prompt(
            number,
            claim.rule,
            "warning",
            f"The prompt has the agent {claim.what}, and `tools` gives it none of {', '.join(claim.tools)}.",
            f"{given}, or say that it only proposes this."
            if (given := _to_be_given(claim.tools, has, denied))
            else "Say that it only proposes this.",
        )


def _in_prompt(line: int, rule: str, severity: Severity, message: str, fix: str) -> Problem:
    return Problem(rule=rule, severity=severity, line=line, field="prompt", message=message, fix=fix)
