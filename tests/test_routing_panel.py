"""The routing panel: controls that call what a cell can call, what they show, and what is left without a kernel."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import ipywidgets
import pytest

import workbench as wb
from tests.router_server import Listed, RouterServer
from tests.test_improving_description import BETTER, WEAK, by_keywords
from tests.test_picked import folder as folder
from tests.test_picked import server as server
from tests.test_picked import write
from tests.test_routing import NO_WAIT, agent, passes_controls
from tests.test_trial_panel import controls, widgets_of
from workbench.definition.files import load_agent
from workbench.markup import html_table
from workbench.widgets.editor import AgentEditor
from workbench.widgets.routing import RoutingPanel

HOSTILE = "<b>bold</b> <img src=x onerror=alert(1)> $x$ \x1b[31m ``` \u202e"


def panel_of(folder: Path, description: str | None = None) -> RoutingPanel:
    write(folder, WEAK)
    editor = AgentEditor(load_agent(folder / "db.md"))
    if description is not None:
        editor.edit(description=description)
    return RoutingPanel(editor, retry=NO_WAIT)


def shown(panel: RoutingPanel) -> dict[str, Any]:
    return controls(panel._open_view())


def page(panel: RoutingPanel) -> str:
    box = panel._open_view()
    assert panel.view is not None
    panel.view.announce()
    return "\n".join(each.value for each in widgets_of(box, ipywidgets.HTML))


def ready(panel: RoutingPanel) -> dict[str, Any]:
    """The controls, with the way that needs no program."""
    found = shown(panel)
    found["Way"].value = "approximation"
    return found


def test_run_shows_the_self_test_the_change_and_where_cases_went(server: RouterServer, folder: Path) -> None:
    panel = panel_of(folder, BETTER)
    found = ready(panel)
    assert "2 agents, 12 cases" in page(panel) and "48 decisions" in page(panel)
    found["Run"].click()
    panel.wait()

    said = page(panel)
    assert panel.change is not None and panel.routed is not None
    assert str(html_table(panel.change.table())) in said and str(html_table(panel.routed.matrix_table())) in said
    assert str(html_table(panel.change.after.matrix_table())) in said
    assert "named 4 of 4, canary 4 of 4" in said and 'alt="Where cases went' in said
    assert found["Run"].disabled is False and found["Stop"].disabled is True and found["Freeze"].disabled is False


def test_a_case_shows_the_descriptions_that_compete_for_it(server: RouterServer, folder: Path) -> None:
    panel = panel_of(folder, BETTER)
    found = ready(panel)
    found["Run"].click()
    panel.wait()
    cases = found["Case"]
    assert cases.options[0][0].startswith("0 of 2 right. ") and cases.options[-1][0].startswith("2 of 2 right. ")
    cases.value = "indexes-0"

    said = page(panel)
    assert "There is trouble with indexes in part 0 of it." in said
    assert f"- db: {WEAK} (Tools: All tools)" in said and f"- db: {BETTER} (Tools: All tools)" in said
    assert "picked 0 of 2, with the draft 2 of 2" in said


def test_estimate_spends_nothing_and_says_what_could_be_shown(server: RouterServer, folder: Path) -> None:
    panel = panel_of(folder, BETTER)
    ready(panel)
    panel._open_view()
    assert panel.view is not None
    panel.view._show_estimate()

    assert "What it takes: 80 calls, approximation" in page(panel) and "with 80% power" in page(panel)
    assert server.bodies == []
    shown(panel)["Repeats"].value = 2
    assert "What it takes" not in page(panel)
    panel.view._show_estimate()
    assert "What it takes: 128 calls" in page(panel)
    AgentEditor(load_agent(folder / "db.md")).revert()
    assert "What it takes" not in page(panel)


def test_stop_ends_it_and_says_so(server: RouterServer, folder: Path) -> None:
    came, go_on = threading.Event(), threading.Event()

    def slow(prompt: str, names: Listed) -> str | None:
        came.set()
        go_on.wait(60)
        return by_keywords(prompt, names)

    server.decide = passes_controls(slow)
    panel = panel_of(folder)
    found = ready(panel)
    found["Run"].click()
    assert came.wait(60)
    assert found["Stop"].disabled is False and "decisions, the files" in page(panel)
    found["Stop"].click()
    panel.wait()
    go_on.set()

    assert "Stopped: what was answered is in the ledger" in page(panel)
    assert found["Stop"].disabled is True


def test_a_refusal_is_shown_in_the_routers_words(server: RouterServer, folder: Path) -> None:
    server.decide = lambda prompt, names: None
    panel = panel_of(folder)
    ready(panel)["Run"].click()
    panel.wait()

    assert "it never delegates" in page(panel) and panel.routed is None


def test_the_stand_in_is_named_and_gives_no_result(folder: Path) -> None:
    panel = panel_of(folder)
    found = ready(panel)
    assert "OFFLINE STAND-IN" in page(panel)
    found["Run"].click()
    panel.wait()

    assert panel.routed is None and "Refused:" in page(panel)


def test_freeze_writes_beside_what_runs_leave(server: RouterServer, folder: Path, tmp_path: Path) -> None:
    panel = panel_of(folder, BETTER)
    found = ready(panel)
    assert found["Freeze"].disabled is True
    found["Run"].click()
    panel.wait()
    found["Freeze"].click()

    assert "Written: outputs/frozen-1.ipynb" in page(panel)
    assert (tmp_path / "outputs" / "frozen-1.ipynb").is_file()
    found["Freeze"].click()
    assert "Written: outputs/frozen-2.ipynb" in page(panel)


def test_a_cell_that_is_run_again_goes_on_with_what_is_there(server: RouterServer, folder: Path) -> None:
    panel = panel_of(folder, BETTER)
    ready(panel)["Run"].click()
    panel.wait()
    again = RoutingPanel(AgentEditor(load_agent(folder / "db.md")), retry=NO_WAIT)

    assert again.change is panel.change is not None and again._open_view() is panel._open_view()
    of_folder = RoutingPanel(folder)
    assert RoutingPanel(str(folder)).deciding is of_folder.deciding is not panel.deciding
    assert RoutingPanel(folder / "db.md").deciding is not panel.deciding  # asked for otherwise: without this retry


def test_an_edit_after_a_run_is_told(server: RouterServer, folder: Path) -> None:
    panel = panel_of(folder, BETTER)
    ready(panel)["Run"].click()
    panel.wait()
    view = panel.view
    assert view is not None
    view.announce()
    assert "were edited since" not in page(panel)
    AgentEditor(load_agent(folder / "db.md")).edit(description="Something else.")
    view.announce()
    assert "were edited since" in page(panel)


def test_what_would_mislead_is_said_before(folder: Path) -> None:
    (folder / "routing.yaml").write_text("- prompt: Ask db about it.\n  expect: db\n", encoding="utf-8")
    said = page(panel_of(folder))

    assert "too easy: it names" in said and "no case is for nobody" in said


def test_without_cases_the_page_says_how_to_write_them(folder: Path) -> None:
    (folder / "routing.yaml").unlink()
    panel = panel_of(folder)
    assert "Run would do nothing: there is no routing case" in page(panel)
    shown(panel)["Run"].click()
    assert "there is no routing case" in page(panel) and not panel.is_running


def test_a_better_description_is_chosen_sealed_and_taken_into_the_draft(server: RouterServer, folder: Path) -> None:
    panel = panel_of(folder)
    (folder / "routing.yaml").write_text(
        "".join(
            f"- prompt: There is trouble with {word} in part {number} of it.\n  expect: {expect}\n"
            for word, expect in (("migrations", "db"), ("indexes", "db"), ("login", "sec"), ("colour", "none"))
            for number in range(8)
        ),
        encoding="utf-8",
    )
    found = ready(panel)
    assert found["Take it into the draft"].disabled is True
    found["Other descriptions"].value = f"{BETTER}\n---\nHelps with everything."
    found["Choose on half, measure on the sealed half"].click()
    panel.wait()

    assert panel.choice is not None, panel.deciding.trouble
    assert dict(panel.choice.descriptions) == {"as it is": WEAK, "1": BETTER, "2": "Helps with everything."}
    assert panel.choice.is_shown_better and str(html_table(panel.choice.tables()[0])) in page(panel)
    found["Take it into the draft"].click()
    assert AgentEditor(load_agent(folder / "db.md")).agent.description == BETTER
    assert load_agent(folder / "db.md").description == WEAK
    assert "its file is as it was" in page(panel)


def test_hostile_texts_stay_texts(server: RouterServer, folder: Path) -> None:
    (folder / "routing.yaml").write_text(
        "".join(
            f"- id: '{word} <i>'\n  prompt: '<b>{word}</b> <script>evil()</script> is in trouble'\n  expect: {expect}\n"
            for word, expect in (("migrations", "db"), ("login", "sec"))
        ),
        encoding="utf-8",
    )
    panel = panel_of(folder, f"{BETTER} {HOSTILE}")
    ready(panel)["Run"].click()
    panel.wait()

    said = page(panel) + str(panel._repr_mimebundle_()["text/html"])
    assert panel.change is not None
    for tag in ("<b>", "<i>", "<script", "<img src=x", "\x1b"):
        assert tag not in said.replace('<img alt="Where cases went', "")
    assert "&lt;script&gt;evil()" in said and "&lt;b&gt;bold&lt;/b&gt;" in said


def test_without_a_browser_no_widget_is_built(
    server: RouterServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
    panel = panel_of(folder, BETTER)
    empty = panel._repr_mimebundle_()
    panel.run(way="approximation")
    panel.wait()
    left = panel._repr_mimebundle_()

    assert set(left) == {"text/plain", "text/html", "text/markdown"} and panel.view is None
    assert empty["text/plain"] == "RoutingPanel(nothing decided yet)"
    assert "What gets picked, before and after" in left["text/html"] and "db gets 100%" in left["text/markdown"]


def test_settings_reach_what_is_asked(server: RouterServer, folder: Path) -> None:
    panel = panel_of(folder)
    found = ready(panel)
    found["Main model"].value, found["Effort"].value = "haiku", "low"
    found["Repeats"].value, found["Orders"].value, found["Budget in USD"].value = 2, 3, 1.5
    found["Ask anew"].value = True
    assert "72 decisions, for 1.5 USD at most" in page(panel)
    assert panel.view is not None
    asked = panel.view._asked()

    assert (asked.main.model, asked.main.effort, asked.main.way) == ("haiku", "low", "approximation")
    assert (asked.repeats, asked.orders, asked.budget_usd, asked.mode) == (2, 3, 1.5, "fresh")


def test_a_budget_that_was_given_stays(server: RouterServer, folder: Path) -> None:
    panel = wb.RoutingPanel(folder, budget_usd=0.5)
    assert shown(panel)["Budget in USD"].value == 0.5
    assert panel.deciding.choose(budget_usd=None).budget_usd == 0.5
    assert panel.deciding.choose(budget_usd=0.25).budget_usd == 0.25


def test_a_budget_bounds_file_and_draft_together(server: RouterServer, folder: Path) -> None:
    panel = panel_of(folder, BETTER)
    panel.run(way="approximation", budget_usd=0.0001)
    panel.wait()

    assert panel.deciding.phase == "failed" and "budget" in panel.deciding.trouble
    assert server.bodies == []


def test_who_answers_is_asked_only_as_the_page_names_it(
    server: RouterServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = panel_of(folder)
    found = ready(panel)
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    found["Run"].click()

    assert "Who answers has changed" in page(panel) and not panel.is_running and panel.deciding.asked is None


@pytest.mark.parametrize("source", ["folder", "roster", "agents", "value", "file"])
def test_it_takes_an_agent_or_a_project(source: str, server: RouterServer, folder: Path) -> None:
    given: Any = {
        "folder": folder,
        "roster": wb.load_roster(folder),
        "agents": dict(wb.load_roster(folder).agents),
        "value": load_agent(folder / "db.md"),
        "file": str(folder / "db.md"),
    }[source]
    panel = wb.RoutingPanel(given, folder / "routing.yaml")

    assert set(panel.deciding.listed().agents) == {"db", "sec"}
    assert ("Take it into the draft" in shown(panel)) == (source in ("value", "file"))


def test_an_agent_of_no_file_is_listed_alone() -> None:
    panel = wb.RoutingPanel(wb.parse_agent(agent("db", WEAK)), [wb.Task(id="1", input="Look.", target="db")])

    assert list(panel.deciding.listed().agents) == ["db"] and panel.deciding.listed().drafted is None
