"""The quick word on a reply in the trial panel: a label like any other, kept at once, taken back when said again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.test_trial_panel import AGENTS, GRADED, OFFLINE, columns
from workbench.errors import LabelError
from workbench.judging.labels import items_to_label, label_now, load_labels, save_label
from workbench.judging.thumbs import CRITERION, THUMB, Thumbs
from workbench.trial.judged import item_id
from workbench.widgets.editor import AgentEditor
from workbench.widgets.reply import ReplyView
from workbench.widgets.trials import TrialPanel


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def panel() -> TrialPanel:
    panel = TrialPanel(AGENTS, endpoint=OFFLINE)
    panel.run(GRADED)
    panel.wait()
    return panel


def say(view: ReplyView, thumb: str, **more: Any) -> None:
    view._handle_custom_msg({"event": "thumb", "thumb": thumb, **more}, [])


def test_a_thumb_is_a_label_at_once_and_pressed_again_it_is_taken_back(panel: TrialPanel, project: Path) -> None:
    path = project / "outputs" / "thumbs.jsonl"
    first, second = columns(panel)
    assert (first.can_thumb, first.thumb, path.exists()) == (True, "", False)

    say(first, "up")
    assert (first.thumb, first.thumb_said) == ("up", "Kept as good in thumbs.jsonl.")
    [label] = load_labels(path, THUMB).labels
    assert (label.item, label.criterion, label.level) == (item_id(panel.trials[0]), CRITERION, "up")
    assert label.labeller == panel.thumbs.labeller != ""

    assert item_id(panel.trials[1]) == label.item and second.thumb == "up", "it is the very same reply"
    say(second, "down")
    assert [view.thumb for view in (first, second)] == ["down", "down"]
    assert [each.level for each in load_labels(path, THUMB).labels] == ["down"]
    say(first, "down")
    assert (first.thumb, first.thumb_said, second.thumb) == ("", "Taken back.", "")
    assert load_labels(path, THUMB).labels == ()
    assert len(path.read_text().splitlines()) == 3, "nothing is rewritten: a power cut loses no label"


def test_thumbs_are_seen_again_where_the_same_reply_is(panel: TrialPanel) -> None:
    say(columns(panel)[0], "up")
    again = TrialPanel(AGENTS, endpoint=OFFLINE)
    again.run(GRADED)
    again.wait()

    assert [view.thumb for view in columns(again)] == ["up", "up"]
    again.run("Another question?")
    again.wait()
    assert [view.thumb for view in columns(again)] == ["", ""]


def test_thumbs_of_an_edited_agent_lie_beside_its_tasks(project: Path) -> None:
    path = project / "agents" / "reviewer.md"
    path.parent.mkdir()
    path.write_text("---\nname: reviewer\ndescription: Reads\nmodel: sonnet\n---\n\nYou read code.\n")
    panel = TrialPanel(AgentEditor(wb.load_agent(path)), endpoint=OFFLINE)
    assert panel.thumbs.path == project / "agents" / "reviewer.thumbs.jsonl"
    panel.run(GRADED)
    panel.wait()
    say(columns(panel)[0], "up")

    assert len(load_labels(panel.thumbs.path, THUMB).labels) == 1
    other = path.with_name("writer.md")
    other.write_text(path.read_text().replace("reviewer", "writer"))
    apart = project / ".workbench" / "tasks" / "writer.tasks.yaml"
    apart.parent.mkdir(parents=True)
    apart.write_text("tasks: []\n")
    assert TrialPanel(AgentEditor(wb.load_agent(other))).thumbs.path == apart.with_name("writer.thumbs.jsonl")


def test_an_earlier_trial_has_its_own_thumb(project: Path) -> None:
    panel = TrialPanel({"long": AGENTS["long"]}, endpoint=OFFLINE)
    panel.run([GRADED, wb.Task(id="other", input="And how far?"), wb.Task(id="third", input="And why?")])
    panel.wait()
    (view,) = columns(panel)
    sent: list[Any] = []
    view.send = lambda content, buffers=None: sent.append(content)  # type: ignore[method-assign]

    say(view, "down", number=0)
    assert sent[-1]["thumbed"] == {
        "number": 0,
        "can_thumb": True,
        "thumb": "down",
        "thumb_said": "Kept as bad in thumbs.jsonl.",
    }
    assert view.thumb == "", "the latest reply is another"
    view._handle_custom_msg({"event": "open", "number": 0}, [])
    assert sent[-1]["opened"]["thumb"] == "down" and sent[-1]["opened"]["number"] == 0
    say(view, "up", number=2)
    assert (sent[-1]["thumbed"]["thumb"], view.thumb) == ("up", "up"), "that is the latest"
    for odd in ({"number": 7}, {"number": -1}, {"number": "0"}):
        say(view, "up", **odd)
    assert len(panel.thumbs.path.read_text().splitlines()) == 2


def test_a_thumb_that_cannot_be_kept_says_so_and_is_not_shown(panel: TrialPanel, project: Path) -> None:
    view = columns(panel)[0]
    (project / "outputs").write_text("a file")
    say(view, "up")

    assert view.thumb == "" and "the label cannot be written" in view.thumb_said
    (project / "outputs").unlink()
    save_label(label_now("x#1", "depth", "some", labeller="ann"), panel.thumbs.path)
    say(view, "up")
    assert view.thumb == "" and "thumbs.jsonl:1: criterion: 'depth' is none of the rubric" in view.thumb_said


def test_a_reply_that_is_not_whole_has_no_thumb(panel: TrialPanel, project: Path) -> None:
    cut_off = panel.trials[0].replace(reply=None)

    with pytest.raises(LabelError, match="no whole reply"):
        panel.thumbs.give(cut_off, "up")
    assert not panel.thumbs.path.exists()


def test_thumbs_go_on_in_a_label_panel_and_are_apart_by_person(panel: TrialPanel, tmp_path: Path) -> None:
    path = tmp_path / "ours.jsonl"
    panel.thumbs = Thumbs(path, labeller="ann")
    say(columns(panel)[0], "up")
    of_bob = Thumbs(path, labeller="bob")
    assert (of_bob.of(panel.trials[0]), panel.thumbs.of(panel.trials[0])) == (None, "up")
    of_bob.give(panel.trials[0], "down")
    assert [json.loads(line)["labeller"] for line in path.read_text().splitlines()] == ["ann", "bob"]

    run = panel.trying.finished
    assert run is not None
    assert {item.id for item in items_to_label(run)} == {item_id(trial) for trial in panel.trials}
    labelling = wb.LabelPanel(run, THUMB, path=path, labeller="ann")
    assert labelling.done == 1
