"""A draft of an agent file, without a widget and without a kernel."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from workbench.definition.draft import Draft
from workbench.definition.draft_state import open_drafts
from workbench.definition.files import load_agent
from workbench.errors import AgentChangedOnDisk, AgentFileError, WorkbenchError

FILE = """---
name: reviewer
description: "Use it, when: code is to be read."   # a remark
tools: [Read, Grep]
model: sonnet
color: Blue
priority: high
---

You read code.
"""


@pytest.fixture(autouse=True)
def drafts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Drafts are kept in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    return tmp_path / "outputs" / "drafts"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "reviewer.md"
    path.write_text(FILE)
    return path


@pytest.fixture
def draft(path: Path) -> Draft:
    return Draft(load_agent(path))


def in_next_process(path: Path) -> Draft:
    """The draft that a process begins with which knows nothing but the disk."""
    del open_drafts[path.resolve()]
    return Draft(load_agent(path))


def test_a_draft_needs_no_widget() -> None:
    code = (
        "import sys, workbench.definition.draft\n"
        "print([name for name in ('ipywidgets', 'anywidget', 'IPython', 'sqlalchemy', 'anthropic') "
        "if name in sys.modules])"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_an_edit_changes_its_field_and_no_other_byte(draft: Draft) -> None:
    draft.edit(model="opus")

    assert draft.text == FILE.replace("model: sonnet", "model: opus")
    assert (draft.edited, draft.is_edited, draft.saved.model) == (("model",), True, "sonnet")


def test_an_edit_taken_back_is_as_if_never_made(draft: Draft) -> None:
    draft.edit(prompt="\nOther.\n", description="Other.")
    draft.edit(prompt="\nYou read code.\n", description="Use it, when: code is to be read.")

    assert draft.text == FILE
    assert not draft.is_edited


def test_an_unknown_field_is_refused_by_name(draft: Draft) -> None:
    with pytest.raises(TypeError, match="no such field: colour; the fields are name, description"):
        draft.edit(colour="red")


def test_what_is_typed_into_a_prompt_is_the_draft_before_anybody_looks(draft: Draft, drafts: Path) -> None:
    told: list[str] = []
    draft.observe(lambda: told.append(draft.agent.prompt))
    draft.type_prompt("\nYou read prose.\n")
    kept_before = drafts.exists()
    seen = draft.agent.prompt
    draft.look()

    assert (seen, told) == ("\nYou read prose.\n", ["\nYou read prose.\n"])
    assert not kept_before
    assert len(list(drafts.iterdir())) == 1


def test_a_whole_text_and_then_a_field_are_both_in_the_draft(draft: Draft) -> None:
    draft.type_text(FILE.replace("priority: high", "priority: low"))
    draft.edit(model="haiku")

    assert "priority: low" in draft.text
    assert draft.agent.model == "haiku"


def test_a_controls_text_is_shown_as_it_was_typed_for_as_long_as_it_stands_for_the_value(draft: Draft) -> None:
    draft.type_field("tools", "Read, Grep, ")
    typed = draft.field_text("tools")
    draft.edit(tools=("Bash",))

    assert (typed, draft.field_text("tools")) == (("Read, Grep, ", ""), ("Bash", ""))
    assert draft.field_text("max_turns") == (None, "")


def test_text_that_is_no_value_yet_keeps_the_value_before_and_is_not_saved(draft: Draft, path: Path) -> None:
    draft.type_field("max_turns", "5")
    draft.type_field("max_turns", "5 or so")

    assert draft.field_text("max_turns") == ("5 or so", "'5 or so' is not a whole number")
    assert draft.agent.max_turns == 5
    with pytest.raises(AgentFileError, match="not saved: maxTurns is '5 or so' is not a whole number"):
        draft.save()
    assert path.read_text() == FILE


def test_a_mend_changes_what_is_wrong(draft: Draft) -> None:
    (problem,) = [one for one in draft.problems() if one.rule == "color-case"]
    said = "`color` then says 'blue', and now 'Blue'."
    for accepting in ("", "The tools become others."):
        with pytest.raises(WorkbenchError, match=f"not mended, for this changes what is read: {said}"):
            draft.mend(problem, accepting=accepting)
    assert draft.text == FILE
    draft.mend(problem, accepting=said)

    assert draft.text == FILE.replace("color: Blue", "color: blue")
    with pytest.raises(WorkbenchError, match="there is no mend"):
        draft.mend(problem)


def test_save_writes_the_edited_lines_only(draft: Draft, path: Path) -> None:
    draft.edit(model="opus")
    draft.save()

    assert path.read_text() == FILE.replace("model: sonnet", "model: opus")
    assert not draft.is_edited


def test_what_both_sides_changed_is_merged_by_choice(draft: Draft, path: Path) -> None:
    draft.edit(model="opus", prompt="\nYou read prose.\n")
    path.write_text(FILE.replace("model: sonnet", "model: haiku").replace("priority: high", "priority: low"))
    with pytest.raises(AgentChangedOnDisk):
        draft.save()
    assert draft.conflict is not None
    settled = draft.settle({draft.conflict.clashes[0]: "disk"})
    draft.save()

    assert (settled.model, settled.prompt) == ("haiku", "\nYou read prose.\n")
    assert "priority: low" in path.read_text()


def test_a_file_that_is_gone_is_written_again(draft: Draft, path: Path) -> None:
    draft.edit(model="opus")
    path.unlink()
    with pytest.raises(AgentChangedOnDisk, match="gone"):
        draft.save()
    was_gone = draft.is_gone
    draft.write_again()

    assert (was_gone, draft.is_gone) == (True, False)
    assert "model: opus" in path.read_text()


def test_revert_can_be_taken_back(draft: Draft) -> None:
    draft.edit(model="opus")
    draft.revert()
    could = draft.can_restore
    draft.restore()

    assert (could, draft.can_restore, draft.agent.model) == (True, False, "opus")


def test_the_next_process_is_offered_what_was_not_saved(draft: Draft, path: Path) -> None:
    draft.edit(model="opus")
    after = in_next_process(path)
    offered, before = after.kept_draft, after.agent.model
    after.take_up_draft()

    assert offered is not None
    assert (before, after.agent.model, after.kept_draft) == ("sonnet", "opus", None)


def test_a_damaged_draft_is_never_written_over(draft: Draft, path: Path, drafts: Path) -> None:
    draft.edit(model="opus")
    (kept,) = drafts.iterdir()
    kept.write_text("{")
    after = in_next_process(path)
    after.look()
    looked, told = kept.read_text(), after.trouble
    after.edit(color="red")
    texts = sorted(file.read_text() for file in drafts.iterdir())

    assert "damaged" in told
    assert after.trouble == ""
    assert looked == "{"
    assert len(texts) == 2
    assert texts[0] == "{"
    assert "color: red" in texts[1]


def test_a_draft_that_keeps_nothing_leaves_and_offers_nothing(path: Path, drafts: Path) -> None:
    Draft(load_agent(path), keeps=False).edit(model="opus")

    assert not drafts.exists()


def test_a_draft_that_cannot_be_kept_says_why_and_goes_on(draft: Draft, drafts: Path) -> None:
    drafts.parent.mkdir()
    drafts.touch()
    draft.edit(model="opus")
    why = draft.trouble
    drafts.unlink()
    draft.edit(model="haiku")

    assert "the draft cannot be kept on disk" in why
    assert (draft.agent.model, draft.trouble) == ("haiku", "")


def test_all_drafts_of_one_file_are_one(draft: Draft, path: Path) -> None:
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    again = Draft(load_agent(path))
    again.edit(model="opus")

    assert draft.agent is again.agent
    assert draft.face(make) is again.face(make)
    assert len(made) == 1


def test_a_draft_is_compared_with_the_disk_and_the_last_commit(draft: Draft, path: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.invalid"]
    for command in (["init", "-q"], ["add", path.name], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], cwd=path.parent, check=True)
    draft.edit(model="opus")
    draft.save()
    draft.edit(model="haiku")

    assert "-model: opus" in draft.diff()
    assert "-model: sonnet" in draft.diff("git")
    with pytest.raises(WorkbenchError, match="no version 'feed' of this agent; there are 'disk' and 'git'"):
        draft.version("feed")


def test_edits_from_two_threads_lose_none(draft: Draft) -> None:
    def type_on(name: str) -> None:
        for number in range(30):
            draft.edit(**{name: f"{name}-{number}"})

    threads = [threading.Thread(target=type_on, args=(name,)) for name in ("model", "description")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (draft.agent.model, draft.agent.description) == ("model-29", "description-29")


class TestCatchUp:
    """Somebody else writes the file while a draft of it is open."""

    def test_an_unedited_draft_is_what_the_file_says_now(self, draft: Draft, path: Path) -> None:
        told: list[str] = []
        draft.observe(lambda: told.append(draft.news))
        assert draft.catch_up() is False
        path.write_text(FILE.replace("You read code.", "You read plans."))

        assert draft.catch_up() is True
        assert (draft.agent.prompt, draft.is_edited) == ("\nYou read plans.\n", False)
        assert told[-1] == draft.news == "The file changed on disk: this is what it says now."
        assert draft.catch_up() is False
        draft.edit(model="opus")
        assert draft.news == ""

    def test_edits_are_kept_and_both_sides_are_there_to_settle(self, draft: Draft, path: Path) -> None:
        draft.edit(model="opus")
        path.write_text(FILE.replace("You read code.", "You read plans."))

        assert draft.catch_up() is False
        assert draft.agent.model == "opus"
        assert draft.conflict is not None
        assert (draft.on_disk.prompt, draft.saved.prompt) == ("\nYou read plans.\n", "\nYou read code.\n")
        draft.settle()
        draft.save()
        assert path.read_text() == FILE.replace("You read code.", "You read plans.").replace("sonnet", "opus")

    def test_a_file_that_is_as_it_was_again_is_no_conflict(self, draft: Draft, path: Path) -> None:
        draft.edit(model="opus")
        path.write_text(FILE + "More.\n")
        draft.catch_up()
        path.write_text(FILE)
        draft.catch_up()

        assert draft.conflict is None
        draft.save()

    def test_a_file_that_is_gone_and_comes_back_is_told(self, draft: Draft, path: Path) -> None:
        path.unlink()
        assert draft.catch_up() is False
        assert draft.is_gone
        path.write_text(FILE)
        draft.catch_up()

        assert not draft.is_gone

    def test_its_own_saving_is_no_news(self, draft: Draft) -> None:
        draft.edit(model="opus")
        draft.save()

        assert (draft.catch_up(), draft.news, draft.conflict) == (False, "", None)
