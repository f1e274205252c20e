"""With which model and effort Claude Code asks for a subagent: measured, and the same for reading, editor and trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.messages_server import MessagesServer
from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import read_as_claude_code, resolve_agent
from workbench.definition.facts import facts
from workbench.definition.lint import check_agent
from workbench.definition.mend import find_mend
from workbench.definition.resolved import resolve, resolve_as_before, resolve_model
from workbench.errors import ReplayMiss
from workbench.runs.estimate import estimate_plan
from workbench.runs.plan import Plan, make_request, plan_trials
from workbench.runs.runner import run_trials
from workbench.runs.upkeep import estimate_upkeep
from workbench.trial.task import Task
from workbench.widgets.editor import AgentEditor
from workbench.widgets.models import model_rows


@pytest.fixture
def cases(corpus: Path) -> Path:
    """The folder of small files that were measured one by one, beside the corpus."""
    folder = corpus.parent / "cases" / "agent_files"
    if not folder.is_dir():
        pytest.skip(f"the measured cases are not at {folder}")
    return folder


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        ("sonnet", None, "medium"),
        ("opus", None, "medium"),
        ("haiku", None, "medium"),
        ("fable", None, "medium"),
        (None, None, "medium"),
        ("inherit", None, "medium"),
        ("claude-opus-5", None, "high"),
        ("claude-sonnet-5", None, "high"),
        ("claude-opus-4-8", None, "high"),
        ("claude-sonnet-4-5-20250929", None, None),
        ("claude-sonnet-4-20250514", None, None),
        ("gpt-5", None, "high"),
        ("Claude Sonnet 4.5", None, "high"),
        ("sonnet", "low", "low"),
        ("sonnet", "High", "high"),
        ("claude-opus-5", "XHIGH", "xhigh"),
        ("sonnet", 3, None),
        ("sonnet", 0, None),
        ("sonnet", "extreme", "medium"),
        ("gpt-5", "extreme", "high"),
        ("sonnet", True, "medium"),
        ("sonnet", "", "medium"),
    ],
)
def test_effort_is_what_the_subagents_request_was_measured_to_carry(
    model: str | None, effort: object, sent: str | None
) -> None:
    assert resolve(model, effort, environment={}).effort == sent


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("haiku[1m]", "claude-haiku-5-5"),
        ("claude-opus-4-8[1m]", "claude-opus-4-8"),
        (" sonnet ", "claude-sonnet-5-5"),
        ("OPUS[1M]", "claude-opus-5-5"),
        ("claude-opus-4-20250514", "claude-opus-5-5"),
        ("claude-opus-4-0", "claude-opus-5-5"),
        ("claude-opus-4-1", "claude-opus-5-5"),
        ("claude-opus-4-1-20250805", "claude-opus-5-5"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4-20250514"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku-latest"),
        (" INHERIT ", "claude-opus-5-5"),
    ],
)
def test_model_names_are_looked_up_without_blanks_and_long_context(name: str, id: str) -> None:
    assert resolve_model(name, {}) == id


@pytest.mark.parametrize("line", ["sonnet", "opus", "haiku", "fable"])
def test_an_alias_is_what_the_environment_says(line: str) -> None:
    environment = {f"ANTHROPIC_DEFAULT_{line.upper()}_MODEL": " our/model[1m]"}
    found = resolve(f"{line.title()}[1m]", None, environment=environment)

    assert (found.model, found.effort) == ("our/model", "high")
    assert f"ANTHROPIC_DEFAULT_{line.upper()}_MODEL" in found.model_from
    assert resolve(None, None, environment=environment).model == "claude-opus-5-5"


@pytest.mark.parametrize(
    ("model", "asked", "force", "id"),
    [
        (None, None, "", "claude-haiku-5-5"),
        ("", None, "", "claude-haiku-5-5"),
        ("sonnet", None, "", "claude-sonnet-5-5"),
        ("inherit", None, "", "claude-opus-5-5"),
        ("sonnet", None, "1", "claude-haiku-5-5"),
        ("inherit", None, "1", "claude-haiku-5-5"),
        ("sonnet", None, "0", "claude-sonnet-5-5"),
        (None, "opus", "1", "claude-opus-5-5"),
    ],
)
def test_the_subagent_model_of_the_environment_fills_in_unless_it_is_forced(
    model: str | None, asked: str | None, force: str, id: str
) -> None:
    environment = {"CLAUDE_CODE_SUBAGENT_MODEL": "haiku", "CLAUDE_CODE_SUBAGENT_MODEL_FORCE": force}

    assert resolve(model, None, asked_model=asked, environment=environment).model == id


def test_what_is_asked_beside_the_file_counts_before_it() -> None:
    found = resolve("sonnet", "low", asked_model="claude-opus-5", asked_effort="max", environment={})
    default = resolve("sonnet", None, asked_model="claude-opus-5", environment={})

    assert (found.model, found.effort) == ("claude-opus-5", "max")
    assert default.effort == "high", "the default is that of the model that is asked"


@pytest.mark.parametrize(
    ("name", "model", "effort"),
    [
        ("effort-capital", "claude-opus-5-5", "high"),
        ("effort-number", "claude-opus-5-5", None),
        ("model-haiku-1m", "claude-haiku-5-5", "medium"),
        ("model-with-spaces", "claude-sonnet-5-5", "medium"),
        ("model-retired-opus-remapped", "claude-opus-5-5", "medium"),
    ],
)
def test_the_measured_cases_are_read_as_they_were_asked(cases: Path, name: str, model: str, effort: str | None) -> None:
    reading = read_as_claude_code((cases / f"{name}.md").read_bytes())

    assert (reading.model, reading.effort) == (model, effort)


def test_reading_trial_editor_and_cost_have_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CODE_SUBAGENT_MODEL", "haiku")
    monkeypatch.setenv("ANTHROPIC_DEFAULT_HAIKU_MODEL", "claude-haiku-4-5")
    agent = Agent(name="abc", description="d", prompt="Be.")
    shown = AgentEditor(agent)._repr_mimebundle_()

    assert read_as_claude_code(agent).model == "claude-haiku-4-5"
    assert make_request(agent, "Hi").model == "claude-haiku-4-5"
    assert estimate_upkeep(agent).model == "claude-haiku-4-5"
    assert model_rows(agent)[0][1].startswith("claude-haiku-4-5 (CLAUDE_CODE_SUBAGENT_MODEL=haiku")
    assert all("claude-haiku-4-5" in shown[kind] for kind in ("text/html", "text/markdown"))


def test_a_file_that_is_dropped_is_asked_as_its_author_wrote_it() -> None:
    agent = parse_agent("---\ndescription: no name\nmodel: haiku\neffort: Low\n---\nBe.\n")

    assert read_as_claude_code(agent).sent is None
    assert (resolve_agent(agent).model, resolve_agent(agent).effort) == ("claude-haiku-5-5", "low")


def test_why_the_effort_is_sent_names_the_version_that_was_measured() -> None:
    found = resolve("sonnet", None, environment={})

    assert facts()["version"] in found.effort_from
    assert found.effort_in_words == "medium (the default of Claude Code 2.1.332 for claude-sonnet-5-5)"
    assert resolve("sonnet", 3, environment={}).effort_in_words.startswith("none is sent (")


def test_a_remapped_model_is_said_and_mended() -> None:
    agent = parse_agent("---\nname: abc\ndescription: d\nmodel: claude-opus-4-0\n---\nBe.\n")
    (problem,) = [one for one in check_agent(agent) if one.rule == "remapped-model"]
    mend = find_mend(agent, problem)

    assert "asks claude-opus-5-5 for it" in problem.message
    assert mend is not None and not mend.is_safe
    assert mend.changes == "`model` then says 'claude-opus-5-5', and now 'claude-opus-4-0'."
    assert mend.after.model == "claude-opus-5-5"


def test_a_level_in_capitals_is_no_problem() -> None:
    agent = parse_agent("---\nname: abc\ndescription: d\neffort: High\n---\nBe.\n")

    assert [one.rule for one in check_agent(agent) if one.field == "effort"] == []


TASK = Task(id="one", input="Why?")


def plan_for(header: str, **settings: Any) -> Plan:
    return plan_trials({"base": parse_agent(f"---\nname: abc\ndescription: d\n{header}---\nBe.\n")}, [TASK], **settings)


@pytest.mark.parametrize(
    ("header", "settings", "model", "effort"),
    [
        ("model: sonnet\n", {}, "claude-sonnet-5-5", "medium"),
        ("model: sonnet\neffort: HIGH\n", {}, "claude-sonnet-5-5", "high"),
        ("model: sonnet\neffort: 3\n", {}, "claude-sonnet-5-5", None),
        ("model: haiku[1m]\n", {}, "claude-haiku-5-5", "medium"),
        ("", {}, "claude-opus-5-5", "medium"),
        ("effort: low\n", {"effort": "max"}, "claude-opus-5-5", "max"),
        ("model: sonnet\n", {"model": "claude-opus-5"}, "claude-opus-5", "high"),
        ("model: claude-sonnet-4-5\n", {}, "claude-sonnet-4-5", None),
    ],
)
def test_a_trial_sends_what_claude_code_would_send(
    server: MessagesServer, header: str, settings: dict[str, Any], model: str, effort: str | None
) -> None:
    run_trials(plan_for(header, **settings), progress=False)
    (body,) = server.bodies

    assert body["model"] == model
    assert body.get("output_config") == (None if effort is None else {"effort": effort})


def test_a_trial_sends_what_the_environment_says(server: MessagesServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CODE_SUBAGENT_MODEL", "haiku")
    monkeypatch.setenv("ANTHROPIC_DEFAULT_SONNET_MODEL", "our/sonnet")
    run_trials(plan_for(""), progress=False)
    run_trials(plan_for("model: Sonnet\n"), progress=False)

    assert [body["model"] for body in server.bodies] == ["claude-haiku-5-5", "our/sonnet"]


def test_the_estimate_says_at_which_model_and_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_OFFLINE", "1")
    rows = dict(estimate_plan(plan_for("model: sonnet\n")).rows())

    assert rows["asked at, base"] == (
        "claude-sonnet-5-5, effort medium (the default of Claude Code 2.1.332 for claude-sonnet-5-5)"
    )


def run_as_before(plan: Plan, ledger: Path) -> None:
    """What a version left in its ledger that sent no effort where the file names none."""
    run_trials(plan.as_before(), ledger=ledger, progress=False, live=False)


def test_an_older_ledger_is_replayed_and_the_run_says_at_which_effort(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_for("model: sonnet\n", repeats=3)
    run_as_before(plan, tmp_path / "ledger.sqlite")
    capsys.readouterr()
    run = run_trials(plan, ledger=tmp_path / "ledger.sqlite", mode="replay", progress=False, live=False)

    assert [(trial.outcome, trial.request.effort) for trial in run.trials] == [("answered", None)] * 3
    assert (
        "Of 'base', 3 answers of an earlier version, asked of claude-sonnet-5-5 without an effort; Claude Code sends "
        "claude-sonnet-5-5 at effort medium (the default of Claude Code 2.1.332 for claude-sonnet-5-5)."
    ) in capsys.readouterr().out


def test_answers_that_were_asked_alike_are_replayed_together(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    run_as_before(plan_for("model: sonnet\n", repeats=3), ledger)
    run_trials(plan_for("model: sonnet\n", repeats=1), ledger=ledger, progress=False, live=False)
    run = run_trials(plan_for("model: sonnet\n", repeats=3), ledger=ledger, mode="replay", progress=False, live=False)

    assert [trial.request.effort for trial in run.trials] == [None, None, None]


def test_a_replay_of_answers_that_were_asked_otherwise_and_alike_says_what_may_come_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = tmp_path / "ledger.sqlite"
    agent = parse_agent("---\nname: abc\ndescription: d\nmodel: sonnet\n---\nBe.\n")
    variants = {"base": agent, "terse": agent.replace(prompt="Be terse.\n")}
    run_as_before(plan_trials({"base": variants["base"]}, [TASK]), ledger)
    run_trials(plan_trials({"terse": variants["terse"]}, [TASK]), ledger=ledger, progress=False, live=False)
    capsys.readouterr()
    run = run_trials(plan_trials(variants, [TASK]), ledger=ledger, mode="replay", progress=False, live=False)
    said = capsys.readouterr().out

    assert [(trial.variant, trial.request.effort) for trial in run.trials] == [("base", None), ("terse", "medium")]
    assert "Of 'base', 1 answer of an earlier version" in said
    assert "a difference may come from that alone" in said


def test_a_run_does_not_take_answers_at_another_effort_and_says_that_they_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_for("model: sonnet\n")
    run_as_before(plan, tmp_path / "ledger.sqlite")
    capsys.readouterr()
    run = run_trials(plan, ledger=tmp_path / "ledger.sqlite", progress=False, live=False)
    said = capsys.readouterr().out
    again = run_trials(plan, ledger=tmp_path / "ledger.sqlite", progress=False, live=False)

    assert [(trial.request.effort, trial.from_ledger) for trial in run.trials] == [("medium", False)]
    assert "mode='replay' shows them" in said
    assert [trial.from_ledger for trial in again.trials] == [True]
    assert "earlier version" not in capsys.readouterr().out


def test_a_replay_that_misses_says_so_of_what_is_asked_now(tmp_path: Path) -> None:
    run_as_before(plan_for("model: sonnet\n"), tmp_path / "ledger.sqlite")

    with pytest.raises(ReplayMiss, match="1 of 2 trials are not in the ledger"):
        run_trials(
            plan_for("model: sonnet\n", repeats=2),
            ledger=tmp_path / "ledger.sqlite",
            mode="replay",
            progress=False,
            live=False,
        )


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        ("haiku[1m]", None, ("haiku[1m]", None)),
        ("sonnet[1m]", "High", ("claude-sonnet-5-5", None)),
        ("claude-opus-4-0", "high", ("claude-opus-4-0", "high")),
        (None, 3, ("claude-opus-5-5", None)),
    ],
)
def test_what_was_sent_before_is_known(model: str | None, effort: object, sent: tuple[str, str | None]) -> None:
    assert resolve_as_before(model, effort) == sent
