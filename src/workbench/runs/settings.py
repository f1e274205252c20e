"""How the trials of a plan are asked for: what `run_trials` takes beside the plan, as one value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, get_args

from workbench.errors import PlanError
from workbench.ledger.budget.limits import Limit, budget_limits
from workbench.ledger.sharing import USUAL, Sharing
from workbench.model.api import DEADLINE_SECONDS, OpenModel
from workbench.model.endpoint import open_model
from workbench.model.retrying import Retry
from workbench.runs.plan import CONCURRENCY
from workbench.runs.progress import RunWatch
from workbench.runs.who_answers import tell
from workbench.trial.trial import Trial, Via

if TYPE_CHECKING:
    from workbench.ledger.store import Ledger

Mode = Literal["top-up", "replay", "fresh"]


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The settings of one run, as `run_trials` explains them.

    Raises:
        PlanError: one is out of range.
    """

    ledger: Ledger | str | Path | None = None
    mode: Mode = "top-up"
    via: Via = "stream"
    concurrency: int = CONCURRENCY
    budget_usd: float | None = None
    budget_tokens: int | None = None
    budget_scope: str | None = None
    deadline_seconds: float = DEADLINE_SECONDS
    progress: bool = True
    retry: Retry | None = None
    """`None`: as is usual for the way in which requests are sent."""
    sharing: Sharing = USUAL
    open_model: OpenModel = open_model
    watch: RunWatch | None = None
    """Who watches it from another thread and may end it; `None`: it prints what it has to say."""

    def __post_init__(self) -> None:
        check_concurrency(self.concurrency)
        if not isinstance(self.deadline_seconds, Real) or not self.deadline_seconds > 0:
            raise PlanError(f"deadline_seconds is {self.deadline_seconds!r}; it must be a number of more than 0")
        for name, value, known in (("mode", self.mode, get_args(Mode)), ("via", self.via, get_args(Via))):
            if value not in known:
                raise PlanError(f"{name} is {value!r}; it is one of {', '.join(known)}")

    @property
    def is_fresh(self) -> bool:
        """True: what the ledger holds does not count."""
        return self.mode == "fresh"

    @property
    def has_bar(self) -> bool:
        """Whether a bar is shown while it runs."""
        return self.progress and self.watch is None

    def say(self, line: str) -> None:
        """Prints a line, or tells it to whoever watches."""
        if self.watch is None:
            tell(line)
        else:
            self.watch.say(line)

    def limits(self, trials: Iterable[Trial]) -> tuple[Limit, ...]:
        """The limits that a run of these trials, which are those of the whole plan, has to keep.

        Raises:
            BudgetError: as `budget_limits`.
        """
        return budget_limits(trials, usd=self.budget_usd, tokens=self.budget_tokens, scope=self.budget_scope)


def check_concurrency(concurrency: int) -> None:
    """Passes a number of calls at once.

    Raises:
        PlanError: it is none.
    """
    if not isinstance(concurrency, Integral) or concurrency < 1:
        raise PlanError(f"concurrency is {concurrency!r}; it must be a whole number of 1 or more")


class Asking(TypedDict, total=False):
    """How whoever makes a plan of its own (judges, routers) asks for it; each as in `run_trials`."""

    ledger: Ledger | str | Path | None
    live: bool | None
    concurrency: int
    progress: bool
    mode: Mode
    via: Via
    budget_usd: float | None
    budget_tokens: int | None
    budget_scope: str | None
    deadline_seconds: float
    retry: Retry | None
    open_model: OpenModel
    watch: RunWatch | None
