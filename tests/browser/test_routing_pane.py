"""The pane "Is it picked?" and the line beside the description, in JupyterLab, on agents of which one is never picked."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.router_server import RouterServer, router_server
from tests.routing_walk import CASES_OF_IT, Walk, begin_walk, keyword_router

from .conftest import Lab, Notebook, serious_violations
from .test_author import editor_of
from .test_walk import notebook_of

THEME = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
_HAS_FOCUS = "element => element === document.activeElement"


@pytest.fixture
def walk(corpus: Path, lab: Lab) -> Iterator[Walk]:
    try:
        yield begin_walk(corpus, lab.root)
    finally:
        for left in (".claude", ".workbench"):
            shutil.rmtree(lab.root / left, ignore_errors=True)


@pytest.fixture
def server() -> Iterator[RouterServer]:
    with router_server(keyword_router()) as server:
        yield server


def pane_of(author: Notebook) -> Any:
    return author.page.get_by_role("group", name="Is it picked?", exact=True)


def tab_to(author: Notebook, place: Any, role: str, name: str) -> None:
    wanted = place.get_by_role(role, name=name, exact=True).first
    for _ in range(40):
        if wanted.evaluate(_HAS_FOCUS):
            return
        author.page.keyboard.press("Tab")
    pytest.fail(f"Tab does not come to the {role} {name!r}")


def test_from_never_picked_to_a_better_draft(
    lab: Lab, page: Any, walk: Walk, server: RouterServer, screenshots: Path
) -> None:
    with notebook_of(lab, page, walk.file, server) as author:
        editor, pane = editor_of(author), pane_of(author)
        editor.get_by_text("Is it picked? not measured").wait_for()
        pane.get_by_text("12 agents, 48 cases.").wait_for()
        pane.get_by_label("Way", exact=True).select_option("an approximation")
        pane.get_by_label("Main model", exact=True).focus()
        tab_to(author, pane, "button", "Run")
        page.keyboard.press("Enter")
        pane.get_by_text("Where 48 cases went").first.wait_for()
        editor.get_by_text(f"Is it picked? picked in 0 of {2 * CASES_OF_IT}, 0 by mistake").wait_for()

        editor.get_by_label("description", exact=True).fill(walk.better)
        editor.get_by_text("the draft's line in the list is another").wait_for()
        pane.get_by_text("were edited since").wait_for()
        pane.get_by_role("button", name="Choose on half, measure on the sealed half", exact=True).click()
        pane.get_by_text(re.compile("is better on .* sealed cases: \\+50 points")).first.wait_for()
        pane.get_by_role("button", name="Take it into the draft", exact=True).click()
        pane.get_by_role("button", name="Run", exact=True).click()
        pane.get_by_text(f"{walk.name} gets 100% of {CASES_OF_IT} its own cases, 0% before").first.wait_for()
        wanted = pane.get_by_role("heading", name=re.compile(f"^{re.escape(walk.name)} should get it"))
        wanted.wait_for()  # the first case is one that went elsewhere
        pane.get_by_text("picked 0 of 2, with the draft 2 of 2").wait_for()
        assert page.locator("[role='group'][aria-label='Is it picked?'] :is(script, iframe, a)").count() == 0

        author.run_cell("picked")  # what was decided stays in the pane
        pane.get_by_text(f"{walk.name} gets 100% of {CASES_OF_IT} its own cases, 0% before").first.wait_for()
        editor.get_by_role("button", name="Save", exact=True).click()
        editor.get_by_text(f"Is it picked? picked in {2 * CASES_OF_IT} of {2 * CASES_OF_IT}, 0 by mistake").wait_for()
        for theme in ("Light", "Dark"):
            page.evaluate(THEME, f"JupyterLab {theme}")
            try:
                assert serious_violations(page, pane) == []
                pane.scroll_into_view_if_needed()
                page.screenshot(path=screenshots / f"routing-pane-{theme.lower()}.png")
            finally:
                page.evaluate(THEME, "JupyterLab Light")
