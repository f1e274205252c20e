"""What `workbench ci` leaves for people and programs: a comment, annotations, SARIF, JUnit and JSON."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from workbench.comparison.history import History
from workbench.comparison.report.summary import unlinked
from workbench.definition.code_hosts import HostFinding, HostRule, github_annotation, sarif_log
from workbench.definition.header import Severity
from workbench.definition.project import write_folder
from workbench.errors import FileError
from workbench.markup import HALF_CHARACTERS, counted, visible, visible_lines
from workbench.project.ci import OUTCOMES, Checked, Held, folder_of
from workbench.secrets import value_without_secrets, without_secrets

MARK = "<!-- agent-workbench -->"
"""The first line of `comment.md`, which nobody sees: by it a recipe finds the comment of an earlier push, and
no other."""
LONGEST_COMMENT = 65_536
"""Bytes: GitHub takes so many characters."""
LONGEST_SUMMARY = 1_000_000
"""Bytes of a step's summary on GitHub, which takes a MiB from all steps of a job."""
_SMALL = "</sub>"
_MOST_ROWS = 100
_MOST_NAMED = 12
"""Agents that are named in a line."""
_MOST_PROMISES = 2
_LONGEST_PROMISE = 60
"""Promises that the first line names, and characters of one."""


FILES = ("comment.md", "ci.json", "junit.xml", "sarif.json")


def refuse_links(out: Path, project: Path) -> None:
    """Refuses a folder for results that is, stands in, or holds a link of the project's repository.

    What is checked could have put it there, to have files elsewhere removed and written over.

    Raises:
        FileError: names the link.
    """
    root = next((str(each) for each in (project, *project.parents) if os.path.lexists(each / ".git")), str(project))
    whole = out.absolute()
    for place in (whole, *whole.parents, *(whole / name for name in FILES)):
        is_inside = Path(os.path.realpath(place.parent)).is_relative_to(root)
        if place.is_symlink() and is_inside:
            raise FileError("is a link, and results are not written through one; remove it, or name --out", path=place)


def remove_files(out: Path) -> None:
    """Removes what an earlier run left in the folder for people and programs, who would take it for this one's.

    Raises:
        FileError: something else is in the place of one.
    """
    for name in FILES:
        try:
            (out / name).unlink(missing_ok=True)
        except OSError as error:
            raise FileError(
                f"cannot be removed: {error.strerror}; remove it, or name --out", path=out / name
            ) from error


def write_files(checked: Checked, out: Path, *, link: str = "", history: History | None = None) -> tuple[Path, ...]:
    """Writes `FILES` into the folder; `link` is where all that was left can be found, and `history` the nights in which
    the agents were measured as they were.

    Raises:
        FileError: they cannot be written.
    """
    data = json.dumps(value_without_secrets(as_json(checked, history)), indent=2) + "\n"
    said = comment(checked, link=link, longest=LONGEST_COMMENT - len(MARK) - 1)
    texts = (f"{MARK}\n{said}", data, junit(checked), sarif(checked) + "\n")
    files = dict(zip(FILES, texts, strict=True))
    return _write_files(files, out)


def write_refusal(message: str, base: str, out: Path, *, link: str = "") -> str:
    """Writes what people and programs read where nobody could say what changed: the comment, which it returns, and
    JSON.

    Raises:
        FileError: they cannot be written.
    """
    refused = OUTCOMES["refused"]
    where = [f"All pages and records: {link}"] if link else []
    head = f"## Fails: {refused.says} (exit code {refused.code})"
    text = without_secrets("\n\n".join([head, unlinked(message), *where]) + "\n")
    told = {"exit_code": refused.code, "outcome": "refused", "base": base, "text": message, "agents": []}
    data = json.dumps(value_without_secrets(told), indent=2) + "\n"
    _write_files({"comment.md": f"{MARK}\n{text}", "ci.json": data}, out)
    return text


def _write_files(files: Mapping[str, str], out: Path) -> tuple[Path, ...]:
    try:
        write_folder(out)
        for name, text in files.items():
            clean = without_secrets(text)
            (out / name).write_text(clean, encoding="utf-8", errors=HALF_CHARACTERS, newline="\n")
    except OSError as error:
        raise FileError(f"cannot be written: {error.strerror}", path=error.filename or out) from error
    return tuple(out / name for name in files)


def not_committed_lines(checked: Checked) -> tuple[str, ...]:
    """Which agents are another on the disk than in the commit that was held; none where all of them are committed."""
    then = "; `git add` and `git commit`, then run it again"
    return _line("Not committed, and so not held", checked.change.not_committed, then)


def beside_lines(checked: Checked) -> tuple[str, ...]:
    """What else was changed that no trial looks at; none where nothing was."""
    return _line("Changed too, and not looked at by any trial", checked.change.beside, "")


def not_routed_lines(checked: Checked) -> tuple[str, ...]:
    """Which lists of agents changed and are not held by who gets picked, each with why not."""
    return tuple(visible(line) for line in checked.not_routed)


def _line(what: str, names: Sequence[str], then: str) -> tuple[str, ...]:
    """A line that names them; none where there are none."""
    if not names:
        return ()
    which = ", ".join(visible(name) for name in names[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return (f"{what}: {which}{more}{then}",)


def heading(checked: Checked) -> str:
    """What was decided, by which agents, and which of their promises are worse, in one line. Where it passes, it names
    all that passes only because it is allowed, or with a promise that is worse."""
    if not checked.held:
        return "No agent was changed"
    name = checked.deciding
    if checked.exit_code != 0:
        which = [held for held in checked.held if held.outcome == name]
        return f"Fails: {OUTCOMES[name].says}: {_who(which)} (exit code {checked.exit_code})"
    doubtful = [held for held in checked.held if OUTCOMES[held.outcome].code or held.worse_promises]
    groups: dict[str, list[Held]] = {}
    for held in sorted(doubtful or checked.held, key=_rank):
        allowed = ", which is allowed" if OUTCOMES[held.outcome].code else ""
        if doubtful or held.outcome == name:
            groups.setdefault(f"{OUTCOMES[held.outcome].says}{allowed}{_promises_worse(held)}", []).append(held)
    return f"Passes: {'; '.join(f'{says}: {_who(which)}' for says, which in groups.items())}"


def _who(which: Sequence[Held]) -> str:
    """The first of these agents with its promises that are worse, and how many more there are."""
    first = which[0]
    promises = first.worse_promises
    named = ", ".join(f'"{_shortened(promise)}"' for promise in promises[:_MOST_PROMISES])
    others = len(promises) - _MOST_PROMISES
    rest = f" and {counted(others, 'other promise')}" if others > 0 else ""
    worse = f" in {named}{rest}" if promises else ""
    more = f" and {len(which) - 1} more" if len(which) > 1 else ""
    return f"{visible(first.name)}{worse}{more}"


def _shortened(promise: str) -> str:
    """A promise as a line names it."""
    shown = visible(promise)
    return shown if len(shown) <= _LONGEST_PROMISE else f"{shown[: _LONGEST_PROMISE - 1]}…"


def _rank(held: Held) -> int:
    """The worst outcome first."""
    return tuple(OUTCOMES).index(held.outcome)


def _promises_worse(held: Held) -> str:
    """As in ", 2 promises worse"; empty where it has no promise that is shown to be worse."""
    count = len(held.worse_promises)
    return f", {counted(count, 'promise')} worse" if count else ""


def _says(held: Held) -> str:
    """What became of the agent, in a word or some; where the whole is not worse, with its promises that are."""
    return f"{OUTCOMES[held.outcome].says}{'' if held.outcome == 'worse' else _promises_worse(held)}"


def comment(checked: Checked, *, link: str = "", longest: int = LONGEST_COMMENT) -> str:
    """Markdown for a pull request, of so many bytes at most: what was decided, a row for each agent, then details of as
    many as there is room for, the worst first."""
    held = sorted(checked.held, key=_rank)
    rows = [f"| {unlinked(each.name)} | {each.kind} | {unlinked(_says(each))} |" for each in held[:_MOST_ROWS]]
    if rows:
        rows = ["| Agent | Change | Found |", "| --- | --- | --- |", *rows]
    more = [f"And {len(held) - _MOST_ROWS} more."] if len(held) > _MOST_ROWS else []
    where = [f"All pages and records: {link}"] if link else []
    base = f"<sub>Held against {checked.change.base[:12]}, margin {100 * checked.settings.margin:g} points, "
    base += f"{counted(checked.settings.repeats, 'repeat')}.{_SMALL}"
    if any(each.listed is not None for each in held):
        base = f"{base.removesuffix(_SMALL)} Routing: margin {100 * checked.settings.routing_margin:g} points.{_SMALL}"
    beside = (*not_committed_lines(checked), *beside_lines(checked), *not_routed_lines(checked))
    loose = [unlinked(line) for line in beside]
    parts = [f"## {unlinked(heading(checked))}", *loose, "\n".join(rows), *more, *where, base]
    text = without_secrets("\n\n".join(filter(None, parts)))
    room = longest - len(text.encode()) - 200  # for the sentence about those that are left out
    kept: list[str] = []
    for each in held:
        detail = without_secrets(_details(each))
        room -= len(detail.encode("utf-8", "backslashreplace")) + 2
        if room < 0:
            break
        kept.append(detail)
    left_out = len(held) - len(kept)
    if left_out:
        kept.append(
            f"The details of {counted(left_out, 'agent')} have no room here: they are in the pages and records."
        )
    return "\n\n".join([text, *kept]) + "\n"


def _details(held: Held) -> str:
    parts = [f"### {unlinked(held.name)}: {unlinked(_says(held))}", unlinked(held.text)]
    parts += [f"- {unlinked(note)}." for note in held.notes]
    return "\n\n".join([*parts, *([_one_down(held.summary)] if held.summary else [])])


def _one_down(summary: str) -> str:
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in summary.rstrip().splitlines())


def annotation_lines(checked: Checked) -> Iterator[str]:
    """Commands of GitHub's runner that show each finding at its file: an error where the change does not pass by it."""
    for held, level in _findings(checked):
        path = Path(held.agent.path)
        yield github_annotation(
            level, _message(held), path=path, line=held.agent.line, title=f"{_says(held)}: {held.name}"
        )


_PROMISE = "promise"
_RULES: Mapping[str, HostRule] = {
    **{
        name: HostRule(
            id=name,
            says=outcome.when,
            help=f"Exit code {outcome.code}, where nothing worse happened to another agent",
        )
        for name, outcome in OUTCOMES.items()
    },
    _PROMISE: HostRule(
        id=_PROMISE,
        says="An agent passes, and a promise of it is shown to be worse.",
        help="A promise that may not get worse is named with --guard",
    ),
}


def _rule(held: Held) -> str:
    """By what an agent is found: its outcome, but a promise of it where it passes."""
    return _PROMISE if held.outcome == "passes" and held.worse_promises else held.outcome


def sarif(checked: Checked) -> str:
    """The same as a SARIF log, for code hosts that keep findings from one change to the next."""
    found = tuple(_findings(checked))
    used = {_rule(held) for held, _ in found}
    return sarif_log(
        "workbench ci",
        [rule for name, rule in _RULES.items() if name in used],
        [
            HostFinding(
                path=Path(held.agent.path),
                line=held.agent.line,
                level=level,
                rule=_rule(held),
                message=visible(_message(held)),
                fingerprint=hashlib.sha256(
                    f"{_rule(held)}\0{held.name}".encode("utf-8", "surrogateescape")
                ).hexdigest()[:16],
            )
            for held, level in found
        ],
    )


def _findings(checked: Checked) -> Iterator[tuple[Held, Severity]]:
    """What is worth showing at a file, and how loud."""
    for held in checked.held:
        if not checked.passes(held.outcome):
            yield held, "error"
        elif OUTCOMES[held.outcome].code or held.outcome == "new" or held.worse_promises or held.notes:
            yield held, "warning"


def _message(held: Held) -> str:
    return " ".join([held.text, *(f"{note}." for note in held.notes)])


def as_json(checked: Checked, history: History | None = None) -> dict[str, Any]:
    """The same for programs; with a history, the nights of each agent."""
    return {
        "exit_code": checked.exit_code,
        "outcome": checked.deciding,
        "base": checked.change.base,
        "head": checked.change.head,
        "margin": checked.settings.margin,
        "repeats": checked.settings.repeats,
        "allowed": sorted(checked.settings.allow),
        "not_committed": list(checked.change.not_committed),
        "beside": list(checked.change.beside),
        "agents": [
            {
                "path": held.agent.path,
                "was": held.agent.was,
                "change": held.agent.kind,
                "line": held.agent.line,
                "outcome": held.outcome,
                "text": held.text,
                "notes": list(held.notes),
                "gates": [asdict(found) for found in held.gates],
                "folder": folder_of(held.agent.path) if held.folder is not None else None,
                "trend": [] if history is None else _trend(held, history),
            }
            for held in checked.held
            if held.listed is None
        ],
        "routing": [
            {
                "folder": held.listed.folder,
                "outcome": held.outcome,
                "text": held.text,
                "notes": list(held.notes),
                "margin": checked.settings.routing_margin,
                "gates": [asdict(found) for found in held.routing],
                "records": folder_of(held.name) if held.folder is not None else None,
            }
            for held in checked.held
            if held.listed is not None
        ],
        "not_routed": list(checked.not_routed),
    }


def _trend(held: Held, history: History) -> list[dict[str, Any]]:
    """The nights of the agent by its name, in their order, of each series of records that has it."""
    agent = held.agent.before or held.agent.after
    return [
        {"series": nights.name, **asdict(night)}
        for nights in history.agents
        if agent is not None and agent.name is not None and nights.agent == agent.name
        for night in nights.nights
    ]


def junit(checked: Checked) -> str:
    """JUnit XML: a case for each changed agent, which fails where the change does not pass by it."""
    suite = ElementTree.Element("testsuite", name="changed agents")
    counts = dict.fromkeys(("failures", "errors", "skipped"), 0)
    for held in checked.held:
        classname = "agents" if held.listed is None else "routing"
        case = ElementTree.SubElement(suite, "testcase", name=visible(held.name), classname=classname)
        if checked.passes(held.outcome):
            kind = None if held.outcome == "passes" else "skipped"
        else:
            kind = "failure" if held.outcome == "worse" else "error"
        if kind is not None:
            counts[f"{kind}s" if kind != "skipped" else kind] += 1
            said = ElementTree.SubElement(case, kind, message=visible(OUTCOMES[held.outcome].says))
            said.text = visible_lines("\n".join((held.text, *held.notes)))
    suite.attrib.update(tests=str(len(checked.held)), **{name: str(count) for name, count in counts.items()})
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
