"""What a run will ask, before anything is asked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_as_claude_code, resolve_agent
from workbench.definition.fields import FIELDS
from workbench.definition.resolved import Resolved, resolve, resolve_as_before
from workbench.errors import PlanError
from workbench.trial.catalogue import cache_minimum
from workbench.trial.graded import graders_by_task
from workbench.trial.task import Task
from workbench.trial.trial import (
    Endpoint,
    Grader,
    GraderFactory,
    Request,
    Trial,
    Variant,
    pairs_with_first,
    wrong_pairs,
)

MAX_TOKENS = 8000
CONCURRENCY = 8
"""How many requests are in flight at once unless a run says otherwise."""
CHARACTERS_PER_TOKEN = 4
"""At most so many in English text: the older tokenizers have about 4.0, the newer ones about 3.1."""
EFFORTS = FIELDS["effort"].values


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every variant on every task, `repeats` times."""

    variants: Mapping[str, Agent]
    """The agents by variant; the request of each has the model and effort that it is tried with."""
    tasks: tuple[Task, ...]
    repeats: int
    prompts: Mapping[str, Request]
    """By variant, its request without a message."""
    graders: Mapping[str, Mapping[str, Grader]]
    """By task id, then by promise."""
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    """By variant, where it is answered; without those that are answered wherever the run is."""
    sent: Mapping[str, Resolved] = field(default_factory=dict)
    """By variant, with which model and effort it is asked, and what decided that."""
    prompts_before: Mapping[str, Request] = field(default_factory=dict)
    """By variant, the request that earlier versions of the workbench sent for the same; only where it differs."""
    decides: bool = False
    """True where its variants are orders of a list of agents, its tasks routing cases, and its trials decisions."""
    pairs: tuple[tuple[str, str], ...] = ()
    """(baseline, variant), where variants have baselines of their own."""

    @property
    def words(self) -> tuple[str, str, str]:
        """What its trials, a task and a variant are called where people read it."""
        return ("decisions", "routing case", "order of the list") if self.decides else ("trials", "task", "variant")

    def trials(self, endpoint: Endpoint) -> tuple[Trial, ...]:
        """The planned trials, unanswered: task by task, variant by variant, repeat by repeat.

        Each call makes them anew, with their keys: whoever needs them twice keeps them. `endpoint` is that of the
        variants that name none.
        """
        trials = []
        for task in self.tasks:
            asked: Counter[str] = Counter()
            for variant, request in self._requests(task):
                where = self.endpoints.get(variant, endpoint)
                key = request.keys(endpoint=where)
                same = key(0)
                for repeat in range(self.repeats):
                    trial = Trial(
                        variant=variant,
                        task_id=task.id,
                        repeat=repeat,
                        request=request,
                        endpoint=where,
                        twin=asked[same],
                    )
                    trials.append(trial.with_key(key(trial.draw) if trial.draw else same))
                asked[same] += 1
        return tuple(trials)

    @property
    def requests(self) -> dict[tuple[str, str], Request]:
        """By (variant, task id)."""
        return {(variant, task.id): request for task in self.tasks for variant, request in self._requests(task)}

    @property
    def caching(self) -> dict[str, str]:
        """By variant, whether the API is asked to keep its persona in the prompt cache, with the reason.

        The persona's tokens are counted low, at one for four characters.
        """
        said = {}
        for variant, (pays, reason) in _caching(self.prompts, self.endpoints, len(self.tasks) * self.repeats).items():
            is_off = pays and self.prompts[variant].cache is None
            said[variant] = f"switched off, though {reason}" if is_off else reason
        return said

    def as_before(self) -> Plan:
        """The plan with the requests of earlier versions, under which an older ledger holds its replies."""
        return replace(self, prompts={**self.prompts, **self.prompts_before})

    def _requests(self, task: Task) -> Iterator[tuple[str, Request]]:
        """By variant, what it is asked for this task; the variants share the message."""
        messages = ({"role": "user", "content": task.message},)
        return ((variant, replace(prompt, messages=messages)) for variant, prompt in self.prompts.items())


def plan_trials(
    variants: Mapping[str, Agent | Variant],
    tasks: Iterable[Task],
    *,
    repeats: int = 1,
    graders: Mapping[str, GraderFactory] | None = None,
    model: str | None = None,
    effort: str | None = None,
    max_tokens: int = MAX_TOKENS,
    caching: bool = True,
    pairs: Iterable[tuple[str, str]] | None = None,
) -> Plan:
    """Every variant on every task, `repeats` times. Nothing is asked, and no file but that of prices is read.

    A variant is an agent, or a `Variant`: an agent with a model, an effort or an endpoint of its own. `graders` is the
    catalogue in which the graders that tasks name are looked up; `model` and `effort` override what the agents say,
    and a `Variant` overrides both; `max_tokens` bounds a reply, thinking included. With `caching`, the API is asked to
    keep a persona in its prompt cache where that is possible and pays; `Plan.caching` says where. It does not change
    what identifies a trial in the ledger. `pairs` of (baseline, variant) say what is held against what wherever the run
    is shown; without them, each variant against the first.

    Raises:
        PlanError: nothing to run, a setting out of range, or pairs of other variants, or of one with two baselines.
        UnknownGrader: a task names a grader that is not in the catalogue, or options that it does not take.
        PriceFileError: the file named in WORKBENCH_PRICES is missing or wrong.
    """
    tasks = tuple(tasks)
    if not variants:
        raise PlanError('there is no variant; pass at least one agent, such as {"base": agent}')
    if not tasks:
        raise PlanError("there is no task; load_tasks reads them from a file")
    twice = [task_id for task_id, count in Counter(task.id for task in tasks).items() if count > 1]
    if twice:
        raise PlanError(f"two tasks have the id {twice[0]!r}; ids must differ")
    for task in tasks:
        refuse_half_characters(task.message, of=f"what task {task.id!r} asks")
    for name, value in (("repeats", repeats), ("max_tokens", max_tokens)):
        if not isinstance(value, Integral) or value < 1:
            raise PlanError(f"{name} is {value!r}; it must be a whole number of 1 or more")
    paired = pairs_with_first(variants) if pairs is None else tuple(pairs)
    if pairs is not None and (wrong := wrong_pairs(paired, variants)):
        raise PlanError(f"{wrong}; the variants are {', '.join(map(repr, variants))}")
    tried = {name: given if isinstance(given, Variant) else Variant(agent=given) for name, given in variants.items()}
    tried = {
        name: replace(variant, model=variant.model or model, effort=variant.effort or effort)
        for name, variant in tried.items()
    }
    prompts = {name: _prompt(variant, max_tokens) for name, variant in tried.items()}
    endpoints = {name: variant.endpoint for name, variant in tried.items() if variant.endpoint is not None}
    if caching:
        pays = {name: it_pays for name, (it_pays, _) in _caching(prompts, endpoints, len(tasks) * repeats).items()}
        prompts = {name: replace(prompt, cache="5m" if pays[name] else None) for name, prompt in prompts.items()}
    return Plan(
        variants={name: variant.agent for name, variant in tried.items()},
        tasks=tasks,
        repeats=repeats,
        prompts=prompts,
        graders=graders_by_task(tasks, graders or {}),
        endpoints=endpoints,
        sent={
            name: resolve_agent(variant.agent, model=variant.model, effort=variant.effort)
            for name, variant in tried.items()
        },
        prompts_before=_prompts_before(tried, prompts),
        pairs=() if paired == pairs_with_first(variants) else paired,
    )


def _prompt(variant: Variant, max_tokens: int) -> Request:
    """What a variant is asked, without a message."""
    request = make_request(variant.agent, "", model=variant.model, effort=variant.effort, max_tokens=max_tokens)
    return replace(request, messages=())


def _prompts_before(variants: Mapping[str, Variant], prompts: Mapping[str, Request]) -> dict[str, Request]:
    """By variant, what earlier versions sent instead of these prompts, where they sent anything else."""
    before = {}
    for name, variant in variants.items():
        agent, now = variant.agent, prompts[name]
        model, effort = resolve_as_before(
            agent.model, agent.effort, asked_model=variant.model, asked_effort=variant.effort
        )
        if (model, effort) != (now.model, now.effort):
            before[name] = replace(now, model=model, effort=effort)
    return before


def make_request(
    agent: Agent,
    message: str,
    *,
    model: str | None = None,
    effort: str | None = None,
    max_tokens: int = MAX_TOKENS,
) -> Request:
    """The request that puts this message to this agent: its prompt as `system`, and, unless overridden, the model and
    the effort with which Claude Code asks it as a subagent.

    Raises:
        PlanError: the effort is not one of `EFFORTS`, or the message holds half a character.
    """
    refuse_half_characters(message, of="the message")
    if effort is not None and effort not in EFFORTS:
        raise PlanError(f"effort is {effort!r}; it is one of {', '.join(EFFORTS)}")
    reading = read_as_claude_code(agent, model=model, effort=effort)
    sent = reading.sent or resolve(agent.model, agent.effort, asked_model=model, asked_effort=effort)
    return Request(
        model=sent.model,
        system=reading.prompt,
        messages=({"role": "user", "content": message},),
        max_tokens=max_tokens,
        effort=sent.effort,
    )


def refuse_half_characters(text: str, *, of: str) -> None:
    """Passes a text that a request can carry.

    Raises:
        PlanError: it holds half of a surrogate pair, as an escape such as `\\ud83d` in a file makes it.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ascii(text[error.start])
        raise PlanError(
            f"{of} holds half a character, {half}, at position {error.start + 1:,}, which no request can carry; write "
            "the whole character, or leave it out"
        ) from None


def _caching(
    prompts: Mapping[str, Request], endpoints: Mapping[str, Endpoint], sends_each: int
) -> dict[str, tuple[bool, str]]:
    """By variant, whether the prompt cache takes its persona and something would be read from it, and why."""
    caches = {name: (endpoints.get(name), prompt.model, prompt.system) for name, prompt in prompts.items()}
    same = Counter(caches.values())
    return {name: _caching_of(prompt, same[caches[name]] * sends_each) for name, prompt in prompts.items()}


def _caching_of(request: Request, sends: int) -> tuple[bool, str]:
    if not request.system:
        return False, "no persona: not applicable"
    minimum = cache_minimum(request.model)
    if minimum is None:
        return False, f"the minimum of {request.model} is not known: not applied"
    tokens = math.ceil(len(request.system) / CHARACTERS_PER_TOKEN)
    if tokens < minimum:
        return False, f"{tokens:,} tokens < {minimum:,}: not applicable"
    if sends < 2:
        return False, f"{tokens:,} tokens >= {minimum:,}, but sent only once: not applied"
    return True, f"{tokens:,} tokens >= {minimum:,}: applicable"
