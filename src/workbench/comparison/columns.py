"""What is known of every trial of a run, as columns in the order of `Run.trials`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.scores import STATUSES, Attempts, attempts_of
from workbench.comparison.verdict import points
from workbench.markup import visible
from workbench.statistics.means import Floats
from workbench.trial.catalogue import BATCH_SHARE, OFFLINE_MODEL, Price, Rates, find_price
from workbench.trial.trial import Reply, Run, Score, Trial, Usage

PREVIEW_CHARACTERS = 90


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialColumns:
    """The trials of a run, each column made when it is first asked for. Numbers that are not known are NaN."""

    run: Run
    attempts: Attempts

    @cached_property
    def outcome(self) -> list[str]:
        outcomes = ["answered" if status in ("scored", "declined") else status for status in STATUSES]
        return [outcomes[status] for status in self.attempts.status.tolist()]

    @cached_property
    def scores(self) -> Mapping[str, Floats]:
        """By the label of the grader; NaN also where it declined."""
        count = len(self.run.trials)
        found: dict[str, list[float]] = {}
        for row, trial in enumerate(self.run.trials):
            for label, score in trial.scores.items():
                column = found.get(label)
                if column is None:
                    column = found[label] = [math.nan] * count
                if score.value is not None:
                    column[row] = score.value
        return {label: np.array(column, dtype=np.float64) for label, column in found.items()}

    @cached_property
    def replied(self) -> NDArray[np.bool_]:
        """Whether anything came back."""
        return np.array([reply is not None for reply in self._replies], dtype=np.bool_)

    @cached_property
    def input_tokens(self) -> Floats:
        """Cached ones included."""
        return _numbers(None if reply is None else _input_tokens(reply.usage) for reply in self._replies)

    @cached_property
    def output_tokens(self) -> Floats:
        return _numbers(None if reply is None else reply.usage.output_tokens for reply in self._replies)

    @cached_property
    def usd(self) -> Floats:
        """What the reply cost by list prices."""
        price_of = _Prices().usd
        return _numbers(
            None if reply is None else price_of(reply.model or trial.request.model, reply.usage)
            for trial, reply in zip(self.run.trials, self._replies, strict=True)
        )

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


def preview_columns(columns: TrialColumns) -> dict[str, list[Any]]:
    """A row for each trial as a table on a screen wants it: short, and ready for JSON.

    Columns: variant, task, group, repeat, outcome, score, "score: LABEL" of each grader, input_tokens,
    output_tokens, usd, seconds, preview (the first 90 characters of the reply on one line, or of what failed). What is
    not known is `None`. A preview is a model's text: show it as text.
    """
    run = columns.run
    group_of = {task.id: task.group for task in run.tasks}
    return {
        "variant": [trial.variant for trial in run.trials],
        "task": [trial.task_id for trial in run.trials],
        "group": [group_of[trial.task_id] for trial in run.trials],
        "repeat": [trial.repeat for trial in run.trials],
        "outcome": columns.outcome,
        "score": _or_none(columns.attempts.score),
        **{f"score: {label}": _or_none(column) for label, column in columns.scores.items()},
        "input_tokens": _whole_or_none(columns.input_tokens),
        "output_tokens": _whole_or_none(columns.output_tokens),
        "usd": _or_none(columns.usd),
        "seconds": _or_none(columns.seconds),
        "preview": [preview(trial) for trial in run.trials],
    }


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
    return "\n".join(f"{label}: {_found(score)}" for label, score in trial.scores.items())


def score_in_words(trial: Trial) -> str:
    """ "75.0 points", or that there is no score."""
    return "no score" if trial.score is None else f"{points(trial.score, sign=False)} points"


def _found(score: Score) -> str:
    value = "declined" if score.value is None else points(score.value, sign=False)
    return f"{value}, {score.explanation}"


class _Prices:
    """As `price_usd`, to the last digit, with each model looked up once and the sums in whole numbers."""

    def __init__(self) -> None:
        self._of_model: dict[str, _WholeRates | None] = {}

    def usd(self, model: str, usage: Usage) -> float | None:
        if model == OFFLINE_MODEL:
            return 0.0
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        try:
            rates = self._of_model[model]
        except KeyError:
            price = find_price(model)
            rates = self._of_model[model] = None if price is None else _WholeRates(price)
        return None if rates is None else rates.usd(usage)


class _WholeRates:
    """The rates of a price in a unit so small that they are whole numbers, for sums of decimals take long."""

    def __init__(self, price: Price) -> None:
        every = [(0, price.rates), *price.long_prompts]
        digits = max(-min(0, int(rate.as_tuple().exponent)) for _, rates in every for rate in _rates(rates))
        self._steps = [(tokens, tuple(int(rate.scaleb(digits)) for rate in _rates(rates))) for tokens, rates in every]
        self._share = BATCH_SHARE.as_integer_ratio()
        self._units: int = 10 ** (6 + digits)

    def usd(self, usage: Usage) -> float:
        """As `Price.usd` of counts that are known: a quotient of whole numbers is rounded once."""
        tokens, output = usage.input_tokens or 0, usage.output_tokens or 0
        written, read = usage.cache_creation_input_tokens or 0, usage.cache_read_input_tokens or 0
        for_an_hour = min(written, usage.cache_creation_1h_input_tokens or 0)
        prompt = tokens + written + read
        at = next(rates for least, rates in reversed(self._steps) if prompt > least or least == 0)
        units = tokens * at[0] + output * at[1] + (written - for_an_hour) * at[2] + for_an_hour * at[3] + read * at[4]
        if usage.service_tier == "batch":
            return units * self._share[0] / (self._units * self._share[1])
        return units / self._units


def _rates(rates: Rates) -> tuple[Decimal, ...]:
    return (rates.input, rates.output, rates.cache_write_5m, rates.cache_write_1h, rates.cache_read)


def _input_tokens(usage: Usage) -> int | None:
    if usage.input_tokens is None:
        return None
    return usage.input_tokens + (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)


def _numbers(values: Iterable[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def _or_none(values: Floats) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _whole_or_none(values: Floats) -> list[int | None]:
    return [None if math.isnan(value) else int(value) for value in values.tolist()]
