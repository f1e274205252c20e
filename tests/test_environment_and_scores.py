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

from tests.messages_server import MessagesServer, serve
from workbench.definition.agent import Agent
from workbench.grading.catalogue import standard
from workbench.runs.plan import plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.regrade import regrade
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Run

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
GRADERS = (
    *(GraderSpec(name="mentions", promise=f"says {secret[:9]}", options={"any": [secret]}) for secret in SECRETS),
    GraderSpec(name="word_count", promise="short", options={"at_most": 5}),
    GraderSpec(name="has_code", promise="shows code"),
    GraderSpec(name="asks_question", promise="asks"),
)


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


def answered(text: str, agent: Agent, ledger: Path, *, mode: str = "top-up") -> Run:
    task = Task(id="one", input="Design it", graders=GRADERS)
    plan = plan_trials({"base": agent}, [task], graders=standard())
    return run_trials(plan, ledger=ledger, mode=mode, progress=False)  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS, variables=ENVIRONMENTS)
@example(text="Use `password`, not postgres.", variables={"DB_PASSWORD": "password"})
@example(text='f"postgresql+asyncpg://{user}:{password}@{host}"', variables={"SORT_KEY": "tenant_id"})
@example(text=f"The key is {SECRETS[3]}.", variables={"MY_TOKEN": SECRETS[3]})
def test_a_reply_scores_the_same_whatever_the_environment_holds(
    agent: Agent, answering: MessagesServer, text: str, variables: dict[str, str]
) -> None:
    text = text.replace("\x00", "") or "none"
    answering.pieces = [text]
    with TemporaryDirectory() as folder:
        ledger = Path(folder) / "ledger.sqlite"
        with environment(answering, **variables):
            within = answered(text, agent, ledger)
            replayed = answered(text, agent, ledger, mode="replay")
        with environment(answering):
            without = answered(text, agent, Path(folder) / "other.sqlite")
            carried = answered(text, agent, ledger, mode="replay")

    (trial,) = without.trials
    assert trial.reply is not None and trial.reply.text == text
    for run in (within, replayed, carried, regrade(within, standard())):
        assert run.trials[0].reply is not None
        assert run.trials[0].reply.text == text
        assert run.trials[0].scores == trial.scores
