"""How an agent was picked, as it stands beside its description: of the newest decisions on its line in the list."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from tests.router_server import RouterServer, router_server
from tests.test_improving_description import by_keywords
from tests.test_routing import APPROXIMATED, NO_WAIT, agent, passes_controls
from tests.test_widgets import Page
from workbench.definition.agent import parse_agent
from workbench.definition.draft import Draft
from workbench.definition.draft_state import open_drafts
from workbench.definition.files import load_agent
from workbench.errors import RoutingRefused
from workbench.ledger.answered import find_answered
from workbench.ledger.store import open_ledger
from workbench.model.claude_code import find_program
from workbench.routing.asking import MainModel, route
from workbench.routing.measured import Routed
from workbench.routing.picked import SECONDS_BETWEEN_DATABASES, PickedLook, cases_in, find_picked, picked_line
from workbench.trial.catalogue import OFFLINE_BASE_URL
from workbench.trial.trial import TOOL_USES, Endpoint, Frame, Reply, Request, Trial
from workbench.widgets.editor import AgentEditor

WORDS = {"migrations": "db", "indexes": "db", "login": "sec", "colour": "none"}
CASES = [
    {"id": f"{word}-{number}", "prompt": f"There is trouble with {word} in part {number} of it.", "expect": expect}
    for word, expect in WORDS.items()
    for number in range(3)
]
HALF = "Helps with migrations, and says a colour."
"""Fits half of its own cases, and those of nobody."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    agents = tmp_path / ".claude" / "agents"
    agents.mkdir(parents=True)
    for name, description in (("db", HALF), ("sec", "Looks at login and sessions.")):
        (agents / f"{name}.md").write_bytes(agent(name, description))
    (agents / "routing.yaml").write_text(yaml.safe_dump(CASES), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "ledger.sqlite"))
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    open_drafts.clear()
    return agents


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RouterServer]:
    with router_server(passes_controls(by_keywords)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        yield server


def routed(folder: Path, by: MainModel = APPROXIMATED) -> Routed:
    return route(folder, model=by, progress=False, retry=NO_WAIT)


def write(folder: Path, description: str) -> None:
    (folder / "db.md").write_bytes(agent("db", description))


def test_it_counts_what_the_result_counts(server: RouterServer, folder: Path) -> None:
    result = routed(folder)
    line = picked_line(load_agent(folder / "db.md"))

    recall, (over, others) = result.figures.by_label["db"].recall, result.over_trigger("db")
    assert (recall, over * others) == (0.5, 3)
    assert (line.kind, line.text) == ("measured", "picked in 6 of 12, 6 by mistake")  # two orders of the list
    first = result.run.trials[0]
    assert first.request.model in line.details and "approximation, not Claude Code's own request" in line.details
    assert server.url in line.details and first.reply is not None and (first.reply.at or "")[:10] in line.details
    assert "Decisions on 6 cases of its own; the mistakes are of 12 decisions on 6 other cases" in line.details


def test_what_is_asked_anew_takes_the_place_of_what_was_said_before(server: RouterServer, folder: Path) -> None:
    routed(folder)
    server.decide = passes_controls(lambda prompt, _: "db" if "login" not in prompt else None)
    route(folder, model=APPROXIMATED, progress=False, retry=NO_WAIT, mode="fresh")

    assert picked_line(load_agent(folder / "db.md")).text == "picked in 12 of 12, 6 by mistake"


def test_the_newest_main_model_counts_and_is_named(server: RouterServer, folder: Path) -> None:
    routed(folder)
    server.decide = passes_controls(lambda prompt, _: "db" if "migrations-" in prompt or "part 1" in prompt else None)
    routed(folder, MainModel(model="haiku", way="approximation"))
    line = picked_line(load_agent(folder / "db.md"))

    assert line.text == "picked in 4 of 12, 4 by mistake" and "haiku" in line.details


def test_decisions_on_another_text_are_none_of_this_one(server: RouterServer, folder: Path) -> None:
    routed(folder)
    write(folder, "Looks after tables.")
    line = picked_line(load_agent(folder / "db.md"))

    assert (line.kind, line.text) == ("earlier", "this text was not measured")
    assert "picked in 6 of 12, 6 by mistake" in line.details and "Press Run" in line.details
    write(folder, HALF)
    assert picked_line(load_agent(folder / "db.md")).kind == "measured"


def test_a_prompt_that_was_rewritten_since_counts_no_more(server: RouterServer, folder: Path) -> None:
    routed(folder)
    cases = [dict(case, prompt=f"{case['prompt']} Now.") if case["expect"] == "none" else case for case in CASES]
    (folder / "routing.yaml").write_text(yaml.safe_dump(cases), encoding="utf-8")

    assert picked_line(load_agent(folder / "db.md")).text == "picked in 6 of 12, 0 by mistake"


def test_nothing_measured_says_what_to_press_and_makes_no_ledger(folder: Path, tmp_path: Path) -> None:
    line = picked_line(load_agent(folder / "db.md"))

    assert (line.kind, line.text) == ("unmeasured", "not measured")
    assert "Press Run in the pane 'Is it picked?'" in line.details and "workbench route " in line.details
    assert not (tmp_path / "ledger.sqlite").exists()


def test_without_cases_it_says_where_to_write_them(folder: Path) -> None:
    (folder / "routing.yaml").unlink()

    assert f"write {folder / 'routing.yaml'}" in picked_line(load_agent(folder / "db.md")).details


def test_what_the_stand_in_decided_is_no_result(server: RouterServer, folder: Path, tmp_path: Path) -> None:
    routed(folder)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE attempts SET place = ?, asked_checksum = NULL, checksum = NULL", (OFFLINE_BASE_URL,))
    line = picked_line(load_agent(folder / "db.md"))

    assert (line.kind, line.text) == ("made up", "not measured by a model")
    assert "OFFLINE STAND-IN" in line.details and "picked in" not in line.details


def test_a_model_comes_before_the_stand_in_however_new_that_is(
    server: RouterServer, folder: Path, tmp_path: Path
) -> None:
    routed(folder)
    routed(folder, MainModel(model="haiku", way="approximation"))
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as ledger, ledger:
        ledger.execute(
            "UPDATE attempts SET place = ?, asked_checksum = NULL, checksum = NULL WHERE request LIKE '%haiku%'",
            (OFFLINE_BASE_URL,),
        )

    assert picked_line(load_agent(folder / "db.md")).kind == "measured"


def test_what_cannot_be_read_is_said(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"no ledger, but long enough to be looked at for one" * 20)
    line = picked_line(load_agent(folder / "db.md"))

    assert (line.kind, line.text) == ("unknown", "not known") and "ledger.sqlite" in line.details
    (folder / "routing.yaml").write_text("- prompt: x\n", encoding="utf-8")
    assert "expect" in picked_line(load_agent(folder / "db.md")).details


def test_a_constant_router_measures_nothing_here_either(server: RouterServer, folder: Path) -> None:
    server.decide = passes_controls(lambda prompt, _: None)
    with pytest.raises(RoutingRefused, match="is the same"):
        routed(folder)
    line = picked_line(load_agent(folder / "db.md"))

    assert (line.kind, line.text) == ("unmeasured", "not measured")
    assert "the same (itself)" in line.details and "picked in" not in line.details


def test_errors_count_nowhere(server: RouterServer, folder: Path) -> None:
    counts = iter(range(1000))
    server.decide = passes_controls(lambda prompt, names: "fail" if next(counts) == 0 else by_keywords(prompt, names))
    result = routed(folder)

    (_, of), (_, others) = _only(folder).own, _only(folder).mistaken
    assert result.errors == 1 and of + others == 23


def _only(folder: Path):  # type: ignore[no-untyped-def]
    now, _ = find_picked(load_agent(folder / "db.md"), cases_in(folder))
    assert now is not None
    return now


def test_a_look_says_whether_the_line_is_another(server: RouterServer, folder: Path) -> None:
    draft = Draft(load_agent(folder / "db.md"))
    look = PickedLook(draft, clock=lambda: 0.0)

    assert (look.line.text, look.look(), look.line.text) == ("", True, "not measured")
    assert not look.look()
    routed(folder)
    assert look.look() and look.line.kind == "measured"
    assert not look.look()


def test_a_ledger_that_is_no_file_is_looked_into_now_and_then(
    server: RouterServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_LEDGER", f"sqlite:///{tmp_path / 'other.sqlite'}")
    seconds = [0.0]
    look = PickedLook(Draft(load_agent(folder / "db.md")), clock=lambda: seconds[0])
    assert look.look()
    routed(folder)
    assert not look.look()
    seconds[0] = SECONDS_BETWEEN_DATABASES
    assert look.look() and look.line.kind == "measured"


def test_a_look_that_takes_long_is_taken_seldom(server: RouterServer, folder: Path) -> None:
    ticks = iter([0.0, 1.0, 2.0, 19.0, 21.0, 22.0])  # the first look takes a second
    look = PickedLook(Draft(load_agent(folder / "db.md")), clock=lambda: next(ticks))
    assert look.look()
    routed(folder)
    assert not look.look() and not look.look()
    assert look.look() and look.line.kind == "measured"


def test_the_field_shows_it_and_says_where_the_draft_moved_on(server: RouterServer, folder: Path) -> None:
    routed(folder)
    editor = AgentEditor(load_agent(folder / "db.md"))
    page = Page(editor)
    page.view.look_at_decisions()

    assert page.state["picked"]["text"] == "picked in 6 of 12, 6 by mistake"
    assert page.heard[-1]["state"]["picked"] == page.state["picked"]
    assert page.state["picked"]["moved_on"] == ""
    page.field("description", "Something else.")
    assert "the draft's line in the list is another" in page.state["picked"]["moved_on"]
    page.field("description", HALF)
    page.field("color", "red")  # in no list
    assert page.state["picked"]["moved_on"] == ""


def test_what_was_asked_comes_back_as_it_was_asked(tmp_path: Path) -> None:
    asked = Request(
        model="claude-sonnet-5",
        system="- db: Looks. (Tools: All tools)",
        messages=({"role": "user", "content": "Look."},),
        max_tokens=100,
        effort="low",
        tools=({"name": "Agent"},),
        frame=Frame(program="claude-code 2.1.332", sha256="0" * 64, size=7),
    )
    reply = Reply(text="", stop_reason="tool_use", stop_details={TOOL_USES: [{"name": "Agent", "input": {}}]})
    endpoint = Endpoint(kind="server", base_url="http://127.0.0.1:1")
    trial = Trial(variant="order 1", task_id="one", repeat=2, request=asked, endpoint=endpoint, reply=reply)
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        asyncio.run(ledger.write(trial, parse_agent(agent("main", "Picks."))))
        [found] = find_answered(ledger, ["one", "two"])
        assert find_answered(ledger, ["two"]) == find_answered(ledger, []) == ()

    assert (found.request, found.reply) == (asked, reply)
    assert (found.variant, found.task_id, found.repeat, found.key) == ("order 1", "one", 2, trial.key)
    assert found.endpoint == endpoint.base_url


@pytest.mark.skipif(find_program() is None, reason="needs the Claude Code program")
def test_decisions_in_the_programs_own_request_are_found(
    server: RouterServer, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    routed(folder, MainModel(way="request"))
    line = picked_line(load_agent(folder / "db.md"))

    assert line.text == "picked in 6 of 12, 6 by mistake" and "in the first request of claude-code" in line.details
