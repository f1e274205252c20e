"""The author's walk through `author.ipynb`, in JupyterLab as they see it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lab, Notebook, ask_anew, open_notebook

MADE_OF_TEXT = ":is(img, script):not(.cm-widgetBuffer, .workbench-verdict img[src^='data:image/png;base64,'])"
"""CodeMirror puts images of its own where a cursor can stand, and the comparison, once it is there, has a picture."""
AGENT = "agents/senior-python-architect.md"


@pytest.fixture(scope="module")
def opened(lab: Lab, page: Any) -> Iterator[Notebook]:
    with open_notebook(lab, page, "notebooks/author.ipynb") as notebook:
        notebook.run_all()
        yield notebook


@pytest.fixture
def author(opened: Notebook) -> Notebook:
    """The author's notebook run from top to bottom; its kernel serves all tests of this file."""
    opened.value("panel.stop()")
    opened.wait_for("not panel.is_running")
    opened.set_pace(tokens_per_second=0)
    opened.begin_again()
    opened.run_all()
    ask_anew(opened)
    return opened


@pytest.fixture
def file(lab: Lab) -> Path:
    return lab.root / AGENT


def changed_lines(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line.startswith(("+ ", "- "))]


def editor_of(author: Notebook) -> Any:
    return author.page.get_by_role("group", name="Agent editor")


def panel_of(author: Notebook) -> Any:
    return author.page.get_by_role("group", name="Trial panel")


def type_at_end(control: Any, text: str) -> None:
    control.press("Control+End")
    control.press_sequentially(text)


def test_an_edit_is_tried_compared_and_saved(author: Notebook, file: Path, screenshots: Path) -> None:
    before = file.read_text()
    editor, panel = editor_of(author), panel_of(author)

    editor.get_by_role("radio", name="purple").check()
    editor.get_by_label("model", exact=True).fill("opus")
    type_at_end(editor.get_by_label("Prompt", exact=True), "Answer in the language of the question.\n")
    author.wait_for("editor.agent.prompt.endswith('language of the question.\\n')")
    author.wait_for("editor.edited == ('color', 'model', 'prompt')")
    editor.get_by_role("tab", name="Changes (3 edited)").click()
    changes = editor.get_by_role("textbox", name="Changes of the draft")
    expect_text(changes, "purple")
    expect_text(changes, "Answer in the language of the question.")
    editor.scroll_into_view_if_needed()
    author.page.screenshot(path=screenshots / "author-editor.png")

    author.set_pace(tokens_per_second=150)
    panel.get_by_role("button", name="Run").click()
    draft = panel.get_by_role("region", name="Text of the reply of draft")
    lengths = lengths_while_it_streams(author, draft)
    assert len(set(lengths)) > 3
    assert lengths == sorted(lengths)
    panel.scroll_into_view_if_needed()
    author.page.screenshot(path=screenshots / "author-streaming.png")
    author.wait_for("not panel.is_running")
    panel.get_by_text("Answered.").nth(1).wait_for()
    assert panel.get_by_text("OFFLINE STAND-IN").count() >= 3
    panel.get_by_role("table", name="Scores").nth(1).wait_for()
    assert draft.text_content() == author.value("panel.trials[1].reply.text")
    author.page.screenshot(path=screenshots / "author-answered.png")

    panel.get_by_role("heading", name="The variants compared").wait_for()
    panel.get_by_text("Estimates of the change").or_(panel.get_by_text("baseline")).first.wait_for()
    with whole_notebook_in_view(author):
        author.page.screenshot(path=screenshots / "author.png")

    editor.get_by_role("button", name="Save").click()
    editor.get_by_text("Saved.").wait_for()
    assert changed_lines(before, file.read_text()) == [
        "- model: sonnet",
        "- color: green",
        "+ model: opus",
        "+ color: purple",
        "+ Answer in the language of the question.",
    ]


def test_problems_follow_the_keys(author: Notebook) -> None:
    editor = editor_of(author)
    count = len(author.value("[problem.rule for problem in wb.check_agent(editor.agent)]"))
    editor.get_by_role("tab", name=f"Problems ({count})").wait_for()
    editor.get_by_label("name", exact=True).fill("")
    editor.get_by_text("There is no `name`").first.wait_for()
    name = editor.get_by_label("name", exact=True)
    said = "input => document.getElementById(input.getAttribute('aria-describedby'))?.textContent ?? ''"
    assert name.get_attribute("aria-invalid") == "true"
    assert "There is no `name`" in name.evaluate(said)
    name.fill("reviewer")
    author.wait_for("editor.agent.name == 'reviewer'")
    editor.locator("input[aria-invalid='true']").first.wait_for(state="detached")
    assert name.evaluate(said) == ""
    name.fill("")
    editor.get_by_text("How it runs").click()
    editor.get_by_label("maxTurns", exact=True).press_sequentially("5x")
    editor.get_by_text("Not taken: '5x' is not a whole number").wait_for()

    assert author.value("(editor.agent.name, editor.agent.max_turns)") == ("", 5)


def test_stop_ends_the_replies_and_keeps_what_came(author: Notebook, screenshots: Path) -> None:
    editor, panel = editor_of(author), panel_of(author)
    type_at_end(editor.get_by_label("Prompt", exact=True), "Be brief.\n")
    author.wait_for("'prompt' in editor.edited")
    author.set_pace(tokens_per_second=10)
    panel.get_by_role("button", name="Run").click()
    log = panel.get_by_role("region", name="Text of the reply of disk")
    author.page.wait_for_function("log => log.textContent.length > 40", arg=log.element_handle())
    one = panel.get_by_role("region", name="Reply of draft", exact=True)
    one.get_by_role("button", name="Stop this one").focus()
    author.page.keyboard.press("Enter")
    one.get_by_text("Stopped: what had come by then is kept").wait_for()
    assert author.page.evaluate("() => document.activeElement.textContent") == "Request"
    panel.get_by_role("button", name="Stop", exact=True).click()
    panel.get_by_text("Stopped: what had come by then is kept").nth(1).wait_for()

    assert author.value("[trial.outcome for trial in panel.trials]") == ["stopped", "stopped"]
    assert len(log.text_content()) > 40
    log.scroll_into_view_if_needed()
    author.page.screenshot(path=screenshots / "author-stopped.png")


def test_cells_run_while_replies_stream(author: Notebook) -> None:
    author.set_pace(tokens_per_second=20)
    panel_of(author).get_by_role("button", name="Run").click()
    author.wait_for("panel.is_running")
    author.run_cell("try")  # the replies that are coming stay in the panel

    assert author.value("panel.is_running")
    author.wait_for("len(panel.trying.runs[0].pieces) > 3")
    panel_of(author).get_by_role("region", name="Text of the reply of disk").get_by_text(re.compile(".{20}")).wait_for()
    author.value("panel.stop()")


def test_shift_enter_and_ctrl_s_in_the_editor_keep_the_draft(author: Notebook, file: Path) -> None:
    prompt = editor_of(author).get_by_label("Prompt", exact=True)
    type_at_end(prompt, "Once more")
    prompt.press("Shift+Enter")
    prompt.press("Control+s")
    author.wait_for("not editor.edited")

    assert file.read_text().rstrip().endswith("Once more")


def test_a_file_changed_on_disk_is_shown_and_the_draft_goes_on(author: Notebook, file: Path, screenshots: Path) -> None:
    editor = editor_of(author)
    editor.get_by_role("radio", name="red").check()
    author.wait_for("editor.agent.color == 'red'")
    file.write_text(file.read_text() + "A line of somebody else.\n")
    editor.get_by_role("button", name="Save").click()
    again = editor.get_by_role("button", name="Read the file again, keep my edits")
    again.wait_for()
    again.scroll_into_view_if_needed()
    author.page.screenshot(path=screenshots / "author-conflict.png")
    again.click()
    author.wait_for("editor.agent.prompt.endswith('A line of somebody else.\\n')")
    editor.get_by_role("button", name="Save").click()
    author.wait_for("not editor.edited")

    assert "color: red" in file.read_text()
    assert "A line of somebody else." in file.read_text()


def test_fifty_fast_keys_while_replies_stream_all_arrive(author: Notebook) -> None:
    author.set_pace(tokens_per_second=20)
    panel_of(author).get_by_role("button", name="Run").click()
    author.wait_for("panel.is_running")
    text = "The quick brown fox jumps over the lazy dog, fifty"
    editor_of(author).get_by_label("name", exact=True).fill("")
    editor_of(author).get_by_label("name", exact=True).press_sequentially(text)
    author.wait_for(f"editor.agent.name == {text!r}")

    assert author.value("panel.is_running")
    author.value("panel.stop()")


def test_hostile_text_is_shown_and_makes_no_element(author: Notebook) -> None:
    hostile = '<img src=x onerror="window.hostile=1"><script>window.hostile=1</script>'
    editor, panel = editor_of(author), panel_of(author)
    for label in ("name", "description", "Prompt"):
        editor.get_by_label(label, exact=True).fill(hostile)
    panel.get_by_label("Question", exact=True).fill(f'Explain "{hostile}" to me.')
    author.wait_for(f"editor.agent.prompt == editor.agent.name == {hostile!r}")
    for tab in editor.get_by_role("tab").all():
        tab.click()
    panel.get_by_role("button", name="Run").click()
    author.wait_for("panel.trials and not panel.is_running")
    panel.get_by_text("Answered.").first.wait_for()

    panel.get_by_role("heading", name="The variants compared").wait_for()

    assert author.page.locator(f":is(.wb-editor, .workbench-frame, .workbench-reply) {MADE_OF_TEXT}").count() == 0
    assert author.page.evaluate("window.hostile") is None


@pytest.fixture
def dark(page: Any) -> Iterator[None]:
    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    yield
    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})")


def test_the_widgets_are_readable_in_the_dark_theme(dark: None, author: Notebook, screenshots: Path) -> None:
    editor, panel = editor_of(author), panel_of(author)
    editor.get_by_role("radio", name="pink").check()
    type_at_end(editor.get_by_label("Prompt", exact=True), "Be brief.\n")
    editor.get_by_role("tab", name="Changes (2 edited)").click()
    editor.scroll_into_view_if_needed()
    author.page.screenshot(path=screenshots / "author-editor-dark.png")
    panel.get_by_role("button", name="Run").click()
    author.wait_for("not panel.is_running")
    panel.scroll_into_view_if_needed()
    author.page.screenshot(path=screenshots / "author-answered-dark.png")

    assert contrast(editor.get_by_label("Prompt", exact=True)) >= 4.5
    assert contrast(panel.get_by_role("region", name="Text of the reply of draft")) >= 4.5


@contextmanager
def whole_notebook_in_view(author: Notebook) -> Iterator[None]:
    """A page so tall that nothing needs to be scrolled, for a picture of all of it."""
    author.page.set_viewport_size({"width": 1500, "height": 4900})
    author.page.get_by_role("heading", name="Write an agent").scroll_into_view_if_needed()
    yield
    author.page.set_viewport_size({"width": 1500, "height": 1100})


def expect_text(place: Any, text: str) -> None:
    place.get_by_text(text).first.wait_for()


def lengths_while_it_streams(author: Notebook, log: Any) -> list[int]:
    """Lengths of the text in the page, seen one after the other while the trial goes on."""
    author.page.wait_for_function("log => log.textContent.length > 0", arg=log.element_handle())
    lengths = []
    for _ in range(12):
        author.page.wait_for_timeout(100)
        lengths.append(len(log.text_content() or ""))
    return lengths


def contrast(element: Any) -> float:
    """The WCAG contrast of an element's text and background, 1 to 21."""
    colours = element.evaluate(
        """element => {
          let back = element;
          while (/, 0\\)$/.test(getComputedStyle(back).backgroundColor)) back = back.parentElement;
          return [getComputedStyle(element).color, getComputedStyle(back).backgroundColor].map(colour => colour.match(/[0-9.]+/g).map(Number));
        }"""
    )
    lights = sorted(luminance(colour[:3]) for colour in colours)
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(rgb: list[float]) -> float:
    """Relative luminance, as in WCAG 2.2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
