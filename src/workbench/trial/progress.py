"""The line that tells how far a run is: in a terminal, in JupyterLab and under papermill.

A bar is shown by the thread that waits for a run, never by the one that runs it.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Protocol

from workbench.trial.trial import Failure, Reply, Trial

_FIRST_TOKENS = 50
"""The time to the first token that is shown is the median of so many replies."""


class Tally:
    """What has become of the trials of a run so far. Written in one thread, read in another."""

    def __init__(self, *, from_ledger: int = 0) -> None:
        self._counts = Counter({"from the ledger": from_ledger})
        self._waiting: dict[int, tuple[Failure, float]] = {}
        self._to_price: deque[Reply] = deque()
        self._first_tokens: deque[float] = deque(maxlen=_FIRST_TOKENS)
        self._usd = 0.0
        self._unpriced = 0
        self._began = time.monotonic()

    @property
    def done(self) -> int:
        return sum(self._counts.values())

    def settled(self, trial: Trial) -> None:
        """One more has its reply or failure."""
        self._counts[trial.outcome.replace("_", " ")] += 1
        if trial.place.is_stand_in:
            return
        if trial.reply is None:
            return
        self._to_price.append(trial.reply)
        if trial.reply.seconds_to_first_token is not None:
            self._first_tokens.append(trial.reply.seconds_to_first_token)

    def found(self) -> None:
        """One more is in the ledger: another run asked for it."""
        self._counts["from the ledger"] += 1

    def waits(self, index: int, failure: Failure, seconds: float) -> None:
        """The trial at this place in the run is tried again after so many seconds."""
        self._waiting[index] = (failure, time.monotonic() + seconds)

    def waits_no_more(self, index: int) -> None:
        self._waiting.pop(index, None)

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
            next_in = f"next in {until - now:.0f} s" if until > now else "one is being tried"
            parts.append(f"{len(waiting)} retrying after {failure.type} ({next_in})")
        parts += why_slow
        if asked := sum(counts.values()) - counts["from the ledger"]:
            parts.append(f"{60 * asked / max(1e-3, now - self._began):.0f} a minute")
        if first_tokens := list(self._first_tokens):
            parts.append(f"first token after {statistics.median(first_tokens):.1f} s")
        if cost := self._cost():
            parts.append(cost)
        return ", ".join(parts)

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
    """A tqdm line on stderr; where that is not a terminal, a line every ten seconds."""

    def __init__(self, total: int, *, timed: bool = True) -> None:
        from tqdm import tqdm

        interval = 0.1 if sys.stderr.isatty() else 10.0
        self._bar = tqdm(
            total=total,
            unit="trial",
            mininterval=interval,
            dynamic_ncols=True,
            bar_format=None if timed else "{l_bar}{bar}| {n_fmt}/{total_fmt}{postfix}",
        )

    def show(self, done: int, details: str) -> None:
        self._bar.set_postfix_str(details, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


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
