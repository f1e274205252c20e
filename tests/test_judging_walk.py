"""A judge through the notebook `compare`, the command line and a batch: asked, counted, certified, and what that changes.

A server on 127.0.0.1 answers as agent and as judge; no function of the workbench is called that a command does not call.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner

import workbench as wb
from tests.messages_server import MessagesServer, serve
from workbench.cli import EXIT_UNTRUSTED, EXIT_WORSE, main
from workbench.headless.batch import estimate_batch
from workbench.headless.batch_plan import load_batch
from workbench.judging.commands import EXIT_NOT_CERTIFIED
from workbench.judging.labels import items_to_label, label_now, save_label
from workbench.judging.prompt import mark_of

CRITERION = "names-the-line"
ROLE = "You grade a reply that an assistant gave to a task."
LINE = "Name the line of each fault."
TASKS = 20
DIFFERENT = 2 * TASKS - 3
"""Replies: of every eighth task both variants say the same."""
JUDGED = 2 * DIFFERENT
GREY = 'style="opacity: .7"'
RUBRIC = """\
name: review
about: A review.
criteria:
  - name: names-the-line
    asks: The reply names the line of the fault that it reports.
"""
BATCH = """\
out: outputs/night
notebooks:
  - notebook: compare
    parameters: {agent: agents/one.md, leave_out: "Name the line", repeats: 1, live: true, rubric: review.yaml,
      judges: "haiku, sonnet"}
"""


def said_by(body: dict[str, Any]) -> list[str]:
    """As the agent: a line is named where the persona asks for one, or the task is an eighth. As a judge: that one is,
    quoted, but of tasks ending in 3 the wrong way round."""
    system = body["system"] if isinstance(body["system"], str) else body["system"][0]["text"]
    asked = body["messages"][-1]["content"]
    asked = asked if isinstance(asked, str) else asked[0]["text"]
    if not system.startswith(ROLE):
        number = int(re.findall(r"number (\d+)", asked)[-1])
        names = LINE in system or number % 8 == 0
        return [f"The fault of {number} is ", "in line 7." if names else "somewhere in there."]
    reply = re.search(r"<reply-([0-9a-f]{16})>\n(.*)\n</reply-\1>", asked, re.DOTALL)
    assert reply is not None and mark_of(reply[2]) == reply[1]
    met = "line 7" in reply[2]
    met = not met if re.search(r"number \d*3\b", asked) else met
    quote = "in line 7" if "line 7" in reply[2] else "somewhere in there"
    words = {"quote": quote, "reason": "it says so", "verdict": "met" if met else "not met"}
    return [json.dumps({CRITERION: words})]


def questions(server: MessagesServer) -> list[dict[str, Any]]:
    return [body for body in server.bodies if "max_tokens" in body]


def of_judges(server: MessagesServer) -> list[dict[str, Any]]:
    return [body for body in questions(server) if ROLE in json.dumps(body["system"])]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MessagesServer]:
    """In a project of one agent with tasks and a rubric, the current folder, `compare` was run once with two judges."""
    folder = tmp_path_factory.mktemp("walk")
    (folder / "agents").mkdir()
    (folder / "agents" / "one.md").write_text(f"---\nname: one\ndescription: D.\n---\nYou review.\n{LINE}\n")
    tasks = [
        f"- id: t{number}\n  input: Review number {number}.\n  graders: [word_count: {{promise: brief, at_most: 50}}]\n"
        for number in range(TASKS)
    ]
    (folder / "agents" / "one.tasks.yaml").write_text("".join(tasks))
    (folder / "review.yaml").write_text(RUBRIC)
    (folder / "night.yaml").write_text(BATCH)
    with serve() as server, pytest.MonkeyPatch.context() as environment:
        server.pieces_for = said_by
        environment.setenv("ANTHROPIC_BASE_URL", server.url)
        environment.setenv("ANTHROPIC_API_KEY", "test")
        environment.setenv("WORKBENCH_LEDGER", str(folder / "ledger.sqlite"))
        environment.chdir(folder)
        ended(compare("first"))
        yield server


@pytest.fixture(autouse=True)
def here(walk: MessagesServer, no_credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the walk, which `no_credentials` takes away before each test."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", walk.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    monkeypatch.setenv("WORKBENCH_LEDGER", str(Path("ledger.sqlite").resolve()))


def compare(out: str, **more: str) -> list[str]:
    given = {
        "agent": "agents/one.md",
        "leave_out": "Name the line",
        "repeats": "1",
        "live": "true",
        "rubric": "review.yaml",
        "judges": "haiku, sonnet",
        **more,
    }
    parameters = [word for name, value in given.items() for word in ("-p", name, value)]
    return ["run", "compare", "--out", f"outputs/{out}", *parameters]


def ended(arguments: list[str], code: int = 0) -> str:
    """What a command says that ends with this code."""
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == code, (done.exit_code, done.output, done.exception)
    return done.output


@cache
def certified() -> tuple[Path, Path]:
    """What a person says of every reply of the first run, and the certificates that `certify` makes of it."""
    labels, rubric = Path("labels.jsonl"), wb.load_rubric("review.yaml")
    for item in items_to_label(wb.load_run("outputs/first")):
        level = rubric.criteria[0].levels[int("line 7" in item.reply)]
        save_label(label_now(item.id, CRITERION, level, labeller="ann"), labels)
    shutil.copytree("outputs/first", "outputs/held")
    assert f"{CRITERION}: certified by {DIFFERENT} labels" in ended(
        ["certify", "outputs/held", "--labels", str(labels)]
    )
    return labels, labels.with_suffix(".certificates.json")


def cell(out: str, cell_id: str) -> str:
    """What a cell of the executed notebook printed."""
    document = nbformat.read(f"outputs/{out}/compare.ipynb", as_version=4)
    found = next(cell for cell in document.cells if cell.id == cell_id)
    return "".join(output.get("text", "") for output in found.outputs)


def page(out: str) -> str:
    return Path(f"outputs/{out}/compare.html").read_text(encoding="utf-8")


def guarded(out: str, *more: str) -> list[str]:
    return ["gate", f"outputs/{out}", "--baseline", "base", "--margin", "0.3", "--guard", f"{CRITERION}:0.1", *more]


def test_the_notebook_says_what_judging_takes_and_puts_every_reply_to_every_judge(walk: MessagesServer) -> None:
    [judged] = wb.load_run("outputs/first").judged

    assert f"judgements              {4 * TASKS}: 2 judges x {2 * TASKS} different texts" in cell("first", "estimate")
    assert f"calls to make           {JUDGED}" in cell("first", "judge")
    assert (judged.rubric.name, judged.judges) == ("review", ("haiku", "sonnet"))
    assert len(judged.calls) == JUDGED and {call.outcome for call in judged.calls} == {"answered"}
    asked = of_judges(walk)[:JUDGED]
    assert {body["model"] for body in asked} == {"claude-haiku-5-5", "claude-sonnet-5-5"}
    assert not any("variant" in json.dumps(body) or "base" in json.dumps(body["messages"]) for body in asked)


def test_without_a_certificate_judges_are_grey_on_the_page_and_turn_no_gate() -> None:
    assert GREY in page("first") and "not certified: decides nothing" in page("first")
    assert "decides nothing here: not certified" in ended(guarded("first"), 2)


def test_a_second_run_from_the_ledger_asks_nothing_and_a_certificate_makes_judges_count(walk: MessagesServer) -> None:
    labels, certificates = certified()
    before = len(questions(walk))
    ended(compare("second", certificates=str(certificates)))

    assert len(questions(walk)) == before
    assert "calls to make           0" in cell("second", "judge")
    assert GREY not in page("second") and f"certified by {DIFFERENT} labels" in page("second")
    assert "not certified" not in page("second")
    assert "not enough to trust" in ended(guarded("second"), EXIT_UNTRUSTED)
    decided = ended(guarded("second", "--labels", str(labels)), EXIT_WORSE)
    assert f'Guard "{CRITERION}" fails' in decided and "corrected by people's labels" in decided


@pytest.mark.parametrize("missing", ["rubric", "certificates"])
def test_what_judging_takes_and_is_not_there_is_said_before_anybody_is_asked(
    walk: MessagesServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "new.sqlite"))
    before = len(questions(walk))
    done = CliRunner().invoke(main, compare("missing", **{missing: "nowhere.json"}))

    assert done.exit_code != 0 and "nowhere.json" in f"{done.output} {done.exception}"
    assert len(questions(walk)) == before


def test_another_rubric_revokes_the_certificate_in_the_notebook_too(walk: MessagesServer) -> None:
    _, certificates = certified()
    Path("stricter.yaml").write_text(RUBRIC.replace("the line of the fault", "the file and the line of the fault"))
    before = len(questions(walk))
    ended(compare("stricter", rubric="stricter.yaml", certificates=str(certificates)))

    assert len(questions(walk)) - before == JUDGED, "the agents are not asked again, the judges are"
    assert GREY in page("stricter") and "decides nothing" in page("stricter")
    ended(guarded("stricter"), 2)


def test_a_record_is_judged_from_the_command_line_out_of_the_same_ledger(walk: MessagesServer) -> None:
    run = wb.load_run("outputs/first")
    wb.export_record(replace(run, judged=()), "outputs/plain")
    before = len(questions(walk))
    arguments = ["judge", "outputs/plain", "--rubric", "review.yaml", "--model", "haiku", "--model", "sonnet", "--live"]

    assert "calls to make           0" in ended([*arguments, "--estimate"])
    assert wb.load_run("outputs/plain").judged == ()
    ended(arguments)
    assert len(questions(walk)) == before
    [found], [known] = wb.load_run("outputs/plain").judged, run.judged
    assert [call.reply for call in found.calls] == [call.reply for call in known.calls]


def test_a_batch_counts_its_judges_before_and_asks_nothing_that_the_ledger_has(
    walk: MessagesServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = len(questions(walk))
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("WORKBENCH_LEDGER", str(tmp_path / "new.sqlite"))
        anew = estimate_batch(load_batch("night.yaml"), say=lambda _: None).totals
    again = estimate_batch(load_batch("night.yaml"), say=lambda _: None).totals

    assert anew is not None and again is not None
    assert (anew.calls, again.calls) == (2 * TASKS + 4 * TASKS, 0)
    assert not Path("outputs/night").exists()
    ended(["batch", "night.yaml"])
    assert len(questions(walk)) == before
    [record] = Path("outputs/night").glob("*/run.json")
    [judged] = wb.load_run(record.parent).judged
    assert len(judged.calls) == JUDGED
    assert GREY in next(record.parent.glob("*.html")).read_text(encoding="utf-8")


def test_the_stand_in_judges_offline_says_so_and_is_never_certified() -> None:
    ended(compare("offline", live="false", judges="sonnet"))
    run = wb.load_run("outputs/offline")
    labels = Path("offline.jsonl")
    for number, item in enumerate(items_to_label(run)):
        level = run.judged[0].rubric.criteria[0].levels[number % 2]
        save_label(label_now(item.id, CRITERION, level, labeller="ann"), labels)

    assert run.judged[0].is_stand_in and GREY in page("offline")
    assert "OFFLINE STAND-IN" in page("offline").upper()
    assert "stand-in" in ended(["certify", "outputs/offline", "--labels", str(labels)], EXIT_NOT_CERTIFIED)
