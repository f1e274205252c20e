"""A run that ends at its estimate: how a batch of notebooks knows what it would take before anything is asked."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import EstimateOnly

if TYPE_CHECKING:
    from workbench.trial.estimate import Estimate

ESTIMATE_FILE = "WORKBENCH_ESTIMATE_FILE"
"""Where it is set, `run_trials` writes its estimate into the file that it names, and ends."""


@dataclass(frozen=True, kw_only=True)
class Take:
    """What one run would take, or several together."""

    trials: int = 0
    answered: int = 0
    """Those that the ledger holds."""
    input_tokens: int = 0
    output_tokens: int = 0
    """At the expected length of a reply."""
    most_tokens: int = 0
    usd: float | None = 0.0
    """At the expected length of a reply; `None`: a price is not known."""
    most_usd: float | None = 0.0
    minutes: float | None = 0.0
    """`None`: up to a day, by Message Batches."""

    def __add__(self, other: Take) -> Take:
        return Take(
            trials=self.trials + other.trials,
            answered=self.answered + other.answered,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            most_tokens=self.most_tokens + other.most_tokens,
            usd=_sum(self.usd, other.usd),
            most_usd=_sum(self.most_usd, other.most_usd),
            minutes=_sum(self.minutes, other.minutes),
        )

    def __str__(self) -> str:
        calls = self.trials - self.answered
        share = f"{self.answered / self.trials:.0%}" if self.trials else "0%"
        rows = [("trials", f"{self.trials:,}"), ("answered in the ledger", f"{self.answered:,} ({share})")]
        rows += [("calls to make", f"{calls:,}")]
        if calls:
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


def write_estimate_and_end(estimate: Estimate) -> None:
    """Writes the estimate where the environment asks for it.

    Raises:
        EstimateOnly: always, so that nothing after it runs.
    """
    known = {name: getattr(estimate, name) for name in Take.__dataclass_fields__}
    if estimate.place.is_stand_in:
        known |= {"usd": 0.0, "most_usd": 0.0}
    Path(os.environ[ESTIMATE_FILE]).write_text(json.dumps(known), encoding="utf-8")
    raise EstimateOnly("only an estimate was asked for: nothing was run")


def read_take(path: Path) -> Take:
    """What `write_estimate_and_end` wrote."""
    return Take(**json.loads(path.read_text(encoding="utf-8")))


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
