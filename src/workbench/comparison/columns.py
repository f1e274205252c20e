"""What is known of every trial of a run, as columns in the order of `Run.trials`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.figures import points
from workbench.comparison.scores import ANSWERED, STATUSES, Attempts, attempts_of
from workbench.markup import counted, visible
from workbench.statistics.means import Floats
from workbench.trial.catalogue import find_price, price_usd
from workbench.trial.paid import Paid, Usd, of_the_cache
from workbench.trial.trial import Reply, Run, Score, Trial

PREVIEW_CHARACTERS = 90


@dataclass(frozen=True, kw_only=True)
class PaidColumn:
    """A figure of what all attempts at a trial took."""

    value: Callable[[Paid], float | None]
    heading: str = ""
    """Above it where people read of a trial; "": they find it in data frames and files only."""
    kind: Literal["count", "usd"] = "count"


PAID: Mapping[str, PaidColumn] = {
    "paid_usd": PaidColumn(value=lambda paid: _float(paid.usd), heading="USD paid", kind="usd"),
    "paid_attempts": PaidColumn(value=lambda paid: paid.attempts, heading="Attempts"),
    "paid_uncounted": PaidColumn(value=lambda paid: paid.uncounted),
    "paid_input_tokens": PaidColumn(value=lambda paid: paid.input_tokens),
    "paid_output_tokens": PaidColumn(value=lambda paid: paid.output_tokens),
    "paid_cache_written_tokens": PaidColumn(value=lambda paid: paid.cache_creation_input_tokens),
    "paid_cache_read_tokens": PaidColumn(value=lambda paid: paid.cache_read_input_tokens),
}
"""By name, in the order of the table: failed attempts and those of other runs are included; see `Paid`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialColumns:
    """The trials of a run, each column made when it is first asked for. Numbers that are not known are NaN."""

    run: Run
    attempts: Attempts

    @cached_property
    def outcome(self) -> list[str]:
        outcomes = ["answered" if status in ANSWERED else status for status in STATUSES]
        return [outcomes[status] for status in self.attempts.status.tolist()]

    @cached_property
    def promises(self) -> Mapping[str, Floats]:
        """By promise, the scores of each trial; NaN also where its grader declined."""
        count = len(self.run.trials)
        found: dict[str, list[float]] = {}
        for row, trial in enumerate(self.run.trials):
            for promise, score in trial.scores.items():
                column = found.get(promise)
                if column is None:
                    column = found[promise] = [math.nan] * count
                if score.value is not None:
                    column[row] = score.value
        return {promise: np.array(column, dtype=np.float64) for promise, column in found.items()}

    @cached_property
    def answered(self) -> NDArray[np.bool_]:
        """Whether a whole reply came back, be it scored or not."""
        return np.isin(self.attempts.status, [STATUSES.index(status) for status in ANSWERED])

    @cached_property
    def replied(self) -> NDArray[np.bool_]:
        """Whether anything came back."""
        return np.array([reply is not None for reply in self._replies], dtype=np.bool_)

    @cached_property
    def input_tokens(self) -> Floats:
        """Cached ones included."""
        return _numbers(None if reply is None else reply.usage.all_input_tokens for reply in self._replies)

    @cached_property
    def output_tokens(self) -> Floats:
        return _numbers(None if reply is None else reply.usage.output_tokens for reply in self._replies)

    @cached_property
    def usd(self) -> Floats:
        """What the reply cost by list prices."""
        price_of = cache(find_price)  # it reads the day each time: 2 µs, and the sum takes 1 (benchmark `again`)
        return _numbers(
            None if reply is None else price_usd(reply.model or trial.request.model, reply.usage, price_of=price_of)
            for trial, reply in zip(self.run.trials, self._replies, strict=True)
        )

    @cached_property
    def cache_written_tokens(self) -> Floats:
        """Of the input tokens of the reply, those that were written into the prompt cache; 0 where none is named."""
        return _numbers(None if r is None else r.usage.cache_creation_input_tokens or 0 for r in self._replies)

    @cached_property
    def cache_read_tokens(self) -> Floats:
        """Of the input tokens of the reply, those that were read from the prompt cache; 0 where none is named."""
        return _numbers(None if r is None else r.usage.cache_read_input_tokens or 0 for r in self._replies)

    @cached_property
    def paid(self) -> Mapping[str, Floats]:
        """By the names in `PAID`; NaN where it is not recorded, of money also where a price is not known."""
        every = [trial.paid for trial in self.run.trials]
        if not any(every):
            return dict.fromkeys(PAID, np.full(len(every), np.nan))
        return {
            name: _numbers(None if paid is None else column.value(paid) for paid in every)
            for name, column in PAID.items()
        }

    @cached_property
    def seconds(self) -> Floats:
        return _numbers(None if reply is None else reply.seconds for reply in self._replies)

    @cached_property
    def seconds_to_first_token(self) -> Floats:
        return _numbers(None if reply is None else reply.seconds_to_first_token for reply in self._replies)

    @cached_property
    def _replies(self) -> list[Reply | None]:
        return [trial.reply for trial in self.run.trials]


def trial_columns(run: Run) -> TrialColumns:
    """The trials of a run as columns.

    Raises:
        ComparisonError: the run holds a trial that it did not plan, or two of one.
    """
    return TrialColumns(run=run, attempts=attempts_of(run))


def preview(trial: Trial) -> str:
    """The beginning of a reply on one line; of what failed, where there is no reply."""
    if trial.reply is not None:
        text = trial.reply.text
    else:
        text = "" if trial.failure is None else f"{trial.failure.type}: {trial.failure.message}"
    # More than is shown, because blanks are drawn together; less than all, because replies are long.
    shown = visible(text[: 2 * PREVIEW_CHARACTERS]).strip()
    if len(shown) < PREVIEW_CHARACTERS and len(text) > 2 * PREVIEW_CHARACTERS:
        shown = visible(text[: 10 * PREVIEW_CHARACTERS]).strip()
    return shown if len(shown) <= PREVIEW_CHARACTERS else shown[: PREVIEW_CHARACTERS - 1] + "…"


def explanation(trial: Trial) -> str:
    """What each grader found, a line each; for a failure what it was."""
    if trial.failure is not None:
        return f"{trial.failure.type}: {trial.failure.message}"
    return "\n".join(f"{promise}: {_found(score)}" for promise, score in trial.scores.items())


def score_in_words(trial: Trial) -> str:
    """ "75.0 points", or that there is no score."""
    return "no score" if trial.score is None else f"{points(trial.score, sign=False)} points"


def paid_in_words(paid: Paid) -> str:
    """What all attempts took: "2 attempts: 3,000 tokens in, 200 out; 0.004050 USD"."""
    cached = of_the_cache(read=paid.cache_read_input_tokens, written=paid.cache_creation_input_tokens)
    tokens = f"{paid.all_input_tokens:,} tokens in{cached}, {paid.output_tokens:,} out"
    usd = "at an unknown price" if paid.usd is None else f"{float(paid.usd):.6f} USD"
    more = f", and more by {counted(paid.uncounted, 'attempt')} that did not say" if paid.uncounted else ""
    return f"{counted(paid.attempts, 'attempt')}: {tokens}; {usd}{more}"


def _found(score: Score) -> str:
    value = "declined" if score.value is None else points(score.value, sign=False)
    return f"{value}, {score.explanation}"


def _float(usd: Usd) -> float | None:
    return None if usd is None else float(usd)


def _numbers(values: Iterable[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
