"""An editor without a kernel: what a code host or an exported page shows of it."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_where_it_stands, resolve_agent
from workbench.definition.document import parse_document
from workbench.definition.draft import Draft
from workbench.definition.field_text import text_of
from workbench.definition.fields import FORM, key_of
from workbench.definition.files import diff_agents
from workbench.definition.header import Problem
from workbench.definition.project import project_folder
from workbench.definition.sending import sending_in_words
from workbench.markup import html
from workbench.widgets.frame import as_code, as_rows, as_text

_PAGE = """\
<p>{{ headline }}</p>
<p>{{ runs_at }}</p>
{{ fields }}
{{ problems }}
{% if is_edited %}
{{ diff }}
{% endif %}
<details><summary>Prompt</summary>{{ prompt }}</details>
"""


def title(agent: Agent) -> str:
    """What an agent is called."""
    return agent.name or (agent.path.name if agent.path else "agent without a name")


def headline(draft: Draft) -> str:
    """An editor in a line: of what, and how it stands."""
    return f"AgentEditor({title(draft.agent)}: {standing(draft)})"


def standing(draft: Draft) -> str:
    """How the draft stands to its file, in a few words."""
    if not draft.is_edited:
        return "no edits"
    names = ", ".join(map(key_of, draft.edited))
    return f"edited, not saved: {names or _written_otherwise(draft)}"


def _written_otherwise(draft: Draft) -> str:
    """Of a draft that says what its file says, what is written in other lines, as after a mend."""
    before = {entry.text for entry in parse_document(draft.saved.text).entries}
    keys = [entry.key for entry in parse_document(draft.text).entries if entry.text not in before]
    return f"{', '.join(keys) or 'the file'}, in how it is written and not in what it says"


def runs_at(agent: Agent) -> str:
    """With which model and effort the agent runs, in a sentence."""
    sent = resolve_agent(agent)
    return f"Runs at {sent.model} ({sent.model_from}), effort {sent.effort_in_words}."


def reading_rows(agent: Agent) -> list[tuple[str, ...]]:
    """What Claude Code makes of the agent: what, and how."""
    reading = read_where_it_stands(agent)
    sent = reading.sent
    kinds = {
        "strict": "offered to the model: the header is valid YAML",
        "repaired": "offered to the model after a repair: the header is not valid YAML, which others refuse",
        "placeholder": "offered under the name of its file: nothing of its header can be read",
        "dropped": "not offered: Claude Code passes the file over in silence",
    }
    shown: list[tuple[str, ...]] = [("verdict", kinds[reading.kind])]
    if sent is not None:
        shown += [
            ("in the list of agents", f"- {reading.name}: {reading.description} (Tools: {reading.tools})"),
            ("model", sent.model),
            ("effort", sent.effort_in_words),
            *sending_in_words(agent),
        ]
    return shown + [(problem.severity, f"{problem.message} {problem.fix or ''}") for problem in reading.problems]


def html_page(draft: Draft) -> Markup:
    """The editor as a page without controls."""
    return html(
        _PAGE,
        headline=headline(draft),
        runs_at=runs_at(draft.agent),
        fields=as_rows(_field_rows(draft.agent), ("field", "value")),
        problems=_problems_page(draft.problems()),
        diff=as_text(_diff(draft), tag="pre"),
        prompt=as_text(draft.agent.prompt, tag="pre"),
        is_edited=draft.is_edited,
    )


def markdown_page(draft: Draft) -> str:
    """The text of the draft and what changed in it, as Markdown."""
    diff = _diff(draft)
    parts = [
        as_code(f"{headline(draft)}\n{runs_at(draft.agent)}"),
        as_code(draft.agent.text, "markdown"),
        as_code(diff, "diff") if diff else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _diff(draft: Draft) -> str:
    """The changes, under a name of the file that is the same wherever the project lies."""
    path = draft.saved.path
    if path is not None:
        whole, project = path.resolve(), project_folder()
        path = whole.relative_to(project) if whole.is_relative_to(project) else Path(path.name)
    return diff_agents(draft.saved.replace(path=path), draft.agent.replace(path=path))


def _problems_page(problems: tuple[Problem, ...]) -> Markup:
    if not problems:
        return as_text("No problems found.", tag="p")
    rows: list[tuple[str, ...]] = [
        (one.severity, f"{one.line}:{one.column}", one.field or "", f"{one.message} {one.fix or ''}".strip())
        for one in problems
    ]
    return as_rows(rows, ("severity", "line:column", "field", "finding"))


def _field_rows(agent: Agent) -> list[tuple[str, ...]]:
    values = ((field, getattr(agent, field.name)) for field in FORM.values())
    return [(field.key, text_of(field, value)) for field, value in values if value is not None]
