"""A run that ends at its estimate: how a batch of notebooks knows what it would take before anything is asked."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from workbench.definition.there import text_in
from workbench.errors import EstimateOnly
from workbench.runs.plan import Plan
from workbench.runs.settings import RunSettings
from workbench.trial.trial import Trial

if TYPE_CHECKING:
    from workbench.runs.estimate import Estimate

ESTIMATE_FILE = "WORKBENCH_ESTIMATE_FILE"
"""Where it is set, `run_trials` writes its estimate into the file that it names, and ends. What that file says to be
asked for already is not counted."""


@dataclass(frozen=True, kw_only=True)
class EstimateTotals:
    """What one run would take, or several together."""

    trials: int = 0
    answered: int = 0
    """Those that the ledger holds."""
    shared: int = 0
    """Those that an earlier one of them asks for."""
    input_tokens: int = 0
    output_tokens: int = 0
    """At the expected length of a reply."""
    most_tokens: int = 0
    usd: float | None = 0.0
    """At the expected length of a reply; `None`: a price is not known."""
    most_usd: float | None = 0.0
    minutes: float | None = 0.0
    """`None`: up to a day, by Message Batches."""

    def __add__(self, other: EstimateTotals) -> EstimateTotals:
        return EstimateTotals(
            trials=self.trials + other.trials,
            answered=self.answered + other.answered,
            shared=self.shared + other.shared,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            most_tokens=self.most_tokens + other.most_tokens,
            usd=_sum(self.usd, other.usd),
            most_usd=_sum(self.most_usd, other.most_usd),
            minutes=_sum(self.minutes, other.minutes),
        )

    @property
    def calls(self) -> int:
        return self.trials - self.answered - self.shared

    def __str__(self) -> str:
        share = f"{self.answered / self.trials:.0%}" if self.trials else "0%"
        rows = [("trials", f"{self.trials:,}"), ("answered in the ledger", f"{self.answered:,} ({share})")]
        rows += [("shared by notebooks", f"{self.shared:,}")] if self.shared else []
        rows += [("calls to make", f"{self.calls:,}")]
        if self.calls:
            in_usd = (
                "unknown: a price is not known"
                if self.usd is None or self.most_usd is None
                else f"{self.usd:,.4f} expected, {self.most_usd:,.4f} at most"
            )
            in_time = "up to a day" if self.minutes is None else f"about {max(1, round(self.minutes)):,} one by one"
            rows += [
                ("input tokens", f"{self.input_tokens:,}"),
                ("output tokens", f"{self.output_tokens:,} expected"),
                ("USD", in_usd),
                ("minutes", in_time),
            ]
        return "\n".join(f"{what:<22}  {much}" for what, much in rows)


def is_estimate_only() -> bool:
    return bool(os.environ.get(ESTIMATE_FILE))


def write_estimate_and_end(plan: Plan, trials: Sequence[Trial], settings: RunSettings) -> NoReturn:
    """Writes the estimate of these trials of a plan where the environment asks for it.

    Raises:
        EstimateOnly: always, so that nothing after it runs.
    """
    from workbench.runs.estimate import estimate_trials  # it loads SQLAlchemy, which a run from the ledger spares

    file = Path(os.environ[ESTIMATE_FILE])
    before = read_estimate(file)[1] if file.exists() else frozenset()
    totals = totals_of(estimate_trials(plan, trials, settings, but=before)) + _beside(file)
    write_estimate(file, totals=totals, asked=before | {trial.key for trial in trials})
    raise EstimateOnly("only an estimate was asked for: nothing was run")


def add_to_estimate(estimate: Estimate, trials: Sequence[Trial]) -> None:
    """Has what these trials take, which depend on the replies of a run to come, counted with that run."""
    file = Path(os.environ[ESTIMATE_FILE])
    before = read_estimate(file)[1] if file.exists() else frozenset()
    beside = totals_of(estimate) + _beside(file)
    write_estimate(file, totals=None, asked=before | {trial.key for trial in trials}, beside=beside)


def write_estimate(
    file: Path, *, totals: EstimateTotals | None, asked: Collection[str], beside: EstimateTotals | None = None
) -> None:
    """Writes what a run would take, `None` before there is one, and the keys of all that is asked for so far; `beside`
    is what it will take besides."""
    known = {name: None if each is None else asdict(each) for name, each in (("totals", totals), ("beside", beside))}
    file.write_text(json.dumps({**known, "asked": sorted(asked)}), encoding="utf-8")


def read_estimate(file: Path) -> tuple[EstimateTotals | None, frozenset[str]]:
    """What `write_estimate` wrote."""
    found = json.loads(text_in(file))
    return None if found["totals"] is None else EstimateTotals(**found["totals"]), frozenset(found["asked"])


def _beside(file: Path) -> EstimateTotals:
    found = json.loads(text_in(file)).get("beside") if file.exists() else None
    return EstimateTotals() if found is None else EstimateTotals(**found)


def totals_of(estimate: Estimate) -> EstimateTotals:
    """What an estimate says, to be added to others."""
    totals = EstimateTotals(**{each.name: getattr(estimate, each.name) for each in fields(EstimateTotals)})
    return replace(totals, usd=0.0, most_usd=0.0) if estimate.is_stand_in else totals


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
