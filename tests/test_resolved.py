"""With which model and effort Claude Code asks for a subagent: measured, and the same for reading, editor and trials."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import read_as_claude_code, resolve_agent
from workbench.definition.facts import facts
from workbench.definition.lint import check_agent
from workbench.definition.mend import mend_agent
from workbench.definition.resolved import resolve, resolve_model
from workbench.runs.plan import make_request
from workbench.runs.upkeep import estimate_upkeep
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
    mended = mend_agent(agent, problem)

    assert "asks claude-opus-5-5 for it" in problem.message
    assert mended is not None
    assert mended.model == "claude-opus-5-5"


def test_a_level_in_capitals_is_no_problem() -> None:
    agent = parse_agent("---\nname: abc\ndescription: d\neffort: High\n---\nBe.\n")

    assert [one.rule for one in check_agent(agent) if one.field == "effort"] == []
