"""Graders of graders, weights, what a task requires, plain functions, and graders of installed packages."""

from __future__ import annotations

import inspect
import json
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

import workbench as wb
from tests.messages_server import serve
from workbench.cli import main
from workbench.errors import TaskFileError, UnknownGrader
from workbench.grading import catalogue, python_tools
from workbench.trial import limited
from workbench.trial.graded import grade_trial, graders_by_task
from workbench.trial.task import GraderSpec, Task, load_tasks
from workbench.trial.trial import Endpoint, Reply, Request, Score, Trial

OFFLINE = Endpoint(kind="offline", base_url="http://offline.invalid")


def trial_of(text: str) -> Trial:
    request = Request(model="m", system="", messages=(), max_tokens=1)
    return Trial(variant="v", task_id="t", repeat=0, request=request, endpoint=OFFLINE, reply=Reply(text=text))


def graded(graders: str, text: str, folder: Path) -> Trial:
    path = folder / "x.tasks.yaml"
    path.write_text(f"- id: t\n  input: x\n  graders:\n{graders}", encoding="utf-8")
    [task] = load_tasks(path)
    return grade_trial(trial_of(text), task, graders_by_task([task], wb.graders.standard())["t"])


@pytest.mark.parametrize("name", sorted(catalogue.OWN))
def test_every_grader_and_each_of_its_options_is_told(name: str) -> None:
    factory = wb.graders.standard()[name]
    told = inspect.getdoc(factory) or ""
    page = (Path(__file__).parents[1] / "docs" / "how-to" / "graders.md").read_text(encoding="utf-8")

    assert [option for option in inspect.signature(factory).parameters if f"`{option}`" not in told] == []
    assert f"[{name}](../reference/graders.md#{name.replace('_', '-')})" in page


def test_weight_counts_in_the_mean_of_a_trial(tmp_path: Path) -> None:
    told = "    - contains: {promise: a, text: one, weight: 3}\n    - contains: {promise: b, text: two}\n"

    assert graded(told, "one", tmp_path).score == 0.75
    assert graded(told, "two", tmp_path).score == 0.25


def test_task_fails_without_what_it_requires(tmp_path: Path) -> None:
    told = "    - contains: {promise: a, text: one, required: true}\n    - contains: {promise: b, text: two}\n"

    assert graded(told, "one", tmp_path).score == 0.5
    assert graded(told, "two", tmp_path).score == 0
    assert graded(told, "two", tmp_path).scores["b"].value == 1


def test_least_score_may_be_required_and_a_decline_misses_it(tmp_path: Path) -> None:
    told = "    - has_sentences: {at_least: 4, required: 0.5}\n"
    code = "    - type_hints: {required: true}\n    - contains: {promise: b, text: two}\n"

    assert graded(told, "The cache is too small. The index is too large.", tmp_path).score == 0.5
    assert graded(told, "The cache is too small.", tmp_path).score == 0
    assert graded(code, "two", tmp_path).score == 0


def test_a_required_grader_that_raises_is_missing_and_fails_nobody() -> None:
    def broken(task: Task, reply: Reply) -> float:
        raise RuntimeError("no")

    spec = GraderSpec(name="broken", promise="a", required=1.0)
    task = Task(id="t", input="x", graders=(spec, GraderSpec(name="contains", promise="b", options={"text": "two"})))
    made = graders_by_task([task], {**wb.graders.standard(), "broken": broken})["t"]

    assert grade_trial(trial_of("two"), task, made).score == 1


@pytest.mark.parametrize("wrong", ["weight: 0", "weight: -1", "weight: x", "required: 2", "required: yes please"])
def test_wrong_weight_is_named_with_its_line(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(TaskFileError, match=r"x\.tasks\.yaml:4: graders: contains: (?:weight|required)"):
        graded(f"    - contains: {{text: one, {wrong}}}\n", "one", tmp_path)


def test_rows_without_weights_are_written_as_before() -> None:
    assert GraderSpec(name="a", promise="b").as_json() == {"name": "a", "promise": "b", "options": {}, "where": ""}
    assert Score(value=1.0, explanation="x").as_json() == {"value": 1.0, "explanation": "x"}


def test_weights_and_what_is_required_come_back_from_a_record(tmp_path: Path) -> None:
    told = "    - contains: {promise: a, text: zebra, weight: 3, required: 0.5}\n"
    path = tmp_path / "x.tasks.yaml"
    path.write_text(f"- id: t\n  input: x\n  graders:\n{told}", encoding="utf-8")
    agent = wb.parse_agent("---\nname: a\ndescription: b\n---\nBe brief.")
    run = wb.run_trials(
        wb.plan_trials({"a": agent}, load_tasks(path), repeats=1, graders=wb.graders.standard()), progress=False
    )
    wb.export_record(run, tmp_path / "record")

    again = wb.load_run(tmp_path / "record")

    assert (again.tasks[0].graders[0].weight, again.tasks[0].graders[0].required) == (3.0, 0.5)
    assert again.trials[0].scores == run.trials[0].scores
    assert again.trials[0].score == run.trials[0].score == 0


def test_parts_are_looked_up_in_the_callers_catalogue() -> None:
    def is_brief(task: Task, reply: Reply, *, words: int = 3) -> bool:
        return len(reply.text.split()) <= words

    parts = [{"is_brief": {"words": 2}}, {"any_of": {"graders": ["is_brief", {"contains": {"text": "z"}}]}}]
    task = Task(id="t", input="x", graders=(GraderSpec(name="all_of", promise="p", options={"graders": parts}),))
    [grader] = graders_by_task([task], {**wb.graders.standard(), "is_brief": is_brief})["t"].values()

    assert [grader(task, Reply(text=text)).value for text in ("a b", "a b c")] == [1, 0]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"graders": []}, "at least one grader"),
        ({"graders": "mentions"}, "takes a list of at least one grader"),
        ({"graders": [3]}, "takes graders, each a name or one name with its options"),
        ({"graders": [{"nothing": {}}]}, "there is no grader 'nothing'"),
        ({"graders": [{"contains": {}}]}, "contains needs the option text"),
    ],
)
def test_wrong_parts_are_named(options: dict[str, object], message: str) -> None:
    task = Task(id="t", input="x", graders=(GraderSpec(name="all_of", promise="p", options=options, where="a.yaml:3"),))

    with pytest.raises(UnknownGrader, match=message) as raised:
        graders_by_task([task], wb.graders.standard())
    assert str(raised.value).startswith("a.yaml:3")


def test_parts_that_decline_are_left_out() -> None:
    parts = [{"type_hints": {}}, {"contains": {"text": "one"}}]
    specs = tuple(
        GraderSpec(name=name, promise=name, options={"graders": parts, **more})
        for name, more in (("all_of", {}), ("any_of", {}), ("at_least", {"count": 2}))
    )
    task = Task(id="t", input="x", graders=specs)
    scores = grade_trial(trial_of("one"), task, graders_by_task([task], wb.graders.standard())["t"]).scores

    assert {name: score.value for name, score in scores.items()} == {"all_of": 1, "any_of": 1, "at_least": 0.5}


PACKAGE = """
from workbench import Score

def is_short(task, reply, *, words=3):
    return len(reply.text.split()) <= words

def contains(task, reply):
    return Score(value=0.25, explanation="of the package")

NO_FUNCTION = 3
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "house_graders.py").write_text(PACKAGE)
    folder = tmp_path / "house_graders-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: house-graders\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[workbench.graders]\nis_short = house_graders:is_short\ncontains = house_graders:contains\n"
        "gone = house_graders:gone\nnumber = house_graders:NO_FUNCTION\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert metadata.entry_points(group=catalogue.GROUP)
    yield
    sys.modules.pop("house_graders", None)


def test_graders_of_an_installed_package_can_be_named(package: None) -> None:
    specs = (
        GraderSpec(name="is_short", promise="short", options={"words": 2}),
        GraderSpec(name="house-graders/contains", promise="theirs"),
        GraderSpec(name="contains", promise="ours", options={"text": "one"}),
    )
    task = Task(id="t", input="x", graders=specs)
    made = graders_by_task([task], wb.graders.standard())["t"]

    scores = grade_trial(trial_of("one two three"), task, made).scores
    assert {promise: score.value for promise, score in scores.items()} == {"short": False, "theirs": 0.25, "ours": 1}


def test_graders_of_a_package_are_told_by_their_options_alone_also_to_a_model(
    package: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    listed = CliRunner().invoke(main, ["graders"]).output.splitlines()
    with serve() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        server.pieces = ['{"tasks": [{"id": "a", "input": "Say.", "graders": [{"is_short": {"words": 2}}]}]}']
        [proposed] = wb.propose_tasks(wb.parse_agent(b"---\nname: a\n---\nBe short."), ledger=tmp_path / "l.sqlite")
        sent = json.dumps(server.bodies)

    assert listed[listed.index("is_short (words)") + 1] == "    Of an installed package."
    assert "house-graders/contains (no options)" in listed
    assert "- is_short (words): Of an installed package." in sent
    assert [spec.name for spec in proposed.task.graders] == ["is_short"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", r"house-graders \(house_graders:gone\) cannot be loaded: AttributeError"),
        ("number", r"house-graders \(house_graders:NO_FUNCTION\) is no function, but a int"),
    ],
)
def test_package_with_a_broken_grader_is_named_where_it_is_used(package: None, name: str, message: str) -> None:
    task = Task(id="t", input="x", graders=(GraderSpec(name=name, promise="p", where="a.yaml:3"),))

    with pytest.raises(UnknownGrader, match=message):
        graders_by_task([task], wb.graders.standard())


def test_there_are_no_packages_but_those_that_say_so() -> None:
    assert set(wb.graders.standard()) == set(catalogue.OWN)


# Programs


def test_program_that_is_not_installed_declines_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_tools, "find_spec", lambda _: None)
    monkeypatch.setattr(python_tools.shutil, "which", lambda _: None)
    reply = Reply(text="```python\nabsent = 1\n```")

    for name in ("ruff", "mypy"):
        score = wb.graders.standard()[name]()(Task(id="t", input="x"), reply)
        assert score == Score(
            value=None, explanation=f"{name} is not installed: pip install 'agent-workbench[graders]'"
        )


@pytest.mark.machine
def test_program_is_ended_after_its_time(tmp_path: Path) -> None:
    began = time.monotonic()

    with pytest.raises(limited.TookTooLong, match="computed for longer than 1 s"):
        limited.run_limited((sys.executable, "-c", "while True: pass"), tmp_path, seconds=1)
    assert time.monotonic() - began < 60


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_program_has_no_more_memory_than_it_may(tmp_path: Path) -> None:
    """What nobody touches takes no memory: the address space alone is asked for."""
    asks = "import mmap, sys; mmap.mmap(-1, int(sys.argv[1])); print('had it')"

    within = limited.run_limited((sys.executable, "-c", asks, str(limited.MOST_BYTES // 4)), tmp_path)
    beyond = limited.run_limited((sys.executable, "-c", asks, str(limited.MOST_BYTES)), tmp_path)

    assert (within.code, within.output) == (0, "had it")
    assert beyond.code == 1 and "Cannot allocate memory" in beyond.output


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_program_that_says_no_end_is_stopped(tmp_path: Path) -> None:
    """It begins a little before the bound, with a hole that takes no disk."""
    floods = (
        "import os, sys\nos.lseek(1, int(sys.argv[1]) - 1_000, os.SEEK_SET)\nwhile True:\n    os.write(1, b'x' * 100)"
    )

    ended = limited.run_limited((sys.executable, "-c", floods, str(limited.MOST_WRITTEN)), tmp_path)

    assert ended.code != 0
    assert (tmp_path / ".output").stat().st_size == limited.MOST_WRITTEN
    assert "File too large" in (tmp_path / ".errors").read_text()


def test_no_more_than_the_beginning_is_read_of_what_a_program_says(tmp_path: Path) -> None:
    says = f"print('x' * {10 * limited.MOST_OUTPUT})"

    ended = limited.run_limited((sys.executable, "-c", says), tmp_path)

    assert ended.code == 0 and ended.output == "x" * limited.MOST_OUTPUT


def test_program_sees_no_key_and_no_settings_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "not-for-you")

    ended = limited.run_limited((sys.executable, "-c", "import os; print(sorted(os.environ))"), tmp_path)

    assert "ANTHROPIC" not in ended.output and "HOME" in ended.output


@pytest.mark.parametrize(
    "name", ["../out.py", "/etc/out.py", "a/../../out.py", "json.py", "x" * 300 + ".py", "~/out.py"]
)
def test_file_that_would_lie_elsewhere_is_read_as_one_without_a_name(name: str) -> None:
    text = f"```python title={name}\nimport os\n```"

    score = wb.graders.standard()["ruff"]()(Task(id="t", input="x"), Reply(text=text))

    assert isinstance(score, Score) and score.value == 0 and "`os` imported but unused" in score.explanation


def test_files_of_a_reply_are_read_together() -> None:
    text = (
        "`shop/rules.py`\n```python\ndef half(x: int) -> int:\n    return x // 2\n```\n"
        "`shop/use.py`\n```python\nfrom shop.rules import half\n\nvalue: str = half(3)\n```\n"
    )

    score = wb.graders.standard()["mypy"]()(Task(id="t", input="x"), Reply(text=text))

    assert isinstance(score, Score) and score.value == 0 and "Incompatible types" in score.explanation


def test_code_of_a_reply_is_never_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    text = f"```python title=conftest.py\nopen({str(trap)!r}, 'w').write('run')\n```\n```python title=mypy.py\nopen({str(trap)!r}, 'w')\n```"
    task = Task(id="t", input="x")

    for name in catalogue.OWN:
        options = dict(catalogue.example_of(name).options)
        made = Task(id="t", input="x", graders=(GraderSpec(name=name, promise=name, options=options),))
        graders_by_task([made], wb.graders.standard())["t"][name](task, Reply(text=text))

    assert not trap.exists()
