"""Who answers the trials of a plan here and now: decided once, before anything is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

from workbench.errors import SetupError
from workbench.model.endpoint import choose_endpoint, describe_endpoint
from workbench.runs.plan import Plan
from workbench.trial.trial import Endpoint, Trial

_TOLD: ContextVar[set[str] | None] = ContextVar("told", default=None)
"""What was said at the start of the runs of one piece of work; `None`: each run is one of its own."""


@contextmanager
def telling_once() -> Iterator[None]:
    """While this holds, what runs say at their start is said once: a piece of work that asks with several plans is one
    to whoever reads it. Also a decorator."""
    if _TOLD.get() is not None:
        yield
        return
    before = _TOLD.set(set())
    try:
        yield
    finally:
        _TOLD.reset(before)


def tell(line: str) -> None:
    """Prints what a run says at its start."""
    told = _TOLD.get()
    if told is None or line not in told:
        print(line, flush=True)
    if told is not None:
        told.add(line)


def trials_here(plan: Plan, live: bool | None) -> tuple[Endpoint, tuple[Trial, ...]]:
    """The trials of the plan, each where it is answered, and where those are whose variant names no endpoint.

    `live` is that of `choose_endpoint`. With `live=False` the stand-in answers all of them, whatever variants name.

    Raises:
        SetupError: the way to the model is not set up, or the stand-in would answer for some variants and a model for
            others.
    """
    endpoint = choose_endpoint(live)
    trials = (replace(plan, endpoints={}) if live is False else plan).trials(endpoint)
    _refuse_a_mixture(trials)
    if all(variant in plan.endpoints for variant in plan.variants):
        endpoint = trials[0].endpoint  # nothing is answered at the other one
    return endpoint, trials


def describe_endpoints(trials: Sequence[Trial]) -> str:
    """Who answers these trials, for the start of a run: a line for each endpoint, with its variants where there are
    several."""
    variants: dict[Endpoint, dict[str, None]] = {}
    for trial in trials:
        variants.setdefault(trial.endpoint, {})[trial.variant] = None
    if len(variants) == 1:
        return describe_endpoint(next(iter(variants)))
    return "\n".join(f"{', '.join(names)}: {describe_endpoint(endpoint)}" for endpoint, names in variants.items())


def _refuse_a_mixture(trials: Sequence[Trial]) -> None:
    """What the stand-in makes up is compared with no model's replies."""
    made_up = {trial.variant: None for trial in trials if trial.endpoint.is_stand_in}
    asked = {trial.variant: None for trial in trials if not trial.endpoint.is_stand_in}
    if made_up and asked:
        raise SetupError(
            f"the offline stand-in would make up the replies of {', '.join(map(repr, made_up))}, and a model would "
            f"answer for {', '.join(map(repr, asked))}: set ANTHROPIC_API_KEY or ANTHROPIC_BASE_URL, or give each "
            "variant an endpoint; or take live=False, and the stand-in answers for all"
        )
