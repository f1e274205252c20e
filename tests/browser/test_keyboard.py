"""The author's walk without a mouse: edit, save, estimate, run, stop, answer, read what was sent, freeze."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Lab, Notebook
from .test_author import AGENT, changed_lines, editor_of, panel_of, type_at_end

MOST_TABS = 90


def test_ctrl_enter_in_the_editor_tries_the_draft_and_escape_stops_it(author: Notebook) -> None:
    prompt = editor_of(author).get_by_label("Prompt", exact=True)
    author.set_pace(tokens_per_second=20)
    type_at_end(prompt, "Tried at once.")
    prompt.press("Control+Enter")
    author.wait_for("panel.is_running")
    assert author.value("'Tried at once.' in str(panel.trying.runs[1].asked.request)")
    author.wait_for("len(panel.trying.runs[1].pieces) > 3")
    prompt.press("Escape")
    author.wait_for("not panel.is_running")

    assert author.value("[trial.outcome for trial in panel.trials]") == ["stopped", "stopped"]
    assert author.page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "Prompt", "it stays"
    prompt.press("Escape")
    assert author.page.evaluate("() => document.activeElement.getAttribute('aria-label')") != "Prompt", "it leaves"


def test_the_authors_walk_by_keyboard_alone(author: Notebook, lab: Lab) -> None:
    page, file = author.page, lab.root / AGENT
    before = file.read_text()
    editor, panel = editor_of(author), panel_of(author)
    press, type_keys = page.keyboard.press, page.keyboard.type

    def tab_to(place: Any, role: str, name: str) -> None:
        """Presses Tab until the control has the focus, and sees that it is marked as having it."""
        wanted = place.get_by_role(role, name=name, exact=True).first
        for _ in range(MOST_TABS):
            if wanted.evaluate("element => element === document.activeElement"):
                assert wanted.evaluate(_HAS_OUTLINE), f"nothing shows that the {role} {name!r} has the focus"
                return
            press("Tab")
        pytest.fail(f"Tab does not come to the {role} {name!r}")

    page.evaluate(_SELECT_CELL, "edit")
    tab_to(editor, "radio", "green")
    press("ArrowRight")
    tab_to(editor, "textbox", "tools")
    type_keys("Read, Grep")
    tab_to(editor, "textbox", "Prompt")
    press("Control+End")
    type_keys("From the keyboard.\n")
    press("Control+s")
    author.wait_for("not editor.is_edited")
    assert changed_lines(before, file.read_text()) == [
        "+ tools: Read, Grep",
        "- color: green",
        "+ color: yellow",
        "+ From the keyboard.",
    ]

    type_keys("Only in the draft.\n")
    author.wait_for("editor.agent.prompt.endswith('Only in the draft.\\n')")
    press("Escape")
    assert not is_on_cell(page, "edit"), "the first one only leaves the text"
    tab_to(editor, "tab", "Problems (0)")
    press("ArrowRight")
    editor.get_by_role("textbox", name="Changes of the draft").wait_for()
    press("Escape")
    assert is_on_cell(page, "edit")

    author.set_pace(tokens_per_second=10)
    tab_to(panel, "listbox", "Tasks")
    press("ArrowDown")
    author.wait_for("panel.view._task.value == (panel.tasks[1].id,)")
    tab_to(panel, "button", "Estimate")
    press("Enter")
    panel.get_by_text("2 calls").wait_for()
    press("Shift+Tab")
    press("Enter")
    page.wait_for_function("log => log.textContent.length > 40", arg=log_of(panel, "disk").element_handle())
    tab_to(panel, "button", "Stop this one")
    press("Enter")
    panel.get_by_text("Stopped: what had come by then is kept").wait_for()
    author.set_pace(tokens_per_second=0)
    author.value("panel.stop()")
    author.wait_for("not panel.is_running")

    tab_back_to(panel, press, "Run")
    press("Enter")
    author.wait_for("[trial.outcome for trial in panel.trials] == ['answered', 'answered']")
    panel.get_by_label("Answer to disk").wait_for()
    tab_to(panel, "textbox", "Answer to disk")
    type_keys("And then?")
    press("Tab")
    press("Enter")
    author.wait_for("len(panel.trials) == 3 and not panel.is_running")
    column = panel.get_by_role("region", name="Reply of disk", exact=True)
    column.get_by_label("Answer to disk").wait_for()
    tab_to(column, "button", "Send")
    press("Tab")
    press("Enter")
    column.get_by_text('"max_tokens"').wait_for()
    tab_back_to(panel, press, "Freeze")
    press("Enter")
    panel.get_by_text("Written: outputs/frozen-1.ipynb").wait_for()
    press("Escape")
    assert is_on_cell(page, "try")
    press("ArrowUp")
    assert is_on_cell(page, "try-text"), "the notebook's own keys work"

    for file in (lab.root / "outputs").glob("frozen-*.*"):
        file.unlink()


def log_of(panel: Any, variant: str) -> Any:
    return panel.get_by_role("region", name=f"Text of the reply of {variant}")


def tab_back_to(panel: Any, press: Any, name: str) -> None:
    button = panel.get_by_role("button", name=name, exact=True)
    for _ in range(MOST_TABS):
        if button.evaluate("element => element === document.activeElement"):
            return
        press("Shift+Tab")
    pytest.fail(f"Shift-Tab does not come to {name!r}")


def is_on_cell(page: Any, cell_id: str) -> bool:
    """Whether this cell has the focus, in command mode."""
    return bool(page.evaluate(_IS_ON_CELL, cell_id))


_IS_ON_CELL = """id => {
  const { content } = window.jupyterapp.shell.currentWidget;
  const { model, node } = content.activeCell;
  return model.id === id && node === document.activeElement && content.mode === 'command';
}"""
_SELECT_CELL = """id => {
  const { content } = window.jupyterapp.shell.currentWidget;
  content.activeCellIndex = content.widgets.findIndex(cell => cell.model.id === id);
  content.mode = 'command';
  content.activate();
}"""
_HAS_OUTLINE = """element => {
  const shown = [element, element.parentElement, element.closest('.wb-writing')].filter(Boolean).map(e => getComputedStyle(e));
  return shown.some(style => (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none');
}"""
