"""A run, a stop and a resume on a real model: llama.cpp's own server with a small one, which nobody here wrote.

`WORKBENCH_LLAMA_SERVER` names the executable `llama-server`, `WORKBENCH_GGUF` the file of a model; a small one is
enough, for what is real here is the wire, the tokens, the waiting and the variation, and not the sense of what is said.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from workbench.comparison.judged import outcome_counts
from workbench.definition.agent import parse_agent
from workbench.errors import RoutingRefused
from workbench.judging.judge import Judge, judge
from workbench.ledger.columns import read_attempts
from workbench.model.endpoint import chat_endpoint
from workbench.routing.asking import ORDERS, MainModel, ask_router, choose_router, plan_controls, plan_routing, route
from workbench.routing.decision import decision_of
from workbench.routing.measured import measure_routing
from workbench.runs.estimate import estimate_plan
from workbench.runs.plan import Plan, make_request, plan_trials
from workbench.runs.runner import run_trials
from workbench.runs.settings import Asking
from workbench.runs.start import start_trial
from workbench.trial.judged import item_id, judged_scores
from workbench.trial.record import export_record, load_run
from workbench.trial.rubric import Criterion, Rubric
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, Reply, Run, Trial

T = TypeVar("T")
START_SECONDS = 60
MOST_TOKENS = 40
BRIEF = parse_agent("---\nname: brief\ndescription: d\n---\nYou are brief.\n")
THOROUGH = parse_agent("---\nname: thorough\ndescription: d\n---\nYou are thorough, and ask first.\n")
TASKS = tuple(Task(id=str(number), input=f"Name {number} risks of a cache.") for number in range(1, 5))
RUN = """
import sys
from tests.test_llama_server import plan
from workbench.runs.runner import run_trials
run_trials(plan(), ledger=sys.argv[1], live=True, concurrency=2)
"""

pytestmark = pytest.mark.timeout(600)


def plan() -> Plan:
    return plan_trials({"brief": BRIEF, "thorough": THOROUGH}, TASKS, repeats=2, max_tokens=MOST_TOKENS)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server, model = os.environ.get("WORKBENCH_LLAMA_SERVER"), os.environ.get("WORKBENCH_GGUF")
    if not server or not model:
        pytest.skip("no real model: name llama.cpp's server in WORKBENCH_LLAMA_SERVER and a model in WORKBENCH_GGUF")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(server).resolve().parent
    command = [server, "-m", model, "--host", "127.0.0.1", "--port", str(port), "-c", "4096", "-np", "2", "-ngl", "0"]
    started = subprocess.Popen(
        [*command, "-t", "2"],
        env={**os.environ, "LD_LIBRARY_PATH": f"{folder}{os.pathsep}{os.environ.get('LD_LIBRARY_PATH', '')}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/health", started)
        yield f"http://127.0.0.1:{port}"
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
        started.wait(20)


def _wait_until_it_answers(address: str, server: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert server.poll() is None, (
                f"the server ended with {server.returncode}; by a signal where that is negative"
            )
            assert time.monotonic() < ends, "the server does not answer"
            time.sleep(0.2)


@pytest.fixture
def here(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The ledger of a project whose models are all answered by that server."""
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    return tmp_path / "ledger.sqlite"


def answered(ledger: Path) -> Counter[str]:
    """How often each trial has a whole reply in the ledger."""
    found = read_attempts(ledger) if ledger.exists() else {"key": [], "whole": []}
    return Counter(key for key, whole in zip(found["key"], found["whole"], strict=True) if whole)


def test_a_run_that_is_stopped_goes_on_and_pays_for_no_reply_twice(here: Path) -> None:
    estimate = estimate_plan(plan(), live=True, ledger=here)
    assert (estimate.calls, "counted by" in estimate.input_source) == (16, True), estimate.input_source

    stopped = subprocess.Popen(
        [sys.executable, "-c", RUN, str(here)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    ends = time.monotonic() + 240
    while len(answered(here)) < 3:
        assert stopped.poll() is None, stopped.communicate()[0]
        assert time.monotonic() < ends
        time.sleep(0.1)
    stopped.send_signal(signal.SIGINT)
    said, _ = stopped.communicate(timeout=60)
    assert "Stopped." in said
    assert "goes on from there" in said
    before = answered(here)
    assert 3 <= len(before) < 16

    run = run_trials(plan(), ledger=here, live=True, concurrency=2)

    assert len(run.trials) == 16
    assert {trial.outcome for trial in run.trials} <= {"answered", "cut_off"}
    assert {trial.key for trial in run.trials if trial.from_ledger} == set(before)
    assert set(answered(here).values()) == {1}
    assert len({trial.reply.text for trial in run.trials if trial.reply}) > 8  # a model varies
    for trial in run.trials:
        assert trial.reply is not None
        usage = trial.reply.usage
        assert 0 < (usage.output_tokens or 0) <= MOST_TOKENS
        assert (usage.input_tokens or 0) + (usage.cache_read_input_tokens or 0) > 5
        assert trial.reply.stop_reason == ("max_tokens" if trial.outcome == "cut_off" else "end_turn")
    counted = sum(
        (trial.reply.usage.input_tokens or 0) + (trial.reply.usage.cache_read_input_tokens or 0)
        for trial in run.trials
        if trial.reply
    )
    assert estimate.input_tokens == counted  # what it counts beforehand is what it then says it read


def test_a_reply_comes_in_pieces_and_can_be_stopped(here: Path) -> None:
    request = make_request(THOROUGH, "Tell a long story of a cache.", max_tokens=400)
    pieces: list[str] = []
    started = start_trial(request, agent=THOROUGH, on_text=pieces.append, ledger=here)
    ends = time.monotonic() + 60
    while len(pieces) < 5:
        assert time.monotonic() < ends
        time.sleep(0.02)
    started.stop()
    trial = started.result(30)

    assert trial.outcome == "stopped"
    assert trial.failure is not None
    assert not trial.from_ledger


RUBRIC = Rubric(
    name="risks",
    about="Risks of a cache.",
    criteria=(
        Criterion(name="names-a-risk", asks="The reply names a risk of a cache."),
        Criterion(name="says-why", asks="The reply says when that happens."),
    ),
)


def said() -> Run:
    """Replies to be judged, written by hand."""
    request, endpoint = make_request(BRIEF, TASKS[0].input), Endpoint(kind="server", base_url="http://writer.invalid")
    texts = {"brief": "Prices in it may be stale.", "thorough": "All keys expire at once, when it is restarted."}
    trials = tuple(
        Trial(
            variant=name,
            task_id=TASKS[0].id,
            repeat=0,
            request=request,
            endpoint=endpoint,
            reply=Reply(text=text, stop_reason="end_turn"),
        )
        for name, text in texts.items()
    )
    return Run(
        variants={"brief": BRIEF, "thorough": THOROUGH}, tasks=TASKS[:1], repeats=1, endpoint=endpoint, trials=trials
    )


@pytest.mark.parametrize("speaks", ["messages", "chat completions"])
def test_a_small_model_judges_and_what_it_says_amiss_is_an_outcome(here: Path, url: str, speaks: str) -> None:
    small = Judge(model="small", endpoint=chat_endpoint(f"{url}/v1") if speaks == "chat completions" else None)
    run = judge(said(), RUBRIC, model=small, ledger=here, live=True, progress=False)
    (judged,) = run.judged
    counts = outcome_counts(run, judged)
    scores = judged_scores(judged, run.trials)

    assert not judged.is_stand_in
    assert sum(counts.values()) == len(run.trials) * len(RUBRIC.criteria), counts
    values = [scores[item_id(trial)][each.name].value for trial in run.trials for each in RUBRIC.criteria]
    assert sum(value is not None for value in values) == counts.get("found", 0), counts
    if speaks == "chat completions":  # the server keeps to the schema on this path, and ignores it on the other
        assert counts.get("invalid", 0) == 0 and counts.get("failed", 0) == 0, counts


def test_a_small_model_routes_and_whatever_it_picks_is_measured_or_refused(here: Path, tmp_path: Path) -> None:
    """It follows no list, so that the self-test ends it, by its own controls and no more; what it decides all the same
    is measured, recorded and given again without a question."""
    described = {
        "alpha": "Reviews code for defects after a change.",
        "beta": "Writes unit tests, when asked for tests.",
    }
    agents = {
        name: parse_agent(f"---\nname: {name}\ndescription: {does}\n---\nYou do.\n") for name, does in described.items()
    }
    cases = [
        Task(id="review", input="Look over what I just changed.", target="alpha"),
        Task(id="chore", input="What is 2 + 2?", target="none"),
    ]
    main = MainModel(model="sonnet", way="approximation")
    router = choose_router(main)
    asking: Asking = {"ledger": here, "live": True, "progress": False, "concurrency": 2}
    controls = estimate_plan(plan_controls(agents, router=router), live=True, ledger=here).calls

    said = [_or_refusal(lambda: decisions(route(agents, cases, model=main, **asking).run)) for _ in range(2)]

    assert said[0] == said[1]
    in_all = controls if isinstance(said[0], str) else controls + len(cases) * ORDERS
    assert sum(answered(here).values()) == in_all, said[0]
    assert set(answered(here).values()) == {1}

    run = ask_router(agents, plan_routing(agents, cases, router=router, orders=1), router=router, asking=asking)
    export_record(run, tmp_path / "record")
    replayed = load_run(tmp_path / "record")

    assert set(answered(here).values()) == {1}
    assert all(trial.reply is not None and trial.reply.usage.output_tokens for trial in run.trials)
    assert decisions(replayed) == decisions(run)
    assert _or_refusal(lambda: routing_tables(replayed)) == _or_refusal(lambda: routing_tables(run))


def decisions(run: Run) -> dict[str, str | None]:
    return {f"{trial.variant}/{trial.task_id}": decision_of(trial) for trial in run.trials}


def routing_tables(run: Run) -> list[str]:
    return [str(table) for table in measure_routing(run).tables()]


def _or_refusal(measure: Callable[[], T]) -> T | str:
    try:
        return measure()
    except RoutingRefused as error:
        return str(error)
