"""A user's walk from "it is never picked" to a better description and its sealed number: by commands, and in the tab."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.router_server import RouterServer, router_server
from tests.routing_walk import CASES_OF_IT, MANY, VAGUE, Walk, begin_walk, keyword_router
from tests.test_routing import NO_WAIT
from workbench.cli import main
from workbench.definition.draft_state import open_drafts
from workbench.definition.files import load_agent
from workbench.routing.picked import picked_line
from workbench.widgets.editor import AgentEditor
from workbench.widgets.routing import RoutingPanel


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RouterServer]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    open_drafts.clear()
    with router_server(keyword_router()) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        yield server


def project(corpus: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Walk:
    """The walk in a project of its own, with its own ledger."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("WORKBENCH_LEDGER", str(folder / "ledger.sqlite"))
    return begin_walk(corpus, folder)


def said(*command: str) -> Any:
    """What `workbench route` says as JSON."""
    result = CliRunner().invoke(main, ["route", *command, "--way", "approximation", "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def by_commands(walk: Walk, tmp: Path) -> tuple[Any, Any, Any]:
    """The decisions on the agents as they are, what the better description changes, and the choice of it."""
    first = said(str(walk.folder))
    candidate = tmp / "better.txt"
    candidate.write_text(walk.better, encoding="utf-8")
    choice = said(str(walk.folder), "--improve", walk.name, "--candidate", str(candidate), "--accept")
    before = tmp / "before"
    before.mkdir()
    for path in walk.folder.glob("*.md"):
        (before / path.name).write_bytes(path.read_bytes())
    open_drafts.clear()  # as with the end of the command
    draft = AgentEditor(load_agent(walk.file))
    draft.take_up_draft()
    assert draft.agent.description == walk.better  # --accept put it there
    draft.save()
    change = said(str(walk.folder), "--before", str(before))
    return first, choice, change


def test_commands_and_panel_come_to_equal_tables(
    corpus: Path, server: RouterServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = project(corpus, tmp_path / "commands", monkeypatch)
    first, choice, change = by_commands(walk, tmp_path)
    asked_by_commands = len(server.bodies)

    walk = project(corpus, tmp_path / "tab", monkeypatch)
    editor = AgentEditor(load_agent(walk.file))
    panel = RoutingPanel(editor, retry=NO_WAIT)
    assert len(panel.deciding.listed().agents) == MANY
    panel.run(way="approximation")
    panel.wait()
    assert panel.routed is not None, panel.deciding.trouble
    assert panel.routed.as_values() == first
    assert first["agents"][walk.name]["recall"] == 0
    assert picked_line(editor.on_disk).text == f"picked in 0 of {2 * CASES_OF_IT}, 0 by mistake"

    editor.edit(description=walk.better)
    panel.improve(way="approximation")
    panel.wait()
    assert panel.choice is not None, panel.deciding.trouble
    assert panel.choice.as_values() == choice
    assert panel.choice.is_shown_better and choice["sealed_effect"] == pytest.approx(0.5)
    panel.deciding.accept()

    panel.run(way="approximation")
    panel.wait()
    assert panel.change is not None, panel.deciding.trouble
    assert panel.change.as_values() == change
    assert f"{walk.name} gets 100% of {CASES_OF_IT} its own cases, 0% before" in panel.change.sentence
    assert editor.on_disk is not None and editor.on_disk.description == VAGUE
    editor.save()
    assert picked_line(editor.on_disk).text == f"picked in {2 * CASES_OF_IT} of {2 * CASES_OF_IT}, 0 by mistake"
    assert len(server.bodies) - asked_by_commands == asked_by_commands  # each paid the same, and nothing twice
