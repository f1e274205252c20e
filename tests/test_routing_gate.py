"""The gate of routing: a description that costs an agent its cases is never green, and equal ones seldom red."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tests.router_server import Listed, router_server
from tests.runs import make_run
from tests.test_routing import APPROXIMATED, ENDPOINT, NO_WAIT, agent, passes_controls, roster
from workbench.cli import main
from workbench.definition.agent import Agent
from workbench.errors import ComparisonError, PlanError, StandInError
from workbench.routing.asking import choose_router, plan_routing
from workbench.routing.cases import accepted_of
from workbench.routing.change import RoutingChange, compare_routing
from workbench.routing.gate import RoutingGate, gate_routing
from workbench.routing.measured import CaseDecisions, Routed, measure_routing
from workbench.routing.record import both_in_one, sides_of
from workbench.routing.sides import change_between_runs, load_change, route_change
from workbench.statistics.routing import NONE
from workbench.trial.decisions import holds_decisions
from workbench.trial.record import export_record, load_run
from workbench.trial.task import Task
from workbench.trial.trial import TOOL_USES, Endpoint, Reply, Run

EACH = 40
"""Cases of an agent: enough that a loss of 10 points is ruled out where none is seen."""
OLD = "Makes slow code fast."
NEW = "Makes slow code fast, and more."
Picks = Callable[[str, int, bool], str | None]
"""(whose case, its number, whether it is after the change) -> who gets it."""


def cases_of(each: int = EACH, names: Sequence[str] = ("sec", "perf", "docs", NONE)) -> list[Task]:
    return [
        Task(id=f"{name}-{number}", input=f"{name} work {number}", target=name)
        for name in names
        for number in range(each)
    ]


def agents_with(perf: str, name: str = "perf") -> dict[str, Agent]:
    found: Any = roster(**{"sec": "Finds holes.", name: perf, "docs": "Writes documentation."})
    return dict(found)


def decide_by(picks: Picks) -> Callable[[str, Listed], str | None]:
    def decide(prompt: str, names: Listed) -> str | None:
        whose, _, number = prompt.split()
        return picks(whose, int(number), NEW in names.text)

    return passes_controls(decide)


def asked(agents: Mapping[str, Agent], cases: Sequence[Task], picks: Picks, *, is_new: bool) -> Run:
    """The decisions as `route_change` gets them, without asking anybody."""
    router = choose_router(APPROXIMATED)
    listed = {entry.name for entry in router.entries(agents)}
    here = [replace(case, target=next((one for one in accepted_of(case) if one in listed), NONE)) for case in cases]
    plan = plan_routing(agents, here, router=router, orders=1)
    trials = []
    for trial in plan.trials(ENDPOINT):
        whose, _, number = str(trial.request.messages[0]["content"]).split()
        name = picks(whose, int(number), is_new)
        called = [] if name is None else [{"name": "Agent", "input": {"subagent_type": name}}]
        trials.append(
            trial.replace(reply=Reply(text="I see.", stop_reason="end_turn", stop_details={TOOL_USES: called}))
        )
    return Run(variants=plan.variants, tasks=tuple(cases), repeats=1, endpoint=ENDPOINT, trials=tuple(trials))


def routed(
    picks: Picks,
    cases: Sequence[Task] | None = None,
    *,
    before: Mapping[str, Agent] | None = None,
    after: Mapping[str, Agent] | None = None,
) -> RoutingChange:
    """A change by a scripted router."""
    then, now = before or agents_with(OLD), after or agents_with(NEW)
    found = cases or cases_of()
    return change_between_runs(asked(then, found, picks, is_new=False), asked(now, found, picks, is_new=True))


def right(whose: str, number: int, is_new: bool) -> str | None:
    return None if whose == NONE else whose


def decisions(found: RoutingGate) -> dict[tuple[str, str], str]:
    return {(figure.kind, figure.of): figure.decision for figure in found.figures}


def test_a_description_that_loses_nothing_passes_and_says_what_is_ruled_out() -> None:
    found = gate_routing(routed(right), margin=0.1)

    assert found.decision == "passes", found.text
    assert decisions(found) == {
        ("recall", "perf"): "passes",
        ("over-triggering", NONE): "passes",
        ("taken", "all others"): "passes",
        ("others' recall", "all others"): "passes",
    }
    # None of 40 lost: Wilson's bound is 1.96^2 / (40 + 1.96^2)
    assert found.figures[0].low == pytest.approx(-0.0876, abs=1e-4)
    assert found.headline.startswith('Routing gate passes: "perf", margin 10.0 points, 160 cases, ')
    assert "a loss of more than 8.8 points is ruled out" in found.text


def never_picked(whose: str, number: int, is_new: bool) -> str | None:
    return None if whose == "perf" and is_new else right(whose, number, is_new)


def steals(whose: str, number: int, is_new: bool) -> str | None:
    return "perf" if whose == "sec" and is_new and number < 12 else right(whose, number, is_new)


def over_triggers(whose: str, number: int, is_new: bool) -> str | None:
    return "perf" if whose == NONE and is_new and number < 12 else right(whose, number, is_new)


def frightens_others(whose: str, number: int, is_new: bool) -> str | None:
    """Others lose their cases to nobody."""
    return None if whose == "docs" and is_new and number < 12 else right(whose, number, is_new)


def gains_what_it_loses(whose: str, number: int, is_new: bool) -> str | None:
    """Picked on half of its own cases before, on the other half after, and on many of another's."""
    if whose == "perf":
        return "perf" if (number < EACH // 2) != is_new else None
    return steals(whose, number, is_new)


@pytest.mark.parametrize(
    ("picks", "kind", "of"),
    [
        (never_picked, "recall", "perf"),
        (steals, "taken", "sec"),
        (over_triggers, "over-triggering", NONE),
        (frightens_others, "others' recall", "docs"),
        (gains_what_it_loses, "taken", "sec"),
    ],
)
def test_a_worse_description_is_red_by_what_it_worsens(picks: Picks, kind: str, of: str) -> None:
    found = gate_routing(routed(picks), margin=0.1)

    assert found.decision == "fails", found.text
    assert decisions(found)[kind, of] == "fails"


def takes_one_of_each(whose: str, number: int, is_new: bool) -> str | None:
    return "perf" if is_new and number < 1 else right(whose, number, is_new)


def test_what_is_taken_from_many_a_little_is_seen_in_the_whole() -> None:
    """One case of each of twenty: no single agent is shown to lose, and all of them together are."""
    names = [f"other-{number}" for number in range(20)]
    found: Any = roster(**dict.fromkeys(names, "Does a thing."))
    cases = [*cases_of(names=("perf", NONE)), *cases_of(6, names)]

    whole = gate_routing(
        routed(
            lambda whose, number, is_new: (
                takes_one_of_each(whose, number, is_new) if whose in names else right(whose, number, is_new)
            ),
            cases,
            before={**agents_with(OLD), **found},
            after={**agents_with(NEW), **found},
        ),
        margin=0.1,
    )

    assert decisions(whole)["taken", "all others"] == "fails"


def takes_all_of_three(whose: str, number: int, is_new: bool) -> str | None:
    return "perf" if whose == "few" and is_new else right(whose, number, is_new)


def test_all_cases_of_an_agent_with_few_are_never_green() -> None:
    """Three of three lost are too few to be shown, and of 83 cases of others they are few: undecided, and named."""
    few: Any = roster(few="Does few things.")
    found = gate_routing(
        routed(
            takes_all_of_three,
            [*cases_of(), *cases_of(3, ["few"])],
            before={**agents_with(OLD), **few},
            after={**agents_with(NEW), **few},
        ),
        margin=0.1,
    )

    assert found.decision == "not enough data", found.text
    assert decisions(found)["taken", "few"] == "not enough data"
    assert "perf takes of 3 cases of few 0% before and 100% after" in found.text


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        (cases_of(9), "it takes at least 10 to pass"),
        (cases_of(names=("sec", "docs", NONE)), "no case expects perf"),
        (cases_of(names=("sec", "perf", "docs")), "no case is for nobody (expect: none)"),
        (cases_of(names=("perf", NONE)), "no case is for another agent"),
    ],
)
def test_too_few_cases_pass_nothing_and_say_of_whom(cases: list[Task], said: str) -> None:
    found = gate_routing(routed(right, cases), margin=0.5)

    assert found.decision == "not enough data", found.text
    assert said in found.text


def test_a_loss_within_the_margin_passes_and_one_that_may_be_beyond_is_undecided() -> None:
    def loses_one(whose: str, number: int, is_new: bool) -> str | None:
        return None if whose == "perf" and is_new and number < 1 else right(whose, number, is_new)

    change = routed(loses_one)

    assert gate_routing(change, margin=0.2).decision == "passes"
    assert gate_routing(change, margin=0.1).decision == "not enough data"


def test_equal_lists_pass_as_nothing_changed() -> None:
    found = gate_routing(routed(right, cases_of(3), after=agents_with(OLD)), margin=0.1)

    assert (found.decision, found.figures) == ("passes", ())
    assert "the same agents with the same descriptions" in found.text


def test_an_agent_that_is_gone_loses_its_cases() -> None:
    after = {name: each for name, each in agents_with(NEW).items() if name != "docs"}

    found = gate_routing(
        routed(lambda *each: None if each[0] == "docs" and each[2] else right(*each), after=after), margin=0.1
    )

    assert found.decision == "fails"
    assert decisions(found)["others' recall", "docs"] == "fails"


def test_a_new_agent_has_no_case_to_lose_and_may_take_those_of_others() -> None:
    def takes(whose: str, number: int, is_new: bool) -> str | None:
        return "new" if whose == "docs" and is_new and number < 12 else right(whose, number, is_new)

    added: Any = {**agents_with(OLD), **roster(new="Does it all.")}
    harmless, harmful = (gate_routing(routed(picks, after=added), margin=0.1) for picks in (right, takes))

    assert harmless.decision == "passes" and ("recall", "new") not in decisions(harmless)
    assert harmful.decision == "fails" and decisions(harmful)["taken", "docs"] == "fails"


def test_a_renamed_agent_is_held_against_what_it_was() -> None:
    cases = [replace(case, target="fast, perf") if case.target == "perf" else case for case in cases_of()]

    def follows(whose: str, number: int, is_new: bool) -> str | None:
        if whose == "sec" and number < 5:
            return "fast" if is_new else "perf"  # taken before and after alike
        return "fast" if whose == "perf" and is_new else right(whose, number, is_new)

    change = routed(follows, cases, after=agents_with(NEW, "fast"))
    found = gate_routing(change, margin=0.1)

    assert (change.renamed, change.changed) == ({"perf": "fast"}, ("fast",))
    assert found.decision == "passes", found.text
    worse = gate_routing(
        routed(
            lambda *each: None if each[0] == "perf" and each[2] else follows(*each),
            cases,
            after=agents_with(NEW, "fast"),
        ),
        margin=0.1,
    )
    assert decisions(worse)["recall", "fast"] == "fails"


def test_a_case_for_an_agent_of_neither_side_is_refused() -> None:
    with pytest.raises(PlanError, match="listed neither before nor after"):
        route_change(
            agents_with(OLD), agents_with(NEW), [Task(id="one", input="any", target="nobody-here")], model=APPROXIMATED
        )


def test_a_change_is_asked_about_by_the_agents_of_its_own_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case for a renamed agent is put to both lists; what is held of it is the same as if nobody had been asked."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    cases = [
        replace(case, target="fast, perf") if case.target == "perf" else case
        for case in cases_of(3, ("sec", "perf", NONE))
    ]

    def follows(whose: str, number: int, is_new: bool) -> str | None:
        return "fast" if whose == "perf" and is_new else right(whose, number, is_new)

    with router_server(decide_by(follows)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        change = route_change(
            agents_with(OLD),
            agents_with(NEW, "fast"),
            cases,
            model=APPROXIMATED,
            orders=1,
            ledger=tmp_path / "ledger.sqlite",
            progress=False,
            retry=NO_WAIT,
        )

    by_hand = routed(follows, cases, after=agents_with(NEW, "fast"))
    assert change.renamed == {"perf": "fast"}
    assert gate_routing(change, margin=0.1).figures == gate_routing(by_hand, margin=0.1).figures


def test_made_up_decisions_decide_nothing_unless_they_are_allowed_to(tmp_path: Path) -> None:
    change = routed(right)
    offline = Endpoint(kind="offline", base_url="offline")
    made_up = [
        Routed(
            run=replace(side.run, trials=tuple(trial.replace(endpoint=offline) for trial in side.run.trials)),
            controls=None,
        )
        for side in (change.before, change.after)
    ]
    found = compare_routing(*made_up)

    with pytest.raises(StandInError):
        gate_routing(found)
    assert gate_routing(found, allow_stand_in=True).text.startswith("OFFLINE STAND-IN")
    export_record(found.run, tmp_path / "record")
    refused = gated(tmp_path / "record", "--routing-margin", "0.1")
    allowed = gated(tmp_path / "record", "--routing-margin", "0.1", "--allow-stand-in")
    assert (refused.exit_code, allowed.exit_code) == (5, 0)
    assert found.lead[0].startswith("OFFLINE STAND-IN") and found.after.lead[0].startswith("OFFLINE STAND-IN")


@pytest.mark.parametrize(
    ("margin", "said"), [(0.0, "more than 0"), (10.0, "10 points are 0.1"), (100.0, "less than 1")]
)
def test_a_margin_that_is_none_is_refused(margin: float, said: str) -> None:
    with pytest.raises(ComparisonError, match=said):
        gate_routing(routed(right, cases_of(2)), margin=margin)


def test_one_record_holds_both_sides(tmp_path: Path) -> None:
    change = routed(steals)
    export_record(change.run, tmp_path / "record")
    loaded = load_run(tmp_path / "record")

    assert holds_decisions(loaded) and not holds_decisions(make_run({"a": [[1.0], [0.0]]}))
    assert list(loaded.variants) == ["before, order 1", "after, order 1"]
    assert str(load_change(tmp_path / "record")) == str(change)
    assert str(measure_routing(loaded)) == str(change.after)
    before, after = sides_of(loaded)
    assert before is not None and both_in_one(before, after).trials == loaded.trials
    assert gate_routing(load_change(tmp_path / "record")) == gate_routing(change)


def gated(*arguments: str | Path) -> Any:
    return CliRunner().invoke(main, ["gate", *map(str, arguments)])


def test_the_command_decides_by_its_exit_code_and_json(tmp_path: Path) -> None:
    for name, picks in (("fine", right), ("worse", steals)):
        export_record(routed(picks).run, tmp_path / name)

    fine, worse = (gated(tmp_path / name, "--routing-margin", "0.1") for name in ("fine", "worse"))
    narrow = gated(tmp_path / "fine", "--routing-margin", "0.05", "--json")

    assert (fine.exit_code, worse.exit_code, narrow.exit_code) == (0, 3, 4), fine.output
    assert 'Routing gate fails: "perf"' in worse.output
    values = json.loads(narrow.output)
    assert (values["decision"], values["margin"], values["changed"]) == ("not enough data", 0.05, ["perf"])
    assert {figure["kind"] for figure in values["figures"]} == {
        "recall",
        "over-triggering",
        "taken",
        "others' recall",
    }
    wrong = gated(tmp_path / "fine", "--routing-margin", "10")
    assert wrong.exit_code == 2 and "10 points are 0.1" in wrong.output


def test_two_records_are_held_against_each_other(tmp_path: Path) -> None:
    change = routed(steals)
    export_record(change.before.run, tmp_path / "before")
    export_record(change.after.run, tmp_path / "after")

    found = gated(tmp_path / "after", "--baseline", tmp_path / "before", "--routing-margin", "0.1")
    alone = gated(tmp_path / "after", "--routing-margin", "0.1")

    assert found.exit_code == 3, found.output
    assert alone.exit_code == 2 and "nothing to hold them against" in alone.output


def test_a_record_without_decisions_says_so(tmp_path: Path) -> None:
    export_record(make_run({"a": [[1.0], [0.0]], "b": [[1.0], [0.0]]}), tmp_path / "replies")
    export_record(routed(right).run, tmp_path / "decisions")

    none = gated(tmp_path / "replies", "--routing-margin", "0.1")
    other = gated(tmp_path / "decisions", "--baseline", "before, order 1")
    without = gated(tmp_path / "replies")
    guarded = gated(tmp_path / "decisions", "--routing-margin", "0.1", "--guard", "polite")

    assert none.exit_code == 2 and "no routing decision" in none.output
    assert other.exit_code == 2 and "--routing-margin" in other.output
    assert without.exit_code == 2 and "'--baseline'" in without.output
    assert guarded.exit_code == 2 and "--guard" in guarded.output


def test_cases_made_easier_in_a_record_pass_nobody_by_a_file_of_them(tmp_path: Path) -> None:
    """Whoever changed the description also says that its stolen prompts were its own: the file that one has decides."""
    easier = [replace(case, target="perf, sec") if case.target == "sec" else case for case in cases_of()]
    export_record(routed(steals, easier).run, tmp_path / "record")
    kept = [{"id": case.id, "prompt": case.input, "expect": case.target} for case in cases_of()]
    (tmp_path / "routing.yaml").write_text(json.dumps(kept), "utf-8")

    by_theirs = gated(tmp_path / "record", "--routing-margin", "0.1")
    by_ours = gated(tmp_path / "record", "--routing-margin", "0.1", "--tasks", tmp_path / "routing.yaml")

    assert by_theirs.exit_code == 0, by_theirs.output
    assert by_ours.exit_code == 3, by_ours.output


def test_the_command_leaves_one_record_of_both_and_replays_it_without_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, text in (("old", OLD), ("new", NEW)):
        (tmp_path / folder).mkdir()
        for name, description in (("sec", "Finds holes."), ("perf", text), ("docs", "Writes documentation.")):
            (tmp_path / folder / f"{name}.md").write_bytes(agent(name, description))
    cases = [{"prompt": case.input, "expect": case.target} for case in cases_of(12)]
    (tmp_path / "new" / "routing.yaml").write_text(json.dumps(cases), "utf-8")
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "ledger.sqlite"))
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    arguments = ["route", str(tmp_path / "new"), "--way", "approximation", "--before", str(tmp_path / "old"), "--json"]

    with router_server(decide_by(steals)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        first = CliRunner().invoke(main, [*arguments, "--record", str(tmp_path / "record")])
        asked = len(server.bodies)
        again = CliRunner().invoke(main, [*arguments, "--replay"])
        assert len(server.bodies) == asked
    shown = CliRunner().invoke(main, ["route", str(tmp_path / "record"), "--json"])

    assert first.exit_code == again.exit_code == shown.exit_code == 3, first.stderr
    assert first.stdout == again.stdout == shown.stdout
    assert gated(tmp_path / "record", "--routing-margin", "0.1").exit_code == 3


def loses(count: int) -> Picks:
    """Of its own cases the changed agent loses so many, and nothing else moves."""
    return lambda whose, number, is_new: (
        None if whose == "perf" and is_new and number < count else right(whose, number, is_new)
    )


@pytest.mark.parametrize("each", [12, 40, 50, 60, 90])
def test_a_loss_of_exactly_the_margin_is_green_as_seldom_as_is_said(each: int) -> None:
    """Exact where cases move one way only, of which Student's t alone says too much: of 50 cases that are lost with a
    chance of 10 % each it would pass eleven in a hundred."""
    cases = [*cases_of(each, ["perf"]), *cases_of(EACH, ["sec", NONE])]
    chance = 0.0
    for count in range(each + 1):
        if gate_routing(routed(loses(count), cases), margin=0.1).decision != "passes":
            break
        chance += math.comb(each, count) * 0.1**count * 0.9 ** (each - count)

    assert chance <= 0.05


ROUNDS = 150
LEVEL = 0.05
NOISE = 2.6
"""Standard errors of a simulated share; the seeds are fixed."""
NAMES = ("sec", "perf", "docs", NONE)


def drawn(
    asked: RoutingChange, generator: np.random.Generator, chances: Sequence[np.ndarray], each: int
) -> RoutingChange:
    """That change with other decisions, by the chances of each agent's cases before and after."""
    sides = []
    for side, rows in zip((asked.before, asked.after), chances, strict=True):
        found = Routed(run=side.run, controls=None)
        found.__dict__["cases"] = tuple(
            CaseDecisions(id=f"{truth}-{number}", prompt="", group=None, accepted=(truth,), picked=(NAMES[index],))
            for truth, row in zip(NAMES, rows, strict=True)
            for number, index in enumerate(generator.choice(len(NAMES), size=each, p=row))
        )
        sides.append(found)
    return RoutingChange(before=sides[0], after=sides[1], changed=("perf",))


def mostly_right(recall: float, perf: float | None = None) -> np.ndarray:
    chances = np.full((4, 4), (1 - recall) / 3)
    np.fill_diagonal(chances, recall)
    if perf is not None:
        chances[1] = [0, perf, 0, 1 - perf]
    return chances


def test_equal_descriptions_are_red_as_seldom_as_is_said() -> None:
    generator, asked_once = np.random.default_rng(20261130), routed(right, cases_of(2))
    chances = [mostly_right(0.8)] * 2
    red = sum(gate_routing(drawn(asked_once, generator, chances, 14)).decision == "fails" for _ in range(ROUNDS))

    assert red / ROUNDS <= LEVEL + NOISE * np.sqrt(LEVEL * (1 - LEVEL) / ROUNDS)


def test_a_loss_beyond_the_margin_is_found() -> None:
    generator, asked_once = np.random.default_rng(20261202), routed(right, cases_of(2))
    chances = [mostly_right(0.9), mostly_right(0.9, 0.5)]
    found = [gate_routing(drawn(asked_once, generator, chances, 40)).decision for _ in range(40)]

    assert found.count("fails") >= 32 and "passes" not in found
