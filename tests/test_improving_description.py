"""A better description: chosen on some cases, measured on sealed ones, of which no proposer ever reads a word."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import workbench as wb
from tests.router_server import Decide, Listed, RouterServer, router_server
from tests.test_routing import APPROXIMATED, NO_WAIT, agent, passes_controls
from workbench.cli import main
from workbench.definition.agent_list import entries_in
from workbench.definition.project import project_folder
from workbench.errors import PlanError, RoutingRefused, SealError, WorkbenchError
from workbench.headless.notebook import run_notebook
from workbench.routing.improving import AS_IT_IS, improve_description
from workbench.routing.proposing import MOST_WORDS, words_changed
from workbench.runs.writer import Writer
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


def improved(folder: Path, candidates: Any = (BETTER, GREEDY), **asking: Any) -> Any:
    return improve_description(
        folder, "db", split(folder), candidates=candidates, by=APPROXIMATED, progress=False, retry=NO_WAIT, **asking
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
                folder, "db", split_tasks(cases, seal=folder / "s.json"), candidates=[BETTER], by=APPROXIMATED
            )
        assert not server.bodies

    @pytest.mark.parametrize(("candidates", "why"), [((WEAK,), "no other description"), ((" ", BETTER), "is empty")])
    def test_candidates_that_are_none_are_refused(
        self, candidates: tuple[str, ...], why: str, server: RouterServer, folder: Path
    ) -> None:
        with pytest.raises(PlanError, match=why):
            improved(folder, candidates)

    def test_an_agent_that_is_not_there_is_named(self, server: RouterServer, folder: Path) -> None:
        with pytest.raises(PlanError, match="no agent 'dba' in the list; there are db, sec"):
            improve_description(folder, "dba", split(folder), candidates=[BETTER], by=APPROXIMATED)

    def test_a_description_that_says_a_sealed_prompt_is_refused(self, server: RouterServer, folder: Path) -> None:
        parts = split(folder)
        hidden = next(case for case in CASES if case.id not in {task.id for task in parts.select})
        with pytest.raises(SealError, match=f"{hidden.id}' stands in description 1"):
            improved(folder, (f"{WEAK} {hidden.input}",))
        assert not parts.is_opened


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

    def test_what_is_no_list_is_said(self, server: RouterServer, folder: Path) -> None:
        with pytest.raises(WorkbenchError, match="proposed no descriptions"):
            improved(folder, Writer())


class TestCommand:
    def route(self, folder: Path, *more: str) -> Any:
        (folder / "routing.yaml").write_text(
            json.dumps([{"id": case.id, "prompt": case.input, "expect": case.target} for case in CASES]), "utf-8"
        )
        return CliRunner().invoke(main, ["route", str(folder), "--way", "approximation", *more])

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

    def test_what_it_would_take_and_show_is_said_before(self, server: RouterServer, folder: Path) -> None:
        checked = self.route(folder, "--check")
        assert re.search(r"db +12 +58 points or more", checked.output), checked.output
        assert re.search(r"sec +6 +97 points or more", checked.output)
        assert re.search(r"none +12 ", checked.output)
        assert "What a changed description could be shown" in self.route(folder, "--estimate").output
        assert not server.bodies

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
