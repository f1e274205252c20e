"""What a run would take and what it could show, before anything is spent."""

from __future__ import annotations

import asyncio
import json
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from pathlib import Path

from workbench.ledger.budget.worst_case import cache_time, most_of, prompt_bytes
from workbench.ledger.store import Ledger, opened_ledger
from workbench.markup import counted, html, notebook_html
from workbench.model.endpoint import open_model
from workbench.model.loop import Started
from workbench.runs.plan import CONCURRENCY, Plan
from workbench.runs.settings import Mode, RunSettings
from workbench.runs.who_answers import trials_here
from workbench.statistics.power import ALPHA, FEWEST_COMPARED, MEASURES, PlannedPower, fewest_tasks, pilot_variances
from workbench.trial.catalogue import Price, find_price
from workbench.trial.graded import grade_trial
from workbench.trial.trial import Endpoint, Reply, Request, Trial, Usage, Via

BYTES_PER_TOKEN = 3.1
"""Of English text with the newer tokenizers; an approximation, and for the older ones a high one."""
EXPECTED_OUTPUT_TOKENS = 1_500
"""Of a reply, thinking included, where the ledger has none to go by."""
EXPECTED_TOKENS_PER_SECOND = 60.0
EXPECTED_SECONDS_TO_FIRST_TOKEN = 2.0
_TABLE = """\
{% macro style(cell) %}{% if cell is long %} style="overflow-wrap: anywhere"{% endif %}{% endmacro %}
<table style="overflow-wrap: normal">
<caption>Estimate, before anything is spent</caption>
<tbody>
{% for what, much in rows %}
<tr><th scope="row"{{ style(what) }}>{{ what }}</th><td{{ style(much) }}>{{ much }}</td></tr>
{% endfor %}
</tbody>
</table>
"""
_SAYS = "how replies differ in length, form, time and cost"
_SAYS_JUDGED = "what judges find of the replies; it decides nothing until people's labels certify it"
_SAYS_DECIDED = "which agent gets each case, and how sure that is of each agent"
_SAYS_GRADED = "which variant is better, worse, or not shown to differ"
COUNTS_AT_ONCE = 8
MOST_GRADED = 300
"""Replies from the ledger, of the first tasks, that are graded for their variance: an estimate is to be quick."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Estimate:
    """What a run would take, and the smallest difference it could show. Shows itself as text, Markdown or HTML.
    Repeated calls are not in it."""

    endpoints: tuple[Endpoint, ...]
    """Where the trials are answered, in the order in which they name them."""
    variants: int
    tasks: int
    repeats: int
    via: Via
    concurrency: int
    trials: int
    answered: int
    """Of `trials`, those that the ledger answers: in a fresh run, none."""
    paid_again: int = 0
    """Of `trials`, those that a fresh run asks for although the ledger has their answers."""
    shared: int = 0
    """Of `trials`, those that another notebook of the same batch asks for."""
    input_tokens: int
    """Of all calls, cached ones included."""
    input_source: str
    """Who counted them, or that they are approximated."""
    output_tokens: int
    """At the expected length of a reply."""
    most_output_tokens: int
    """At `max_tokens`."""
    output_source: str
    """Where the expected length is from."""
    usd: float | None
    """At the expected length of a reply; `None` where the price of a model is not known."""
    most_usd: float | None
    """The worst case: no budget in USD that is as large stops the run, unless calls have to be repeated."""
    most_tokens: int
    """The same in tokens."""
    unpriced: tuple[str, ...]
    """The models of which no price is known."""
    prices: tuple[str, ...]
    """Where the prices are from, and of which day."""
    minutes: float | None
    """At `concurrency` calls at once; `None` for a batch, which may take up to a day."""
    caching: Mapping[str, str] = field(default_factory=dict)
    """By variant, whether its persona is kept in the prompt cache, and why."""
    asked_at: Mapping[str, str] = field(default_factory=dict)
    """By variant, with which model and effort it is asked, and what decided that."""
    power: PlannedPower | None = None
    """What the plan could show; `None` where no task names a grader, so that nothing is scored."""
    ungraded_tasks: int = 0
    """Tasks that name no grader."""
    promises: int = 0
    """What replies are held to: the different labels of graders."""
    of_judges: bool = False
    """True where its variants are judges, and its tasks replies that they score."""
    of_decisions: bool = False
    """As `Plan.decides`."""

    @property
    def is_stand_in(self) -> bool:
        """True where no model would answer."""
        return all(endpoint.is_stand_in for endpoint in self.endpoints)

    @property
    def calls(self) -> int:
        """How many trials have to be asked for."""
        return self.trials - self.answered - self.shared

    @property
    def brief(self) -> str:
        """The estimate in a line."""
        rows = dict(self.rows())
        if not self.calls:
            return rows["USD"]
        tokens = self.input_tokens + self.output_tokens
        return f"{self.calls:,} calls · about {tokens:,} tokens · USD: {rows['USD']} · {self._shows_in_brief(rows)}"

    def _shows_in_brief(self, rows: Mapping[str, str]) -> str:
        if self.of_judges or self.of_decisions:
            return _SAYS_JUDGED if self.of_judges else _SAYS_DECIDED
        if self.power is None:
            return without_graders_in_brief(variants=self.variants, tasks=self.tasks)
        return f"smallest difference it could show: {rows['smallest difference'].partition(' (')[0]}"

    def rows(self) -> list[tuple[str, str]]:
        """The estimate in words: what, how much."""
        share = f"{self.answered / self.trials:.0%}" if self.trials else "0%"
        rows = [
            ("answered by", "; ".join(endpoint.in_words for endpoint in self.endpoints)),
            self._size_in_words(),
            *self._says_in_words(),
            ("answered in the ledger", f"{self.answered:,} ({share}){self._paid_again_in_words()}"),
            ("calls to make", f"{self.calls:,}" + (" in Message Batches" if self.via == "batch" else "")),
        ]
        if not self.calls:
            return [*rows, ("USD", "nothing: all is in the ledger")]
        rows += [
            ("input tokens", f"{self.input_tokens:,} ({self.input_source})"),
            (
                "output tokens",
                f"{self.output_tokens:,} expected ({self.output_source}), {self.most_output_tokens:,} at most",
            ),
            ("USD", self._usd_in_words()),
            ("minutes", self._minutes_in_words()),
        ]
        rows += [("prices", source) for source in self.prices]
        rows += [(f"asked at, {variant}", words) for variant, words in self.asked_at.items()]
        return rows + [(f"prompt cache, {variant}", reason) for variant, reason in self.caching.items()]

    def _size_in_words(self) -> tuple[str, str]:
        of, on, what = "variant", "task", "trials"
        if self.of_judges:
            of, on, what = "judge", "different text", "judgements"
        elif self.of_decisions:
            of, on, what = "order of the list", "routing case", "decisions"
        plural = "orders of the list" if self.of_decisions else ""
        size = f"{counted(self.variants, of, plural)} x {counted(self.tasks, on)} x {counted(self.repeats, 'repeat')}"
        return what, f"{self.trials:,}: {size}"

    def _paid_again_in_words(self) -> str:
        if not self.paid_again:
            return ""
        what = "asked" if self.is_stand_in else "paid"
        return f": a fresh run asks for all anew, so {self.paid_again:,} that it holds are {what} once more"

    def _says_in_words(self) -> list[tuple[str, str]]:
        if self.of_judges or self.of_decisions:
            return [("it will say", _SAYS_JUDGED if self.of_judges else _SAYS_DECIDED)]
        return self._power_in_words()

    def _power_in_words(self) -> list[tuple[str, str]]:
        if self.power is None:
            return [
                ("smallest difference", "none: no task names a grader, so nothing is scored"),
                ("it will say", self._says_ungraded()),
                ("it will not say", "which is better: for that, name graders in the tasks (`workbench graders`)"),
            ]
        rows = [*self.power.rows(), ("it will say", self._says_graded())]
        if self.ungraded_tasks:
            of = f"{self.ungraded_tasks:,} of {self.tasks:,} tasks"
            rows.append(("without a grader", f"{of}: left out of the score, and measured with the others"))
        return rows

    def _says_graded(self) -> str:
        graded = self.tasks - self.ungraded_tasks
        if self.variants < 2:
            return "what each reply scores; there is no second variant to compare with"
        if graded < FEWEST_COMPARED:
            measured = f"; and {_SAYS}" if self.tasks >= FEWEST_COMPARED else ""
            scored = "what each reply scores, and not which is better"
            return f"{scored}: that takes at least {FEWEST_COMPARED} tasks{measured}"
        few = fewest_tasks(self.promises)
        single = "" if graded >= few else f"; no single promise can be shown to differ below {few} tasks"
        return f"{_SAYS_GRADED}, promise by promise ({self.promises}); and {_SAYS}{single}"

    def _says_ungraded(self) -> str:
        if self.variants < 2:
            return "how long each reply is and what it takes; there is no second variant to compare with"
        if self.tasks < FEWEST_COMPARED:
            return f"nothing: a comparison takes at least {FEWEST_COMPARED} tasks"
        few = fewest_tasks(MEASURES)
        least = "" if self.tasks >= few else f"; below {few} tasks none of them can be established, only seen"
        return f"{_SAYS}, each with a {100 * (1 - ALPHA):g} % interval over {self.tasks:,} tasks{least}"

    def _usd_in_words(self) -> str:
        if self.is_stand_in:
            return "0, for no model answers"
        if self.usd is None or self.most_usd is None:
            return f"unknown: no price is known of {', '.join(self.unpriced)}"
        half = ", at the half price of batches" if self.via == "batch" else ""
        return f"{self.usd:,.4f} expected, {self.most_usd:,.4f} at most{half}"

    def _minutes_in_words(self) -> str:
        if self.minutes is None:
            return "most batches end within an hour, and all within a day"
        about = "less than 1" if self.minutes < 1 else f"about {self.minutes:,.0f}"
        return f"{about}, {self.concurrency:,} at a time"

    def __repr__(self) -> str:
        rows = [(_on_one_line(what), _on_one_line(much)) for what, much in self.rows()]
        width = max(len(what) for what, _ in rows)
        return "\n".join(f"{what:<{width}}  {much}" for what, much in rows)

    def _repr_markdown_(self) -> str:
        # Indented by four, text stays text, whatever the names of variants hold.
        return "\n".join(f"    {line}" for line in repr(self).split("\n"))

    def _repr_html_(self) -> str:
        return notebook_html(html(_TABLE, rows=[[_on_one_line(cell) for cell in row] for row in self.rows()]))


def without_graders_in_brief(*, variants: int, tasks: int) -> str:
    """What a run of so many variants and tasks, none of which names a grader, will say, and that it is no verdict."""
    if variants < 2 or tasks < FEWEST_COMPARED:
        return "no graders: nothing is scored"
    few = fewest_tasks(MEASURES)
    least = "" if tasks >= few else f" ({tasks} tasks show it, {few} could establish it)"
    return f"no graders: it will say {_SAYS}, not which is better{least}"


def estimate_plan(
    plan: Plan,
    *,
    ledger: Ledger | str | Path | None = None,
    live: bool | None = None,
    concurrency: int = CONCURRENCY,
    mode: Mode = "top-up",
    via: Via = "stream",
) -> Estimate:
    """What the same `run_trials` would ask for, and what that takes in tokens, USD and minutes.

    Spends nothing. Where a model or a server would answer, its own count of the input tokens is asked for, once
    for each different prompt that has no answer in the ledger; where it does not count, and for the offline
    stand-in, they are approximated.

    Raises:
        PlanError: a setting is out of range.
        SetupError: the way to the model is not set up.
        LedgerError: the ledger cannot be read.
        PriceFileError: the file named in WORKBENCH_PRICES is missing or wrong.
    """
    settings = RunSettings(ledger=ledger, concurrency=concurrency, mode=mode, via=via)
    _, trials = trials_here(plan, live)
    return estimate_trials(plan, trials, settings)


def estimate_trials(
    plan: Plan, trials: Sequence[Trial], settings: RunSettings, *, but: Collection[str] = (), ask_server: bool = True
) -> Estimate:
    """As `estimate_plan`, for these trials of the plan, `but` for those with these keys. Without `ask_server` no input
    is counted there: it is not what will be sent.

    In a fresh run all of them are asked for and paid; the replies in the ledger then serve the lengths, the minutes and
    the spread of the scores only.
    """
    via = settings.via
    endpoints = tuple(dict.fromkeys(trial.endpoint for trial in trials))
    is_stand_in = all(endpoint.is_stand_in for endpoint in endpoints)
    with opened_ledger(settings.ledger) as opened:
        known = opened.find(trial.key for trial in trials)
    answered = [(trial, known[trial.key]) for trial in trials if trial.key in known]
    missing = [trial for trial in trials if settings.is_fresh or (trial.key not in known and trial.key not in but)]
    prompts, input_source = _input_tokens(missing, ask_server=ask_server)
    lengths, output_source = _expected_lengths(answered, missing)
    most = [most_of(trial.request, via=via, free=is_stand_in) for trial in missing]
    expected = _expected_usages(missing, prompts, lengths, via)
    models = [] if is_stand_in else sorted({trial.request.model for trial in missing})
    prices = {model: price for model in models if (price := find_price(model)) is not None}
    unpriced = tuple(model for model in models if model not in prices)
    costs = [each.usd for each in most if each.usd is not None]
    if is_stand_in:
        usd: float | None = 0.0
    else:
        usd = None if unpriced else _total_usd(missing, expected, prices)
    return Estimate(
        endpoints=endpoints,
        variants=len(plan.variants),
        tasks=len(plan.tasks),
        repeats=plan.repeats,
        via=via,
        concurrency=settings.concurrency,
        trials=len(trials),
        answered=0 if settings.is_fresh else len(answered),
        paid_again=len(answered) if settings.is_fresh else 0,
        shared=0 if settings.is_fresh else len(trials) - len(answered) - len(missing),
        input_tokens=sum(prompts),
        input_source=input_source,
        output_tokens=sum(lengths),
        most_output_tokens=sum(trial.request.max_tokens for trial in missing),
        output_source=output_source,
        usd=usd,
        most_usd=None if unpriced else float(sum(costs, Decimal(0))),
        most_tokens=sum(each.tokens for each in most),
        unpriced=unpriced,
        prices=tuple(sorted({str(price) for price in prices.values()})),
        minutes=None
        if via == "batch" and missing
        else _minutes(answered, lengths, settings.concurrency, is_stand_in=is_stand_in),
        caching=plan.caching,
        asked_at={name: f"{sent.model}, effort {sent.effort_in_words}" for name, sent in plan.sent.items()},
        power=_planned_power(plan, answered),
        ungraded_tasks=sum(not plan.graders[task.id] for task in plan.tasks),
        promises=len({promise for graders in plan.graders.values() for promise in graders}),
        of_decisions=plan.decides,
        of_judges=any(prompt.schema is not None for prompt in plan.prompts.values()),
    )


def _planned_power(plan: Plan, answered: Sequence[tuple[Trial, Reply]]) -> PlannedPower | None:
    graded = [task for task in plan.tasks if plan.graders[task.id]]
    if not graded:
        return None
    variances = pilot_variances(list(_pilot_scores(plan, answered).values()))
    made_up_by = next((trial.endpoint for trial, _ in answered if trial.endpoint.is_stand_in), None)
    if made_up_by is not None and variances.replies:
        variances = replace(variances, source=f"{variances.source}, made up by the {made_up_by.in_words}")
    groups = len({("task", task.id) if task.group is None else ("group", task.group) for task in graded})
    return PlannedPower(
        tasks=len(graded),
        repeats=plan.repeats,
        comparisons=max(1, len(plan.variants) - 1),
        variances=variances,
        groups=groups if groups < len(graded) else None,
    )


def _pilot_scores(plan: Plan, answered: Sequence[tuple[Trial, Reply]]) -> dict[str, dict[str, list[float]]]:
    """By variant and task id, the scores of replies in the ledger."""
    tasks = {task.id: task for task in plan.tasks if plan.graders[task.id]}
    scores: dict[str, dict[str, list[float]]] = {variant: defaultdict(list) for variant in plan.variants}
    of_graded = ((trial, reply) for trial, reply in answered if trial.task_id in tasks)
    for trial, reply in islice(of_graded, MOST_GRADED):
        found = grade_trial(trial.replace(reply=reply), tasks[trial.task_id], plan.graders[trial.task_id]).score
        if found is not None:
            scores[trial.variant][trial.task_id].append(found)
    return scores


def _total_usd(trials: Sequence[Trial], usages: Sequence[Usage], prices: Mapping[str, Price]) -> float:
    costs = (prices[trial.request.model].usd(usage) for trial, usage in zip(trials, usages, strict=True))
    return float(sum((usd for usd in costs if usd is not None), Decimal(0)))


def _input_tokens(trials: Sequence[Trial], *, ask_server: bool) -> tuple[list[int], str]:
    """The tokens of each prompt, and who counted them."""
    by_prompt = {_prompt(trial): trial for trial in trials}
    counted = (
        _counted({prompt: trial for prompt, trial in by_prompt.items() if not trial.endpoint.is_stand_in})
        if ask_server
        else {}
    )
    tokens = [
        counted.get(_prompt(trial)) or math.ceil(prompt_bytes(trial.request) / BYTES_PER_TOKEN) for trial in trials
    ]
    approximated = f"approximated: one for {BYTES_PER_TOKEN} bytes"
    if by_prompt and len(counted) == len(by_prompt):
        return tokens, "counted by the server"
    if counted:
        return (
            tokens,
            f"{len(counted):,} of {len(by_prompt):,} prompts counted by the server, the others {approximated}",
        )
    return tokens, approximated


_Prompt = tuple[Endpoint, str, str, str, str | None]


def _prompt(trial: Trial) -> _Prompt:
    """What the number of its input tokens depends on."""
    request = trial.request
    messages = json.dumps([dict(message) for message in request.messages], sort_keys=True)
    return trial.endpoint, request.model, request.system, messages, request.effort


def _counted(by_prompt: Mapping[_Prompt, Trial]) -> dict[_Prompt, int]:
    """By prompt, the tokens that its endpoint counts; without those that it does not count."""
    counted: dict[_Prompt, int] = {}

    async def count_all(endpoint: Endpoint, prompts: Mapping[_Prompt, Request]) -> None:
        waiting = iter(prompts.items())
        async with open_model(endpoint, connections=COUNTS_AT_ONCE) as model:

            async def count_from() -> None:
                for prompt, request in waiting:
                    tokens = await model.count(request)
                    if tokens is None:
                        return
                    counted[prompt] = tokens

            await asyncio.gather(*(count_from() for _ in range(min(COUNTS_AT_ONCE, len(prompts)))))

    for endpoint in dict.fromkeys(trial.endpoint for trial in by_prompt.values()):
        there = {prompt: trial.request for prompt, trial in by_prompt.items() if trial.endpoint == endpoint}
        started = Started(count_all(endpoint, there))
        try:
            started.result()
        except KeyboardInterrupt:
            started.stop()
            started.wait()
            raise
    return counted


def _expected_lengths(answered: Sequence[tuple[Trial, Reply]], missing: Sequence[Trial]) -> tuple[list[int], str]:
    """Output tokens of each missing reply: the mean of those that the ledger has, of its variant where it can be."""
    by_variant: dict[str, list[int]] = defaultdict(list)
    for trial, reply in answered:
        if reply.usage.output_tokens is not None:
            by_variant[trial.variant].append(reply.usage.output_tokens)
    replies = [tokens for of_variant in by_variant.values() for tokens in of_variant]
    if not replies:
        lengths = [min(EXPECTED_OUTPUT_TOKENS, trial.request.max_tokens) for trial in missing]
        return lengths, f"{EXPECTED_OUTPUT_TOKENS:,} a reply assumed, for the ledger has none to go by"
    lengths = []
    for trial in missing:
        known = by_variant.get(trial.variant) or replies
        lengths.append(min(round(math.fsum(known) / len(known)), trial.request.max_tokens))
    return lengths, f"as long as the {len(replies):,} replies in the ledger"


def _expected_usages(trials: Sequence[Trial], prompts: Sequence[int], lengths: Sequence[int], via: Via) -> list[Usage]:
    """With the cache as it will work at best: the first call writes a persona, and the others, which wait for that,
    read it. In a batch all write, for their order is not known."""
    written: set[tuple[Endpoint, str, str]] = set()
    usages = []
    for trial, prompt, length in zip(trials, prompts, lengths, strict=True):
        request = trial.request
        kept = cache_time(request, via)
        persona = 0
        if request.system and kept is not None:
            persona = round(prompt * len(request.system.encode("utf-8", "surrogatepass")) / prompt_bytes(request))
        cached = (trial.endpoint, request.model, request.system)
        writes = via == "batch" or cached not in written
        written.add(cached)
        usages.append(
            Usage(
                input_tokens=prompt - persona,
                output_tokens=length,
                cache_creation_input_tokens=persona if writes else 0,
                cache_creation_1h_input_tokens=persona if writes and kept == "1h" else 0,
                cache_read_input_tokens=0 if writes else persona,
                service_tier="batch" if via == "batch" else None,
            )
        )
    return usages


def _minutes(
    answered: Sequence[tuple[Trial, Reply]], lengths: Sequence[int], concurrency: int, *, is_stand_in: bool
) -> float:
    known = [reply.seconds for _, reply in answered if reply.seconds is not None]
    if known:
        seconds = [math.fsum(known) / len(known)] * len(lengths)
    elif is_stand_in:
        return 0.0
    else:
        seconds = [EXPECTED_SECONDS_TO_FIRST_TOKEN + length / EXPECTED_TOKENS_PER_SECOND for length in lengths]
    return max(math.fsum(seconds) / concurrency, max(seconds, default=0.0)) / 60


def _on_one_line(text: str) -> str:
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
