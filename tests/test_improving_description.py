"""A better description: chosen on some cases, measured on sealed ones, of which no proposer ever reads a word."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import workbench as wb
from tests.router_server import Decide, Listed, RouterServer, router_server
from tests.test_routing import APPROXIMATED, NO_WAIT, agent, made_up_run, passes_controls
from workbench.cli import EXIT_STAND_IN, main
from workbench.definition.agent_list import entries_in
from workbench.definition.project import project_folder
from workbench.errors import NoModel, PlanError, RoutingRefused, SealError, WorkbenchError
from workbench.headless.notebook import run_notebook
from workbench.routing.improving import AS_IT_IS, improve_description, right_picks, seal_of, split_cases, tells_apart
from workbench.routing.measured import Routed
from workbench.routing.proposing import MOST_WORDS, words_changed
from workbench.runs.writer import DESCRIPTION_WRITER, Writer, ask_writer
from workbench.statistics.routing import NONE
from workbench.trial.sealed import Split, split_tasks
from workbench.trial.task import Task

WEAK = "Helps with the database."
BETTER = "Helps with the database: migrations, indexes and locks."
GREEDY = "Helps with everything: migrations, indexes, locks, login, colour and greeting."
CASES = [
    Task(id=f"{word}-{number}", input=f"There is trouble with {word} in part {number} of it.", target=target)
    for word, target in (
        ("migrations", "db"),
        ("indexes", "db"),
        ("login", "sec"),
        ("colour", "none"),
        ("greeting", "none"),
    )
    for number in range(6)
]


def by_keywords(prompt: str, listed: Listed) -> str | None:
    """Picks the agent whose description has a long word of the prompt; of several that which says most."""
    words = set(re.findall(r"[a-z]{5,}", prompt)) - {"there", "trouble"}
    entries = entries_in(listed.text)
    fit = [name for name, entry in entries.items() if words & set(re.findall(r"[a-z]{5,}", entry.lower()))]
    return max(fit, key=lambda name: len(entries[name]), default=None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, description in (("db", WEAK), ("sec", "Looks at login and sessions.")):
        (tmp_path / f"{name}.md").write_bytes(agent(name, description))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "ledger.sqlite"))
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    return tmp_path


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RouterServer]:
    with router_server(passes_controls(by_keywords)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        yield server


def split(folder: Path) -> Split:
    return split_tasks(CASES, seal=folder / "seal.json")


def routed_as(truths: Sequence[str], picked: Sequence[str]) -> Routed:
    return Routed(run=made_up_run([*truths], picked), controls=None)


def improved(folder: Path, candidates: Any = (BETTER, GREEDY), **asking: Any) -> Any:
    return improve_description(
        folder, "db", split(folder), candidates=candidates, model=APPROXIMATED, progress=False, retry=NO_WAIT, **asking
    )


class TestChoice:
    def test_the_better_one_is_chosen_and_measured_on_sealed_cases(self, server: RouterServer, folder: Path) -> None:
        found = improved(folder)

        values = found.as_values()
        assert found.chosen == "1"
        assert values["right_picks"] == pytest.approx({AS_IT_IS: 0.5, "1": 1.0, "2": 0.5})
        assert found.sealed_change.effect == pytest.approx(0.5)
        assert found.is_shown_better and found.optimism == pytest.approx(0)
        assert "is better on 15 sealed cases: +50 points" in found.sentence
        assert f"| {BETTER}" in str(found) or BETTER in str(found)
        assert found.split.is_opened

    def test_the_draft_gets_it_and_the_file_stays(self, server: RouterServer, folder: Path) -> None:
        draft = improved(folder).accept()
        assert draft.agent.description == BETTER
        assert wb.load_agent(folder / "db.md").description == WEAK

    def test_again_costs_nothing_and_opens_for_the_same_choice(self, server: RouterServer, folder: Path) -> None:
        first = improved(folder)
        asked = len(server.bodies)
        assert improved(folder).as_values() == first.as_values()
        assert len(server.bodies) == asked

    def test_a_second_choice_is_not_measured_on_what_was_seen(self, server: RouterServer, folder: Path) -> None:
        improved(folder)
        with pytest.raises(SealError, match="for another choice"):
            improved(folder, (f"{BETTER} Now.",))

    def test_where_none_is_better_nothing_is_opened(self, server: RouterServer, folder: Path) -> None:
        found = improved(folder, ("Helps with a database.", "Says hello: colour, greeting."))  # a tie, and worse

        assert found.chosen == AS_IT_IS
        assert not found.split.is_opened
        assert not found.is_shown_better
        assert "none is better" in found.sentence
        sealed = {task.input for task in split(folder).open("to see what was asked")}
        assert not any(text in str(server.bodies) for text in sealed)

    def test_one_that_takes_the_cases_of_others_is_not_better(self, server: RouterServer, folder: Path) -> None:
        """It gets all of its own cases, and those of the one beside it too."""
        taking = "Helps with the database: migrations, indexes; and login."
        found = improved(folder, (taking,))
        assert found.chosen == "1"  # what it takes counts against it, and what it gets counts for more
        assert found.sealed_change.effect == pytest.approx(1 / 2 - 1 / 2 * 3 / 9)
        assert [(row.kind, row.of, row.is_shown) for row in found.costs] == [("taken", "sec", False)]
        assert not found.is_shown_better
        assert "But db moved 3 of 3 of sec's cases to itself" in found.sentence


class TestBeforeAnythingIsAsked:
    """What would keep the choice from being measured is found before the first request."""

    def test_sealed_cases_are_counted_without_being_opened(self, server: RouterServer, folder: Path) -> None:
        parts = split_tasks(CASES, seal=folder / "seal.json", select=0.5, sealed=0.1)
        with pytest.raises(PlanError, match="of the cases that are sealed, 1 are of db"):
            improve_description(folder, "db", parts, candidates=[BETTER], model=APPROXIMATED)
        assert not server.bodies and not parts.is_opened

    def test_a_seal_that_was_opened_for_another_choice(self, server: RouterServer, folder: Path) -> None:
        split(folder).open("another choice")
        for candidates in ((BETTER, GREEDY), Writer()):
            with pytest.raises(SealError, match="for another choice"):
                improved(folder, candidates)
        assert not server.bodies

    def test_a_second_choice(self, server: RouterServer, folder: Path) -> None:
        improved(folder)
        asked = len(server.bodies)
        for candidates in ((f"{BETTER} Now.", GREEDY), Writer()):
            with pytest.raises(SealError, match="for another choice"):
                improved(folder, candidates)
        assert len(server.bodies) == asked

    def test_the_same_choice_beside_other_neighbours(self, server: RouterServer, folder: Path) -> None:
        """They decide too: whoever could change them would look as often as they like."""
        improved(folder)
        asked = len(server.bodies)
        (folder / "sec.md").write_bytes(agent("sec", "Looks at login, sessions and locks."))
        with pytest.raises(SealError, match="for another choice"):
            improved(folder)
        assert len(server.bodies) == asked

    def test_a_seal_that_was_changed(self, server: RouterServer, folder: Path) -> None:
        parts = split(folder)
        said = json.loads(parts.seal.read_text("utf-8"))
        parts.seal.write_text(json.dumps(said | {"sealed_sha256": "0" * 64}), "utf-8")
        with pytest.raises(SealError, match=r"changed since it was read \(sealed_sha256\)"):
            improve_description(folder, "db", parts, candidates=[BETTER], model=APPROXIMATED)
        assert not server.bodies

    @pytest.mark.parametrize(("candidates", "why"), [((WEAK,), "no other description"), ((" ", BETTER), "is empty")])
    def test_candidates_that_are_none(
        self, candidates: tuple[str, ...], why: str, server: RouterServer, folder: Path
    ) -> None:
        with pytest.raises(PlanError, match=why):
            improved(folder, candidates)
        assert not server.bodies

    def test_a_description_that_says_a_sealed_prompt(self, server: RouterServer, folder: Path) -> None:
        parts = split(folder)
        hidden = next(case for case in CASES if case.id not in {task.id for task in parts.select})
        with pytest.raises(SealError, match=f"{hidden.id}' stands in description 1"):
            improved(folder, (f"{WEAK} {hidden.input}",))
        assert not server.bodies and not parts.is_opened

    def test_a_sealed_prompt_that_a_proposer_was_shown_before(self, server: RouterServer, folder: Path) -> None:
        """With another seal, whose cases to choose by are sealed in this one: the ledger has what was shown."""
        hidden = next(case for case in CASES if case.id not in {task.id for task in split(folder).select})
        ask_writer(Writer(), to=DESCRIPTION_WRITER, instructions="Write.", shown=f"Prompt: {hidden.input}")
        asked = len(server.bodies)
        with pytest.raises(SealError, match=f"{hidden.id}' is sealed, and stands in what a model was shown before"):
            improved(folder)
        assert len(server.bodies) == asked

    def test_the_stand_in_decides_nothing_and_seals_nothing(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
        with pytest.raises(NoModel, match="decides nothing"):
            split_cases(folder, "db", CASES, seal=folder / "new.json", model=APPROXIMATED)
        assert not (folder / "new.json").exists()
        with pytest.raises(NoModel, match="decides nothing"):
            improved(folder)
        assert not split(folder).is_opened

    def test_no_seal_is_made_for_cases_that_cannot_be_used(self, server: RouterServer, folder: Path) -> None:
        for cases in ([case for case in CASES if case.target != "db"], CASES[:7]):
            with pytest.raises(PlanError, match="it takes 2"):
                split_cases(folder, "db", cases, seal=folder / "new.json")
            assert not (folder / "new.json").exists()
        assert split_cases(folder, "db", CASES, seal=folder / "new.json").select == split(folder).select

    @pytest.mark.parametrize("name", ["db", "../../db", "a\\..\\db", ".."])
    def test_a_seal_lies_in_the_project_whatever_an_agent_is_called(self, folder: Path, name: str) -> None:
        assert seal_of(folder, name).parent == project_folder(folder) / ".workbench" / "seals"

    def test_a_seal_that_nobody_names_is_that_of_the_agent(self, server: RouterServer, folder: Path) -> None:
        found = split_cases(folder, "db", CASES, model=APPROXIMATED)
        assert found.seal == seal_of(folder, "db") and found.seal.is_file()


class TestOpenedOnce:
    """Whatever became of the file: the ledger holds what was asked."""

    @pytest.mark.parametrize("seal", ["seal.json", "another.json"])
    def test_an_opening_that_was_undone_is_no_first_one(self, seal: str, server: RouterServer, folder: Path) -> None:
        improved(folder)
        (folder / "seal.json").unlink()
        parts = split_tasks(CASES, seal=folder / seal)
        again = improve_description(
            folder,
            "db",
            parts,
            candidates=[f"{BETTER} Now."],
            model=APPROXIMATED,
            progress=False,
            retry=NO_WAIT,
        )
        assert "Asked before: 15 sealed cases with 1 other description, so that this number is not" in again.sentence
        assert again.sealed_change is not None and again.sealed_change.effect == pytest.approx(0.5)
        assert not again.is_shown_better
        assert again.as_values()["asked_before"] == {"tasks": 15, "others": 1}

    def test_cases_that_were_routed_with_the_present_description_alone_are_not_spent(
        self, server: RouterServer, folder: Path
    ) -> None:
        said = f"{WEAK}\n- sec: as an entry of the list would say it\n"
        (folder / "db.md").write_bytes(agent("db", said))
        wb.route(folder, CASES, model=APPROXIMATED, progress=False, retry=NO_WAIT)
        found = improved(folder)
        assert found.as_values()["asked_before"] == {"tasks": 15, "others": 0}
        assert found.is_shown_better and "Asked before" not in found.sentence

    def test_a_replay_without_a_key_finds_the_same(
        self, server: RouterServer, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = improved(folder)
        monkeypatch.delenv("ANTHROPIC_BASE_URL")
        assert improved(folder, mode="replay").as_values() == first.as_values()


class TestKept:
    """What was chosen is not lost where the sealed cases come to no number."""

    def test_the_choice_is_printed_and_goes_on_from_there(
        self, server: RouterServer, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        parts = split(folder)
        sealed = {case.input for case in CASES} - {task.input for task in parts.select}
        decides = server.decide
        server.decide = lambda prompt, listed: "fail" if prompt in sealed else decides(prompt, listed)
        with pytest.raises(RoutingRefused, match="30 of 30 decisions"):
            improved(folder)
        said = " ".join(capsys.readouterr().out.split())
        assert "'1' is best, by +50 points where it was chosen. The sealed cases did not come to a number" in said
        assert BETTER in said
        assert parts.is_opened

        server.decide = decides
        asked = len(server.bodies)
        assert improved(folder).is_shown_better
        assert len(server.bodies) == asked + 60  # the sealed cases, and nothing of the choice


class TestMetric:
    @pytest.mark.parametrize("own", [1, 6, 20])
    @pytest.mark.parametrize("picked", ["db", NONE, "sec"])
    def test_a_constant_has_half_however_many_cases_are_whose(self, picked: str, own: int) -> None:
        truths = ["db"] * own + [NONE] * 7 if picked != "sec" else ["db"] * own + ["docs"] * 7
        assert right_picks(routed_as(truths, [picked] * len(truths)), "db") == pytest.approx(0.5)

    def test_it_orders_the_known_good_over_the_known_bad(self) -> None:
        truths = ["db"] * 3 + ["sec"] * 5 + [NONE] * 4
        known = [[*truths], ["db"] * 3 + ["db"] * 2 + truths[5:], [NONE] * 3 + truths[3:], [NONE] * 3 + ["db"] * 9]
        scores = [right_picks(routed_as(truths, picked), "db") for picked in known]
        assert scores == sorted(scores, reverse=True) and len(set(scores)) == 4

    @pytest.mark.parametrize("count", [2, 3, 6, 12])
    def test_a_router_of_chance_seldom_passes_for_one_that_reads(self, count: int) -> None:
        generator = np.random.default_rng(20261132)
        passed = [tells_apart(*(generator.random((2, count)) < 0.5).astype(float)) for _ in range(2_000)]
        assert np.mean(passed) <= 0.0625 + 2.6 * np.sqrt(0.0625 * 0.9375 / 2_000)

    def test_descriptions_that_are_read_pass(self) -> None:
        assert all(tells_apart([0.0] * count, [1.0] * count) for count in (2, 3, 6, 12))
        assert not tells_apart([0.0, 1.0, 0.0], [1.0, 1.0, 1.0])
        assert not tells_apart([1.0] * 6, [1.0] * 6)

    def test_a_description_that_is_always_picked_is_not_chosen_over_a_worse_one(
        self, server: RouterServer, folder: Path
    ) -> None:
        """The present one gets the cases of others and leaves its own, which is worse than a constant."""
        (folder / "db.md").write_bytes(agent("db", "Says hello: colour and greeting."))
        found = improved(folder, (GREEDY,))
        assert found.as_values()["right_picks"] == pytest.approx({AS_IT_IS: 1 / 6, "1": 0.5})
        assert found.chosen == AS_IT_IS and not found.split.is_opened

    def test_what_choosing_the_best_made_too_high_is_shown(self, server: RouterServer, folder: Path) -> None:
        """A description that is right on the very cases that chose it, and on no others."""
        parts = split(folder)
        chose = {task.input for task in parts.select}
        decides = server.decide

        def overfits(prompt: str, listed: Listed) -> str | None:
            return None if prompt not in chose and BETTER in listed.text else decides(prompt, listed)

        server.decide = overfits
        found = improved(folder, (BETTER,))
        assert (found.select_change.effect, found.sealed_change.effect) == pytest.approx((0.5, 0.0))
        assert found.as_values()["optimism"] == found.optimism == pytest.approx(0.5)
        assert not found.is_shown_better
        assert "is not shown to be better on 15 sealed cases" in found.sentence
        assert "Where it was chosen it was +50 points: +50 points by choosing the best." in found.sentence


class TestControls:
    @pytest.mark.parametrize("decide", [lambda *_: None, lambda prompt, _: "sec"], ids=["never", "another"])
    def test_where_descriptions_decide_nothing_no_candidate_is_asked(
        self, decide: Decide, server: RouterServer, folder: Path
    ) -> None:
        server.decide = passes_controls(decide)
        with pytest.raises(RoutingRefused, match="descriptions decide nothing here"):
            improved(folder)
        assert BETTER not in str(server.bodies)
        assert not split(folder).is_opened

    @pytest.mark.parametrize(
        ("cases", "why"),
        [
            ([case for case in CASES if case.target == "db"], "0 are of others"),
            ([case for case in CASES if case.target != "db"], "0 are of db"),
        ],
    )
    def test_cases_of_one_kind_alone_are_refused_before_anything_is_asked(
        self, cases: list[Task], why: str, server: RouterServer, folder: Path
    ) -> None:
        with pytest.raises(PlanError, match=why):
            improve_description(
                folder, "db", split_tasks(cases, seal=folder / "s.json"), candidates=[BETTER], model=APPROXIMATED
            )
        assert not server.bodies

    def test_an_agent_that_is_not_there_is_named(self, server: RouterServer, folder: Path) -> None:
        with pytest.raises(PlanError, match="no agent 'dba' in the list; there are db, sec"):
            improve_description(folder, "dba", split(folder), candidates=[BETTER], model=APPROXIMATED)


class TestProposals:
    """A model writes the candidates: what it is shown, and what of its answer is tried."""

    @pytest.fixture
    def writes(self, server: RouterServer, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """What the model says; the server answers with it where descriptions are asked for."""
        said: list[Any] = []
        decide = server.decide

        def decide_or_write(prompt: str, listed: Listed) -> str | None:
            return "text:" + json.dumps({"descriptions": said}) if "<cases>" in prompt else decide(prompt, listed)

        server.decide = decide_or_write
        return said

    def test_small_edits_are_tried_and_others_left_out(
        self, writes: list[Any], server: RouterServer, folder: Path
    ) -> None:
        long = WEAK + " and more" * MOST_WORDS
        writes += [BETTER, WEAK, 3, "", long, GREEDY]
        found = improved(folder, Writer())

        assert list(found.descriptions.values()) == [WEAK, BETTER]
        assert found.chosen == "1" and found.is_shown_better
        assert [each.split(": ")[1] for each in found.left_out] == [
            "as it is",
            "no description",
            "no description",
            f"changes {words_changed(WEAK, long)} words, more than {MOST_WORDS}",
        ]

    def test_no_word_of_a_sealed_case_is_in_any_prompt_before_the_choice(
        self, writes: list[Any], server: RouterServer, folder: Path
    ) -> None:
        writes += [BETTER]
        found = improved(folder, Writer())

        sealed = {case.input for case in CASES} - {task.input for task in found.split.select}
        with sqlite3.connect(folder / "ledger.sqlite") as ledger:
            rows = ledger.execute(
                "select request, body from attempts join texts on sha256 = system_sha256 order by id"
            ).fetchall()
        texts = [f"{request}\n{body.decode()}" for request, body in rows]
        shown = [text for text in texts if "<cases>" in text]
        assert len(shown) == 1
        assert any(task.input in shown[0] for task in found.split.select)
        assert not [text for text in sealed if text in shown[0]]
        first_sealed = next(number for number, text in enumerate(texts) if any(each in text for each in sealed))
        assert first_sealed > texts.index(shown[0])

    def test_a_sealed_case_that_a_description_says_is_shown_to_nobody(
        self, writes: list[Any], server: RouterServer, folder: Path
    ) -> None:
        hidden = next(case for case in CASES if case.id not in {task.id for task in split(folder).select})
        (folder / "sec.md").write_bytes(agent("sec", f"Looks at login. {hidden.input}"))
        with pytest.raises(SealError, match="would be shown"):
            improved(folder, Writer())
        assert "<cases>" not in str(server.bodies)

    def test_again_a_proposal_opens_for_the_same_choice_and_costs_nothing(
        self, writes: list[Any], server: RouterServer, folder: Path
    ) -> None:
        writes += [BETTER]
        first = improved(folder, Writer())
        asked = len(server.bodies)
        assert improved(folder, Writer()).as_values() == first.as_values()
        assert improved(folder, (BETTER,)).as_values() == first.as_values()  # by hand, it is the same choice
        assert len(server.bodies) == asked

    def test_what_is_no_list_is_said(self, server: RouterServer, folder: Path) -> None:
        with pytest.raises(WorkbenchError, match="proposed no descriptions"):
            improved(folder, Writer())


class TestCommand:
    def route(self, folder: Path, *more: str, agents: Path | None = None) -> Any:
        (folder / "routing.yaml").write_text(
            json.dumps([{"id": case.id, "prompt": case.input, "expect": case.target} for case in CASES]), "utf-8"
        )
        cases = [] if agents is None else ["--cases", str(folder / "routing.yaml")]
        return CliRunner().invoke(main, ["route", str(agents or folder), "--way", "approximation", *cases, *more])

    def test_it_chooses_says_and_accepts(self, server: RouterServer, folder: Path) -> None:
        (folder / "one.txt").write_text(BETTER + "\n", "utf-8")
        more = ("--improve", "db", "--candidate", "one.txt", "--seal", "seal.json")
        done = self.route(folder, *more, "--accept")

        assert done.exit_code == 0, done.output
        assert "'1' is best, and is better on 15 sealed cases" in done.output
        assert "is in the draft of db; its file is as it was" in done.output
        assert json.loads((folder / "seal.json").read_text("utf-8"))["opened"]
        told = self.route(folder, *more, "--json")
        assert json.loads(told.stdout.splitlines()[-1])["sealed_effect"] == pytest.approx(0.5)

    @pytest.mark.parametrize("more", [("--before", "old"), ("--improve", "db"), ("--steering",)])
    def test_one_budget_bounds_all_that_a_command_asks(
        self, more: tuple[str, ...], server: RouterServer, folder: Path
    ) -> None:
        """Of the agents before and after, and of the model that proposes descriptions too."""
        (folder / "old").mkdir()
        for name in ("db", "sec"):
            (folder / "old" / f"{name}.md").write_bytes(agent(name, "Looks at login or at locks."))
        decides = server.decide
        written = "text:" + json.dumps({"descriptions": [BETTER]})
        server.decide = lambda prompt, listed: written if "<cases>" in prompt else decides(prompt, listed)
        agents = folder / "agents"
        agents.mkdir()
        for name in ("db", "sec"):
            (folder / f"{name}.md").rename(agents / f"{name}.md")
        done = self.route(folder, *more, "--budget-usd", "5", agents=agents)
        assert done.exit_code == 0, done.output
        with sqlite3.connect(folder / "ledger.sqlite") as ledger:
            scopes = [scope for (scope,) in ledger.execute("select scope from budgets")]
        assert len(scopes) == 1, scopes

    def test_what_it_would_take_and_show_is_said_before(self, server: RouterServer, folder: Path) -> None:
        checked = self.route(folder, "--check")
        assert re.search(r"db +12 +58 points or more", checked.output), checked.output
        assert re.search(r"sec +6 +97 points or more", checked.output)
        assert re.search(r"none +12 ", checked.output)
        assert "What a changed description could be shown" in self.route(folder, "--estimate").output
        assert not server.bodies

    def counted(self, output: str) -> int:
        """The calls that an estimate says it would take in all."""
        [row] = re.findall(r"^in all +\S+ +\S+ +(\S+)", output, re.MULTILINE)
        return int(row.replace(",", ""))

    @pytest.mark.parametrize(
        "more",
        [(), ("--orders", "3"), ("--steering",), ("--improve", "db", "--candidate", "one.txt", "--seal", "s.json")],
    )
    def test_an_estimate_is_of_what_would_be_asked(
        self, more: tuple[str, ...], server: RouterServer, folder: Path
    ) -> None:
        (folder / "one.txt").write_text(BETTER, "utf-8")
        estimate = self.route(folder, *more, "--estimate")
        assert estimate.exit_code == 0, estimate.output
        assert "no task names a grader" not in estimate.output
        assert not server.bodies and not (folder / "s.json").exists()
        done = self.route(folder, *more)
        assert done.exit_code == 0, done.output
        assert len(server.bodies) == self.counted(estimate.output)
        assert self.counted(self.route(folder, *more, "--estimate").output) == 0
        assert done.output.count("Answered by the server") == 1

    @pytest.mark.parametrize(
        ("more", "why"),
        [
            (("--steering", "--record", "record"), "--record: of no use with --steering"),
            (("--improve", "db", "--record", "record"), "--record: of no use with --improve"),
            (("--improve", "db", "--before", "old"), "--before: of no use with --improve"),
            (("--improve", "db", "--steering"), "--steering: of no use with --improve"),
            (("--improve", "db", "--repeats", "3"), "--repeats: of no use with --improve"),
            (("--candidate", "one.txt", "--accept"), "--candidate, --accept: of no use with the plain route"),
            (("--estimate", "--replay"), "--estimate, --replay: a replay asks nothing"),
            (("--check", "--estimate"), "--estimate: of no use with --check"),
            (("--draft-cases", "model", "--model", "opus"), "--model: of no use with --draft-cases"),
            (("--max-turns", "3"), "max_turns is of the way 'program' alone"),
        ],
    )
    def test_an_option_that_would_not_be_used_is_refused(
        self, more: tuple[str, ...], why: str, server: RouterServer, folder: Path
    ) -> None:
        done = self.route(folder, *more)
        assert done.exit_code == 2 and why in done.stderr, done.output
        assert not server.bodies and not (folder / "record").exists()

    def test_a_name_that_is_no_agent_is_said_and_seals_nothing(self, server: RouterServer, folder: Path) -> None:
        for more in ((), ("--estimate",)):
            done = self.route(folder, "--improve", "dba", "--seal", "seal.json", *more)
            assert done.exit_code == 2 and "there is no agent 'dba' in the list; there are db, sec" in done.stderr
        assert not server.bodies and not (folder / "seal.json").exists()

    def test_without_a_model_nothing_is_sealed_or_chosen(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
        (folder / "one.txt").write_text(BETTER, "utf-8")
        done = self.route(folder, "--improve", "db", "--candidate", "one.txt", "--seal", "seal.json")
        assert done.exit_code == EXIT_STAND_IN, done.output
        assert not (folder / "seal.json").exists()

    def test_that_the_stand_in_answers_is_said_once_and_it_names_no_cause(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
        (folder / "db.md").write_bytes(agent("db", "Any trouble with migrations."))
        for more in ((), ("--steering",), ("--before", str(folder))):
            done = self.route(folder, *more)
            assert done.exit_code == 0, done.output
            assert done.output.count("no key is used, nothing is spent") == 1, done.output
            said = done.output.lower()
            assert "is the cause" not in said
            assert "offline stand-in, no model." in said or "made up by the offline stand-in" in said

    def test_the_stand_in_shows_no_harm(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """By its rule the agent loses all of its cases; that is no finding, and no exit code of one."""
        monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
        for when, description in (("old", "Any trouble with migrations or indexes."), ("new", "Any trouble in it.")):
            (folder / when).mkdir()
            (folder / when / "db.md").write_bytes(agent("db", description))
            (folder / when / "sec.md").write_bytes(agent("sec", "Trouble with login."))
        done = self.route(folder, "--before", str(folder / "old"), agents=folder / "new")
        assert done.exit_code == 0, done.output
        plain = " ".join(done.output.split())
        assert re.search(r"db its own cases 12 100% 0%", plain), done.output
        assert "made up by the offline stand-in, which says nothing of a change of descriptions" in plain

    def test_no_cause_is_shown_by_a_few_cases(self, server: RouterServer, folder: Path) -> None:
        server.decide = passes_controls(lambda prompt, _: "sec" if "login" in prompt else None)
        few = [case for case in CASES if case.target != "db" or case.id == "migrations-0"]
        steered = wb.sweep_steering(folder, few, model=APPROXIMATED, progress=False, retry=NO_WAIT)
        assert "db: fewer than 6 cases, of which no cause is shown" in steered.sentence
        assert "is the cause" not in steered.sentence

        enough = wb.sweep_steering(folder, CASES, model=APPROXIMATED, progress=False, retry=NO_WAIT)
        assert "db: seldom picked even then, so that the description is the cause" in enough.sentence

    def test_steering_that_changes_nothing_anywhere_is_refused_as_a_route_is(
        self, server: RouterServer, folder: Path
    ) -> None:
        server.decide = passes_controls(lambda *_: None)
        done = self.route(folder, "--steering")
        assert done.exit_code == 2 and "each of 180 decisions is the same (itself)" in done.stderr, done.output

    def test_steering_says_whether_the_description_is_the_cause(self, server: RouterServer, folder: Path) -> None:
        def obeys(prompt: str, listed: Listed) -> str | None:
            said, _, _ = prompt.partition("There is")
            if "yourself" in said:
                return None
            return by_keywords(prompt, listed) if "Hand work" in said or "login" in prompt else None

        server.decide = passes_controls(obeys)
        (folder / "db.md").write_bytes(agent("db", BETTER))
        done = self.route(folder, "--steering")

        assert done.exit_code == 0, done.output
        plain = " ".join(done.output.split())
        assert "told not to delegate, no description is picked" in plain
        assert "db: picked once delegation is asked for and hardly before" in plain
        assert re.search(r"db +0 ?% +100 ?% +0 ?%", done.output), done.output

    def test_the_notebook_does_the_same(self, server: RouterServer, folder: Path) -> None:
        (folder / "routing.yaml").write_text(
            json.dumps([{"id": case.id, "prompt": case.input, "expect": case.target} for case in CASES]), "utf-8"
        )
        done = run_notebook(
            project_folder(__file__) / "notebooks" / "routing.ipynb",
            out=folder / "out",
            parameters={
                "agents": str(folder),
                "way": "approximation",
                "improve": "db",
                "descriptions": [BETTER],
                "seal": str(folder / "seal.json"),
                "ledger": str(folder / "ledger.sqlite"),
            },
            progress=False,
        )
        page = done.page.read_text("utf-8")
        assert "is better on 15 sealed cases" in page
        assert "Not graded" not in page and "Every reply" not in page  # decisions are no replies to be compared
        assert "Where cases went, by where they should go." in page  # the words of the picture
        assert json.loads((folder / "seal.json").read_text("utf-8"))["opened"]
