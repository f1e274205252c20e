"""The real Claude Code program, offline against a scripted server: what is captured of it, and that both ways to a
decision agree. Skipped where the program is neither named in WORKBENCH_CLAUDE nor installed by the extra."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.router_server import router_server
from tests.test_routing import NO_WAIT, passes_controls, roster
from workbench.errors import PlanError, SetupError
from workbench.model.claude_code import Program, capture_frame, find_program
from workbench.model.frames import LISTING_MARK, PROMPT_MARK, find_frame, load_frame
from workbench.routing.asking import MainModel, choose_router, plan_routing, route
from workbench.routing.decision import decision_of
from workbench.trial.record import export_record, load_run
from workbench.trial.task import Task
from workbench.trial.trial import Request

MODEL = "claude-sonnet-5-5"
PROMPTS = int(os.environ.get("WORKBENCH_ROUTING_PROMPTS", "12"))
"""Of the walk through both ways; each starts the program once, for a second of processor time. 40 by hand."""
CONCURRENCY = 3
"""Programs that run at once; each takes a core for about a second."""


@pytest.fixture(scope="module")
def program() -> Program:
    found = find_program()
    if found is None:
        pytest.skip("the Claude Code program is not here: pip install '.[claude-code]', or name it in WORKBENCH_CLAUDE")
    return found


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_CACHE", str(cache))
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)


def test_what_is_captured_has_one_gap_each_and_nothing_of_this_machine(program: Program, cache: Path) -> None:
    frame = capture_frame(program, model=MODEL, effort="medium")
    captured = load_frame(frame)
    text = json.dumps(captured.body)

    assert (text.count(PROMPT_MARK), text.count(LISTING_MARK)) == (1, 1)
    assert "metadata" not in captured.body
    assert set(captured.headers) <= {"anthropic-beta", "anthropic-version"}
    assert str(Path.home()) + "/" not in text or str(Path.home()) == "/home/user"
    assert "/tmp/" not in text
    assert "general-purpose" in captured.built_in
    assert find_frame(program_key=program.key, model=MODEL, effort="medium") == frame
    assert all(path.stat().st_mode & 0o077 == 0 for path in (cache / "frames").iterdir())


def test_what_is_sent_is_the_programs_request_with_our_prompt_and_list(program: Program, tmp_path: Path) -> None:
    """The very request that the program itself sends for these agents, but for model settings of ours."""
    frame = capture_frame(program, model=MODEL, effort="medium")
    listing = "\n".join(f"- {name}: (built in)" for name in sorted(load_frame(frame).built_in, key=str.lower))
    request = Request(
        model=MODEL,
        system=f"{listing}\n- zebra: Counts stripes. (Tools: All tools)",
        messages=({"role": "user", "content": f"Say {LISTING_MARK}."},),
        max_tokens=100,
        effort="medium",
        frame=frame,
    )
    body = load_frame(frame).body_of(request)
    text = json.dumps(body)

    assert f"Say {LISTING_MARK}." in text  # what a user says is never taken for a mark
    assert "- zebra: Counts stripes. (Tools: All tools)" in text
    assert text.count("(built in)") == 0
    assert {"name": "Agent"}.items() <= next(tool for tool in body["tools"] if tool["name"] == "Agent").items()


def test_a_capture_that_was_changed_is_made_anew(program: Program, cache: Path) -> None:
    frame = capture_frame(program, model=MODEL, effort="low")
    path = next((cache / "frames").glob(f"*-{frame.sha256}.json"))
    path.write_bytes(path.read_bytes().replace(b"Agent", b"agent", 1))

    assert find_frame(program_key=program.key, model=MODEL, effort="low") is None
    assert capture_frame(program, model=MODEL, effort="low") == frame  # the same bytes as the first time


def agents_and_cases(count: int, prompts: int) -> tuple[dict[str, object], list[Task], dict[str, str | None]]:
    """So many agents and prompts, and what a script decides: an agent, an agent spelled otherwise, another tool, text."""
    agents = roster(**{f"agent-{number:02d}": f"Does work of kind {number}." for number in range(count)})
    cases, goes = [], {}
    for number in range(prompts):
        name = f"agent-{(number * 7) % count:02d}"
        prompt = f"Please do piece {number} of the work."
        decided = (name, name.replace("-", " ").title(), "tool:Read", None)[number % 4]
        cases.append(Task(id=f"case-{number}", input=prompt, target="none" if number % 4 > 1 else name))
        goes[prompt] = decided
    return agents, cases, goes


@pytest.mark.timeout(1500)
def test_both_ways_agree_on_every_scripted_decision(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents, cases, goes = agents_and_cases(60, PROMPTS)

    seen: dict[str, set[tuple[str, ...]]] = {"request": set(), "program": set()}

    def decide(prompt: str, names: Sequence[str]) -> str | None:
        seen[way].add(tuple(names))
        return goes[prompt]

    found = {}
    for way in ("request", "program"):
        with router_server(passes_controls(decide)) as server:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
            routed = route(
                agents,
                cases,
                model=MainModel(model="sonnet", way=way),
                orders=1,
                ledger=tmp_path / "ledger.sqlite",
                progress=False,
                retry=NO_WAIT,
                concurrency=CONCURRENCY,
            )
            assert routed.controls is not None
            assert len(server.bodies) == len(routed.run.trials) + len(routed.controls.trials), way
        assert routed.errors == 0
        found[way] = {trial.task_id: decision_of(trial) for trial in routed.run.trials}
        assert routed.figures.accuracy == 1.0
        export_record(routed.run, tmp_path / way)
        kept = b"".join(path.read_bytes() for path in (tmp_path / way).rglob("*") if path.is_file())
        assert load_run(tmp_path / way).trials[0].request == routed.run.trials[0].request
        assert b"general-purpose" not in kept or way == "request"  # the name of a built-in one, without its description
        for text in load_frame(capture_frame(program, model=MODEL, effort="medium")).built_in.values():
            assert text.encode()[:60] not in kept
    assert found["request"] == found["program"]
    assert seen["request"] == seen["program"]  # the list that the program makes, agent by agent in its order
    assert len(seen["program"]) == 1


def test_a_program_is_not_asked_for_the_stand_in(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    router = choose_router(MainModel(way="program"))
    with pytest.raises(PlanError, match="not the offline stand-in"):
        plan_routing(roster(one="Does."), [Task(id="1", input="x", target="one")], router=router)


def test_what_is_no_program_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORKBENCH_CLAUDE", str(tmp_path / "missing"))
    with pytest.raises(SetupError, match="does not start"):
        find_program()
    monkeypatch.setenv("WORKBENCH_CLAUDE", "none")
    assert find_program() is None
    with pytest.raises(PlanError, match="needs the Claude Code program"):
        choose_router(MainModel(way="request"))
