"""Mends: what can be set right in an agent file without changing what its author meant.

One rule for all who offer them, the editor, `workbench fix` and a cell of a notebook: a mend after which anything is
read otherwise says what (`otherwise.py`), and is not called safe.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.document import Document, parse_document
from workbench.definition.edit import with_value, without_key
from workbench.definition.facts import facts
from workbench.definition.fields import FIELD_OF_KEY, FIELDS, key_of
from workbench.definition.files import diff_agents
from workbench.definition.forms import block_of_text, forms_of_list, forms_of_text, literal_block
from workbench.definition.header import Entry, Problem
from workbench.definition.lint import check_agent
from workbench.definition.otherwise import what_changes


@dataclass(frozen=True, kw_only=True)
class Mend:
    """One repair of an agent file: the file without one of its problems."""

    problem: Problem
    """What it sets right."""
    before: Agent
    after: Agent
    changes: str = ""
    """What is read otherwise afterwards, by Claude Code or by others, in sentences; empty for a safe mend."""

    @property
    def is_safe(self) -> bool:
        """Whether both readings stay as they are, the author's and Claude Code's, and every byte of the prompt."""
        return not self.changes

    @property
    def diff(self) -> str:
        """The lines that change, as a unified diff."""
        return diff_agents(self.before, self.after)


def mend_agent(agent: Agent, problem: Problem) -> Agent | None:
    """The agent, its path kept, without this problem; `None` where there is no safe way.

    Safe is a mend after which the problem is gone, no error is new, and nothing is read otherwise: neither what the
    author wrote nor what Claude Code makes of it. `find_mend` finds those too that change that, and says what.
    """
    mend = find_mend(agent, problem)
    return mend.after if mend is not None and mend.is_safe else None


def find_mend(agent: Agent, problem: Problem) -> Mend | None:
    """The mend of this problem, and what it changes; `None` where only the author can decide."""
    return next(mends_of(agent, (problem,)), None)


def mends_of(agent: Agent, problems: Iterable[Problem]) -> Iterator[Mend]:
    """The mends of those of these problems that have one, each of the file as it is."""
    now = parse_agent(agent.text, path=agent.path)
    known: tuple[Problem, ...] | None = None
    for problem in problems:
        first: Mend | None = None
        for candidate in _candidates(now.document, problem):
            known = check_agent(now) if known is None else known
            mended = parse_agent(candidate.text, path=now.path)
            if not _mends(now, mended, problem, known):
                continue
            mend = Mend(problem=problem, before=now, after=mended, changes=what_changes(now, mended))
            if mend.is_safe:
                first = mend
                break
            first = first or mend
        if first is not None:
            yield first


def _mends(agent: Agent, mended: Agent, problem: Problem, before: tuple[Problem, ...]) -> bool:
    others = [name for name in (*FIELDS, "prompt") if key_of(name) != problem.field]
    if problem.rule != "misspelt-key" and any(getattr(agent, name) != getattr(mended, name) for name in others):
        return False
    after = check_agent(mended)
    known = {(one.rule, one.field) for one in before}
    if any(one.severity == "error" and (one.rule, one.field) not in known for one in after):
        return False
    return _count(after, problem) < _count(before, problem)


def _count(problems: tuple[Problem, ...], like: Problem) -> int:
    return sum((one.rule, one.field) == (like.rule, like.field) for one in problems)


def _candidates(document: Document, problem: Problem) -> Iterator[Document]:
    """The mended documents to try, the nicest first."""
    whole = _OF_THE_FILE.get(problem.rule)
    if whole is not None:
        yield whole(document)
        return
    entry = document.entry(problem.field) if problem.field else None
    if entry is None:
        return
    if entry.key == "description" and (problem.rule in _BETTER_AS_BLOCK):
        yield from _with_lines_broken(document)
        yield from _as_block(document, entry)
    if problem.rule in _OF_AN_ENTRY:
        for form in _OF_AN_ENTRY[problem.rule](entry, problem):
            yield with_value(document, entry.key, form)
    elif problem.rule == "hash-comment":
        yield from _with_comment_as_text(document, entry)
    elif problem.rule == "misspelt-key":
        yield from _with_right_key(document, entry, problem)
    elif problem.rule == "empty-value" or (problem.rule == "hooks-list" and entry.value == []):
        yield without_key(document, entry.key)
    elif problem.rule == "duplicate-key":
        kept = [one for one in document.entries if one.key != entry.key or one is entry]
        yield parse_document(replace(document, entries=tuple(kept)).text)


def _with_lines_broken(document: Document) -> Iterator[Document]:
    """The description in a block of lines, broken where Claude Code breaks it: at each backslash and n. Every reader
    then reads what only Claude Code reads now."""
    reading = read_as_claude_code(document)
    found = [problem for problem in reading.problems if problem.rule == "backslash-n"]
    if reading.description is None or not found or any(problem.severity == "warning" for problem in found):
        return  # nothing is to be broken, or it is in the midst of a path
    form = block_of_text(reading.description)
    if form is not None:
        broken = with_value(document, "description", form)
        if read_as_claude_code(broken).description == reading.description:
            yield broken


def _as_block(document: Document, entry: Entry) -> Iterator[Document]:
    """A description without quotes as a block: what has a colon or a quote in it can be read there as it is meant."""
    if entry.style == "recovered" and isinstance(entry.value, str) and (form := literal_block(entry.value)):
        yield with_value(document, entry.key, form)


def _with_comment_as_text(document: Document, entry: Entry) -> Iterator[Document]:
    """The whole of the line after the key as its value: what stands behind ` #` was meant too."""
    line = entry.text.partition(":")[2].strip()
    if not line or "\n" in line or line[0] in "\"'":
        return
    bare = replace(entry, suffix=entry.text[len(entry.text.rstrip("\r\n")) :])
    entries = tuple(bare if one is entry else one for one in document.entries)
    for form in forms_of_text(line, style="double"):
        yield with_value(replace(document, entries=entries), entry.key, form)


def _with_right_key(document: Document, entry: Entry, problem: Problem) -> Iterator[Document]:
    meant = problem.replacement
    if meant is None or meant not in FIELD_OF_KEY or document.entry(meant) is not None:
        return
    renamed = replace(entry, text=entry.text.replace(entry.key, meant, 1))
    entries = tuple(renamed if one is entry else one for one in document.entries)
    yield parse_document(replace(document, entries=entries).text)


def _meant_anew(entry: Entry, _problem: Problem) -> Iterator[str]:
    """The value as its author meant it, in the ways that every reader reads the same."""
    field = FIELD_OF_KEY.get(entry.key)
    if field is not None and field.is_list:
        yield from forms_of_list(_names_in(entry), style="plain")
    elif isinstance(entry.value, str):
        yield from forms_of_text(entry.value, style="double" if entry.key == "name" else "plain")


def _in_quotes(entry: Entry, _problem: Problem) -> Iterator[str]:
    if entry.source and "\n" not in entry.source.strip():
        yield from forms_of_text(entry.source.strip(), style="double")


def _as_replaced(_entry: Entry, problem: Problem) -> Iterator[str]:
    if problem.replacement is not None:
        yield from forms_of_text(problem.replacement)


def _as_number(entry: Entry, _problem: Problem) -> Iterator[str]:
    if isinstance(entry.value, str) and re.fullmatch(r"[1-9]\d{0,8}", entry.value.strip()):
        yield entry.value.strip()


def _as_truth(entry: Entry, _problem: Problem) -> Iterator[str]:
    said = str(entry.value).lower()
    if said in ("yes", "on", "1", "true"):
        yield "true"
    elif said in ("no", "off", "0", "false"):
        yield "false"


def _with_known_case(entry: Entry, problem: Problem) -> Iterator[str]:
    right = problem.replacement
    if right is not None:
        yield from _tools_with(entry, lambda tool: right if tool.lower() == right.lower() else tool)


def _without_lost_tools(entry: Entry, problem: Problem) -> Iterator[str]:
    """The list without the tools that reach no agent; never an empty one, which would mean something else."""
    lost = facts()["gone_tools" if problem.rule == "gone-tool" else "main_thread_tools"]
    yield from _tools_with(entry, lambda tool: "" if tool in lost else tool)


def _tools_with(entry: Entry, change: Callable[[str], str]) -> Iterator[str]:
    tools = _names_in(entry)
    changed = []
    for tool in tools:
        name, bracket, scope = tool.partition("(")
        if other := change(name.strip()):
            changed.append(other + bracket + scope)
    if changed and tuple(changed) != tools:
        yield from forms_of_list(changed, style=entry.style if entry.style != "recovered" else "plain")


def _names_in(entry: Entry) -> tuple[str, ...]:
    """The list that stands in an entry, read by itself; empty where it is no list of names."""
    alone = parse_agent(f"---\n{entry.text}---\n")
    field = FIELD_OF_KEY[entry.key]
    return getattr(alone, field.name) or ()


def _with_bare_fences(document: Document) -> Document:
    opening, close = (fence and "---" + fence[len(fence.rstrip("\r\n")) :] for fence in (document.open, document.close))
    return parse_document(replace(document, open=opening, close=close).text)


def _with_fence(document: Document) -> Document:
    ending = "\r\n" if document.open.endswith("\r\n") else "\n"
    if document.close:
        return parse_document(replace(document, close="---" + ending).text)
    missing = "" if document.header.endswith(("\n", "\r")) else ending
    return parse_document(replace(document, close=missing + "---" + ending).text)


_BETTER_AS_BLOCK = {"backslash-n", "repaired", "not-yaml", "crlf-and-colon", "read-differently"}
_OF_THE_FILE: Mapping[str, Callable[[Document], Document]] = {
    "byte-order-mark": lambda document: parse_document(replace(document, bom="").text),
    "blank-before-header": lambda document: parse_document(replace(document, lead="").text),
    "blank-in-fence": _with_bare_fences,
    "odd-fence": _with_fence,
    "unclosed-header": _with_fence,
}
_OF_AN_ENTRY: Mapping[str, Callable[[Entry, Problem], Iterator[str]]] = {
    "repaired": _meant_anew,
    "not-yaml": _meant_anew,
    "crlf-and-colon": _meant_anew,
    "truncated": _meant_anew,
    "read-differently": _meant_anew,
    "cut-at-dashes": _meant_anew,
    "not-text": _in_quotes,
    "color-case": _as_replaced,
    "remapped-model": _as_replaced,
    "max-turns": _as_number,
    "background": _as_truth,
    "tool-case": _with_known_case,
    "gone-tool": _without_lost_tools,
    "main-thread-tool": _without_lost_tools,
}
