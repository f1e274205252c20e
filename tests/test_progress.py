from __future__ import annotations

import re
import sys
import textwrap
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.runs.progress import NotebookBar, Tally, TerminalBar, progress_bar
from workbench.trial.trial import Endpoint, Failure, Reply, Request, Trial, Usage


def test_terminal_gets_a_line_with_what_became_of_the_trials(capsys: pytest.CaptureFixture[str]) -> None:
    bar = progress_bar(4)
    bar.show(3, "2 answered, 1 failed")
    bar.close()

    assert isinstance(bar, TerminalBar)
    line = capsys.readouterr().err.split("\r")[-1]
    assert "3/4" in line
    assert "2 answered, 1 failed" in line


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_narrow_terminal_shows_all_of_it_in_lines_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "20")
    details = "2 answered, 1 retrying after overloaded_error (next in 30 s), 4 of 8 at once, 0.0481 USD"

    bar = progress_bar(4)
    bar.show(2, "3 failed")
    bar.show(2, details)
    bar.close()

    written = sys.stderr.getvalue()  # type: ignore[attr-defined]
    drawn = [line.strip() for line in re.split(r"[\r\n]|\x1b\[A", written) if line.strip()]
    lines = textwrap.wrap(details, 39)
    assert len(lines) == 3
    assert [line for line in drawn if line in lines][-3:] == lines


def test_log_gets_a_line_while_nothing_is_settled_too(capsys: pytest.CaptureFixture[str]) -> None:
    bar = TerminalBar(10)
    bar._bar.mininterval = 0.0
    for seconds in (2, 1):
        bar.show(9, f"waiting {seconds} s")

    assert "waiting 1 s" in capsys.readouterr().err
    bar.close()


def test_bar_that_is_not_wanted_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    bar = progress_bar(4, shown=False)
    bar.show(4, "4 answered")
    bar.close()

    assert capsys.readouterr() == ("", "")


def test_kernel_shows_one_plain_output_that_is_updated_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, dict[str, Any]]] = []
    handle = SimpleNamespace(
        display=lambda data, raw, metadata: shown.append(("display", data)),
        update=lambda data, raw, metadata: shown.append(("update", data)),
    )
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object())))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(DisplayHandle=lambda: handle))

    bar = progress_bar(2)
    for done in (0, 1, 1, 2):
        bar.show(done, f"{done} answered")
    bar.close()

    assert isinstance(bar, NotebookBar)
    assert [kind for kind, _ in shown] == ["display", "update", "update"]
    assert shown[-1][1] == {"text/plain": "████████████████████ 2/2 trials: 2 answered"}


PLANNED = Trial(
    variant="base",
    task_id="t",
    repeat=0,
    request=Request(model="claude-haiku-5-5", system="", messages=(), max_tokens=10),
    endpoint=Endpoint(kind="server", base_url="http://127.0.0.1:1"),
)
OVERLOADED = Failure(type="overloaded_error", message="later")


def answered(model: str, *, seconds_to_first_token: float) -> Trial:
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    reply = Reply(
        text="x", stop_reason="end_turn", model=model, usage=usage, seconds_to_first_token=seconds_to_first_token
    )
    return PLANNED.replace(reply=reply)


def test_line_says_what_became_of_the_trials_what_waits_how_fast_and_the_cost() -> None:
    tally = Tally(from_ledger=3)
    tally.settled(answered("claude-haiku-5-5", seconds_to_first_token=0.5))
    tally.settled(answered("nobody-s-model", seconds_to_first_token=1.5))
    tally.settled(PLANNED.replace(failure=OVERLOADED))
    tally.waits(7, OVERLOADED, 30.4)
    tally.waits(8, OVERLOADED, 90.0)

    line = tally.line(["4 of 8 at once after overloaded_error"])

    assert tally.done == 6
    assert re.fullmatch(
        r"3 from the ledger, 2 answered, 1 failed, 2 retrying after overloaded_error \(next in 30 s\), "
        r"4 of 8 at once after overloaded_error, \d+ a minute, first token after 1\.0 s, "
        r"\d\.\d{4} USD \(1 of unknown cost\)",
        line,
    )


def test_rate_is_that_of_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("workbench.runs.progress.time.monotonic", lambda: now)
    tally, rates = Tally(), []
    for settled in (30, 30, 0, 0):
        for _ in range(settled):
            tally.settled(PLANNED.replace(failure=OVERLOADED))
        now += 60.0
        rates.append(tally.line().split(", ")[1])

    assert rates == ["30 a minute", "30 a minute", "0 a minute", "0 a minute"]


def test_trial_that_is_being_tried_again_is_not_counted_down() -> None:
    tally = Tally()
    tally.waits(0, OVERLOADED, -1.0)

    assert tally.line() == "1 retrying after overloaded_error (one is next)"
    tally.waits_no_more(0)
    assert tally.line() == ""


def test_what_came_from_the_ledger_is_shown_the_same_each_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    for now in (1000.0, 5000.0):
        monkeypatch.setattr("time.time", lambda now=now: now)
        bar = progress_bar(8, timed=False)
        bar.show(8, Tally(from_ledger=8).line())
        bar.close()
        shown.append(capsys.readouterr().err)

    assert shown[0] == shown[1]
    assert "8/8, 8 from the ledger" in shown[0]
