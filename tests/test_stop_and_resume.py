"""What ends a run in its middle, and what the next run has to ask then."""

from __future__ import annotations

import re
import signal
import threading
import time
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from tests.messages_server import MessagesServer
from tests.test_runner import SCRIPT, start_script
from workbench.definition.agent import Agent
from workbench.ledger.store import open_ledger
from workbench.model.retrying import Retry
from workbench.runs import missing
from workbench.runs.plan import make_request, plan_trials
from workbench.runs.progress import NoBar
from workbench.runs.runner import run_trials
from workbench.runs.settings import Mode
from workbench.runs.start import start_trial
from workbench.trial.task import Task

pytestmark = pytest.mark.machine


def slow_from_the_ninth(server: MessagesServer) -> threading.Event:
    """Set when the ninth request came; from then on replies take very long."""
    came = threading.Event()

    def fault(_body: object, _before: int) -> str:
        if len(server.bodies) > 8:
            server.seconds_a_piece = 5.0
            came.set()
        return "ok"

    server.fault = fault
    return came


def reply_to(client: BlockingKernelClient, asked: str) -> dict[str, Any]:
    """Passing over what a slow kernel still answers to being asked whether it is there."""
    while True:
        message = client.get_shell_msg(timeout=60)
        if message["parent_header"].get("msg_id") == asked:
            return dict(message["content"])


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("ok", r"no complete reply within 1\.5 seconds"),
        (
            "529",
            r"no complete reply within 1\.5 seconds: [01]\.\d of them went by in 1 attempt before \(overloaded_error\) .*",
        ),
    ],
)
def test_deadline_in_a_failure_is_the_one_that_was_set_with_what_used_it_up(
    agent: Agent, server: MessagesServer, fault: str, says: str
) -> None:
    server.fault = lambda _, before: fault if before == 0 else "ok"
    server.seconds_a_piece = 5.0
    plan = plan_trials({"base": agent}, [Task(id="one", input="x")])

    [trial] = run_trials(plan, deadline_seconds=1.5, retry=Retry(first_seconds=0.3, jitter=0.0)).trials

    assert trial.failure is not None
    assert trial.failure.type == "deadline"
    assert re.fullmatch(says, trial.failure.message), trial.failure.message
    assert trial.reply is not None
    assert trial.reply.text == "First, "


def test_interrupted_kernel_lives_and_goes_on_without_asking_again(server: MessagesServer) -> None:
    came = slow_from_the_ninth(server)
    manager, client = start_new_kernel()
    try:
        asked = client.execute(SCRIPT)
        assert came.wait(60)
        manager.interrupt_kernel()
        interrupted = reply_to(client, asked)
        with open_ledger() as ledger:
            answered = ledger.count(whole=True)
        before = server.asked()
        server.fault, server.seconds_a_piece = (lambda _, __: "ok"), 0.0
        completed = client.execute_interactive(SCRIPT, timeout=60, output_hook=lambda _: None)["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)

    assert (interrupted["status"], interrupted["ename"]) == ("error", "KeyboardInterrupt")
    assert completed["status"] == "ok"
    again = server.asked() - before
    assert answered >= 6
    assert again.total() == 24 - answered
    assert set(again.values()) == {1}


def test_suspended_process_goes_on_where_it_was(server: MessagesServer) -> None:
    """As a laptop that sleeps: the connections in flight are gone when it wakes."""
    asleep = threading.Event()

    def cut_while_asleep(_body: object, before: int) -> str:
        if len(server.bodies) > 8 and before == 0 and not asleep.is_set():
            process.send_signal(signal.SIGSTOP)
            asleep.set()
            return "cut"
        return "ok"

    server.fault = cut_while_asleep
    process = start_script(server)
    assert asleep.wait(60)
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate(timeout=60)

    assert "answered 24" in output
    assert process.returncode == 0


@pytest.mark.parametrize(("mode", "which"), [("top-up", "the same run"), ("fresh", "the same run with mode='top-up'")])
def test_interrupt_says_which_run_goes_on(
    agent: Agent,
    server: MessagesServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mode: Mode,
    which: str,
) -> None:
    class Interrupting(NoBar):
        def show(self, done: int, details: str) -> None:
            if done == 1 and not interrupted.is_set():
                interrupted.set()
                raise KeyboardInterrupt

    interrupted = threading.Event()
    monkeypatch.setattr(missing, "progress_bar", lambda *_, **__: Interrupting())
    server.fault = lambda _, __: "ok" if len(server.bodies) == 1 else "529, come back in a minute"
    plan = plan_trials({"base": agent}, [Task(id="a", input="x"), Task(id="b", input="y")])

    with pytest.raises(KeyboardInterrupt):
        run_trials(plan, concurrency=1, mode=mode)

    assert f"what was answered is in the ledger, and {which} goes on from there." in capsys.readouterr().out


def test_stop_ends_the_wait_for_another_try_at_once(agent: Agent, server: MessagesServer) -> None:
    server.fault = lambda _, __: "529, come back in a minute"
    waits: list[float] = []
    waiting = threading.Event()

    def on_retry(_failure: object, seconds: float) -> None:
        waits.append(seconds)
        waiting.set()

    started = start_trial(make_request(agent, "Hello"), agent=agent, on_retry=on_retry)
    assert waiting.wait(60)
    began = time.monotonic()
    started.stop()
    trial = started.result(50)

    assert waits == [60.0], "an hour is asked for, a minute is the most we wait"
    assert time.monotonic() - began < 50
    assert trial.outcome == "stopped"


def test_deadline_bounds_a_trial_with_all_its_tries(agent: Agent, server: MessagesServer) -> None:
    server.fault = lambda _, __: "529, come back in a minute"

    [trial] = run_trials(plan_trials({"base": agent}, [Task(id="a", input="x")]), deadline_seconds=2.0).trials

    assert trial.outcome == "failed"
    assert len(server.bodies) == 1


def test_waiting_for_its_turn_takes_nothing_of_the_time_of_a_trial(agent: Agent, server: MessagesServer) -> None:
    server.seconds_a_piece = 0.2
    server.fault = lambda body, before: "429" if "Question 6" in str(body) and not before else "ok"
    tasks = [Task(id=f"task-{number}", input=f"Question {number}") for number in range(7)]

    plan, retry = plan_trials({"base": agent}, tasks), Retry(patience_seconds=2.0, first_at_once=1)
    trials = run_trials(plan, concurrency=7, deadline_seconds=2.0, retry=retry).trials

    assert [trial.outcome for trial in trials] == ["answered"] * 7
    assert len(server.bodies) == 8, "the last is tried again, though it waited for long"


def test_retry_whose_turn_does_not_come_in_time_is_not_sent(agent: Agent, server: MessagesServer) -> None:
    server.more_headers = lambda _: {
        "anthropic-ratelimit-requests-limit": "100",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2099-01-01T00:00:00Z",
    }
    server.fault = lambda _, __: "529"

    [trial] = run_trials(plan_trials({"base": agent}, [Task(id="a", input="x")]), deadline_seconds=1.5).trials

    assert trial.failure is not None
    assert trial.failure.type == "overloaded_error", "what came of the only request that was sent"
    assert len(server.bodies) == 1


def test_reply_that_drips_past_the_deadline_keeps_what_came(agent: Agent, server: MessagesServer) -> None:
    server.seconds_a_piece = 0.4

    [trial] = run_trials(plan_trials({"base": agent}, [Task(id="a", input="x")]), deadline_seconds=1.0).trials

    assert trial.failure is not None
    assert trial.failure.type == "deadline"
    assert trial.reply is not None
    assert trial.reply.text.startswith("First, ")
