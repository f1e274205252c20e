"""The nights of a folder of records together: who answered, what changed, what drifted; and a night of its own folder."""

from __future__ import annotations

import datetime
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.runs import LIVE, STAND_IN
from workbench.cli import main
from workbench.comparison.agent_versions import task_identity
from workbench.comparison.history import AgentNights, Answers, hash_of_tasks, load_history
from workbench.comparison.history_page import history_page, write_history
from workbench.comparison.site import write_site
from workbench.definition.agent import parse_agent
from workbench.errors import BatchFileError, RecordError
from workbench.grading.catalogue import standard
from workbench.headless.batch_plan import load_batch
from workbench.headless.batch_state import begin_batch, end_batch
from workbench.trial.catalogue import price_usd
from workbench.trial.record import export_record, load_run
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Reply, Request, Run, Trial, Usage

AGENT = "---\nname: planner\ndescription: Plans.\nmodel: haiku\n---\nYou plan.\n"
GRADERS = (GraderSpec(name="asks_question", promise="asks"),)
ASKS, TELLS = "How many users do you have?", "It is fine as it stands."


def night(
    folder: Path,
    date: str,
    asks: Sequence[int],
    *,
    model: str = "claude-haiku-4-5",
    answers: str = "claude-haiku-4-5-20251001",
    agent: str = AGENT,
    **other: Any,
) -> None:
    """A recorded night: of so many of three repeats, each task's reply asks, which is its only promise."""
    tasks = tuple(Task(id=f"t{n}", input=f"Plan {n}.", graders=other.get("graders", GRADERS)) for n in range(len(asks)))
    endpoint = other.get("endpoint", LIVE)
    trials = tuple(
        Trial(
            variant="planner",
            task_id=task.id,
            repeat=repeat,
            request=Request(
                model=model, system="You plan.", messages=({"role": "user", "content": task.message},), max_tokens=9
            ),
            endpoint=endpoint,
            reply=Reply(
                text=ASKS if repeat < asks[n] else TELLS,
                stop_reason="end_turn",
                model=answers,
                usage=Usage(input_tokens=100, output_tokens=10),
                seconds=2.0,
                at=f"{other.get('at', date)}T{other.get('hour', '02')}:20:0{repeat}+00:00",
            ),
        )
        for n, task in enumerate(tasks)
        for repeat in range(3)
    )
    run = Run(variants={"planner": parse_agent(agent)}, tasks=tasks, repeats=3, endpoint=endpoint, trials=trials)
    export_record(run, folder / date / "nightly-planner")


def nights_of(folder: Path) -> AgentNights:
    [one] = load_history(folder, graders=standard()).agents
    return one


def test_nights_that_do_not_differ_show_no_drift(tmp_path: Path) -> None:
    for date in ("2026-11-27", "2026-11-28", "2026-11-29"):
        night(tmp_path, date, [3, 2, 1, 3, 0, 2])

    found = nights_of(tmp_path)

    assert [each.night for each in found.nights] == ["2026-11-27", "2026-11-28", "2026-11-29"]
    assert [each.mean for each in found.nights] == pytest.approx([11 / 18] * 3)
    assert [each.changes for each in found.nights] == [(), (), ()]
    last = found.nights[-1].since_first
    assert last is not None
    assert (last.since, last.effect, last.is_shown, last.tasks) == ("2026-11-27", 0.0, False, 6)


def test_a_model_that_drifts_is_shown_with_its_interval(tmp_path: Path) -> None:
    night(tmp_path, "2026-11-27", [3, 3, 2, 3, 3, 2, 3, 3])
    night(tmp_path, "2026-11-28", [1, 1, 0, 2, 1, 0, 1, 1])

    drift = nights_of(tmp_path).nights[-1].since_before

    assert drift is not None
    assert drift.is_shown
    assert drift.effect < -0.5
    assert "lower than 2026-11-27: -" in load_history(tmp_path, graders=standard()).sentences[0]


def test_the_variants_of_one_comparison_are_one_agent(tmp_path: Path) -> None:
    for date in ("2026-11-27", "2026-11-28"):
        night(tmp_path, date, [3, 0, 2])
        folder = tmp_path / date / "nightly-planner"
        run = load_run(folder)
        twin = tuple(replace(trial, variant="shorter") for trial in run.trials)
        shutil.rmtree(folder)
        both = {**run.variants, "shorter": parse_agent(AGENT.replace("You plan", "Plan"))}
        export_record(replace(run, variants=both, trials=(*run.trials, *twin)), folder)
    night(tmp_path / "other", "2026-11-28", [1, 1], agent=AGENT.replace("planner", "drawer"))

    history = load_history(tmp_path, graders=standard())
    write_site(history, tmp_path, tmp_path / "site", graders=standard(), most_nights=9)

    assert [each.name for each in history.agents] == [
        "nightly-planner planner", "nightly-planner shorter", "other/nightly-planner"
    ]  # fmt: skip
    assert "Agents: 2, in 3 series. Nights: 2." in history_page(history)
    assert "2, in 3 series" in (tmp_path / "site/index.html").read_text()


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"model": "claude-haiku-5"}, "haiku stands for claude-haiku-5, not claude-haiku-4-5"),
        ({"answers": "claude-haiku-4-6"}, "claude-haiku-4-6 answers, not claude-haiku-4-5-20251001"),
        ({"agent": AGENT.replace("You plan", "You draw")}, "the agent changed"),
        ({"endpoint": STAND_IN}, "answered by "),
    ],
)
def test_what_changed_beside_the_mean_is_marked(tmp_path: Path, other: dict[str, Any], says: str) -> None:
    night(tmp_path, "2026-11-27", [3, 0, 2])
    night(tmp_path, "2026-11-28", [3, 0, 1], **other)

    changed = nights_of(tmp_path).nights[-1]

    assert any(says in change for change in changed.changes)
    assert says in history_page(load_history(tmp_path, graders=standard()))
    assert (changed.since_before is None) == (other.keys() <= {"agent", "endpoint"}), "no drift of the model"


def test_each_promise_stands_beside_the_first_night_the_worst_first(tmp_path: Path) -> None:
    """The mean may hide that one promise died, by night as in a comparison."""
    kept = (*GRADERS, GraderSpec(name="word_count", promise="is short", options={"at_most": 50}))
    for date, asks in (
        ("2026-11-26", [1] * 6),
        ("2026-11-27", [3] * 6),
        ("2026-11-28", [2] * 6),
        ("2026-11-29", [0] * 6),
    ):
        other = {"agent": AGENT.replace("You plan", "You plan well")} if date == "2026-11-26" else {}
        night(tmp_path, date, asks, graders=kept, **other)
    write_site(
        load_history(tmp_path, graders=standard()), tmp_path, tmp_path / "site", graders=standard(), most_nights=9
    )

    worst, level = nights_of(tmp_path).promises
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    [page] = (each.read_text(encoding="utf-8") for each in (tmp_path / "site" / "agents").glob("*.html"))

    assert (worst.promise, worst.kind, worst.baseline, worst.variant) == ("asks", "worse", "2026-11-27", "2026-11-29")
    assert (worst.before, worst.after) == (1.0, 0.0)
    [sentence] = load_history(tmp_path, graders=standard()).sentences
    assert "promises shown to be worse than 2026-11-27: asks" in sentence
    assert (level.promise, level.kind, level.effect) == ("is short", "no difference shown", 0.0)
    assert '<span class="lower">asks -100.0 [' in index
    for text in (page, history_page(load_history(tmp_path, graders=standard()))):
        assert text.index("asks</th>") < text.index("is short</th>")
        assert "1 of 2 rows shown to be worse, 2026-11-29 since 2026-11-27" in text


def test_a_first_night_says_of_no_promise_that_it_moved(tmp_path: Path) -> None:
    night(tmp_path, "2026-11-27", [3, 0, 2])
    night(tmp_path, "2026-11-28", [0, 0, 0], graders=(GraderSpec(name="asks_question", promise="another"),))

    assert nights_of(tmp_path).promises == ()


def test_what_the_change_of_a_model_did_is_told_over_all_nights(tmp_path: Path) -> None:
    for day, asks in enumerate(([3, 2, 3, 1], [2, 3, 2, 2], [1, 1, 2, 0], [1, 0, 1, 1]), start=1):
        night(tmp_path, f"2026-11-0{day}", asks, answers="old" if day < 3 else "new")

    change = nights_of(tmp_path).over_change

    assert change is not None
    assert (change.since, change.tasks) == ("2026-11-03", 4)
    assert change.effect == pytest.approx((4 + 3) / 24 - (9 + 9) / 24)
    assert "since the model id changed on 2026-11-03" in load_history(tmp_path, graders=standard()).sentences[0]


def test_nights_into_one_folder_are_the_nights_of_one_agent_for_each_was_moved_aside(tmp_path: Path) -> None:
    for day, asks in (("2026-11-27", [3, 0, 2]), ("2026-11-28", [3, 0, 1]), ("2026-11-28", [3, 3, 3])):
        night(tmp_path, "", asks, at=day)

    shown = nights_of(tmp_path)

    assert [each.night for each in shown.nights] == ["2026-11-27", "2026-11-28", "2026-11-28"]
    assert [each.mean for each in shown.nights] == [pytest.approx(n / 9) for n in (5, 4, 9)]
    assert shown.nights[-1].record == "nightly-planner"


def test_nights_of_one_date_are_told_apart_by_their_time_and_counted_alike_everywhere(tmp_path: Path) -> None:
    for day, hour in (("2026-11-27", "02"), ("2026-11-28", "02"), ("2026-11-28", "14")):
        night(tmp_path, "", [3, 0, int(hour) % 3], at=day, hour=hour)
    night(tmp_path / "other", "2026-11-28", [1, 1], agent=AGENT.replace("planner", "drawer"))

    history = load_history(tmp_path, graders=standard())
    page = history_page(history)

    planner = next(each for each in history.agents if each.agent == "planner")
    assert [night.label for night in planner.nights] == ["2026-11-27", "2026-11-28 02:20", "2026-11-28 14:20"]
    assert planner.nights[-1].since_before is not None
    assert planner.nights[-1].since_before.since == "2026-11-28 02:20"
    assert "2 nights in 3 runs, the last 2026-11-28 14:20: " in page
    assert "Nights: 2, in 3 runs." in page
    assert '<th scope="row">2026-11-28 14:20</th>' in page
    assert [each.nights[-1].label for each in history.agents if each.agent == "drawer"] == ["2026-11-28"]


def test_nights_that_no_time_tells_apart_have_numbers(tmp_path: Path) -> None:
    for asks in ([3, 0, 2], [3, 0, 1]):
        night(tmp_path, "", asks, at="2026-11-28")

    assert [each.label for each in nights_of(tmp_path).nights] == ["2026-11-28 no. 1", "2026-11-28 no. 2"]


def test_each_answer_counts_once_and_what_is_made_up_counts_apart(tmp_path: Path) -> None:
    night(tmp_path / "first", "2026-11-27", [3, 0, 2])
    night(tmp_path / "again", "2026-11-28", [3, 0, 2], at="2026-11-27")  # of the ledger
    night(tmp_path / "more", "2026-11-28", [3, 0, 2, 1])
    night(tmp_path / "made up", "2026-11-28", [3], endpoint=STAND_IN)

    history = load_history(tmp_path, graders=standard())
    write_site(history, tmp_path, tmp_path / "site", graders=standard(), most_nights=9)

    one = price_usd("claude-haiku-4-5-20251001", Usage(input_tokens=100, output_tokens=10))
    assert one is not None
    assert history.answers == Answers(replies=9 + 12, usd=pytest.approx(21 * one), unpriced=0, made_up=3)
    assert history.counted == "1, in 4 series"
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "21, and 3 made up" in index
    assert f"{21 * one:.4f}" in index


def test_other_tasks_are_not_compared(tmp_path: Path) -> None:
    night(tmp_path, "2026-11-27", [3, 0, 2])
    night(tmp_path, "2026-11-28", [3, 0, 2, 1])

    last = nights_of(tmp_path).nights[-1]

    assert last.changes == ("the tasks changed",)
    assert last.since_before is last.since_first is None


def test_a_night_from_the_ledger_measured_nothing_and_that_is_said(tmp_path: Path) -> None:
    night(tmp_path, "2026-11-27", [3, 0, 2])
    night(tmp_path, "2026-11-28", [3, 0, 2], at="2026-11-27")

    assert not nights_of(tmp_path).nights[-1].asked_anew
    assert "nothing was asked anew" in load_history(tmp_path, graders=standard()).sentences[0]
    assert 'class="hollow"' in history_page(load_history(tmp_path, graders=standard()))


def test_without_graders_words_tell_of_a_drift(tmp_path: Path) -> None:
    for date, asks in (("2026-11-27", [3, 2, 1, 0]), ("2026-11-28", [0, 0, 0, 0])):
        night(tmp_path, date, asks, graders=())

    last = nights_of(tmp_path).nights[-1]

    assert (last.mean, last.since_before) == (None, None)
    assert last.words_since_first is not None
    expected = (len(TELLS.split()) - len(ASKS.split())) * 6 / 12
    assert last.words_since_first.effect == pytest.approx(expected)
    assert "nothing scored; 6 words a reply (" in load_history(tmp_path, graders=standard()).sentences[0]


def test_the_command_leaves_a_page_that_loads_nothing_and_json(tmp_path: Path) -> None:
    night(tmp_path, "2026-11-27", [3, 0, 2], agent=AGENT.replace("planner", "<script>x</script>"))
    night(tmp_path, "2026-11-28", [3, 1, 2], agent=AGENT.replace("planner", "<script>x</script>"))
    (tmp_path / "2026-11-28" / "broken").mkdir()
    (tmp_path / "2026-11-28" / "broken" / "run.json").write_text("{}")

    done = CliRunner().invoke(main, ["history", str(tmp_path)])
    as_json = CliRunner().invoke(main, ["history", str(tmp_path), "--json"])

    assert done.exit_code == 1
    assert "left out  2026-11-28/broken: " in done.output
    page = (tmp_path / "history.html").read_text(encoding="utf-8")
    assert "<script" not in page
    promises, nights = (table for table in re.findall("<table.*?</table>", page, re.DOTALL))
    headings = re.findall('<th scope="col">(.*?)</th>', nights)
    assert re.findall('data-label="(.*?)"', nights) == headings[1:] * 2, "on a phone each night is a card"
    assert "asks" in promises and "2026-11-28 since 2026-11-27" in promises
    assert headings.index("What changed") < headings.index("Answered by")
    assert page.count("<main") == 1
    assert page.count('class="wide" tabindex="0"') == page.count("<table") == 2
    assert "http:" not in page + page.replace("https:", "http:")
    assert page.count("<circle") == 2
    data = json.loads((tmp_path / "history.json").read_text(encoding="utf-8"))
    assert data == json.loads(as_json.stdout)
    assert [each["answered"] for each in data["agents"][0]["nights"]] == [["claude-haiku-4-5-20251001"]] * 2
    before = page
    write_history(load_history(tmp_path, graders=standard()), tmp_path)
    assert (tmp_path / "history.html").read_text(encoding="utf-8") == before


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="there is no record of a run"):
        load_history(tmp_path, graders=standard())


class TestDatedFolder:
    TODAY = datetime.date(2026, 11, 29)

    @pytest.fixture(autouse=True)
    def project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / ".git").mkdir()
        (tmp_path / "agents").mkdir()
        (tmp_path / "agents" / "planner.md").write_text(AGENT)
        monkeypatch.chdir(tmp_path)
        self.write("outputs/nightly/{date}")

    def write(self, out: str) -> None:
        plan = {"out": out, "notebooks": [{"notebook": "nightly", "agents": [".claude/agents", "agents"]}]}
        Path("nightly.yaml").write_text(json.dumps(plan))

    def folder(self, **options: Any) -> str:
        return load_batch("nightly.yaml", today=self.TODAY, **options).out.name

    def test_each_night_has_its_own(self) -> None:
        assert self.folder() == "2026-11-29"
        assert load_batch("nightly.yaml").out.name == datetime.datetime.now().astimezone().date().isoformat()

    def test_one_that_was_stopped_before_midnight_goes_on_after_it_and_one_that_ended_does_not(self) -> None:
        yesterday = Path("outputs/nightly/2026-11-28")
        yesterday.mkdir(parents=True)
        begin_batch(yesterday, has_budget=False, go_on=False)

        assert (self.folder(go_on=True), self.folder()) == ("2026-11-28", "2026-11-29")
        end_batch(yesterday)
        assert self.folder(go_on=True) == "2026-11-29"

    @pytest.mark.parametrize("out", ["outputs/{night}", "outputs/{date}/{date}", "outputs/{date"])
    def test_other_braces_are_refused(self, out: str) -> None:
        self.write(out)

        with pytest.raises(BatchFileError, match="out: "):
            self.folder()

    def test_an_agent_without_tasks_is_measured_on_its_description(self) -> None:
        [job] = load_batch("nightly.yaml", today=self.TODAY).jobs

        assert job.refusal is None
        assert "tasks" not in job.parameters


def test_the_budget_of_a_batch_that_goes_on_is_the_one_that_it_had(tmp_path: Path) -> None:
    first = begin_batch(tmp_path, has_budget=True, go_on=False)

    assert begin_batch(tmp_path, has_budget=True, go_on=True) == first
    assert begin_batch(tmp_path, has_budget=True, go_on=False) != first
    assert begin_batch(tmp_path, has_budget=False, go_on=False) is None


def test_what_scores_come_from_is_part_of_which_tasks_they_are(tmp_path: Path) -> None:
    """A night whose tasks weigh a grader otherwise, or require it, is one of other tasks, in every reading of them."""
    spec = GraderSpec(name="mentions", promise="says", options={"any": ["a"], "at_least": 1})
    turned = replace(spec, options={"at_least": 1, "any": ["a"]})
    others = (replace(spec, weight=2.0), replace(spec, required=0.5), replace(spec, options={"any": ["b"]}))
    one, same, *changed = (Task(id="t", input="Why?", graders=(each,)) for each in (spec, turned, *others))

    assert task_identity(one) == task_identity(same)
    assert len({task_identity(each) for each in (one, *changed)}) == 4
    night(tmp_path, "2026-11-27", [3])
    run = load_run(next(tmp_path.rglob("run.json")).parent)
    hashes = {hash_of_tasks(replace(run, tasks=(each,))) for each in (one, same, *changed)}
    assert len(hashes) == 4
