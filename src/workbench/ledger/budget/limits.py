"""Whose budget it is, and how large: from the settings of a run and from the environment.

Money is counted in whole numbers of a million-millionth of a USD; what is spent is rounded up, a limit down.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from numbers import Real

from workbench.errors import BudgetError
from workbench.trial.trial import Trial

_MOST = 10**18
"""The largest number of tokens, or of picousd, of a limit: a database counts to nine times that."""
_SCOPE, _USD, _TOKENS = "WORKBENCH_BUDGET_SCOPE", "WORKBENCH_BUDGET_USD", "WORKBENCH_BUDGET_TOKENS"


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """Tokens of all kinds and money that are gone or set aside, as they are counted in a ledger.

    What has no known price counts as 0 USD.
    """

    tokens: int = 0
    picousd: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(tokens=self.tokens + other.tokens, picousd=self.picousd + other.picousd)

    def __sub__(self, other: Spent) -> Spent:
        return Spent(tokens=self.tokens - other.tokens, picousd=self.picousd - other.picousd)

    def within(self, other: Spent) -> bool:
        """Neither its tokens nor its money are more than those of the other."""
        return self.tokens <= other.tokens and self.picousd <= other.picousd

    def at_least(self, other: Spent) -> Spent:
        """The larger of both, tokens and money each."""
        return Spent(tokens=max(self.tokens, other.tokens), picousd=max(self.picousd, other.picousd))

    @property
    def usd(self) -> Decimal:
        """The money in USD."""
        return Decimal(self.picousd).scaleb(-12)


NOTHING = Spent()


def in_picousd(usd: Decimal, *, up: bool = True) -> int:
    """This many USD as they are counted in a ledger; what is spent is rounded up, a limit down."""
    return int(usd.scaleb(12).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR))


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """The most that may be taken under a scope; `None`: no limit of that kind."""

    scope: str
    tokens: int | None = None
    picousd: int | None = None
    tokens_from: str = "budget_tokens"
    """The setting that it came from."""
    usd_from: str = "budget_usd"

    def allows(self, taken: Spent) -> bool:
        return (self.tokens is None or taken.tokens <= self.tokens) and (
            self.picousd is None or taken.picousd <= self.picousd
        )


def budget_limits(
    trials: Iterable[Trial], *, usd: float | None = None, tokens: int | None = None, scope: str | None = None
) -> tuple[Limit, ...]:
    """The limits that a run has to keep; empty: none, neither here nor in the environment.

    `trials` are those of the whole plan, answered or not. Without a `scope`, all runs of these very trials share the
    budget. Whatever `WORKBENCH_BUDGET_SCOPE` names is another budget within which the run stays too, with the limit
    of `WORKBENCH_BUDGET_USD` or `WORKBENCH_BUDGET_TOKENS`: one for all processes that have these variables and this
    ledger.

    Raises:
        BudgetError: a limit is negative or not a number, or a scope has no limit or a limit of the environment no
            scope.
    """
    around = limits_from_environment()
    if usd is not None or tokens is not None:
        chosen = _scope_of(trials) if scope is None else _checked_scope(scope)
        return (limit_of(chosen, usd=usd, tokens=tokens), *around)
    if scope is not None:
        raise BudgetError(
            f"budget_scope is {scope!r}, but there is no budget: give budget_usd or budget_tokens as well"
        )
    return around


def limits_from_environment() -> tuple[Limit, ...]:
    """The budget that the environment sets for every run of this process; empty: none.

    Raises:
        BudgetError: a limit is no number of 0 or more, or a scope has no limit, or a limit no scope.
    """
    scope, usd, tokens = (os.environ.get(name, "").strip() for name in (_SCOPE, _USD, _TOKENS))
    if not (scope or usd or tokens):
        return ()
    if not scope:
        raise BudgetError(f"{_USD if usd else _TOKENS} is set, but not {_SCOPE}: name there whose budget it is")
    if not (usd or tokens):
        raise BudgetError(f"{_SCOPE} is set, but no limit: set {_USD} or {_TOKENS} as well")
    try:
        limit = limit_of(
            _checked_scope(scope),
            usd=float(usd) if usd else None,
            tokens=int(tokens) if tokens else None,
            usd_from=_USD,
            tokens_from=_TOKENS,
        )
    except ValueError:
        raise BudgetError(f"{_USD} is {usd!r} and {_TOKENS} {tokens!r}; each must be a number or empty") from None
    return (limit,)


def limit_of(
    scope: str,
    *,
    usd: float | None,
    tokens: int | None,
    usd_from: str = "budget_usd",
    tokens_from: str = "budget_tokens",
) -> Limit:
    """The limit as a ledger counts it.

    Raises:
        BudgetError: it is negative, not a number, or larger than a database can count.
    """
    for name, limit, most in ((usd_from, usd, _MOST / 10**12), (tokens_from, tokens, _MOST)):
        if limit is None:
            continue
        if isinstance(limit, bool) or not isinstance(limit, Real | Decimal) or not 0 <= limit <= most:
            raise BudgetError(f"{name} is {limit!r}; it must be a number of 0 or more, and of {most:,.0f} at most")
    tokens = None if tokens is None else math.floor(tokens)
    picousd = None if usd is None else in_picousd(Decimal(str(usd)), up=False)
    return Limit(scope=scope, tokens=tokens, picousd=picousd, usd_from=usd_from, tokens_from=tokens_from)


def _checked_scope(scope: str) -> str:
    if not scope.strip() or len(scope) > 255 or "\0" in scope:
        raise BudgetError(f"the scope of a budget is {scope[:50]!r}; it must be a text of 1 to 255 characters")
    return scope


def _scope_of(trials: Iterable[Trial]) -> str:
    """The same for the very same trials, in whatever order."""
    keys = "\n".join(sorted(trial.key for trial in trials))
    return f"plan {hashlib.sha256(keys.encode('ascii')).hexdigest()}"
