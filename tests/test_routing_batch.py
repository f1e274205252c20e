"""`routing.ipynb` in a batch: what it would take, its row in the index with the worse first, and its record again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner

from tests.router_server import RouterServer, router_server
from tests.test_notebook_batch import _Here
from tests.test_routing import APPROXIMATED, agent, passes_controls
from tests.test_routing_gate import NEW, OLD, cases_of, decide_by, right, steals
from workbench.cli import main
from workbench.definition.project import project_folder
from workbench.headless import local_workers
from workbench.headless.batch import estimate_batch, run_batch
from workbench.headless.batch_plan import BatchPlan, load_batch
from workbench.headless.notebook import run_notebook
from workbench.routing.asking import agents_of, choose_router, plan_controls
from workbench.routing.sides import load_change

pytestmark = pytest.mark.machine

NOTEBOOK = project_folder(__file__) / "notebooks" / "routing.ipynb"
EACH = 12


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RouterServer]:
    with router_server(decide_by(steals)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        yield server


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Agents as they were, and two changes of them: one harmless, one that takes another's cases."""
    for folder, text in (("old", OLD), ("harmless", f"{OLD} Fast."), ("worse", NEW)):
        (tmp_path / folder).mkdir()
        for name, description in (("sec", "Finds holes."), ("perf", text), ("docs", "Writes documentation.")):
            (tmp_path / folder / f"{name}.md").write_bytes(agent(name, description))
    rows = [{"id": case.id, "prompt": case.input, "expect": case.target} for case in cases_of(EACH)]
    (tmp_path / "cases.yaml").write_text(json.dumps(rows), "utf-8")
    (tmp_path / "routing.ipynb").write_bytes(NOTEBOOK.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "ledger.sqlite"))
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("WORKBENCH_CLAUDE", "none")
    here: Any = lambda *_, **__: nullcontext(_Here())  # noqa: E731
    monkeypatch.setattr(local_workers, "_executor", here)
    assert issubclass(_Here, Executor)
    return tmp_path


GIVEN = {"cases": "cases.yaml", "before": "old", "way": "approximation", "orders": 1, "margin": 0.3}


def planned(project: Path) -> BatchPlan:
    entries = [
        {"notebook": "routing.ipynb", "name": name, "parameters": {**GIVEN, "agents": folder}}
        for name, folder in (("fine", "harmless"), ("harm", "worse"), ("broken", "nowhere"))
    ]
    (project / "plan.yaml").write_text(json.dumps({"out": "outputs/batch", "notebooks": entries}))
    return load_batch("plan.yaml")


def test_the_estimate_has_the_controls_and_all_decisions_of_both_sides(project: Path, server: RouterServer) -> None:
    plan = planned(project)
    plan = BatchPlan(**{**vars(plan), "jobs": plan.jobs[:1]})

    take = estimate_batch(plan, say=lambda _: None).totals

    router = choose_router(APPROXIMATED)
    controls = sum(
        len(found.tasks) * len(found.variants)
        for found in (plan_controls(agents_of(folder), router=router) for folder in ("old", "harmless"))
    )
    assert take.trials == controls + 2 * 4 * EACH
    assert server.bodies == []


def test_the_index_has_a_row_for_each_with_what_failed_and_what_is_worse_first(
    project: Path, server: RouterServer
) -> None:
    found = run_batch(planned(project), at_once=1, progress=False, say=lambda _: None)
    index = BeautifulSoup(found.index.read_text("utf-8"), "html.parser")

    rows = {row.h3.get_text(): " ".join(row.get_text(" ").split()) for row in index.find_all("article") if row.h3}
    assert list(rows) == ["broken", "harm", "fine"]
    assert [heading.get_text() for heading in index.select(".group > h2")][1:] == [
        "Worse: 1 notebook",
        "No difference shown: 1 notebook",
    ]
    assert "Routing of perf" in rows["harm"]
    assert "perf: picked in 12 of 12, by mistake in 12 of 36" in rows["harm"]
    assert "Before: perf: picked in 12 of 12, by mistake in 0 of 36. After: perf:" in rows["harm"]
    assert 'Routing gate fails: "perf", margin 30.0 points' in rows["harm"]
    assert 'Routing gate passes: "perf", margin 30.0 points' in rows["fine"]
    assert "96 replies" in rows["fine"] and "USD" in rows["fine"]


def test_a_record_replays_without_a_request_and_its_page_leads_with_who_is_picked(
    project: Path, server: RouterServer
) -> None:
    first = run_notebook("routing.ipynb", out="one", parameters={**GIVEN, "agents": "worse"}, progress=False)
    asked = len(server.bodies)
    again = run_notebook(
        "routing.ipynb", out="two", parameters={**GIVEN, "agents": "worse", "mode": "replay"}, progress=False
    )

    assert len(server.bodies) == asked
    assert (first.verdict, str(load_change("one"))) == (again.verdict, str(load_change("two")))
    assert CliRunner().invoke(main, ["gate", "two", "--routing-margin", "0.3"]).exit_code == 3
    page = BeautifulSoup(again.page.read_text("utf-8"), "html.parser")
    lead = page.select_one("p.verdict")
    assert lead is not None and lead.get_text().startswith("Before: perf: picked in 12 of 12, by mistake in 0 of 36.")
    assert page.h1 is not None and page.h1.get_text() == "Routing of perf"


def test_without_a_change_the_page_says_how_often_one_is_picked(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {**GIVEN, "before": "", "agents": "old"}
    with router_server(passes_controls(decide_by(right))) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        done = run_notebook("routing.ipynb", out="one", parameters=given, progress=False)

    lead = BeautifulSoup(done.page.read_text("utf-8"), "html.parser").select_one("p.verdict")
    assert lead is not None
    assert lead.get_text() == "Picked in 36 of 36 cases that are for an agent, by mistake in 0 of all 48."
    assert done.verdict is not None and done.verdict.startswith(lead.get_text())
