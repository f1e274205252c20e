"""The same run on two servers that no one here wrote: aimock (npm `@copilotkit/aimock`), and LiteLLM in front of it.

`WORKBENCH_AIMOCK` names the executable `llmock`, `WORKBENCH_LITELLM` the executable `litellm`; else they are looked
for on the PATH.

What was found to differ from the API, with aimock 1.43 and LiteLLM 1.106, and what becomes of it here:

- Request ids: aimock says `x-request-id`, which is kept; LiteLLM says none, so replies from there have none.
- Rate limits: neither tells them, so a run slows down only when it is refused.
- Tokens: aimock leaves out those of the cache, LiteLLM says 0 of them. aimock does not count a prompt beforehand (404),
  so an estimate approximates; LiteLLM answers with an approximation of its own (18 where 11 are billed).
- Retries: LiteLLM asks again by itself, unseen by us, unless `num_retries` is 0; then a 529 comes through as it is.
- Errors: LiteLLM hands on the text of the server behind it, as an `api_error` with the status of that server.
- Batches: both answer 404, which `via="batch"` says in words.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from workbench.comparison.judged import outcome_counts
from workbench.definition.agent import Agent, parse_agent
from workbench.judging.judge import judge
from workbench.judging.prompt import judging_message, judging_prompt
from workbench.ledger.store import open_ledger
from workbench.model.retrying import Retry
from workbench.runs.plan import plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.judged import judged_scores
from workbench.trial.rubric import Criterion, Rubric
from workbench.trial.task import Task
from workbench.trial.trial import Run

MODEL = "claude-haiku-5-5"
OVERLOADED, UNEVEN = "a case that is overloaded once", "a case with 你好 and 🐍"
TASKS = tuple(
    Task(id=str(number), input=text)
    for number, text in enumerate([OVERLOADED, UNEVEN, "a third case", "a fourth case"])
)
PERSONAS = ("You are brief.", "You are thorough.")
RUBRIC = Rubric(
    name="about",
    criteria=(
        Criterion(name="names-it", asks="The reply names its case."),
        Criterion(name="several", asks="It comes in several pieces."),
    ),
)
JUDGED = (("This is about a", "met"), ("nowhere in it", "not met"), ("", "cannot tell"), ("This is about", "superb"))
"""By case, what the judge quotes and says of each criterion: one is found, and none of the others is a score."""


@dataclass(frozen=True, kw_only=True)
class Server:
    name: str
    url: str
    journal: str
    """Where the last server in the chain tells what it was asked."""

    def asked(self) -> Counter[tuple[str, str, int]]:
        """How often each persona and case came to the last server, by the status it answered."""
        with urllib.request.urlopen(self.journal, timeout=30) as response:
            entries = json.load(response)
        return Counter(
            (*(message["content"] for message in entry["body"]["messages"]), entry["response"]["status"])
            for entry in entries
        )


def reply_to(persona: str, case: str) -> str:
    return f"{persona} This is about {case}, in enough words to come in several pieces."


def judgement_of(task: Task) -> str:
    quote, verdict = JUDGED[int(task.id)]
    said = {"quote": quote, "reason": "so", "verdict": verdict}
    return json.dumps({criterion.name: said for criterion in RUBRIC.criteria})


def fixtures() -> dict[str, Any]:
    overloaded = {"error": {"message": "Overloaded", "type": "overloaded_error"}, "status": 529}
    found: list[dict[str, Any]] = []
    for persona in PERSONAS:
        for task in TASKS:
            match = {"systemMessage": persona, "userMessage": task.input}
            if task.input == OVERLOADED:
                found.append({"match": match | {"sequenceIndex": 0}, "response": overloaded})
            usage = {"input_tokens": 11, "output_tokens": 7}
            found.append({"match": match, "response": {"content": reply_to(persona, task.input), "usage": usage}})
            asked = judging_message(RUBRIC, task, reply_to(persona, task.input))
            match = {"systemMessage": judging_prompt(RUBRIC), "userMessage": asked}
            found.append({"match": match, "response": {"content": judgement_of(task), "usage": usage}})
    return {"fixtures": found}


def executable(variable: str, name: str) -> str:
    path = os.environ.get(variable) or shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed; name the executable in {variable}")
    return path


@contextmanager
def started(command: list[str], ready: str, environment: Mapping[str, str]) -> Iterator[str]:
    """The line in which the program says that it listens."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    printed = []
    rest = threading.Thread(target=process.stdout.read)
    try:
        for line in process.stdout:
            printed.append(line)
            if re.search(ready, line):
                break
        else:
            pytest.fail(f"{command[0]} ended: {''.join(printed)[-2000:]}")
        rest.start()
        yield printed[-1]
    finally:
        process.terminate()
        process.wait()
        if rest.ident is not None:
            rest.join()
        process.stdout.close()


@contextmanager
def aimock(folder: Path) -> Iterator[str]:
    command = executable("WORKBENCH_AIMOCK", "llmock")
    file = folder / "fixtures.json"
    file.write_text(json.dumps(fixtures()), encoding="utf-8")
    options = ["-p", "0", "-h", "127.0.0.1", "-f", str(file), "--strict", "--validate-on-load"]
    with started([command, *options], r"listening on http", {}) as line:
        yield f"http://127.0.0.1:{line.strip().rpartition(':')[2]}"


@contextmanager
def litellm(folder: Path, behind: str, key: str) -> Iterator[str]:
    command = executable("WORKBENCH_LITELLM", "litellm")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = {"model": "openai/gpt-4o", "api_base": f"{behind}/v1", "api_key": "none"}
    file = folder / "litellm.yaml"
    file.write_text(
        json.dumps(
            {
                "model_list": [{"model_name": MODEL, "litellm_params": model}],
                "litellm_settings": {"num_retries": 0},
                "router_settings": {"disable_cooldowns": True},
            }
        ),
        encoding="utf-8",
    )
    options = ["--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
    environment = {"LITELLM_MASTER_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with started([command, *options], r"running on http", environment):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module", params=["aimock", "litellm"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, key = tmp_path_factory.mktemp(request.param), f"sk-{secrets.token_hex(24)}"
    with pytest.MonkeyPatch.context() as patch, aimock(folder) as mock:
        patch.setenv("THIRD_PARTY_KEY", key)
        journal = f"{mock}/__aimock/journal"
        if request.param == "aimock":
            yield Server(name="aimock", url=mock, journal=journal)
        else:
            with litellm(folder, mock, key) as proxy:
                yield Server(name="litellm", url=proxy, journal=journal)


def agents() -> dict[str, Agent]:
    return {
        persona: parse_agent(f"---\nname: a\ndescription: b\nmodel: {MODEL}\n---\n{persona}\n") for persona in PERSONAS
    }


@pytest.fixture(scope="module")
def run(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, Path]]:
    """One run of 2 personas on 4 cases, one of which is refused once, in a ledger of its own."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    with pytest.MonkeyPatch.context() as patch:
        point_at(server, patch)
        yield run_trials(plan_trials(agents(), TASKS), ledger=path, retry=Retry(first_seconds=0.001)), path


def point_at(server: Server, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("ANTHROPIC_BASE_URL", server.url)
    patch.setenv("ANTHROPIC_API_KEY", os.environ["THIRD_PARTY_KEY"])


def test_each_persona_gets_its_own_reply_to_each_case(run: tuple[Run, Path]) -> None:
    said = {(trial.variant, trial.task_id): trial.reply.text for trial in run[0].trials if trial.reply}

    assert said == {(persona, task.id): reply_to(persona, task.input) for persona in PERSONAS for task in TASKS}
    assert {trial.outcome for trial in run[0].trials} == {"answered"}


def test_tokens_and_time_to_the_first_one_are_known(run: tuple[Run, Path]) -> None:
    replies = [trial.reply for trial in run[0].trials if trial.reply]

    assert {(reply.usage.input_tokens, reply.usage.output_tokens) for reply in replies} == {(11, 7)}
    assert all(0 < (reply.seconds_to_first_token or 0) <= (reply.seconds or 0) for reply in replies)
    assert {reply.stop_reason for reply in replies} == {"end_turn"}


def test_overloaded_server_is_asked_again_by_us_and_by_nobody_else(server: Server, run: tuple[Run, Path]) -> None:
    assert server.asked() == Counter(
        {(persona, task.input, 200): 1 for persona in PERSONAS for task in TASKS}
        | {(persona, OVERLOADED, 529): 1 for persona in PERSONAS}
    )
    assert {trial.reply.attempts for trial in run[0].trials if trial.reply and trial.task_id == "0"} == {2}


def test_same_run_again_asks_for_nothing(
    server: Server, run: tuple[Run, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = server.asked()
    point_at(server, monkeypatch)
    again = run_trials(plan_trials(agents(), TASKS), ledger=run[1])

    assert server.asked() == before
    assert [trial.reply for trial in again.trials] == [trial.reply for trial in run[0].trials]


def test_refused_attempts_are_in_the_ledger_beside_the_answers(run: tuple[Run, Path]) -> None:
    with open_ledger(run[1]) as ledger:
        assert (ledger.count(), ledger.count(whole=True)) == (10, 8)


def test_what_a_judge_answers_is_counted_by_outcome_and_asked_for_once(
    server: Server, run: tuple[Run, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(server, monkeypatch)
    ledger = tmp_path / "judges.sqlite"
    judged = judge(run[0], RUBRIC, model=MODEL, ledger=ledger, progress=False)
    counts = outcome_counts(judged, judged.judged[-1])
    of_replies = judged_scores(judged.judged[-1], judged.trials).values()
    scores = [score.value for of in of_replies for score in of.values()]

    assert sum(counts.values()) == len(scores) == len(judged.trials) * len(RUBRIC.criteria)
    assert 0 not in scores, "what is no finding is an outcome and no score"
    assert scores.count(None) == sum(counts.values()) - counts.get("found", 0)
    before = server.asked()
    again = judge(run[0], RUBRIC, model=MODEL, ledger=ledger, progress=False)

    assert server.asked() == before
    replies = [[call.reply for call in each.judged[-1].calls] for each in (judged, again)]
    assert replies[0] == replies[1]
