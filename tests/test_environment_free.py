"""No result depends on the variables of whoever asks, grades, replays or reads it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.messages_server import MessagesServer
from tests.test_secrets_in_replies import SETTINGS, SHAPES, keys_of, ordinary_replies
from workbench.definition.agent import Agent
from workbench.grading.catalogue import standard
from workbench.grading.recorded import load_run as load_graded
from workbench.runs.plan import Plan, plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.record import export_record, load_run
from workbench.trial.regrade import regrade
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Run

GRADERS = (
    GraderSpec(name="mentions", promise="names", options={"all": ["postgres", "password", "tenant_id", "the"]}),
    GraderSpec(name="omits", promise="omits", options={"any": ["removed", "keyboard cat"]}),
    GraderSpec(name="matches", promise="matches", options={"pattern": r"\w+://[^\s@]+@|sk-\w+"}),
    GraderSpec(name="word_count", promise="brief", options={"at_most": 40}),
    GraderSpec(name="asks_question", promise="asks"),
    GraderSpec(name="has_code", promise="code"),
    GraderSpec(name="python_parses", promise="parses", options={"required": True}),
)
NAMES = (*SETTINGS, "MY_TOKEN", "APP_SECRET", "STORE_PASSWORD", "QUEUE_URL", "MORE_HEADERS")

line = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60)
key = st.sampled_from(sorted(SHAPES)).map(lambda kind: next(keys_of(kind))[0])
reply_texts = st.lists(
    st.one_of(line, key, st.sampled_from(ordinary_replies(20)), st.sampled_from(NAMES)), min_size=1
).map("\n".join)


@st.composite
def said_and_set(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    """A reply, and an environment whose values may be parts of it."""
    text = draw(reply_texts)
    pieces = [piece for piece in (*text.split(), *text.splitlines()) if piece.strip("\0") == piece]
    values = st.one_of(
        line.filter(lambda value: "\0" not in value),
        st.sampled_from(sorted(SETTINGS.values())),
        *([st.sampled_from(pieces).filter(lambda piece: "\0" not in piece)] if pieces else []),
    )
    return text, draw(st.dictionaries(st.sampled_from(NAMES), values, max_size=6))


@contextmanager
def environment(more: Mapping[str, str]) -> Iterator[None]:
    with mock.patch.dict(os.environ, more):
        yield


def plan_of(agent: Agent, question: str) -> Plan:
    tasks = [Task(id="one", input=question, graders=GRADERS)]
    return plan_trials({"base": agent}, tasks, repeats=1, graders=standard())


def of_a_result(run: Run) -> list[object]:
    """All that a result is made of, without what differs from one asking to the next."""
    return [
        (
            trial.key,
            trial.outcome,
            trial.score,
            dict(trial.scores),
            trial.reply and trial.reply.text,
            asdict(trial.request),
        )
        for trial in run.trials
    ]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said_and_set())
def test_grading_with_and_without_an_environment_gives_equal_scores(
    agent: Agent, server: MessagesServer, case: tuple[str, dict[str, str]]
) -> None:
    text, set_here = case
    server.pieces = [text[:9], text[9:]]
    plan = plan_of(agent, f"What of {text[:40]!r}?")
    with TemporaryDirectory() as folder:
        with environment(set_here):
            with_it = run_trials(plan, ledger=Path(folder, "a.sqlite"), progress=False)
        without_it = run_trials(plan, ledger=Path(folder, "b.sqlite"), progress=False)
        replayed = run_trials(plan, ledger=Path(folder, "a.sqlite"), progress=False, mode="replay")
        with environment(set_here):
            other_way = run_trials(plan, ledger=Path(folder, "b.sqlite"), progress=False, mode="replay")
            graded_again = regrade(without_it, standard())

    [trial] = with_it.trials
    assert trial.reply is not None
    assert trial.reply.text == text
    for run in (without_it, replayed, other_way, graded_again):
        assert of_a_result(run) == of_a_result(with_it)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said_and_set())
def test_record_keeps_the_scores_of_what_was_said_wherever_it_is_written_and_read(
    agent: Agent, server: MessagesServer, case: tuple[str, dict[str, str]]
) -> None:
    text, set_here = case
    server.pieces = [text]
    with TemporaryDirectory() as folder:
        run = run_trials(plan_of(agent, "What?"), ledger=Path(folder, "a.sqlite"), progress=False)
        with environment(set_here):
            written_with = load_run(export_record(run, Path(folder, "with")))
        with environment(set_here):
            read_with = load_run(export_record(run, Path(folder, "without")))
            graded_with = [load_graded(Path(folder, name)) for name in ("with", "without")]
        graded_without = [load_graded(Path(folder, name)) for name in ("with", "without")]

    # Values alone: what a grader says of a reply may quote it, and a record is for others.
    assert values_of(written_with) == values_of(read_with) == values_of(run)
    for again in (*graded_with, *graded_without):
        assert values_of(again) == values_of(run)
        assert not any("what it gives counts" in remark for remark in again.remarks), "nobody edited a score"


def values_of(run: Run) -> list[tuple[str, dict[str, float | None]]]:
    return [(trial.key, {promise: score.value for promise, score in trial.scores.items()}) for trial in run.trials]


def test_usual_settings_change_no_score_of_an_ordinary_reply_in_a_record(
    agent: Agent, server: MessagesServer, tmp_path: Path
) -> None:
    for number, text in enumerate(ordinary_replies(6)):
        server.pieces = [text]
        run = run_trials(plan_of(agent, f"Question {number}"), ledger=tmp_path / "a.sqlite", progress=False)
        with environment(SETTINGS):
            loaded = load_run(export_record(run, tmp_path / f"{number}"))

        assert [trial.reply and trial.reply.text for trial in loaded.trials] == [text]
        assert of_a_result(regrade(loaded, standard())) == of_a_result(run)
