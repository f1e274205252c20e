"""An editor without a kernel: what a code host or an exported page shows of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.definition.agent import FIELDS, Agent, diff_agents
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.header import Problem
from workbench.definition.project import project_folder
from workbench.widgets.fields import forms, text_of
from workbench.widgets.frame import as_code, as_rows, as_text

if TYPE_CHECKING:
    from workbench.widgets.editor import AgentEditor


def title(agent: Agent) -> str:
    """What an agent is called."""
    return agent.name or (agent.path.name if agent.path else "agent without a name")


def standing(editor: AgentEditor) -> str:
    """How the draft stands to its file, in a few words."""
    if not editor.is_edited:
        return "no edits"
    names = ", ".join(FIELDS.get(name, name) for name in editor.edited)
    return f"edited, not saved: {names or 'its text'}"


def reading_rows(agent: Agent) -> list[tuple[str, ...]]:
    """What Claude Code makes of the agent: what, and how."""
    reading = read_as_claude_code(agent)
    verdicts = {
        "strict": "offered to the model: the header is valid YAML",
        "retry": "offered to the model after a repair: the header is not valid YAML, which others refuse",
        "dropped": "not offered: Claude Code passes the file over in silence",
    }
    shown: list[tuple[str, ...]] = [("verdict", verdicts[reading.verdict])]
    if reading.listed:
        shown += [
            ("in the list of agents", f"- {reading.name}: {reading.description} (Tools: {reading.tools})"),
            ("model", reading.model or ""),
            ("effort", reading.effort or "that of the conversation"),
            ("prompt", f"{len(reading.prompt):,} characters, blank lines at its edges left out"),
        ]
    return shown + [(problem.severity, f"{problem.message} {problem.fix or ''}") for problem in reading.problems]


def html_page(editor: AgentEditor) -> str:
    """The editor as a page without controls."""
    diff = _diff(editor)
    return "".join(
        [
            "<div>",
            as_text(repr(editor), tag="p"),
            as_rows(_field_rows(editor.agent), ("field", "value")),
            _problems_page(editor.problems()),
            as_text(diff, tag="pre") if diff else "",
            f"<details><summary>Prompt</summary>{as_text(editor.agent.prompt, tag='pre')}</details>",
            "</div>",
        ]
    )


def markdown_page(editor: AgentEditor) -> str:
    """The text of the draft and what changed in it, as Markdown."""
    diff = _diff(editor)
    parts = [
        as_code(repr(editor)),
        as_code(editor.agent.text, "markdown"),
        as_code(diff, "diff") if diff else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _diff(editor: AgentEditor) -> str:
    """The changes, under a name of the file that is the same wherever the project lies."""
    path = editor.saved.path
    if path is not None:
        whole, project = path.resolve(), project_folder()
        path = whole.relative_to(project) if whole.is_relative_to(project) else Path(path.name)
    return diff_agents(editor.saved.replace(path=path), editor.agent.replace(path=path))


def _problems_page(problems: tuple[Problem, ...]) -> str:
    if not problems:
        return as_text("No problems found.", tag="p")
    rows: list[tuple[str, ...]] = [
        (one.severity, f"{one.line}:{one.column}", one.field or "", f"{one.message} {one.fix or ''}".strip())
        for one in problems
    ]
    return as_rows(rows, ("severity", "line:column", "field", "finding"))


def _field_rows(agent: Agent) -> list[tuple[str, ...]]:
    values = ((name, form, getattr(agent, name)) for name, form in forms().items())
    return [(FIELDS[name], text_of(form, value)) for name, form, value in values if value is not None]
