"""The first screen of a page about a comparison: which agents, from where, what differs, and each task as a point."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tests.runs import GROUPS, PASSES_A, PASSES_B, STAND_IN, make_run, passes
from workbench.comparison.change_tables import promise_means_table
from workbench.comparison.provenance import provenance
from workbench.comparison.report.overview import (
    MOST_PROMISES,
    agents_lines,
    agents_named,
    costs_table,
    moved_promises,
    what_differs,
)
from workbench.comparison.report.page import page_head, parts_around
from workbench.comparison.report.summary import summary, unlinked
from workbench.comparison.report.tasks import by_size_of_change, scatters, tally
from workbench.comparison.report.write import write_report
from workbench.comparison.tables import compare
from workbench.definition.agent import Agent, parse_agent
from workbench.definition.origin import find_origins
from workbench.trial.trial import Run, Score, Trial

TEXT = "---\nname: reviewer\ndescription: Reads code.\nmodel: haiku\n---\nRead it.\nAsk first.\n"

Git = Callable[..., None]


@pytest.fixture
def run() -> Run:
    return make_run({"base": passes(PASSES_A), "draft": passes(PASSES_B)}, groups=GROUPS)


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Git in a repository of its own with the agent at `.claude/agents/reviewer.md`."""

    def call(*arguments: str) -> None:
        name = ("-c", "user.name=me", "-c", "user.email=me@localhost", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *name, *arguments], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / ".claude/agents").mkdir(parents=True)
    (tmp_path / ".claude/agents/reviewer.md").write_text(TEXT)
    call("init", "-q")
    return call


def test_an_agent_comes_from_its_file_and_the_commit_that_has_it_so(tmp_path: Path, git: Git) -> None:
    before, after = parse_agent(TEXT), parse_agent(TEXT.replace("Ask first.\n", ""))
    (uncommitted,) = find_origins({"base": before}, project=tmp_path).values()
    git("add", ".")
    git("commit", "-qm", "first")
    (tmp_path / ".claude/agents/reviewer.md").write_text(after.text)
    edited = find_origins({"base": before, "draft": after, "made": before.replace(model="opus")}, project=tmp_path)
    git("commit", "-qam", "second")
    second = find_origins({"base": before, "draft": after}, project=tmp_path)

    assert str(uncommitted) == ".claude/agents/reviewer.md, not committed"
    assert edited["base"].commit is not None
    assert str(edited["base"]) == f".claude/agents/reviewer.md, commit {edited['base'].commit}"
    assert str(edited["draft"]) == ".claude/agents/reviewer.md, not committed"
    assert str(edited["made"]) == "made from .claude/agents/reviewer.md"
    assert second["base"].commit == edited["base"].commit, "the commit that took it away is not the one that has it"
    assert second["draft"].commit not in (None, second["base"].commit)


def test_files_of_a_report_name_file_and_commit_of_each_agent(tmp_path: Path, git: Git, run: Run) -> None:
    git("add", ".")
    git("commit", "-qm", "first")
    agent = parse_agent(TEXT)
    made = replace(run, variants={"base": agent, "draft": agent.replace(model="opus")})
    commit = find_origins({"base": agent}, project=tmp_path)["base"].commit
    write_report(made, tmp_path / "report", formats=["html", "md"], project=tmp_path)

    summary = (tmp_path / "report/summary.md").read_text(encoding="utf-8")
    page = BeautifulSoup((tmp_path / "report/report.html").read_text(encoding="utf-8"), "html.parser")
    line = f".claude/agents/reviewer.md, commit {commit}"
    assert unlinked(f"base ({line})") in summary
    assert unlinked("draft (made from .claude/agents/reviewer.md)") in summary
    assert line in page.select_one("ul.agents").get_text()


def test_of_two_files_of_one_name_the_very_text_counts_before_the_name(tmp_path: Path, git: Git) -> None:
    other = tmp_path / "plugins/agents/reviewer.md"
    other.parent.mkdir(parents=True)
    other.write_text(TEXT.replace("haiku", "opus"))
    found = find_origins({"a": parse_agent(TEXT), "b": parse_agent(other.read_text())}, project=tmp_path)

    assert (found["a"].file, found["b"].file) == (".claude/agents/reviewer.md", "plugins/agents/reviewer.md")
    assert str(find_origins({"c": Agent(name="nobody", description="d", prompt="p")}, project=tmp_path)["c"]) == (
        "in no file of this project"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "opus"}, "model: opus, before haiku"),
        ({"effort": "low"}, "effort: low, before none"),
        ({"tools": ("Read", "Grep")}, "tools: Read, Grep, before none"),
        ({"prompt": "Read it.\nAsk first.\nBe brief.\n"}, "prompt: 1 line added, 0 removed"),
        ({"description": "Reads code.\n" * 9}, "description changed"),
        ({}, "the same file"),
    ],
)
def test_what_differs_is_said_by_field_in_a_line(change: dict[str, object], said: str) -> None:
    agent = parse_agent(TEXT)

    assert what_differs(agent, agent.replace(**change)) == said  # type: ignore[arg-type]


def test_variants_of_one_file_are_told_apart_by_the_model_and_effort_that_they_were_asked_with(run: Run) -> None:
    agent = run.variants["base"]
    trials = [
        trial.replace(request=replace(trial.request, model="other", effort="low"))
        if trial.variant == "draft"
        else trial
        for trial in run.trials
    ]
    usual = run.trials[0].request.model
    comparison = compare(
        replace(run, variants=dict.fromkeys(run.variants, agent), trials=tuple(trials)), baseline="base"
    )
    [base, draft] = agents_lines(comparison, {})
    head = page_head(comparison, provenance(comparison.run))

    assert base == "base"
    assert draft == (
        f"draft: the same file; asked with model other, before {usual}; asked with effort low, before none sent"
    )
    assert "base: none sent; draft: low" in head


def test_tasks_are_counted_as_better_worse_and_level(run: Run) -> None:
    assert "draft: 7 tasks better, 1 worse, 4 level" in tally(compare(run, baseline="base"))
    assert "1 worse, 0 level, 1 without a score of both" in tally(
        compare(make_run({"a": [[1.0], [None]], "b": [[0.0], [1.0]]}), baseline="a")
    )


def test_each_task_is_a_point_that_opens_it(run: Run) -> None:
    soup = BeautifulSoup("".join(parts_around(compare(run, baseline="base"), provenance(run))), "html.parser")
    points = soup.select("svg a")

    assert len(points) == 12
    for link in soup.select('svg a, a[href^="#task-"]'):
        target = soup.find(id=str(link["href"])[1:])
        assert target is not None and target.find_parent("details") is not None, "within what is folded"
    assert soup.select_one("svg title").get_text().startswith("task-")
    places = [(circle["cx"], circle["cy"]) for circle in soup.select("svg circle")]
    assert len(set(places)) == 12, "no point hides another"


def test_a_task_that_is_not_on_the_page_has_no_link(run: Run) -> None:
    assert scatters(compare(run, baseline="base"), linked=[3]).count("href") == 1


def test_the_page_begins_with_the_agent_then_the_sentence_then_what_differs(run: Run) -> None:
    head = BeautifulSoup(page_head(compare(run, baseline="base"), provenance(run)), "html.parser").select_one("header")
    assert head is not None
    words = head.get_text(" ", strip=True)

    assert head.h1.get_text() == "architect"
    order = [
        words.index(each) for each in ("architect", "Promising", "prompt: 1 line added", "Answered by", "0.1968 USD")
    ]
    assert order == sorted(order)


def test_variants_with_agents_of_two_names_are_both_in_the_title(run: Run) -> None:
    both = {"base": run.variants["base"], "draft": run.variants["draft"].replace(name="planner")}

    assert agents_named(both) == "architect and planner"


def test_what_a_reply_takes_stands_beside_its_change(run: Run) -> None:
    dearer = replace(
        run,
        trials=tuple(
            trial.replace(reply=replace(trial.reply, seconds=3.0)) if trial.variant == "draft" else trial  # type: ignore[type-var]
            for trial in run.trials
        ),
    )
    rows = {row[0]: row[1:] for row in costs_table(compare(dearer, baseline="base")).rows}

    assert rows["Seconds a reply"] == ("2.00", "3.00 (+50 %)")
    assert rows["USD per 1,000 replies"][0] == "2.05"


def test_made_up_replies_cost_nothing_and_say_so() -> None:
    made = make_run({"a": [[1.0]], "b": [[0.0]]}, endpoint=STAND_IN, model="offline-stand-in")
    head = BeautifulSoup(page_head(compare(made, baseline="a"), provenance(made)), "html.parser").select_one("header")

    assert head is not None and "nothing: no model was asked" in head.get_text()
    assert "OFFLINE STAND-IN" in head.select_one(".banner").get_text()


def test_the_largest_change_comes_first(run: Run) -> None:
    comparison = compare(run, baseline="base")
    changes = [abs(PASSES_B[row] - PASSES_A[row]) for row in by_size_of_change(comparison)]

    assert changes == sorted(changes, reverse=True)


def with_promises(run: Run, *, falls: str, rises: str) -> Run:
    """Each reply of the baseline keeps the first of the two, and each of the other variant the second."""

    def scored(trial: Trial) -> Trial:
        kept = falls if trial.variant == "base" else rises
        flat = Score(value=0.5 + 0.1 * (trial.repeat % 2), explanation="")
        return trial.replace(
            scores={name: Score(value=float(name == kept), explanation="") for name in (falls, rises)} | {"same": flat}
        )

    return replace(run, trials=tuple(map(scored, run.trials)))


def test_a_promise_that_died_is_on_the_first_screen_whatever_the_whole_says(run: Run) -> None:
    made = with_promises(run, falls="alternatives $5 or $50 <b>", rises="cost")
    head = BeautifulSoup(page_head(compare(made, baseline="base"), provenance(made)), "html.parser").select_one(
        "header"
    )
    assert head is not None
    rows = [[cell.get_text() for cell in row.select("th, td")] for row in head.select("tbody tr")]
    moved = [row for row in rows if row[0] in ("alternatives $5 or $50 <b>", "cost", "same")]

    assert [row[:3] for row in moved] == [["alternatives $5 or $50 <b>", "100.0", "0.0"], ["cost", "0.0", "100.0"]]
    line = "Shown to be worse: alternatives $5 or $50 <b> (draft), whatever the whole says."
    first, second = head.select(".verdict")
    assert first.get_text() == f"Worse in 1 promise {line}"
    assert ("bad" in first["class"], second.strong.get_text()) == (True, "No difference shown")


def test_the_summary_says_which_promise_died_in_the_line_of_the_page(run: Run) -> None:
    made = with_promises(run, falls="alternatives @team", rises="cost")
    compared, found = compare(made, baseline="base"), provenance(made)
    head = BeautifulSoup(page_head(compared, found), "html.parser")

    warning = head.select(".verdict")[0].get_text().removeprefix("Worse in 1 promise ")
    headline, said, verdict, *_ = summary(compared, found).split("\n\n")
    assert said == unlinked(warning) != warning
    assert headline.startswith("### Worse in 1 promise, no difference shown as a whole: ")
    assert verdict.startswith("**")


def test_made_up_replies_warn_of_nothing_and_no_promise_that_moved_is_said(run: Run) -> None:
    made_up = replace(
        with_promises(run, falls="a", rises="b"),
        endpoint=STAND_IN,
    )
    made_up = replace(made_up, trials=tuple(trial.replace(endpoint=STAND_IN) for trial in made_up.trials))
    still = replace(
        run,
        trials=tuple(
            trial.replace(scores={name: Score(value=0.5, explanation="") for name in "ab"}) for trial in run.trials
        ),
    )

    assert "Shown to be worse" not in page_head(compare(made_up, baseline="base"), provenance(made_up))
    assert "Shown to be worse" not in summary(compare(made_up, baseline="base"), provenance(made_up))
    assert "No promise moved." in moved_promises(compare(still, baseline="base"))


def test_what_differs_between_two_that_send_the_same_is_noise_on_the_first_screen() -> None:
    twins = compare(make_run({"base": passes(PASSES_B), "twin": passes(PASSES_A)}, same_prompt=True), baseline="base")

    assert "No promise moved by more than noise." in moved_promises(twins)
    assert "4 level, by noise alone" in tally(twins)
    assert 'class="down"' not in tally(twins)


def test_what_may_be_worse_is_not_headed_by_a_promise() -> None:
    two = {"base": passes(PASSES_A), "draft": passes(PASSES_B)}
    headings = [compare(make_run(two), baseline=name).verdicts[0].heading for name in two]

    assert headings == ["Promising, not established", "May be worse, not established"]


def test_where_one_side_has_no_scores_it_is_not_said_that_nothing_moved(run: Run) -> None:
    made = with_promises(run, falls="a", rises="b")
    half = tuple(one if one.variant == "base" else one.replace(scores={}) for one in made.trials)

    shown = moved_promises(compare(replace(made, trials=half), baseline="base"))

    assert "No promise can be compared: its grader declined on " in shown


def test_more_promises_than_a_first_screen_holds_are_counted(run: Run) -> None:
    many = [f"p{number}" for number in range(9)]

    def scored(trial: Trial) -> Trial:
        return trial.replace(
            scores={name: Score(value=float(trial.variant == "base"), explanation="") for name in many}
        )

    compared = compare(replace(run, trials=tuple(map(scored, run.trials))), baseline="base")
    shown = moved_promises(compared)

    assert shown.count("<tr>") == 1 + MOST_PROMISES
    assert "5 of 9 that moved." in shown
    [warning] = BeautifulSoup(page_head(compared, provenance(compared.run)), "html.parser").select(".warning")
    named = ", ".join(f"p{number} (draft)" for number in range(MOST_PROMISES))
    assert warning.get_text() == f"Shown to be worse: {named}, and 4 more, whatever the whole says."


def test_of_one_variant_the_promises_that_it_keeps_least_are_on_the_first_screen_and_all_below(run: Run) -> None:
    kept = {f"p{number}": number / 8 for number in range(9)}
    alone = make_run({"only": passes(PASSES_A)})
    trials = tuple(
        trial.replace(scores={name: Score(value=value, explanation="") for name, value in kept.items()})
        for trial in alone.trials
    )
    compared = compare(replace(alone, trials=trials))
    head = BeautifulSoup(page_head(compared, provenance(compared.run)), "html.parser")
    rows = [[cell.get_text() for cell in row.select("th, td")] for row in head.select(".moved tbody tr")]

    assert [row[:2] for row in rows] == [[f"p{n}", f"{100 * n / 8:.1f}"] for n in range(MOST_PROMISES)]
    assert "5 of 9." in head.get_text()
    assert all(row[2].startswith("[") for row in rows)
    table = promise_means_table(compared.promise_means)
    assert table is not None
    assert len(table.rows) == 9
    assert "p8" in summary(compared, provenance(compared.run))


def test_of_one_variant_what_was_declined_or_not_answered_is_counted_by_its_promise() -> None:
    alone = make_run({"only": [[1.0, None], [1.0, 0.0]]})
    trials = tuple(
        trial.replace(
            scores={"asks": Score(value=None, explanation="")} if trial.repeat == 1 and trial.scores else trial.scores
        )
        for trial in alone.trials
    )
    rows = {row.promise: row for row in compare(replace(alone, trials=trials)).promise_means}

    assert (rows["asks"].mean, rows["asks"].interval, rows["asks"].declined) == (None, None, 2)
    assert rows["grade"].mean == 1.0
    assert rows["grade"].unanswered == 1


def test_of_several_verdicts_the_worst_leads_and_all_are_in_the_fold() -> None:
    worse = [max(0, count - 2) for count in PASSES_B]
    many = {"base": passes(PASSES_B), "same": passes(PASSES_B), "bad": passes(worse)}
    many |= {f"more {number}": passes(PASSES_B) for number in range(3)}
    compared = compare(make_run(many), baseline="base")
    head = BeautifulSoup(page_head(compared, provenance(compared.run)), "html.parser")

    assert [each.strong.get_text() for each in head.select("p.verdict")] == ["Worse", *["Identical replies"] * 2]
    folded = head.select_one("header details").get_text()
    assert "All 5 verdicts in full" in folded
    assert all(verdict.text in folded for verdict in compared.verdicts)


def test_why_nothing_is_compared_and_what_was_not_answered_are_on_the_first_screen() -> None:
    alone = compare(make_run({"base": passes([3]), "draft": passes([1])}))
    failed = compare(make_run({"base": passes(PASSES_A), "draft": [[None] * 4] * 12}))
    facts = BeautifulSoup(page_head(failed, provenance(failed.run)), "html.parser").select_one("dl.facts").get_text(" ")

    assert "No promise can be compared: 1 task with scores of both; it takes at least 2." in moved_promises(alone)
    assert "No promise can be compared: 0 and 48 of 48 attempts went unanswered" in moved_promises(failed)
    assert "Not answered 48 failed (overloaded_error)" in " ".join(facts.split())


def test_one_variant_has_its_score_on_the_first_screen() -> None:
    alone = compare(make_run({"only": passes(PASSES_A)}))

    assert "52.1, 95 % interval" in page_head(alone, provenance(alone.run))
