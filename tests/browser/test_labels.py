"""The label panel in JupyterLab: by keyboard alone, blind, and nothing lost with a kernel that dies."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.judging.labels import load_labels
from workbench.trial.rubric import Criterion, Rubric

from .conftest import PROJECT, Lab, Notebook, open_notebook, violations

RUBRIC = Rubric(
    name="review",
    about="A review.",
    criteria=(
        Criterion(name="line", asks="The reply names the line of the fault."),
        Criterion(name="depth", asks="It says why.", levels=("not at all", "in part", "fully")),
    ),
)
HOSTILE = (
    '<img src="https://elsewhere.invalid/x" onerror="window.hostile=1"><script>window.hostile=1</script> $x$ \u202eback'
)
BEGIN = f"""
import sys
sys.path.insert(0, {str(PROJECT)!r})
import dataclasses
import workbench as wb
from workbench.trial.rubric import Criterion
from tests.test_labels import run_of

rubric = wb.Rubric(name="review", about="A review.", criteria=(
    Criterion(name="line", asks="The reply names the line of the fault."),
    Criterion(name="depth", asks="It says why.", levels=("not at all", "in part", "fully")),
))
run = run_of(3)
hostile = {HOSTILE!r}
run = dataclasses.replace(run, trials=tuple(
    trial.replace(reply=dataclasses.replace(trial.reply, text=f"Reply {{number}}. {{hostile}} " + "long " * 400))
    for number, trial in enumerate(run.trials)
))
"""
SHOW = 'panel = wb.LabelPanel(run, rubric, path="outputs/labels.jsonl", labeller="ann")\npanel'
CHOOSE = 'chooser = wb.ChoicePanel(run, path="outputs/choices.jsonl", labeller="ann")\nchooser'


@pytest.fixture(scope="module")
def notebook(lab: Lab, page: Any) -> Iterator[Notebook]:
    cells = [
        {"cell_type": "code", "id": id, "metadata": {}, "outputs": [], "source": source, "execution_count": None}
        for id, source in (("begin", BEGIN), ("show", SHOW), ("choose", CHOOSE))
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    document = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    (lab.root / "notebooks" / "labels.ipynb").write_text(json.dumps(document))
    with open_notebook(lab, page, "notebooks/labels.ipynb") as opened:
        opened.run_cell("begin")
        yield opened


@pytest.fixture
def file(lab: Lab) -> Path:
    path = lab.root / "outputs" / "labels.jsonl"
    path.unlink(missing_ok=True)
    return path


def shown(notebook: Notebook) -> Any:
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    notebook.value("__import__('os').chdir('..') if __import__('os').getcwd().endswith('notebooks') else None")
    notebook.run_cell("show")
    panel = notebook.page.get_by_role("group", name="Label replies: review")
    panel.wait_for()
    return panel


def said(panel: Any, text: str) -> None:
    panel.locator(".workbench-labels-counter").get_by_text(text).wait_for()


def test_replies_are_labelled_by_keyboard_alone(notebook: Notebook, file: Path, screenshots: Path) -> None:
    panel, page = shown(notebook), notebook.page
    said(panel, "Reply 1 of 6, 0 labelled, by ann")
    panel.get_by_role("radio").first.focus()
    for number in range(6):
        first = panel.get_by_role("region", name="Reply").text_content()
        page.keyboard.press("2")
        panel.get_by_role("radio", name="3 fully").wait_for()
        notebook.wait_for("panel.level_of('line') == 'met' or panel.done == 6")
        page.wait_for_function("() => document.activeElement.textContent.startsWith('1 not at all')")
        page.keyboard.press("3")
        if number < 5:
            said(panel, f"Reply {number + 2} of 6, {number + 1} labelled")
            assert panel.get_by_role("region", name="Reply").text_content() != first
            page.wait_for_function("() => document.activeElement.textContent.startsWith('1 not met')")
    panel.get_by_role("status").get_by_text("All replies are labelled.").wait_for()
    page.screenshot(path=screenshots / "labels.png")
    found = load_labels(file, RUBRIC).labels

    assert len(found) == 12
    assert {(label.criterion, label.level) for label in found} == {("line", "met"), ("depth", "fully")}


def test_a_label_is_taken_back_noted_and_changed_by_keyboard(notebook: Notebook, file: Path) -> None:
    panel, page = shown(notebook), notebook.page
    panel.get_by_role("radio").first.focus()
    page.keyboard.press("1")
    notebook.wait_for("panel.level_of('line') == 'not met'")
    page.wait_for_function("() => document.activeElement.textContent.startsWith('1 not at all')")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.keyboard.type("no line 3, u see")
    page.keyboard.press("Enter")
    notebook.wait_for("panel.note_of('line') == 'no line 3, u see'")
    page.keyboard.press("0")
    notebook.wait_for("panel.level_of('line') == 'cannot tell'")
    assert notebook.value("panel.note_of('line')") == "no line 3, u see"
    page.keyboard.press("u")
    notebook.wait_for("panel.level_of('line') == ''")
    page.keyboard.press("ArrowRight")
    said(panel, "Reply 2 of 6")
    page.keyboard.press("n")
    said(panel, "Reply 3 of 6")

    assert load_labels(file, RUBRIC).labels == ()


def test_it_does_not_say_whose_reply_it_is_and_runs_nothing_of_it(notebook: Notebook, file: Path) -> None:
    panel, page = shown(notebook), notebook.page

    assert "base" not in panel.text_content() and "new" not in panel.text_content()
    assert page.evaluate("() => window.hostile") is None
    assert panel.locator("img, script").count() == 0


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_axe_finds_nothing(notebook: Notebook, file: Path, theme: str, screenshots: Path) -> None:
    page = notebook.page
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    panel = shown(notebook)
    page.wait_for_timeout(500)
    page.screenshot(path=screenshots / f"labels-{theme.split()[-1].lower()}.png")

    assert violations(page, panel) == []
    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})")


def test_two_replies_are_chosen_between_by_keyboard_alone_and_blind(
    notebook: Notebook, lab: Lab, screenshots: Path
) -> None:
    page = notebook.page
    (lab.root / "outputs" / "choices.jsonl").unlink(missing_ok=True)
    notebook.value("__import__('os').chdir('..') if __import__('os').getcwd().endswith('notebooks') else None")
    notebook.run_cell("choose")
    panel = page.get_by_role("group", name="Choose between two replies")
    panel.wait_for()
    said(panel, "Pair 1 of 3, 0 chosen, by ann")
    assert "base" not in panel.text_content() and "new" not in panel.text_content()
    assert violations(page, panel) == []
    replies = [panel.get_by_role("region", name=f"{side} reply") for side in ("First", "Second")]
    assert replies[0].text_content() != replies[1].text_content()
    boxes = [reply.bounding_box() for reply in replies]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["x"] < boxes[1]["x"]
    page.screenshot(path=screenshots / "choice.png")
    panel.get_by_role("radio").first.focus()
    for number, key in enumerate("120"):
        page.keyboard.press(key)
        said(panel, f"{min(number + 1, 3)} chosen")
    panel.get_by_role("status").get_by_text("All pairs are chosen between.").wait_for()
    page.keyboard.press("u")
    said(panel, "Pair 3 of 3, 2 chosen")
    page.keyboard.press("2")
    said(panel, "3 chosen")

    assert notebook.value("sorted(chosen.choice for chosen in chooser.judgements)") == ["first", "second", "second"]
    assert page.evaluate("() => window.hostile") is None and panel.locator("img, script").count() == 0


def test_it_goes_on_where_it_was_when_the_kernel_dies(notebook: Notebook, file: Path) -> None:
    panel, page = shown(notebook), notebook.page
    panel.get_by_role("radio").first.focus()
    page.keyboard.press("2")
    page.wait_for_function("() => document.activeElement.textContent.startsWith('1 not at all')")
    page.keyboard.press("1")
    said(panel, "Reply 2 of 6, 1 labelled")
    os.kill(int(notebook.value("__import__('os').getpid()")), signal.SIGKILL)
    assert len(load_labels(file, RUBRIC).labels) == 2
    died = page.get_by_role("dialog", name="Kernel Restarting")
    died.get_by_role("button", name="Ok").click()
    died.wait_for(state="detached")
    with open_notebook(notebook.lab, page, notebook.path) as again:
        again.run_cell("begin")
        panel = shown(again)
        said(panel, "Reply 2 of 6, 1 labelled, by ann")
