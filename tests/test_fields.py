"""The frontmatter fields are declared once: a field more is one line, and everything that handles fields has it."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest

from tests.one_line_more import walk_with
from workbench.definition.agent import Agent
from workbench.definition.fields import FIELD_OF_KEY, FIELDS, FORM, GROUPS, KEYS, Field, key_of

ONE_LINE = '    mood_at_work: str | None = _declared("choice", _RUNS, "as it comes", values=("calm", "brisk"))\n'

WALK = """
import json, pathlib, sys
import workbench as wb
from workbench.definition.fields import FORM, KEYS
from workbench.definition.draft import Draft

file = pathlib.Path("a.md")
file.write_text("---\\nname: abc\\ndescription: d\\nmoodAtWork: calm\\n---\\nBe.\\n")
read = wb.load_agent(file)
draft = Draft(read)
draft.type_field("mood_at_work", "brisk")
edited = draft.edited
draft.save()
saved = file.read_text()
draft.edit(mood_at_work="sour")
found = [(one.rule, one.fix) for one in draft.problems() if one.field == "moodAtWork"]
draft.edit(mood_at_work=None)
from workbench.widgets.editor import AgentEditor
editor = AgentEditor(read)
state = editor.view().get_state("snapshot")["snapshot"]
print(json.dumps({
    "read": read.mood_at_work,
    "edited": edited,
    "saved": saved,
    "found": found,
    "removed": editor.text,
    "form": [(form["key"], form["kind"], form["values"]) for form in state["facts"]["forms"]],
    "shown": sorted(state["state"]["fields"]),
    "unknown": state["state"]["unknown"],
    "number": len(KEYS),
}))
"""


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a workbench does that has one line more in its table of fields."""
    return walk_with(
        ONE_LINE,
        WALK,
        file="definition/fields.py",
        before="    initial_prompt: str | None = _declared(",
        folder=tmp_path_factory.mktemp("one-field-more"),
    )


def test_a_field_more_is_one_line_and_is_read(walked: dict[str, Any]) -> None:
    assert walked["read"] == "calm"
    assert walked["number"] == len(KEYS) + 1
    assert walked["unknown"] == []


def test_a_field_more_is_edited_and_saved(walked: dict[str, Any]) -> None:
    assert walked["edited"] == ["mood_at_work"]
    assert walked["saved"] == "---\nname: abc\ndescription: d\nmoodAtWork: brisk\n---\nBe.\n"
    assert walked["removed"] == "---\nname: abc\ndescription: d\n---\nBe.\n"


def test_a_field_more_is_offered_in_the_editor(walked: dict[str, Any]) -> None:
    assert ["moodAtWork", "choice", ["calm", "brisk"]] in walked["form"]
    assert "mood_at_work" in walked["shown"]


def test_a_field_more_is_linted_for_its_values(walked: dict[str, Any]) -> None:
    assert walked["found"] == [["unknown-value", "Use one of calm, brisk."]]


def test_an_agent_has_the_declared_fields_with_their_types() -> None:
    hints = get_type_hints(Agent)

    assert [name for name in hints if name in FIELDS] == list(FIELDS)
    assert set(hints) - set(FIELDS) == {"prompt", "document", "path"}


def test_every_field_stands_in_the_form_under_one_of_its_headings() -> None:
    assert sorted(FORM) == sorted(FIELDS)
    assert list(dict.fromkeys(field.group for field in FORM.values())) == list(GROUPS)


def test_key_and_name_find_the_same_field() -> None:
    assert all(FIELD_OF_KEY[field.key] is field and FIELDS[field.name] is field for field in FORM.values())
    assert (key_of("permission_mode"), key_of("prompt")) == ("permissionMode", "prompt")


@pytest.mark.parametrize("field", FIELDS.values(), ids=list(FIELDS))
def test_what_a_field_holds_fits_the_way_it_is_edited(field: Field) -> None:
    wanted = {"names": (tuple,), "tools": (tuple,), "yaml": (), "number": (int,), "switch": (bool,)}

    assert field.types == wanted.get(field.kind, field.types)
    assert str in field.types or field.kind in wanted
    assert field.values or field.kind not in ("choice", "color", "model", "switch")
