"""The graders graded: before anything is asked by known replies, and afterwards by what a run shows of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner, Result

from tests.runs import LIVE, STAND_IN
from tests.written_notebooks import write_notebook
from workbench.cli import main
from workbench.comparison.change_tables import change_tables
from workbench.comparison.grader_check import SEE_MORE, check_graders
from workbench.comparison.report.write import write_report
from workbench.comparison.tables import compare
from workbench.definition.agent import Agent
from workbench.errors import UnknownGrader
from workbench.grading.checking import check_tasks, refuse_broken_tasks
from workbench.headless.notebook_files import load_notebook
from workbench.headless.parameters import declared_parameters
from workbench.headless.task_check import refuse_broken_tasks_of
from workbench.trial.record import export_record
from workbench.trial.rubric import load_rubric, shipped_rubrics
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Reply, Request, Run, Score, Trial

HEAD = "- id: queue\n  input: Review a queue in a table.\n"
GRADERS = "  graders:\n  - mentions: {promise: locking, any: [SKIP LOCKED], anywhere: true}\n  - asks_question: {promise: asks}\n"


def written(tmp_path: Path, text: str, name: str = "r.tasks.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


class TestKnownReplies:
    def test_graders_that_tell_them_apart_are_fine(self, tmp_path: Path) -> None:
        path = written(
            tmp_path,
            f"{HEAD}{GRADERS}  replies:\n    good: ['Use SKIP LOCKED. How long does your job run?']\n"
            "    bad: ['It is fine.', {text: 'Use SKIP LOCKED.', fails: [asks]}, {text: '', fails: all}]\n",
        )

        check = check_tasks(path)

        assert check.is_fine
        assert (check.tasks, check.graders, check.replies) == (1, 2, 4)

    @pytest.mark.parametrize(
        ("replies", "line", "promise", "says"),
        [
            ("good: ['Lock the rows. How long does your job run?']", 7, "locking", "fails the good reply: 0.00"),
            (
                "bad: [{name: salad, text: SKIP LOCKED, fails: [locking]}]",
                7,
                "locking",
                "'salad': locking passes the bad",
            ),
            (
                "bad: ['SKIP LOCKED. What is your load?']",
                7,
                None,
                "no grader fails the bad reply: locking 1.00, asks 1.00",
            ),
        ],
    )
    def test_a_grader_that_does_not_is_named(
        self, tmp_path: Path, replies: str, line: int, promise: str | None, says: str
    ) -> None:
        path = written(tmp_path, f"{HEAD}{GRADERS}  replies:\n    {replies}\n")

        [fault] = check_tasks(path).faults

        assert fault.kind == "reply"
        assert fault.promise == promise
        assert fault.message.startswith(f"{path}:{line}: queue: reply ")
        assert says in fault.message

    def test_what_words_alone_keep_is_named_and_no_fault(self, tmp_path: Path) -> None:
        graders = (
            "  graders:\n  - mentions: {promise: locking, any: [SKIP LOCKED, locks]}\n  - asks_question: {promise: asks}\n"
            "  - all_of: {promise: both, graders: [{mentions: {any: [SKIP LOCKED]}}, has_code]}\n"
            "  - any_of: {promise: either, graders: [has_code, {contains: {text: advisory lock}}]}\n"
        )

        check = check_tasks(written(tmp_path, f"{HEAD}{graders}"))

        assert check.is_fine
        assert check.by_words == {"queue": ("locking", "either")}
        assert check.to_json()["by_words"] == {"queue": ("locking", "either")}
        assert any("words alone keep 2 of 4 promises (locking, either): " in remark for remark in check.remarks)

    def test_how_much_bad_replies_keep_is_counted_by_their_names(self, tmp_path: Path) -> None:
        good = "'Use SKIP LOCKED. How long does your job run?'"
        bad = (
            "{name: stuffed 1, text: SKIP LOCKED, fails: [asks]}, {name: stuffed-2, text: 'SKIP LOCKED. How long is your hair?', "
            "fails: none}, 'It is fine.', {text: '', fails: all}, {name: '7', text: '', fails: all}"
        )
        path = written(tmp_path, f"{HEAD}{GRADERS}  replies:\n    good: [{good}]\n    bad: [{bad}]\n")

        check = check_tasks(path)

        assert check.is_fine, "one that only a judge can tell is no fault of the graders"
        shares = {kind: str(share) for kind, share in check.as_high.items()}
        assert shares == {"stuffed": "3 of 4", "bad": "0 of 4", "7": "0 of 2"}
        assert next(iter(shares)) == "stuffed", "what keeps most comes first"
        assert "a bad reply scores as high as a good one: stuffed 3 of 4, bad 0 of 4, 7 0 of 2" in str(check)
        assert check.to_json()["as_high"]["stuffed"] == {"kept": 3, "asked": 4}

    def test_without_a_good_reply_a_bad_one_is_compared_with_none(self, tmp_path: Path) -> None:
        check = check_tasks(written(tmp_path, f"{HEAD}{GRADERS}  replies: {{bad: ['It is fine.']}}\n"))

        assert (check.as_high, "scores as high" in str(check)) == ({}, False)

    def test_what_words_keep_leads_to_a_rubric_that_is_there(self, tmp_path: Path) -> None:
        told = str(check_tasks(written(tmp_path, f"{HEAD}{GRADERS}")))

        [named] = re.findall(r"`workbench judge RECORD --rubric (\S+)`", told)
        assert load_rubric(named).bad and named in shipped_rubrics()

    def test_graders_that_no_word_satisfies_leave_nothing_to_say(self, tmp_path: Path) -> None:
        check = check_tasks(written(tmp_path, f"{HEAD}  graders: [asks_question, has_code, python_parses]\n"))

        assert (check.by_words, [each for each in check.remarks if "words" in each]) == ({}, [])

    def test_a_grader_that_raises_on_words_is_told(self, tmp_path: Path) -> None:
        def cautious(*, text: str) -> object:
            def grade(task: Task, reply: Reply) -> bool:
                raise ValueError(len(reply.text) > 0)

            return grade

        path = written(tmp_path, f"{HEAD}  graders: [{{cautious: {{text: lock}}}}]\n")

        [fault] = check_tasks(path, graders={"cautious": cautious}).faults

        assert "'made of the words that its graders look for': cautious raises ValueError" in fault.message

    def test_a_promise_of_all_tasks_is_one(self, tmp_path: Path) -> None:
        brief = "  graders: [{word_count: {at_most: 9}}]\n"
        path = written(tmp_path, "".join(f"- id: t{n}\n  input: x{n}\n{brief}" for n in range(4)))

        assert "(4 tasks, 1 promise, " in str(check_tasks(path))

    def test_a_threshold_that_is_stated_is_what_counts(self, tmp_path: Path) -> None:
        graders = "  graders: [{mentions: {all: [one, two, three, four], anywhere: true}}]\n"
        some = (
            f"{HEAD}{graders}  replies:\n    at_least: 0.5\n    good: [one two]\n    bad: [{{text: one, fails: all}}]\n"
        )

        assert check_tasks(written(tmp_path, some)).is_fine
        assert not check_tasks(written(tmp_path, some.replace("0.5", "0.75"))).is_fine

    def test_graders_of_ones_own_are_held_to_them_and_one_that_raises_is_told(self, tmp_path: Path) -> None:
        def short(task: Task, reply: Reply) -> bool:
            return len(reply.text) < 9

        def broken(task: Task, reply: Reply) -> bool:
            raise KeyError(task.id)

        path = written(tmp_path, f"{HEAD}  graders: [short, broken]\n  replies: {{good: [yes it is], bad: [never]}}\n")

        said = [fault.message for fault in check_tasks(path, graders={"short": short, "broken": broken}).faults]

        assert [each.split(": ", 3)[3].split(":")[0] for each in said] == [
            "broken raises KeyError",
            "short fails the good reply",
            "broken raises KeyError",
            "no grader fails the bad reply",
        ]


class TestBeforeAKernel:
    @pytest.mark.parametrize(
        ("graders", "says"),
        [
            ("  - mention: {any: [a]}\n", "there is no grader 'mention'; did you mean 'mentions'"),
            ("  - asks_question\n  - mentions: {anny: [a]}\n", "no option anny; did you mean any"),
            ("  - word_count\n  - word_count: {at_most: many}\n", "at_most"),
        ],
    )
    def test_a_misspelt_grader_or_option_is_named_with_what_was_meant(
        self, tmp_path: Path, graders: str, says: str
    ) -> None:
        path = written(tmp_path, f"{HEAD}  graders:\n{graders}")

        assert any(says in str(fault) for fault in check_tasks(path).faults)
        with pytest.raises(UnknownGrader, match=says):
            refuse_broken_tasks(path)

    def test_every_fault_is_told_with_its_own_line(self, tmp_path: Path) -> None:
        path = written(tmp_path, f"{HEAD}  graders:\n  - mention: {{any: [a]}}\n  - asks_question\n  - ask_question\n")

        said = [fault.message.split(": ")[0] for fault in check_tasks(path).faults]

        assert said == [f"{path}:4", f"{path}:6"]


class TestCommand:
    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["check-tasks", *arguments])

    def test_files_agents_and_folders_are_checked_and_the_code_tells(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        agents = tmp_path / ".claude" / "agents"
        agents.mkdir(parents=True)
        (tmp_path / ".workbench" / "tasks").mkdir(parents=True)
        (agents / "r.md").write_text("---\nname: r\ndescription: Reviews.\n---\nBe.\n")
        fine = written(tmp_path / ".workbench" / "tasks", f"{HEAD}{GRADERS}")
        wrong = written(tmp_path, f"{HEAD}  graders: [ask_question]\n", "other.tasks.yaml")

        assert self.run(str(fine)).exit_code == 0
        assert self.run(".claude/agents/r.md").output.startswith(
            ".workbench/tasks/r.tasks.yaml: fine (1 task, 2 promises"
        )
        assert self.run("r").output == self.run(".claude/agents/r.md").output, "an agent's name will do"
        assert "no agent of this name" in self.run("nobody").output
        (tmp_path / "outputs" / "ci").mkdir(parents=True)
        written(tmp_path / "outputs" / "ci", f"{HEAD}  graders: [ask_question]\n", "copy.tasks.yaml")
        whole = self.run()
        assert whole.exit_code == 1
        assert "did you mean 'asks_question'" in whole.output
        assert ".workbench/tasks/r.tasks.yaml: fine" in whole.output
        assert "copy.tasks.yaml" not in whole.output, "what a run left is nobody's to mend"
        assert "copy.tasks.yaml" in self.run("outputs/ci").output
        assert self.run(str(wrong), "none.yaml").exit_code == 2
        empty = tmp_path / "empty"
        empty.mkdir()
        assert "holds no task file" in self.run(str(empty)).output

    def test_json_is_a_line_a_file(self, tmp_path: Path) -> None:
        wrong = written(tmp_path, f"{HEAD}{GRADERS}  replies: {{bad: ['SKIP LOCKED. What is your load?']}}\n")

        done = self.run(str(wrong), "--json")

        [line] = done.output.splitlines()
        found = json.loads(line)
        assert done.exit_code == 1
        assert (found["fine"], found["faults"][0]["reply"], found["faults"][0]["task"]) == (False, "bad 1", "queue")


def made_run(scores: Mapping[str, Sequence[Sequence[float | None]]], *, texts: bool = True) -> Run:
    """A run whose one variant scored each promise so, tasks by repeats."""
    count, repeats = len(next(iter(scores.values()))), len(next(iter(scores.values()))[0])
    specs = tuple(GraderSpec(name="asks_question", promise=promise) for promise in scores)
    tasks = tuple(Task(id=f"t{n}", input=f"Question {n}", graders=specs) for n in range(count))
    trials = tuple(
        Trial(
            variant="base",
            task_id=task.id,
            repeat=repeat,
            request=Request(model="m", system="s", messages=(), max_tokens=9),
            endpoint=LIVE,
            reply=Reply(text=f"{task.id} {repeat if texts else ''}", stop_reason="end_turn"),
            scores={p: Score(value=given[n][repeat], explanation="") for p, given in scores.items()},
        )
        for n, task in enumerate(tasks)
        for repeat in range(repeats)
    )
    return Run(variants={"base": Agent(name="a")}, tasks=tasks, repeats=repeats, endpoint=LIVE, trials=trials)


class TestAfterARun:
    STEADY: Sequence[Sequence[float]] = [[1, 1, 1], [0, 0, 0], [1, 1, 1], [0, 0, 0]]

    def test_what_tells_replies_apart_is_not_named(self) -> None:
        found = check_graders(made_run({"a": self.STEADY}))

        assert (found.faults, found.remarks) == ((), ())
        assert str(found) == "nothing to say against 1 promise"

    def test_what_never_does_and_what_flips_and_what_says_the_same_are(self) -> None:
        found = check_graders(
            made_run(
                {
                    "steady": self.STEADY,
                    "always": [[1, 1, 1]] * 4,
                    "twin": self.STEADY,
                    "chance": [[1, 0, 1], [0, 0, 0], [0, 1, 1], [1, 1, 1]],
                    "silent": [[None, None, 1]] + [[None] * 3] * 3,
                }
            )
        )

        said = {each.split(":")[0]: each for each in found.remarks}
        assert said.keys() == {"always", "chance", "silent", "steady and twin"}
        assert "gave 1.00 to all 12 replies" in said["always"]
        assert "flips between repeats in 2 of 4 tasks (each counts once a variant)" in said["chance"]
        assert [(pair.promise, pair.other, pair.shared) for pair in found.same] == [("steady", "twin", 12)]
        assert found.in_short == (
            "Of the graders: always gave every reply the same score; chance went up and down between repeats of one "
            f"task; steady and twin said the same of every reply. {SEE_MORE}"
        )

    def test_what_is_to_be_looked_at_stands_below_the_promises_of_every_comparison(self, tmp_path: Path) -> None:
        run = replace(made_run({"always": [[1, 1, 1]] * 4, "steady": self.STEADY}), variants={})
        trials = [replace(trial, variant=name) for name in ("base", "new") for trial in run.trials]
        run = replace(run, variants={"base": Agent(name="a"), "new": Agent(name="b")}, trials=tuple(trials))
        comparison = compare(run, baseline="base")
        told = f"Of the graders: always gave every reply the same score. {SEE_MORE}"

        [table] = [each for each in change_tables(comparison) if each.title.startswith("Promises")]
        assert table.note.endswith(told)
        write_report(comparison, tmp_path, formats=["html", "md"])
        for file in ("report.html", "summary.md"):
            assert "always gave every reply the same score" in (tmp_path / file).read_text(encoding="utf-8")

    def test_what_is_looked_for_by_words_alone_is_said_below_the_promises(self) -> None:
        words, form = {"any": ["risk"]}, {"at_least": 2}
        specs = (
            GraderSpec(name="mentions", promise="risks", options=words),
            GraderSpec(name="has_list", promise="steps", options=form),
            GraderSpec(name="all_of", promise="both", options={"graders": [{"mentions": words}, "has_list"]}),
            GraderSpec(name="any_of", promise="either", options={"graders": [{"mentions": words}, "has_list"]}),
        )
        run = made_run({spec.promise: self.STEADY for spec in specs})
        run = replace(run, tasks=tuple(replace(task, graders=specs) for task in run.tasks))
        trials = tuple(replace(trial, variant=name) for name in ("base", "new") for trial in run.trials)
        run = replace(run, variants={"base": Agent(name="a"), "new": Agent(name="b")}, trials=trials)

        [table] = [each for each in change_tables(compare(run, baseline="base")) if each.title.startswith("Promises")]

        assert "Looked for by words alone: risks, either; whether a reply deals with what it names" in table.note
        [named] = re.findall(r"`workbench judge RECORD --rubric (\S+)`", table.note)
        assert named in shipped_rubrics()

    def test_a_long_list_of_graders_is_cut_and_says_so(self) -> None:
        found = check_graders(made_run({name: [[1, 1, 1]] * 4 for name in "abcde"}))

        assert found.in_short.startswith("Of the graders: a, b, c and 2 more gave every reply the same score.")

    def test_a_grader_that_contradicts_itself_is_a_fault(self) -> None:
        found = check_graders(made_run({"a": [[1, 0, 1]] * 4}, texts=False))

        assert "scored the same text otherwise the second time" in found.faults[0]

    def test_a_record_is_checked_by_the_command(self, tmp_path: Path) -> None:
        export_record(made_run({"asks": self.STEADY}), tmp_path / "record")

        shown = CliRunner().invoke(main, ["check-tasks", "--run", str(tmp_path / "record")])
        lines = CliRunner().invoke(main, ["check-tasks", "--run", str(tmp_path / "record"), "--json"])

        assert shown.exit_code == 0, shown.output
        assert "asks: gave 0.00 to all 12 replies" in shown.output, "its replies are graded again: none asks"
        assert json.loads(lines.output)["promises"][0]["never_discriminates"] is True
        assert ("STAND-IN" in shown.output, json.loads(lines.output)["stand_in"]) == (False, False)

    def test_replies_of_the_stand_in_are_called_so(self, tmp_path: Path) -> None:
        run = made_run({"asks": self.STEADY})
        made_up = tuple(replace(trial, endpoint=STAND_IN) for trial in run.trials)
        export_record(replace(run, endpoint=STAND_IN, trials=made_up), tmp_path / "record")

        shown = CliRunner().invoke(main, ["check-tasks", "--run", str(tmp_path / "record")])

        assert "replies of the OFFLINE STAND-IN" in shown.output.splitlines()[0]


class TestBeforeARun:
    NOTEBOOK: ClassVar = {
        "parameters": 'agent: str = "a.md"\ntasks: str = "a.tasks.yaml"',
        "plan": "import workbench as wb\nwb.plan_trials({'a': wb.load_agent(agent)}, wb.load_tasks(tasks), GRADERS)",
        "touch": "from pathlib import Path\nPath('kernel-ran').touch()",
    }

    @pytest.fixture
    def project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        (tmp_path / ".git").mkdir()
        (tmp_path / "a.md").write_text("---\nname: a\ndescription: A.\n---\nBe.\n")
        (tmp_path / "a.tasks.yaml").write_text("- id: a\n  input: x\n  graders:\n  - mention: {any: [b]}\n")
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def write(self, graders: str) -> None:
        cells = {name: source.replace("GRADERS", graders) for name, source in self.NOTEBOOK.items()}
        write_notebook(Path("try.ipynb"), cells)

    @pytest.mark.parametrize("graders", ["graders=wb.graders.standard()", "graders=standard()"])
    def test_a_misspelt_grader_stops_a_run_before_its_kernel(self, project: Path, graders: str) -> None:
        self.write(graders)

        done = CliRunner().invoke(main, ["run", "try.ipynb", "--out", "out"])

        assert done.exit_code == 2
        assert "a.tasks.yaml:4: graders: there is no grader 'mention'; did you mean 'mentions'" in done.output
        assert not Path("kernel-ran").exists()

    def test_a_broken_file_stops_it_whoever_grades(self, project: Path) -> None:
        self.write("graders={'mention': print}")
        (project / "a.tasks.yaml").write_text("- id: a\n  inptu: x\n")

        done = CliRunner().invoke(main, ["run", "try.ipynb", "--out", "out"])

        assert (done.exit_code, "did you mean 'input'" in done.output) == (2, True)
        assert not Path("out").exists()

    @pytest.mark.parametrize("graders", ["graders={**wb.graders.standard(), 'mention': print}", "graders=ours", ""])
    def test_graders_of_a_notebooks_own_are_not_called_misspelt(self, project: Path, graders: str) -> None:
        self.write(graders or "repeats=1")
        document = load_notebook("try.ipynb")

        refuse_broken_tasks_of(document, declared_parameters(document), {}, project=project)

    def test_a_batch_names_it_and_runs_the_others(self, project: Path) -> None:
        self.write("graders=wb.graders.standard()")
        (project / "b.tasks.yaml").write_text("- {id: b, input: x}\n")
        plan = {"notebooks": [{"notebook": "try.ipynb", "grid": {"tasks": ["a.tasks.yaml", "b.tasks.yaml"]}}]}
        Path("plan.yaml").write_text(json.dumps(plan))

        done = CliRunner().invoke(main, ["batch", "plan.yaml", "--estimate"])

        assert done.exit_code == 1
        assert "[1/2] try-a.tasks.yaml: a.tasks.yaml:4: graders: there is no grader 'mention'" in done.output
        assert "without                 try-a.tasks.yaml: cannot be estimated" in done.output
