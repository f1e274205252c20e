"""The line that tells how far a run is: in a terminal, in JupyterLab and under papermill.

A bar is shown by the thread that waits for a run, never by the one that runs it.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import textwrap
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from workbench.errors import RunStopped
from workbench.trial.trial import Failure, Reply, Trial

_FIRST_TOKENS = 50
"""The time to the first token that is shown is the median of so many replies."""
_RATE_SECONDS = 60.0
"""The rate that is shown is that of the last seconds, so many."""


class Tally:
    """What has become of the trials of a run so far. Written in one thread, read in another."""

    def __init__(self, *, from_ledger: int = 0) -> None:
        self._counts = Counter({"from the ledger": from_ledger})
        self._waiting: dict[int, tuple[Failure, float]] = {}
        self._to_price: deque[Reply] = deque()
        self._first_tokens: deque[float] = deque(maxlen=_FIRST_TOKENS)
        self._usd = 0.0
        self._unpriced = 0
        self._looks = deque([(time.monotonic(), 0)])

    @property
    def done(self) -> int:
        return sum(self._counts.values())

    def settled(self, trial: Trial) -> None:
        """One more has its reply or failure."""
        self._counts[trial.outcome.replace("_", " ")] += 1
        if trial.endpoint.is_stand_in:
            return
        if trial.reply is None:
            return
        self._to_price.append(trial.reply)
        if trial.reply.seconds_to_first_token is not None:
            self._first_tokens.append(trial.reply.seconds_to_first_token)

    def found(self) -> None:
        """One more is in the ledger: another run asked for it."""
        self._counts["from the ledger"] += 1

    def waits(self, row: int, failure: Failure, seconds: float) -> None:
        """The trial in this row of the run is tried again after so many seconds."""
        self._waiting[row] = (failure, time.monotonic() + seconds)

    def waits_no_more(self, row: int) -> None:
        self._waiting.pop(row, None)

    def line(self, why_slow: Iterable[str] = ()) -> str:
        """All of it in a line: how many became what, what waits and how long, how fast, the cost.

        Where all came from the ledger there is no time in it, so that it is the same however often it is shown.
        """
        counts = dict(self._counts)
        parts = [f"{count} {name}" for name, count in counts.items() if count]
        now = time.monotonic()
        waiting = sorted(self._waiting.copy().values(), key=lambda item: item[1])
        if waiting:
            failure, until = waiting[0]
            next_in = f"next in {until - now:.0f} s" if until > now else "one is next"
            parts.append(f"{len(waiting)} retrying after {failure.type} ({next_in})")
        parts += why_slow
        if asked := sum(counts.values()) - counts["from the ledger"]:
            parts.append(f"{self._a_minute(asked, now):.0f} a minute")
        if first_tokens := list(self._first_tokens):
            parts.append(f"first token after {statistics.median(first_tokens):.1f} s")
        if cost := self._cost():
            parts.append(cost)
        return ", ".join(parts)

    def _a_minute(self, asked: int, now: float) -> float:
        """How fast it is now: a run that stands still has not the rate of its best days."""
        while len(self._looks) > 1 and self._looks[1][0] <= now - _RATE_SECONDS:
            self._looks.popleft()
        since, before = self._looks[0]
        if now - self._looks[-1][0] >= 1.0:
            self._looks.append((now, asked))
        return 60 * (asked - before) / max(1e-3, now - since)

    def _cost(self) -> str:
        """What the settled trials cost, as far as that is known."""
        from workbench.trial.catalogue import price_usd

        while self._to_price:
            reply = self._to_price.popleft()
            usd = price_usd(reply.model, reply.usage)
            self._usd += usd or 0.0
            self._unpriced += usd is None
        unpriced = f" ({self._unpriced} of unknown cost)" if self._unpriced else ""
        return f"{self._usd:.4f} USD{unpriced}" if self._usd or unpriced else ""


class RunWatch:
    """A run that somebody watches from another thread, who may end it. Of such a run nothing is printed: what a thread
    prints ends up in any cell."""

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        """`on_change` is called in the thread that waits for the run, some ten times a second at most."""
        self._on_change = on_change
        self._stopped = threading.Event()
        self.done = 0
        """Trials that are settled, of `of`."""
        self.of = 0
        self.details = ""
        """As the bar of a run says it: how many became what, what waits, the cost."""
        self.said: tuple[str, ...] = ()
        """What would have been printed, line by line."""

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        """Ends the run soon, as an interrupt does: what is in flight is stopped, what was answered is kept. The run
        then raises `RunStopped`, and so does each that is begun with this watch."""
        self._stopped.set()

    def check(self) -> None:
        """Passes while nobody has stopped it.

        Raises:
            RunStopped: somebody has.
        """
        if self.is_stopped:
            raise RunStopped("what was answered is in the ledger, and the same run goes on from there")

    def show(self, done: int, of: int, details: str) -> None:
        if (done, of, details) != (self.done, self.of, self.details):
            self.done, self.of, self.details = done, of, details
            self._on_change()

    def say(self, line: str) -> None:
        self.said = (*self.said, line)


class ProgressBar(Protocol):
    def show(self, done: int, details: str) -> None: ...
    def close(self) -> None: ...


def progress_bar(total: int, *, shown: bool = True, timed: bool = True) -> ProgressBar:
    """A bar for where we are: an output that is updated in place in a notebook, a tqdm line elsewhere.

    One that is not `timed` shows the same whenever it is shown.
    """
    if not shown:
        return NoBar()
    return TerminalBar(total, timed=timed) if _kernel_shell() is None else NotebookBar(total)


class NoBar:
    """Shows nothing, and loads nothing for it."""

    def show(self, done: int, details: str) -> None: ...
    def close(self) -> None: ...


class TerminalBar:
    """A tqdm bar on stderr, with the details in as many lines below it as they need; where that is not a terminal, all
    of it in a line every ten seconds."""

    def __init__(self, total: int, *, timed: bool = True) -> None:
        from tqdm import tqdm

        self._tqdm = tqdm
        self._is_terminal = sys.stderr.isatty()
        times = " [{elapsed}<{remaining}]" if timed else ""
        self._bar = tqdm(
            total=total,
            mininterval=0.1 if self._is_terminal else 10.0,
            miniters=0,  # else nothing is drawn, and no wait counted down, while nothing is settled
            smoothing=0,  # else what is left is told by the last moment before a wait
            dynamic_ncols=True,
            bar_format=f"{{l_bar}}{{bar}}| {{n_fmt}}/{{total_fmt}}{times}{{postfix}}",
        )
        self._below: list[tqdm[Any]] = []

    def show(self, done: int, details: str) -> None:
        if self._is_terminal:
            self._show_below(textwrap.wrap(details, max(20, shutil.get_terminal_size().columns - 1)))
        else:
            self._bar.set_postfix_str(details, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        filled = [line for line in self._below if line.desc]
        for empty in self._below[len(filled) :]:
            empty.leave = False
            empty.close()
        for line in (self._bar, *filled):  # from the top, for each ends with a line feed
            line.close()

    def _show_below(self, lines: Sequence[str]) -> None:
        while len(self._below) < len(lines):
            self._below.append(
                self._tqdm(total=0, position=len(self._below) + 1, bar_format="{desc}", dynamic_ncols=True)
            )
        for line, text in zip(self._below, [*lines, *[""] * len(self._below)], strict=False):
            line.set_description_str(text)


class NotebookBar:
    """One plain-text output, updated in place: the stored notebook holds its last state and no widget.

    It is marked as passing: a notebook that came to its end without a browser is kept without it, for it tells of the
    minutes in which the replies came, and not of the replies.
    """

    def __init__(self, total: int) -> None:
        from IPython.display import DisplayHandle

        self._total = total
        self._handle: Any = DisplayHandle()  # type: ignore[no-untyped-call]
        self._shown = ""

    def show(self, done: int, details: str) -> None:
        filled = 20 * done // self._total if self._total else 20
        text = f"{'█' * filled}{'░' * (20 - filled)} {done}/{self._total} trials: {details}"
        if text != self._shown:
            show = self._handle.update if self._shown else self._handle.display
            show({"text/plain": text}, raw=True, metadata={"workbench": "passing"})
            self._shown = text

    def close(self) -> None:
        """Nothing to do: the last state stays."""


def _kernel_shell() -> Any:
    """The shell of the running kernel, or `None`; looked up, not imported: where a kernel runs, IPython is loaded."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module else None
    return shell if hasattr(shell, "kernel") else None
