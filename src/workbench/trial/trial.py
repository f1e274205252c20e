"""The values of a trial: what was asked, what came back, how it was scored. No behaviour beyond reading them."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from workbench.definition.agent import Agent
from workbench.trial.paid import Paid
from workbench.trial.task import Task

if TYPE_CHECKING:  # the runs that were judged load them
    from workbench.trial.certificate import Certificate
    from workbench.trial.rubric import Rubric

Outcome = Literal["answered", "refused", "cut_off", "empty", "failed", "stopped"]
"""How a trial ended. Only "answered" is scored; every other outcome counts as missing, never as 0."""


Via = Literal["stream", "batch"]
"""How requests are sent: each as a stream, or all together as Message Batches at half the price."""

DRAWS_EACH = 1_000_000
"""So many draws of one request belong to each of the variants that send it, one for a repeat."""
_IDENTIFYING = {"request", "endpoint", "repeat", "twin"}

CacheTime = Literal["5m", "1h"]
"""How long a prompt cache keeps what was written into it, from its last use."""


def shared(text: Any) -> Any:
    """The same text, held once however many replies have it; what is no text, as it is.

    Of the 20,000 replies of the benchmark `trials`, stop reason, model and service tier take 4 MB less.
    """
    return sys.intern(text) if type(text) is str else text


def json_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """How the Messages API is told the schema of a reply."""
    return {"type": "json_schema", "schema": dict(schema)}


_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where a request is answered, without any credential."""

    kind: Literal["offline", "live", "server", "chat"]
    """The stand-in, the Messages API, another server that speaks it, or one that speaks chat completions."""
    base_url: str

    @property
    def is_stand_in(self) -> bool:
        """True where no model answers: the replies are made up by the offline stand-in."""
        return self.kind == "offline"

    @property
    def in_words(self) -> str:
        """The endpoint, for every heading under which its replies are shown."""
        if self.kind == "offline":
            return "OFFLINE STAND-IN, not a model"
        return f"live at {self.base_url}" if self.kind == "live" else f"server at {self.base_url}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A request of the Claude Code program that stays on the machine on which it was captured, named by its hash.

    A `Request` that names one is sent as that request with two things put into it: what the user says, and `system`
    as the list of agents. Ledgers and records hold the name and the size, and nothing of the program's texts.
    """

    program: str
    """Which program it is of: "claude-code 2.1.332"."""
    sha256: str
    """Of the captured request, 64 hex digits."""
    size: int
    """Its bytes, which a budget counts beside what is put into it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One thing that a model is asked, whichever way leads to it."""

    model: str
    """The model id on the wire; aliases are resolved before."""
    system: str
    """The persona; empty: no system prompt is sent."""
    messages: tuple[Mapping[str, Any], ...]
    max_tokens: int
    effort: str | None = None
    cache: CacheTime | None = None
    """How long the API is asked to keep the persona in its prompt cache; `None`: it is not asked to."""
    schema: Mapping[str, Any] | None = None
    """The JSON Schema that the reply is to fit; `None`: it is text. A server that knows no schemas ignores it."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """What the model may call, as the Messages API has it; nothing here runs any: `Reply.tool_uses` has the calls."""
    frame: Frame | None = None
    """The request of the program in which this one is sent; `None`: it is sent as it stands."""

    def canonical(self) -> dict[str, Any]:
        """What is asked, in the one form that keys are made over and that a ledger keeps. It never changes, however
        a way to a model spells its requests: a changed form would ask for everything anew.

        `cache` is left out: it changes the price of a reply, not the reply, so what was answered with it is not
        asked for again without it.
        """
        asked: dict[str, Any] = {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "messages": [dict(message) for message in self.messages],
            "stream": True,
        }
        if self.system:
            asked["system"] = self.system
        if self.effort is not None:
            asked["output_config"] = {"effort": self.effort}
        if self.schema is not None:
            asked["output_config"] = {**asked.get("output_config", {}), "format": json_format(self.schema)}
        if self.tools:
            asked["tools"] = [dict(tool) for tool in self.tools]
        if self.frame is not None:
            asked["frame"] = asdict(self.frame)
        return asked

    def key(self, *, endpoint: Endpoint, draw: int) -> str:
        """What identifies an attempt in the ledger: 64 hex digits over what is asked, endpoint and draw."""
        return self.keys(endpoint=endpoint)(draw)

    def keys(self, *, endpoint: Endpoint) -> Callable[[int], str]:
        """As `key`, by draw: what is the same for all draws is hashed once."""
        body = _CANONICAL.encode(self.canonical())
        hashed = hashlib.sha256(f'{{"body":{body},"draw":'.encode("ascii"))
        rest = f',"place":{json.dumps(endpoint.base_url)}}}'

        def key(draw: int) -> str:
            whole = hashed.copy()
            whole.update(f"{draw}{rest}".encode("ascii"))
            return whole.hexdigest()

        return key


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens as the API counts them; `None` where it did not say."""

    input_tokens: int | None = None
    """Without cached tokens."""
    output_tokens: int | None = None
    """With thinking."""
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_1h_input_tokens: int | None = None
    """Those of `cache_creation_input_tokens` that are kept for an hour; the others are kept for five minutes."""
    service_tier: str | None = None
    """What the API served it as: "standard", "priority" or, at half the price, "batch"."""

    @property
    def all_input_tokens(self) -> int | None:
        """Those of the prompt, cached ones included; `None` where the API did not say."""
        if self.input_tokens is None:
            return None
        return self.input_tokens + (self.cache_creation_input_tokens or 0) + (self.cache_read_input_tokens or 0)


TOOL_USES = "tool_uses"
"""Under which the `stop_details` of a reply hold the tools that it calls."""
ODDITIES = "oddities"
"""Under which they hold what a server said of it that no API says."""
UNKNOWN_STOP = "unknown"
"""The stop reason of a reply that came to its end without one that can be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolUse:
    """A call of a tool in a reply."""

    name: str
    input: Mapping[str, Any]
    """What it is called with; long texts in it may be cut."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What came back: complete, or as far as it got."""

    text: str
    """The text blocks, joined; thinking left out."""
    stop_reason: str | None = None
    """`None`: the stream ended before the model did; "unknown": it came to its end, and the server did not say why."""
    stop_details: Mapping[str, Any] | None = None
    """What the API says of a refusal; of a reply that calls tools, those calls (see `tool_uses`), so that its text is
    text alone for whoever grades or shows it; and what was odd about it (see `oddities`)."""
    model: str = ""
    """The model id that says it answered."""
    usage: Usage = field(default_factory=Usage)
    request_id: str | None = None
    seconds_to_first_token: float | None = None
    seconds: float | None = None
    attempts: int = 1
    """Requests sent for this reply, retried ones included."""
    at: str | None = field(default=None, compare=False)
    """When it had come, in ISO 8601 and UTC; `None`: that is not recorded."""

    @property
    def tool_uses(self) -> tuple[ToolUse, ...]:
        """The tools that it calls, in its order; empty where it calls none."""
        called = self.stop_details.get(TOOL_USES) if self.stop_details else None
        return tuple(
            ToolUse(name=each["name"], input=each["input"] if isinstance(each.get("input"), dict) else {})
            for each in (called if isinstance(called, list) else ())
            if isinstance(each, dict) and isinstance(each.get("name"), str)
        )

    @property
    def oddities(self) -> tuple[str, ...]:
        """What its server said that no API says, a phrase each: the reply was whole all the same, and was kept."""
        found = self.stop_details.get(ODDITIES) if self.stop_details else None
        return tuple(each for each in (found if isinstance(found, list) else ()) if isinstance(each, str))


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why there is no whole reply."""

    type: str
    """The API's error type ("overloaded_error"), or ours ("connection", "timeout", "broken_stream", ...)."""
    message: str
    status: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A grader's finding: a value in 0..1, or `None` where the grader declines, with its reason."""

    value: float | None
    explanation: str
    weight: float = 1.0
    """How much it counts in the mean of its trial, as its task says."""
    required: float | None = None
    """The least value that its task asks for: below it, and where the grader declines, the trial's score is 0. `None`:
    none is asked for."""

    @property
    def is_missed(self) -> bool:
        """Whether the task fails for it."""
        return self.required is not None and (self.value is None or self.value < self.required)

    def as_json(self) -> dict[str, Any]:
        """Its fields; the weight and what is required only where a task says so."""
        told: dict[str, Any] = {"value": self.value, "explanation": self.explanation}
        if self.weight != 1:
            told["weight"] = self.weight
        if self.required is not None:
            told["required"] = self.required
        return told


Grader = Callable[[Task, Reply], Score | float | bool]
"""A pure function that gives a number in 0..1, `True` or `False`, or a `Score`, and declines (`Score(value=None)`)
where it has nothing to say. Where it raises for a reply, that score is missing."""

GraderFactory = Callable[..., Any]
"""Makes a `Grader` from the keyword options that a task gives it, and raises `TypeError` or `ValueError` on bad ones;
or is a `Grader` itself, of `(task, reply)`, to which the options of a task go by keyword."""


NO_SCORES: Mapping[str, Score] = {}
"""One for all trials, of which there are many."""
NONE_RECORDED: frozenset[str] = frozenset()
"""The same: each call of `frozenset()` makes another, 4 MB for the 20,000 trials of the benchmark `trials`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One attempt at one task by one variant."""

    variant: str
    task_id: str
    repeat: int
    request: Request
    endpoint: Endpoint
    twin: int = 0
    """How many variants before this one send the very same request: each gets replies of its own."""
    reply: Reply | None = None
    failure: Failure | None = None
    scores: Mapping[str, Score] = field(default_factory=lambda: NO_SCORES)
    """By grader, in the order of the task file."""
    from_ledger: bool = False
    as_recorded: frozenset[str] = field(default=NONE_RECORDED, compare=False)
    """The promises whose scores a record says and nobody found here: anybody could have written them."""
    paid: Paid | None = None
    """What all attempts at it took, failed ones and those of other runs included; `None`: not recorded."""
    _key: bytes | None = field(default=None, init=False, repr=False, compare=False)
    """The key, once somebody asked for it. Hashed anew each time it costs 25 µs with a persona of 10 KB, and a run asks
    some ten times: 5 s for the 20,000 trials of the benchmark `trials`. As `init=False`, no `dataclasses.replace` takes
    it over to a copy with another request."""

    @property
    def draw(self) -> int:
        """Which of the attempts at the same request this is, over repeats and twins."""
        return self.repeat + DRAWS_EACH * self.twin

    @property
    def key(self) -> str:
        """What identifies the attempt in the ledger."""
        if self._key is None:
            self.with_key(self.request.key(endpoint=self.endpoint, draw=self.draw))
        assert self._key is not None
        return self._key.hex()

    def with_key(self, key: str) -> Trial:
        """This very trial, which need not find its key out: it is this."""
        object.__setattr__(self, "_key", bytes.fromhex(key))
        return self

    @property
    def outcome(self) -> Outcome:
        if self.failure is not None:
            return "stopped" if self.failure.type == "stopped" else "failed"
        if self.reply is None or self.reply.stop_reason == "refusal":
            return "refused"
        if self.reply.stop_reason in ("max_tokens", "model_context_window_exceeded"):
            return "cut_off"
        return "answered" if self.reply.text.strip() or self.reply.tool_uses else "empty"

    @property
    def score(self) -> float | None:
        """Mean of the graders that did not decline, by their weights, and 0 where one that is required was missed;
        `None` where the trial was not answered or all declined."""
        if self.outcome != "answered":
            return None
        weighed, weights = [], []
        for score in self.scores.values():
            if score.is_missed:
                return 0.0
            if score.value is not None:
                weighed.append(score.value * score.weight)
                weights.append(score.weight)
        return sum(weighed) / sum(weights) if weights else None

    def replace(self, **changes: Any) -> Trial:
        """A copy with these fields changed; with the key, where that is known and stays the same."""
        copy = replace(self, **changes)
        if self._key is not None and _IDENTIFYING.isdisjoint(changes):
            object.__setattr__(copy, "_key", self._key)
        return copy


@dataclass(frozen=True, kw_only=True)
class Variant:
    """An agent as one variant of a run tries it."""

    agent: Agent
    model: str | None = None
    """`None`: the model of the run, or else the agent's own."""
    effort: str | None = None
    """`None`: the effort of the run, or else the agent's own."""
    endpoint: Endpoint | None = None
    """Where this variant is answered; `None`: where the run is."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What judges said of the replies of a run by one rubric; `trial.judged` reads findings and scores from it."""

    rubric: Rubric
    calls: tuple[Trial, ...]
    """One for each judge, different reply and repeat: `variant` names the judge, `task_id` is the `item_id` of what it
    judged."""
    prompt_sha256: str
    """Of the instructions, the rubric and the form that the judges were given, 64 hex digits."""
    certificates: tuple[Certificate, ...] = ()
    """Those that stand with it, one for a criterion; whether they hold is for `comparison.judged` to find."""

    @property
    def judges(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(call.variant for call in self.calls))

    @property
    def models(self) -> tuple[str, ...]:
        """The model ids that were asked, one for each of `judges`; one more for each other way in which one of them
        was asked."""
        return tuple(model for _, model, _, _ in self._asked)

    @property
    def efforts(self) -> tuple[str | None, ...]:
        """With which effort each of `models` was asked; `None`: none was sent."""
        return tuple(effort for _, _, effort, _ in self._asked)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Where each of `models` answered: the kind of the endpoint, and its address."""
        return tuple(f"{endpoint.kind} {endpoint.base_url}" for _, _, _, endpoint in self._asked)

    @property
    def _asked(self) -> tuple[tuple[str, str, str | None, Endpoint], ...]:
        asked = ((call.variant, call.request.model, call.request.effort, call.endpoint) for call in self.calls)
        return tuple(dict.fromkeys(asked))

    @property
    def is_stand_in(self) -> bool:
        """Whether any of it was made up by the offline stand-in."""
        return any(call.endpoint.is_stand_in for call in self.calls)


@dataclass(frozen=True, kw_only=True)
class Run:
    """The trials of one comparison, with what made them."""

    variants: Mapping[str, Agent]
    tasks: tuple[Task, ...]
    repeats: int
    endpoint: Endpoint
    """Where variants that name no endpoint of their own were answered; `endpoints` has all."""
    trials: tuple[Trial, ...]
    """Task by task, variant by variant, repeat by repeat; one for each planned attempt."""
    follow_ups: tuple[Trial, ...] = ()
    """What was said to replies, and what came back, in the order in which it was said; see `answer_reply`. Each has the
    variant, task and repeat of the trial that it goes on from, is not graded, and counts in no comparison."""
    judged: tuple[Judged, ...] = ()
    """What judges said of the replies, one for each rubric; see `judge`. It counts in no comparison by itself."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """By distribution, what the run was made with, where a record says so; empty: with what is installed here."""
    originals: Mapping[str, str] = field(default_factory=dict)
    """By file of the record that the run was loaded from, the SHA-256 of what was there before secrets were taken out;
    without the files that are what was tried, byte for byte."""
    remarks: tuple[str, ...] = ()
    """What whoever reads its numbers has to know of the record that it was loaded from."""
    pairs: tuple[tuple[str, str], ...] = ()
    """(baseline, variant), where its plan holds variants against baselines of their own; else empty."""

    @property
    def compared_pairs(self) -> tuple[tuple[str, str], ...]:
        """(baseline, variant): what is held against what, as planned; without a plan of it, each against the first."""
        return self.pairs or pairs_with_first(self.variants)

    @property
    def by_baseline(self) -> Mapping[str, Run]:
        """By baseline, so much of the run as it and what is held against it have."""
        held: dict[str, list[str]] = {}
        for baseline, variant in self.compared_pairs:
            held.setdefault(baseline, []).append(variant)
        return {baseline: self.only({baseline, *names}) for baseline, names in held.items()}

    def only(self, names: Collection[str]) -> Run:
        """So much of the run as these variants have."""
        if len(names) == len(self.variants):
            return replace(self, pairs=())
        return replace(
            self,
            variants={name: agent for name, agent in self.variants.items() if name in names},
            trials=tuple(trial for trial in self.trials if trial.variant in names),
            follow_ups=tuple(trial for trial in self.follow_ups if trial.variant in names),
            pairs=(),
        )

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where the trials were answered, in the order in which the trials name them; `endpoint` if there is none."""
        return tuple(dict.fromkeys(trial.endpoint for trial in self.trials)) or (self.endpoint,)


def pairs_with_first(variants: Collection[str]) -> tuple[tuple[str, str], ...]:
    """(baseline, variant) of each variant but the first, which is the baseline of all."""
    first, *others = (*variants,) or ("",)
    return tuple((first, name) for name in others)


def wrong_pairs(pairs: Collection[tuple[str, str]], variants: Collection[str]) -> str:
    """What is wrong with these pairs of (baseline, variant); "" where each variant is in one, and held against one."""
    unknown = [name for pair in pairs for name in pair if name not in variants]
    if unknown:
        return f"a pair names {unknown[0]!r}, which is none of the variants"
    if alone := [name for name in variants if not any(name in pair for pair in pairs)]:
        return f"the variant {alone[0]!r} is in no pair"
    if any(baseline == variant for baseline, variant in pairs):
        return "a variant is held against itself"
    held = [variant for _, variant in pairs]
    if twice := [name for name in held if held.count(name) > 1]:
        return f"the variant {twice[0]!r} is held against two baselines; one sentence can name one"
    return ""
