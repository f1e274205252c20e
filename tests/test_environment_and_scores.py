"""What somebody's environment holds changes no score: the same reply is graded, compared and replayed as it was said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.grader_options import GRADERS, OTHERS
from tests.messages_server import MessagesServer, serve
from tests.runs import STAND_IN
from workbench.definition.agent import Agent
from workbench.grading.catalogue import standard
from workbench.runs.plan import plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.graded import grade_trial, graders_by_task
from workbench.trial.regrade import regrade
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Reply, Request, Run, Trial

SECRETS = (
    "password",
    "postgres",
    "changeme",
    "sk-ant-api03-" + "q7f2vx9kpl4st8wz" * 4,
    "AKIAQ7F2VX9KPL4ST8WZ",
    "ghp_" + "q7f2VX9kpl4ST8wz" * 2,
    "tenant_id",
)
PIECES = (
    *SECRETS,
    'f"postgresql+asyncpg://{user}:{password}@{host}"',
    "redis://:password@redis:6379/0",
    "x-api-key: ",
    "Cookie: session=",
    "\n```python\n",
    "\n```\n",
    "What load?",
    " and ",
    "ünïcode 🐍",
)
NAMES = (
    "DB_PASSWORD",
    "POSTGRES_PASSWORD",
    "ANTHROPIC_CUSTOM_HEADERS",
    "AWS_SECRET_ACCESS_KEY",
    "MY_TOKEN",
    "SORT_KEY",
)
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=20)), min_size=1, max_size=8).map("".join)
ENVIRONMENTS = st.dictionaries(
    st.sampled_from(NAMES),
    st.one_of(st.sampled_from(SECRETS), st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8)),
    min_size=1,
)
SPECS = (
    *(GraderSpec(name="mentions", promise=f"says {secret[:9]}", options={"any": [secret]}) for secret in SECRETS),
    *(GraderSpec(name=name, promise=name, options=options) for name, options in GRADERS.items()),
)
AT_ONCE = 25
"""Replies of one example: a run of so many takes not much longer than a run of one."""
EXAMPLES = 8


@pytest.fixture(scope="module")
def answering() -> Iterator[MessagesServer]:
    with serve() as opened:
        yield opened


@contextmanager
def environment(server: MessagesServer, **variables: str) -> Iterator[None]:
    if "ANTHROPIC_CUSTOM_HEADERS" in variables:
        variables["ANTHROPIC_CUSTOM_HEADERS"] = f"x-gateway: {variables['ANTHROPIC_CUSTOM_HEADERS']}"
    with patch.dict(os.environ, variables | {"ANTHROPIC_BASE_URL": server.url}):
        yield


def answered(texts: list[str], agent: Agent, ledger: Path, *, mode: str = "top-up") -> Run:
    tasks = [Task(id=str(number), input=f"Design {number}", graders=SPECS) for number in range(len(texts))]
    plan = plan_trials({"base": agent}, tasks, graders=standard())
    return run_trials(plan, ledger=ledger, mode=mode, progress=False)  # type: ignore[arg-type]


def test_all_graders_are_put_to_it() -> None:
    assert {spec.name for spec in SPECS} | OTHERS == standard().keys()
    assert AT_ONCE * EXAMPLES >= 200


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, min_size=AT_ONCE, max_size=AT_ONCE), variables=ENVIRONMENTS)
@example(texts=["Use `password`, not postgres."], variables={"DB_PASSWORD": "password"})
@example(texts=['f"postgresql+asyncpg://{user}:{password}@{host}"'], variables={"SORT_KEY": "tenant_id"})
@example(texts=[f"The key is {SECRETS[3]}."], variables={"MY_TOKEN": SECRETS[3]})
def test_a_reply_scores_the_same_whatever_the_environment_holds(
    agent: Agent, answering: MessagesServer, texts: list[str], variables: dict[str, str]
) -> None:
    texts = [text.replace("\x00", "") or "none" for text in texts]
    answering.pieces_for = lambda body: [texts[int(body["messages"][-1]["content"].split()[-1])]]
    with TemporaryDirectory() as folder:
        ledger = Path(folder) / "ledger.sqlite"
        with environment(answering, **variables):
            within = answered(texts, agent, ledger)
            replayed = answered(texts, agent, ledger, mode="replay")
        with environment(answering):
            without = answered(texts, agent, Path(folder) / "other.sqlite")
            carried = answered(texts, agent, ledger, mode="replay")

    assert [trial.reply.text for trial in without.trials if trial.reply] == texts
    for run in (within, replayed, carried, regrade(within, standard())):
        assert [trial.reply.text for trial in run.trials if trial.reply] == texts
        assert [trial.scores for trial in run.trials] == [trial.scores for trial in without.trials]


@settings(max_examples=300)
@given(text=TEXTS, variables=ENVIRONMENTS)
def test_every_grader_gives_the_same_score_in_every_environment(text: str, variables: dict[str, str]) -> None:
    task = Task(id="one", input="Design it", graders=SPECS)
    trial = Trial(
        variant="base",
        task_id="one",
        repeat=0,
        request=Request(model="m", system="", messages=(), max_tokens=1),
        endpoint=STAND_IN,
        reply=Reply(text=text, stop_reason="end_turn"),
    )
    with patch.dict(os.environ, variables):
        within = grade_trial(trial, task, graders_by_task([task], standard())["one"])

    assert within.scores == grade_trial(trial, task, WITHOUT).scores
    assert bool(within.scores) is bool(text.strip())


WITHOUT = graders_by_task([Task(id="one", input="x", graders=SPECS)], standard())["one"]
