"""The trial panel in JupyterLab: its controls as a person drives them, one notebook and kernel for all of these tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lab, Notebook, open_notebook, serious_violations
from .test_author import contrast, editor_of, panel_of, type_at_end


class Panel:
    """The panel in the page, by what a person sees of it."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.endpoint = panel_of(notebook)
        self.page = notebook.page
        self.wait_for, self.value = notebook.wait_for, notebook.value

    def press(self, name: str) -> None:
        self.endpoint.get_by_role("button", name=name, exact=True).click()

    def pick(self, *indices: int) -> None:
        self.endpoint.get_by_label("Tasks", exact=True).select_option(index=list(indices))

    def see(self, text: str) -> None:
        self.endpoint.get_by_text(text).first.wait_for()

    def column(self, variant: str) -> Any:
        return self.endpoint.get_by_role("region", name=f"Reply of {variant}", exact=True)

    def run(self) -> None:
        before = self.value("id(panel.trying.runs)")
        self.press("Run")
        self.wait_for(f"id(panel.trying.runs) != {before} and not panel.is_running")


@pytest.fixture(scope="module")
def opened(lab: Lab, page: Any) -> Iterator[Panel]:
    with open_notebook(lab, page, "notebooks/author.ipynb") as notebook:
        notebook.run_all()
        yield Panel(notebook)


@pytest.fixture
def panel(opened: Panel) -> Panel:
    """Both variants are ticked, the first task is picked, the stand-in answers at once, and anew."""
    opened.notebook.set_pace(tokens_per_second=0)
    opened.pick(1)
    for label in ("disk", "draft", "Ask anew"):
        opened.endpoint.get_by_label(label, exact=True).check()
    return opened


def set_number(panel: Panel, label: str, number: int) -> None:
    control = panel.endpoint.get_by_label(label, exact=True)
    control.fill(str(number))
    control.press("Tab")


def test_what_a_run_takes_is_said_before_it(panel: Panel) -> None:
    panel.pick(1, 2, 4)
    set_number(panel, "Repeats", 3)
    panel.press("Estimate")
    panel.see("9 calls · about")
    panel.endpoint.locator("summary", has_text="9 calls").click()
    panel.see("1 variant x 3 tasks x 3 repeats")
    panel.see("USD")
    panel.see("smallest difference")

    assert panel.value("panel.trials") == ()
    set_number(panel, "Repeats", 1)


AT_WORK = """
import pathlib, time

def stays(_change):
    while not pathlib.Path({goes_on!r}).exists():
        time.sleep(0.02)

panel.view._task.observe(stays, "value")
"""
"""The kernel stays with a choice until there is this file."""


def test_a_run_is_of_the_choice_that_is_seen_while_the_kernel_is_still_at_the_one_before(
    panel: Panel, tmp_path: Path
) -> None:
    before, goes_on = panel.value("id(panel.trying.runs)"), tmp_path / "goes-on"
    panel.notebook.kernel_client.execute(AT_WORK.format(goes_on=str(goes_on)), reply=True, timeout=60)
    for choice in ([2], [2, 3], [2, 3, 4]):
        panel.pick(*choice)
    panel.press("Run")
    goes_on.touch()
    panel.wait_for(f"id(panel.trying.runs) != {before} and not panel.is_running")

    assert panel.value("[t.task_id for t in panel.trials] == [task.id for task in panel.tasks[1:4]]")
    panel.value("panel.view._task.unobserve(stays, 'value')")


def test_a_typed_question_is_asked_as_the_controls_say(panel: Panel) -> None:
    panel.pick(0)
    panel.endpoint.get_by_label("Question", exact=True).fill("How do I page a list of two million rows?")
    panel.endpoint.get_by_label("Model", exact=True).fill("haiku")
    panel.endpoint.get_by_label("Effort", exact=True).select_option("high")
    set_number(panel, "Repeats", 2)
    panel.wait_for("panel.view._repeats.value == 2 and panel.view._effort.value == 'high'")
    panel.run()
    requests = panel.value(
        "[(t.task_id, t.repeat, t.request.model, t.request.effort, t.request.messages[0]['content']) for t in panel.trials]"
    )
    column = panel.column("disk")
    column.get_by_text("2 of 2 trials have ended").click()
    column.get_by_role("button", name="Show typed, repeat 0").click()
    earlier = column.get_by_role("region", name="Text of an earlier reply of disk")
    earlier.wait_for()

    assert [request[:2] for request in requests] == [("typed", 0), ("typed", 1)]
    assert {request[3:] for request in requests} == {("high", "How do I page a list of two million rows?")}
    assert all("haiku" in request[2] for request in requests)
    assert earlier.text_content() == panel.value("panel.trials[0].reply.text")
    column.get_by_role("button", name="Close").click()
    panel.endpoint.get_by_label("Model", exact=True).fill("")
    panel.endpoint.get_by_label("Effort", exact=True).select_option("as the agent says")
    set_number(panel, "Repeats", 1)


def test_several_models_stand_side_by_side(panel: Panel) -> None:
    model = panel.endpoint.get_by_label("Model", exact=True)
    model.fill("haiku, opus")
    model.press("Tab")
    panel.wait_for("panel.view._model.value == 'haiku, opus'")
    panel.run()
    panel.column("disk on haiku").get_by_text("Answered.").wait_for()
    panel.column("disk on opus").get_by_text("Answered.").wait_for()

    assert [line for line in panel.value("[t.request.model for t in panel.trials]") if "opus" in line]
    model.fill("")
    model.press("Tab")
    panel.wait_for("panel.view._model.value == ''")


def test_what_the_ledger_holds_is_shown_and_says_so_until_it_is_asked_anew(panel: Panel) -> None:
    panel.run()
    panel.endpoint.get_by_label("Ask anew", exact=True).uncheck()
    panel.see("nothing: all is in the ledger")
    panel.run()
    panel.column("disk").get_by_text("From the ledger: nothing was sent.").wait_for()

    assert panel.value("[t.from_ledger for t in panel.trials]") == [True]


def test_a_reply_is_answered_and_what_was_said_stays_in_view(panel: Panel) -> None:
    panel.run()
    column = panel.column("disk")
    column.get_by_label("Answer to disk").fill("And with ten times as many?")
    column.get_by_role("button", name="Send").click()
    panel.wait_for("len(panel.trials) == 2 and not panel.is_running")
    column.get_by_text("Said before (3)").wait_for()
    column.get_by_label("Answer to disk").fill("And twenty?")
    column.get_by_role("button", name="Send").click()
    column.get_by_text("Said before (5)").wait_for()
    panel.wait_for("len(panel.trials) == 3 and not panel.is_running")

    turns = column.get_by_role("region", name="said")
    assert turns.nth(1).text_content() == panel.value("panel.trials[0].reply.text")
    assert turns.nth(2).text_content() == "And with ten times as many?"
    assert [len(messages) for messages in panel.value("[t.request.messages for t in panel.trials]")] == [1, 3, 5]


def test_request_and_response_are_seen_and_copied(panel: Panel, page: Any, lab: Lab) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=lab.url)
    panel.run()
    column = panel.column("disk")
    column.locator("summary", has_text="Request").click()
    column.get_by_text('"max_tokens"').wait_for()
    column.get_by_role("button", name="Copy the request").click()
    column.get_by_text("Copied").wait_for()
    request = json.loads(page.evaluate("navigator.clipboard.readText()"))
    column.locator("summary", has_text="Response").click()
    column.get_by_text('"stop_reason"').wait_for()
    column.get_by_role("button", name="Copy the response").click()
    column.get_by_text("Copied").nth(1).wait_for()
    response = json.loads(page.evaluate("navigator.clipboard.readText()"))

    assert request == panel.value(
        "__import__('workbench.model.anthropic').model.anthropic.request_body(panel.trials[0].request)"
    )
    assert response["reply"]["text"] == panel.value("panel.trials[0].reply.text")


def test_a_version_that_was_tried_is_tried_again_and_frozen(panel: Panel, lab: Lab) -> None:
    panel.run()
    panel.press("Earlier versions")
    versions = panel.endpoint.get_by_label("Versions", exact=True)
    versions.select_option(index=[0])
    for label in ("disk", "draft"):
        panel.endpoint.get_by_label(label, exact=True).uncheck()
    digest = panel.value("editor.saved.digest[:8]")
    panel.run()
    panel.column(digest).get_by_text("Answered.").wait_for()
    versions.select_option(index=[])
    panel.press("Freeze")
    panel.see("Written: outputs/frozen-1.ipynb")
    frozen = lab.root / "outputs" / "frozen-1.ipynb"

    assert digest in frozen.read_text()
    assert panel.value("[t.variant for t in panel.trials]") == [digest]

    frozen.unlink()
    panel.press("Freeze")
    panel.see("Written: outputs/frozen-2.ipynb")  # what stands beside the first is not written over

    for file in frozen.parent.glob("frozen-*.*"):
        file.unlink()


def test_a_reply_comes_in_at_most_ten_pieces_a_second(panel: Panel) -> None:
    panel.notebook.set_pace(tokens_per_second=400)
    panel.page.evaluate("() => { window.began = performance.now(); }")
    panel.press("Run")
    log = panel.endpoint.get_by_role("region", name="Text of the reply of disk")
    panel.page.wait_for_function("log => log.childNodes.length > 8", arg=log.element_handle())
    pieces, seconds = log.evaluate("log => [log.childNodes.length, (performance.now() - window.began) / 1000]")
    panel.value("panel.stop()")
    panel.wait_for("not panel.is_running")

    assert pieces <= 10 * seconds + 1


def test_an_estimate_stands_below_the_buttons_and_each_paragraph_runs_its_own_way(panel: Panel) -> None:
    panel.press("Estimate")
    panel.endpoint.get_by_text("calls ·").click()
    table = panel.endpoint.get_by_role("table").filter(has_text="smallest difference").bounding_box()
    button = panel.endpoint.get_by_role("button", name="Run").bounding_box()
    panel.endpoint.get_by_text("calls ·").click()
    panel.run()
    panel.value("setattr(panel.view._replies.children[0], 'text', 'שלום עולם\\nplain words')")
    log = panel.endpoint.get_by_role("region", name="Text of the reply of disk")
    log.get_by_text("plain words").wait_for()
    left, right = log.evaluate(
        """log => ['plain', 'שלום'].map(word => {
          const range = document.createRange(), text = log.firstChild, at = text.data.indexOf(word);
          range.setStart(text, at);
          range.setEnd(text, at + word.length);
          const [inner, outer] = [range.getBoundingClientRect(), log.getBoundingClientRect()];
          return word === 'plain' ? inner.left - outer.left : outer.right - inner.right;
        })"""
    )

    assert table["y"] >= button["y"] + button["height"]
    assert table["x"] < button["x"] + 20
    assert left < 30
    assert right < 30


def test_no_serious_violation_and_nothing_sticks_out(panel: Panel, screenshots: Path) -> None:
    editor = editor_of(panel.notebook)
    type_at_end(editor.get_by_label("Prompt", exact=True), "Be brief. אנא ענה בקצרה. 短く答えてください。\n")
    panel.wait_for("editor.is_edited")
    panel.pick(1, 2)
    panel.press("Estimate")
    panel.see("4 calls")
    type_at_end(editor.get_by_label("Prompt", exact=True), "Be brief.\n")
    panel.see("Of an earlier text; press Estimate again")
    panel.run()
    for column in (panel.column("disk"), panel.column("draft")):
        column.get_by_text("2 of 2 trials have ended").click()
        column.get_by_role("button", name="Show sign-in-and-roles-at-scale, repeat 0").click()
        column.get_by_role("region", name="Text of an earlier reply").wait_for()
        column.locator("summary", has_text="Request").first.click()
    breaks = panel.endpoint.locator("pre").evaluate_all("texts => texts.map(text => getComputedStyle(text).wordBreak)")
    violations = serious_violations(panel.page, panel.endpoint)
    panel.endpoint.evaluate("place => place.scrollIntoView()")
    panel.page.screenshot(path=screenshots / "panel.png")
    panel.page.evaluate(_THEME, "JupyterLab Dark")
    panel.page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
    violations += serious_violations(panel.page, panel.endpoint)
    contrasts = [
        contrast(panel.endpoint.locator(name).first) for name in (".workbench-reply-meter", ".workbench-reply-log")
    ]
    panel.page.screenshot(path=screenshots / "panel-dark.png")
    output = panel.endpoint.locator("xpath=ancestor::*[contains(@class, 'jp-OutputArea-output')]")
    output.evaluate("output => { output.style.width = '320px'; output.style.flex = 'none'; }")
    panel.page.screenshot(path=screenshots / "panel-narrow-dark.png")
    overflow = panel.endpoint.evaluate(
        """place => [...place.querySelectorAll(':not(.workbench-verdict *)')]  // a wide table scrolls in its own place
          .filter(e => e.offsetParent && e.getBoundingClientRect().right > place.getBoundingClientRect().right + 1)
          .map(e => e.className + ' ' + e.textContent.slice(0, 40))"""
    )
    output.evaluate("output => { output.style.width = ''; output.style.flex = ''; }")
    panel.page.evaluate(_THEME, "JupyterLab Light")

    assert violations == []
    assert set(breaks) == {"normal"}, "JupyterLab's style breaks words in the middle"
    assert min(contrasts) >= 4.5
    assert overflow == []


_THEME = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
