"""Decisions while one watches: the file against the draft, a self-test first, an end at any time, a notebook of it."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.router_server import Listed, RouterServer
from tests.test_improving_description import BETTER, WEAK, by_keywords
from tests.test_picked import folder as folder
from tests.test_picked import server as server
from tests.test_picked import write
from tests.test_routing import APPROXIMATED, NO_WAIT, agent, passes_controls
from workbench.definition.agent import parse_agent
from workbench.definition.draft import Draft
from workbench.definition.files import load_agent
from workbench.errors import EstimateOnly, FileError, PlanError
from workbench.headless.notebook import run_notebook
from workbench.routing.asking import route
from workbench.routing.cases import load_cases
from workbench.routing.change import compare_routing
from workbench.routing.contenders import by_wrongness, contenders
from workbench.routing.deciding import Deciding, DecisionsAsked, seal_of
from workbench.routing.measured import measure_routing
from workbench.runs.estimate_only import ESTIMATE_FILE
from workbench.trial.record import load_run
from workbench.trial.task import Task


def draft_of(folder: Path, description: str | None = None) -> Draft:
    draft = Draft(load_agent(folder / "db.md"))
    if description is not None:
        draft.edit(description=description)
    return draft


def deciding(source: Any) -> Deciding:
    return Deciding(source, retry=NO_WAIT)


def chosen(one: Deciding, **settings: Any) -> DecisionsAsked:
    return one.choose(way="approximation", **settings)


def ran(one: Deciding, **settings: Any) -> Deciding:
    one.run(chosen(one, **settings))
    one.wait()
    return one


def test_file_and_draft_are_asked_as_two_routes_would_be(server: RouterServer, folder: Path) -> None:
    write(folder, WEAK)
    one = ran(deciding(draft_of(folder, BETTER)))
    asked = len(server.bodies)
    before = route(folder, model=APPROXIMATED, progress=False)
    agents = one.asked.listed.drafted  # type: ignore[union-attr]
    after = route(agents, one.cases(), model=APPROXIMATED, progress=False)  # type: ignore[arg-type]

    assert len(server.bodies) == asked
    assert one.routed is not None and one.change is not None and one.phase == "done" and one.trouble == ""
    assert str(one.routed) == str(before)
    assert str(one.change) == str(compare_routing(before, after))
    assert one.change.changed == ("db",)
    assert {of: str(shares) for of, shares in one.controls.items()} == dict.fromkeys(
        ("the files", "the draft"), "named 4 of 4, canary 4 of 4, nobody's 8 of 8"
    )
    assert "db gets 100% of 6 its own cases, 0% before" in one.change.rows[0].sentence


def test_a_draft_with_the_same_line_is_asked_once(server: RouterServer, folder: Path) -> None:
    draft = draft_of(folder)
    draft.edit(prompt="Do it well.")
    one = ran(deciding(draft))

    assert one.asked is not None and one.asked.listed.drafted is None
    assert one.change is None and list(one.controls) == ["the files"]


def test_a_folder_is_asked_as_it_stands(server: RouterServer, folder: Path) -> None:
    one = ran(deciding(folder))

    assert str(one.routed) == str(route(folder, model=APPROXIMATED, progress=False))


def test_before_money_it_says_what_it_takes(server: RouterServer, folder: Path) -> None:
    one = deciding(draft_of(folder, BETTER))
    said = one.announce(chosen(one, budget_usd=2))
    estimate = one.estimate(chosen(one))
    asked_before = len(server.bodies)
    ran(one)

    assert "2 agents, 12 cases" in said and "48 decisions" in said and "2 USD at most" in said
    assert asked_before == 0
    assert sum(each.calls for each in estimate.plans.values()) == len(server.bodies)
    assert estimate.way == "approximation"
    assert [row[:2] for row in estimate.power.rows] == [("db", "6"), ("sec", "3"), ("none", "3")]
    again = one.estimate(chosen(one))
    assert sum(each.calls for each in again.plans.values()) == 0


def test_a_router_that_fails_its_controls_is_asked_nothing_else(server: RouterServer, folder: Path) -> None:
    server.decide = lambda prompt, names: None
    one = ran(deciding(draft_of(folder, BETTER)))

    assert one.phase == "refused" and "it never delegates" in one.trouble
    assert (one.routed, one.change, one.controls) == (None, None, {})
    assert not any("There is trouble" in str(body) for body in server.bodies)


def test_stopped_it_keeps_what_was_answered_and_goes_on_from_there(server: RouterServer, folder: Path) -> None:
    came, go_on = threading.Event(), threading.Event()

    def slow(prompt: str, names: Listed) -> str | None:
        came.set()
        go_on.wait(60)
        return by_keywords(prompt, names)

    server.decide = passes_controls(slow)
    one = deciding(folder)
    one.run(chosen(one))
    assert came.wait(60) and one.is_running
    with pytest.raises(PlanError, match="being asked for"):
        one.run(chosen(one))
    one.stop()
    one.wait()
    go_on.set()
    assert (one.phase, one.is_running, one.routed) == ("stopped", False, None)
    assert "goes on from there" in one.trouble

    server.decide = passes_controls(by_keywords)
    controls = sum("There is trouble" not in str(body) for body in server.bodies)
    ran(one)
    assert one.routed is not None
    assert sum("There is trouble" not in str(body) for body in server.bodies) == controls  # none asked again


def test_it_prints_nothing_and_says_what_changes(
    server: RouterServer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = deciding(folder)
    seen: list[tuple[str, int, int]] = []
    one.observe(lambda: seen.append((one.phase, one.watch.done, one.watch.of)))
    ran(one)

    assert capsys.readouterr().out == ""
    assert any("Answered by the server" in line for line in one.watch.said)
    phases = list(dict.fromkeys(phase for phase, *_ in seen))
    assert phases == ["looking for the way to a decision", "self-test, the files", "decisions, the files", "done"]
    assert seen[-1][0] == "done" and (one.watch.done, one.watch.of) == (24, 24)


def test_the_loop_of_the_caller_is_never_held_up(server: RouterServer, folder: Path) -> None:
    one = deciding(folder)
    held = threading.Event()
    server.decide = passes_controls(lambda prompt, names: (held.wait(60) and None) or by_keywords(prompt, names))
    one.run(chosen(one))  # returns though nobody has answered
    assert one.is_running
    held.set()
    one.wait()
    assert one.routed is not None


def test_what_cannot_be_asked_is_said_before(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = deciding(draft_of(folder))
    with pytest.raises(PlanError, match="nothing to freeze"):
        one.freeze(tmp_path / "x.ipynb")
    with pytest.raises(PlanError, match="no other description"):
        one.improve(chosen(one))
    with pytest.raises(PlanError, match="no agent whose file"):
        deciding(folder).improve(chosen(deciding(folder)), [BETTER])
    with pytest.raises(PlanError, match="shown to be better"):
        one.accept()
    monkeypatch.setenv(ESTIMATE_FILE, str(tmp_path / "estimate.json"))
    with pytest.raises(EstimateOnly):
        one.run(chosen(one))


def test_a_draft_that_cannot_stand_in_the_list_is_told(folder: Path) -> None:
    draft = draft_of(folder)
    draft.edit(name="sec")
    assert "Another file defines an agent 'sec'" in deciding(draft).texts().remarks[0]
    draft.edit(name=None, description=None)
    assert "would not be listed" in deciding(draft).texts().remarks[0]


def test_what_was_not_written_since_is_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in folder.iterdir():
        os.utime(path, (1_000_000, 1_000_000))
    draft = draft_of(folder)
    one = deciding(draft)
    first = one.texts()
    assert one.texts() is first
    draft.edit(color="red")  # in no list
    assert one.texts() is first
    draft.edit(description="Something else.")
    assert one.texts().listed.drafted is not None and one.texts() is not first
    kept = one.texts()
    (folder / "sec.md").write_bytes(agent("sec", "Looks at doors."))
    assert one.texts() is not kept and one.texts() is not one.texts()  # written just now: it may be written again


def test_a_renamed_draft_stands_under_its_new_name(folder: Path) -> None:
    draft = draft_of(folder)
    draft.edit(name="tables")
    listed = deciding(draft).listed()

    assert listed.drafted is not None and set(listed.drafted) == {"sec", "tables"}
    assert set(listed.changed) == {"db", "tables"}


def test_the_frozen_notebook_asks_nobody(server: RouterServer, folder: Path, tmp_path: Path) -> None:
    write(folder, WEAK)
    one = ran(deciding(draft_of(folder, BETTER)), repeats=2)
    notebook = one.freeze(tmp_path / "outputs" / "frozen-1.ipynb")
    write(folder, "Another text by now.")
    (folder / "routing.yaml").unlink()
    asked = len(server.bodies)
    left = run_notebook(notebook, out=tmp_path / "out", parameters={"mode": "replay"}, progress=False)

    assert len(server.bodies) == asked
    text = json.dumps(json.loads(left.notebook.read_text(encoding="utf-8"))["cells"])
    assert one.routed is not None and one.change is not None
    assert one.routed.sentence in text and one.change.sentence in text
    assert str(measure_routing(load_run(left.notebook))) == str(one.routed)
    with pytest.raises(FileError, match="is there already"):
        one.freeze(notebook)


def test_half_a_character_is_frozen_as_it_was(server: RouterServer, folder: Path, tmp_path: Path) -> None:
    """No request can carry it, which is said; what is frozen is all the same what it was, as JSON can have it."""
    agents = [parse_agent(agent(each, WEAK)) for each in ("db", "sec")]
    cases = [Task(id=each, input=f"{each} \ud800 has trouble.", target=each) for each in ("db", "sec")]
    server.decide = passes_controls(lambda prompt, names: "db" if "db" in prompt else "sec")
    one = Deciding(agents, cases, retry=NO_WAIT)
    ran(one)
    assert "holds half a character" in one.trouble

    one.freeze(tmp_path / "outputs" / "frozen-1.ipynb")
    assert load_cases(tmp_path / "outputs" / "frozen-1.cases.jsonl") == tuple(cases)


def test_no_name_of_an_agent_leads_out_of_a_folder(server: RouterServer, folder: Path, tmp_path: Path) -> None:
    name = "../../../db"
    assert seal_of(folder, name) == tmp_path / ".workbench" / "seals" / "..-..-..-db.json"
    agents = [parse_agent(agent(each, WEAK)) for each in (name, "sec")]
    cases = [Task(id=each, input=f"{each} has trouble.", target=each) for each in (name, "sec")]
    server.decide = passes_controls(lambda prompt, names: name if name in prompt else "sec")
    one = Deciding(agents, cases, retry=NO_WAIT)
    ran(one)
    before = set(tmp_path.rglob("*"))
    one.freeze(tmp_path / "outputs" / "frozen-1.ipynb")

    written = {path.relative_to(tmp_path).as_posix() for path in set(tmp_path.rglob("*")) - before}
    assert all(path == "outputs" or path.startswith("outputs/") for path in written)
    assert {"outputs/frozen-1.agents/001/agent.md", "outputs/frozen-1.agents/002/agent.md"} <= written


def test_the_descriptions_that_compete_stand_side_by_side(server: RouterServer, folder: Path) -> None:
    write(folder, WEAK)
    one = ran(deciding(draft_of(folder, BETTER)))
    assert one.routed is not None and one.change is not None

    assert by_wrongness(one.routed)[0].id.startswith(("indexes", "migrations"))
    wanted, got = contenders(one.routed, "indexes-0", change=one.change)
    assert (wanted.name, wanted.is_wanted, wanted.picked, wanted.of, wanted.picked_after) == ("db", True, 0, 2, 2)
    assert WEAK in wanted.line and wanted.line_after is not None and BETTER in wanted.line_after
    assert (got.name, got.is_wanted, got.picked, got.picked_after, got.line_after) == ("itself", False, 2, 0, None)
    [only] = contenders(one.routed, "login-0")
    assert (only.name, only.picked_after) == ("sec", None)
