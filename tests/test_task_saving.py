"""A question that was typed into the trial panel is kept as a task by a click, and by nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workbench.definition.files import load_agent
from workbench.trial.task import load_tasks
from workbench.widgets.editor import AgentEditor
from workbench.widgets.trials import TrialPanel


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    agents = tmp_path / ".claude" / "agents"
    agents.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (agents / "reviewer.md").write_text("---\nname: reviewer\ndescription: Reads\n---\n\nYou read code.\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def controls(view: Any) -> dict[str, Any]:
    found = {getattr(view, "description", ""): view}
    for child in getattr(view, "children", ()):
        found.update(controls(child))
    return found


def test_a_click_writes_it_and_offers_it(folder: Path) -> None:
    panel = TrialPanel(AgentEditor(load_agent(".claude/agents/reviewer.md")))
    found = controls(panel._open_view())
    save, question, listed = found["Save as task"], found["Question"], found["Tasks"]
    file = folder / ".workbench" / "tasks" / "reviewer.tasks.yaml"

    assert save.disabled
    question.value = "Is {{ this }} right?"
    assert not save.disabled
    assert not file.exists()
    save.click()

    [task] = load_tasks(file)
    assert task.input == "Is {{ this }} right?"
    assert "asked-1: Is {{ this }} right?" in [name for name, _ in listed.options]
    save.click()
    assert len(load_tasks(file)) == 1, "the same question is one task"
    question.value = "And this?"
    save.click()
    assert [each.id for each in load_tasks(file)] == ["asked-1", "asked-2"]


def test_a_broken_file_is_told_and_left(folder: Path) -> None:
    file = folder / ".claude" / "agents" / "reviewer.tasks.yaml"
    file.write_text("- inptu: x\n")
    panel = TrialPanel(AgentEditor(load_agent(".claude/agents/reviewer.md")))
    found = controls(panel._open_view())
    found["Question"].value = "Why?"
    found["Save as task"].click()

    assert file.read_text() == "- inptu: x\n"
    notes = [
        each.value
        for each in panel._open_view().children
        for each in getattr(each, "children", ())
        if hasattr(each, "value")
    ]
    assert any("did you mean" in str(note) for note in notes)


def test_without_an_agent_of_a_file_there_is_no_such_button(folder: Path) -> None:
    assert "Save as task" not in controls(TrialPanel({"a": load_agent(".claude/agents/reviewer.md")})._open_view())
