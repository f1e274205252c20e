"""The same trials through Message Batches: half the price, answered within a day, whoever is still there to wait.

What a batch is about to hold is in the ledger before it is sent, and what the API calls it right after. So nothing
is asked for twice: whoever comes later, or at the same time, waits for the batch that is on its way already. A batch
whose name never came back (a crash, a broken connection) is looked for among those that the API lists.

A trial, as the ledger and the API know it together; each look moves what can be moved:

    in no batch --(intend_batch: durable before anything is sent)--> intended
    intended ----(created, or found in the API's list)-------------> named        (name_batch)
    intended ----(refused, or not in the list in time)-------------> in no batch  (drop_batch)
    named -------(the batch has ended: result, or why there is none)-> in the ledger, item closed
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from workbench.definition.agent import Agent
from workbench.errors import SetupError
from workbench.ledger.budget.limits import NOTHING, Spent
from workbench.ledger.budget.reservation import Budget, used_up
from workbench.ledger.budget.spending import Transaction
from workbench.ledger.leases import Leases
from workbench.ledger.open_batches import (
    OpenBatch,
    close_batch_items,
    drop_batch,
    find_open_batches,
    intend_batch,
    known_batch_ids,
    name_batch,
)
from workbench.ledger.store import Ledger
from workbench.model.anthropic import AnthropicModel, open_anthropic
from workbench.model.api import OpenModel
from workbench.model.batches.calls import Listed, Trouble, read_answer, read_lines, read_listed, well_formed
from workbench.model.batches.items import LIMITS, Limits, billed_of, item_of, settled_by, split_trials, taken_of_result
from workbench.model.retrying import BATCHES, Retry
from workbench.trial.trial import Failure, Trial

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

CLOCKS_DIFFER = timedelta(minutes=10)
"""How far our clock and that of the server may be apart."""
RESULTS_KEPT = timedelta(days=29)
"""How long the API keeps the results of a batch."""

_sleep = asyncio.sleep
_SAVED_AT_ONCE = 500
_LISTED_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """How trials are asked for in batches."""

    again: bool = False
    """A reply that the ledger holds already does not count; a batch that is on its way still does."""
    budget: Budget | None = None
    leases: Leases | None = None
    """Those of the run: what comes into a batch is under no lease any more, and what another run has leased is not
    sent. `None`: it does not matter who else is asking."""
    limits: Limits = LIMITS
    retry: Retry = BATCHES
    """How often to look, and for how long every look may fail before it is given up; the batches go on."""
    open_model: OpenModel = open_anthropic
    """What opens the way to the endpoint; only one that the SDK sends through has batches."""


@dataclass(frozen=True, kw_only=True)
class BatchState:
    """Where the batches of a run are, between two looks."""

    waiting: int
    """Trials without a result."""
    batches: int
    """Batches that hold them."""
    next_look: float
    """By `time.monotonic()`."""
    failure: Failure | None = None
    """Why the last look did not see everything."""

    @property
    def line(self) -> str:
        """The same in words, with the seconds from now until the next look."""
        seconds = max(0.0, self.next_look - time.monotonic())
        why = f" after {self.failure.type}" if self.failure else ""
        noun = "batch" if self.batches == 1 else "batches"
        return f"{self.waiting} waiting in {self.batches} {noun} (next look{why} in {seconds:.0f} s)"


async def ask_batch(
    trials: Sequence[Trial],
    agents: Mapping[str, Agent],
    *,
    ledger: Ledger,
    settings: BatchSettings = BatchSettings(),
    on_state: Callable[[BatchState], None] | None = None,
) -> AsyncGenerator[tuple[int, Trial], None]:
    """Each trial with its reply or failure, with its position in `trials`, in the order in which they come.

    The trials are of one plan and one endpoint; `agents` has theirs by variant. Each result is in the ledger before it
    is given. Whoever stops iterating stops waiting only: the batches go on, and the same call finds them again.

    The worst case of a batch is set aside in the account of the budget when it is about to be sent, and each request is
    settled with its result, by whoever collects it. What does not fit is sent when results have made room.

    A request that ended without a reply is a trial whose failure is of the type "batch_errored", "batch_expired",
    "batch_canceled", "batch_missing" (the results lack it), "batch_archived" (they are gone) or "batch_malformed".

    Raises:
        SetupError: no endpoint that serves batches, a refused key or request, a spend limit, no server for
            the patience of `settings.retry`, a batch that this key cannot see.
        PlanError: a single request is larger than a batch may be.
        BudgetError: some were not sent, and nothing that is on its way can make room for them.
        LedgerError: the ledger cannot be read or written.
    """
    if not trials:
        return
    endpoint = trials[0].endpoint
    if endpoint.is_stand_in:
        raise SetupError(
            "the offline stand-in answers at once and has no batches; leave out via='batch', or set ANTHROPIC_API_KEY "
            "to go live"
        )
    async with settings.open_model(endpoint) as model:
        if not isinstance(model, AnthropicModel):
            raise SetupError(f"{endpoint.in_words} is no way to Message Batches; leave out via='batch'")
        asking = _Asking(trials, agents, model.client, ledger, settings)
        await asking.tidy()
        while True:
            async for settled in asking.look_and_send():
                yield settled
            if not asking.remaining:
                return
            await asking.give_up_without_money()
            state = asking.state()
            if on_state is not None:
                on_state(state)
            await _sleep(state.next_look - time.monotonic())


class _Asking:
    """The trials that have no result yet. All else is read anew from the ledger and the API at each look."""

    def __init__(
        self,
        trials: Sequence[Trial],
        agents: Mapping[str, Agent],
        client: AsyncAnthropic,
        ledger: Ledger,
        settings: BatchSettings,
    ) -> None:
        self.remaining = {trial.key: (position, trial) for position, trial in enumerate(trials)}
        self._endpoint = trials[0].endpoint
        self._agents = agents
        self._client = client
        self._ledger = ledger
        self._again = settings.again
        self._budget = settings.budget
        self._leases = settings.leases
        self._limits = settings.limits
        self._retry = settings.retry
        self._looks = 0
        self._unaffordable: list[Spent] = []
        self._on_their_way = 0
        self._trouble: Trouble | None = None
        self._failing_since: float | None = None
        self._settles_at: dict[int, datetime] = {}
        self._not_ours: set[tuple[int, str]] = set()

    async def tidy(self) -> None:
        """Closes what a crash left open after its results were written, and what was streamed in the meantime."""
        if self._again:
            return
        for batch in await self._open_batches():
            found = await asyncio.to_thread(self._ledger.find, batch.keys)
            await asyncio.to_thread(close_batch_items, self._ledger, found, partial(billed_of, found))

    async def look_and_send(self) -> AsyncIterator[tuple[int, Trial]]:
        """One look at every batch that holds a remaining trial; then those that are in none are sent."""
        self._trouble = None
        # Also what others sent: their batches hold our trials, and whoever looks first collects.
        batches = [batch for batch in await self._open_batches() if not batch.keys.isdisjoint(self.remaining)]
        for batch in batches:
            try:
                if batch.batch_id is None:
                    await self._find_name(batch)
                else:
                    async for settled in self._collect(batch, batch.batch_id):
                        yield settled
            except Trouble as trouble:
                self._note(trouble)  # of this batch; the others are looked at all the same
        # Of the batches as they were before the look: what has just been collected is no longer remaining, and what was
        # just dropped is sent at the next look, when others have had the time to see it.
        in_batches = frozenset[str]().union(*(batch.keys for batch in batches))
        unsent = [trial for key, (_, trial) in self.remaining.items() if key not in in_batches]
        self._unaffordable = []
        for whole_part in split_trials(unsent, self._limits):
            part = await self._affordable(whole_part)
            if not part:
                break
            try:
                async for settled in self._send(part):
                    yield settled
            except Trouble as trouble:
                self._note(trouble)  # the next part would most likely meet the same
                break
        self._on_their_way = sum(not batch.keys.isdisjoint(self.remaining) for batch in await self._open_batches())
        self._give_up_without_server()

    def state(self) -> BatchState:
        """What to show until the next look; the interval to the one after that is longer."""
        self._looks += 1
        seconds = self._retry.seconds_before(
            self._looks, self._trouble.retry_after_seconds if self._trouble is not None else None
        )
        return BatchState(
            waiting=len(self.remaining),
            batches=self._on_their_way,
            next_look=time.monotonic() + seconds,
            failure=self._trouble.failure if self._trouble else None,
        )

    async def give_up_without_money(self) -> None:
        """Passes while something is on its way, or others may give back enough for one of those that were not sent.

        Raises:
            BudgetError: nothing can be sent any more.
        """
        if self._budget is None or not self._unaffordable or self._on_their_way:
            return
        await self._budget.look()
        if not any(self._budget.may_ever_fit(most) for most in self._unaffordable):
            raise used_up(self._budget)

    async def _affordable(self, part: Sequence[Trial]) -> list[Trial]:
        """Those of them whose worst case fits now beside that of the others."""
        if self._budget is None or not part:
            return list(part)
        await self._budget.look()
        affordable, in_all = [], NOTHING
        for trial in part:
            most = self._budget.most_in_batch(trial)
            if self._budget.may_fit(in_all + most):
                affordable.append(trial)
                in_all = in_all + most
            else:
                self._unaffordable.append(most)
        return affordable

    def _set_aside(self, part: Sequence[Trial]) -> Callable[[Transaction], bool] | None:
        if self._budget is None or self._budget.account is None:
            return None
        account, most = self._budget.account, {trial.key: self._budget.most_in_batch(trial) for trial in part}
        return lambda connection: account.set_aside(connection, most)

    async def _open_batches(self) -> tuple[OpenBatch, ...]:
        return await asyncio.to_thread(find_open_batches, self._ledger, endpoint=self._endpoint.base_url)

    async def _send(self, part: Sequence[Trial]) -> AsyncIterator[tuple[int, Trial]]:
        keys = [trial.key for trial in part]
        number = await asyncio.to_thread(
            intend_batch,
            self._ledger,
            keys,
            endpoint=self._endpoint.base_url,
            leases=self._leases,
            also=self._set_aside(part),
        )
        if number is None:
            return  # another process was first with some of them, or with the money: the next look finds out
        # Only now: until the intention was noted, another process might have asked and been answered.
        found = {} if self._again else await asyncio.to_thread(self._ledger.find, keys)
        if found:
            # The whole batch is taken back, not these few out of it: the intention is all or nothing, and the next look
            # sends the rest.
            await asyncio.to_thread(drop_batch, self._ledger, number)
            for key, reply in found.items():
                position, trial = self.remaining.pop(key)
                yield position, trial.replace(reply=reply, from_ledger=True)
            return
        try:
            batch = await self._created(part)
        except Trouble as trouble:
            if trouble.has_not_arrived:
                await asyncio.to_thread(drop_batch, self._ledger, number)
            else:
                # It may have been created all the same. Sent again now, it would be paid twice: `_find_name` looks for
                # it, and drops it when it has not turned up in time.
                self._settles_at[number] = datetime.now(UTC) + timedelta(seconds=self._limits.settling_seconds)
            raise
        await asyncio.to_thread(name_batch, self._ledger, number, batch.id)

    async def _created(self, part: Sequence[Trial]) -> Listed:
        requests: list[Any] = [item_of(trial) for trial in part]
        seconds = self._limits.create_seconds
        try:
            async with asyncio.timeout(seconds):
                return read_listed(
                    await read_answer(
                        self._client.messages.batches.with_raw_response.create(requests=requests, timeout=seconds)
                    )
                )
        except TimeoutError:
            failure = Failure(type="deadline", message=f"sending a batch took more than {seconds:g} seconds")
            raise Trouble(failure) from None

    async def _find_name(self, batch: OpenBatch) -> None:
        """Finds what the API calls a batch that may have been created, or makes sure that it was not."""
        undecided = False
        async for listed in self._candidates(batch):
            if not listed.has_ended:
                undecided = True  # its custom ids are not to be seen before it ends
            elif await self._holds(listed, batch.keys):
                await asyncio.to_thread(name_batch, self._ledger, batch.number, listed.id)
                return
            else:
                self._not_ours.add((batch.number, listed.id))
        sent_until = batch.at + timedelta(seconds=self._limits.create_seconds + self._limits.settling_seconds)
        if not undecided and datetime.now(UTC) >= self._settles_at.get(batch.number, sent_until):
            await asyncio.to_thread(drop_batch, self._ledger, batch.number)

    async def _candidates(self, batch: OpenBatch) -> AsyncIterator[Listed]:
        known = await asyncio.to_thread(known_batch_ids, self._ledger, endpoint=self._endpoint.base_url)
        after: dict[str, str] = {}
        while True:
            page = await read_answer(
                self._client.messages.batches.with_raw_response.list(limit=_LISTED_AT_ONCE, **after)  # type: ignore[arg-type]
            )
            with well_formed():
                listed_on_page = [read_listed(item) for item in page["data"]]
            for listed in listed_on_page:
                if listed.created_at < batch.at - CLOCKS_DIFFER:
                    return  # the newest come first
                is_new = listed.id not in known and (batch.number, listed.id) not in self._not_ours
                if is_new and listed.size == batch.size:
                    yield listed
            if not listed_on_page or not page.get("has_more"):
                return
            after = {"after_id": listed_on_page[-1].id}

    async def _holds(self, listed: Listed, keys: frozenset[str]) -> bool:
        if listed.results_url is None:
            return False
        async with aclosing(read_lines(self._client, self._endpoint, listed)) as lines:
            async for line in lines:
                return line.get("custom_id") in keys
        return False

    async def _collect(self, batch: OpenBatch, batch_id: str) -> AsyncIterator[tuple[int, Trial]]:
        try:
            listed = read_listed(await read_answer(self._client.messages.batches.with_raw_response.retrieve(batch_id)))
        except Trouble as trouble:
            if trouble.failure.status != 404:
                raise
            if datetime.now(UTC) - batch.at < RESULTS_KEPT:
                raise SetupError(
                    f"{self._endpoint.in_words} does not know the batch {batch_id} that was sent on "
                    f"{batch.at:%Y-%m-%d}: use a key of the workspace that sent it; if it was deleted, name another "
                    "ledger in WORKBENCH_LEDGER to ask again"
                ) from trouble
            listed = None
        if listed is not None and not listed.has_ended:
            return
        pending = {key for key in batch.keys if key in self.remaining}
        settled: list[Trial] = []
        # Saved in portions: a batch may hold 100,000 results, and a break in the middle must not lose those before it.
        if listed is not None and listed.results_url is not None:
            async with aclosing(read_lines(self._client, self._endpoint, listed)) as lines:
                async for line in lines:
                    key = line.get("custom_id")
                    if key not in pending:
                        continue  # of another plan, whose next run collects it
                    pending.remove(key)
                    settled.append(settled_by(self.remaining[key][1], line.get("result")))
                    if len(settled) == _SAVED_AT_ONCE:
                        for item in await self._saved(settled):
                            yield item
                        settled = []
            why = Failure(type="batch_missing", message=f"the results of the batch {batch_id} do not hold this request")
        else:
            why = Failure(type="batch_archived", message=f"the results of the batch {batch_id} are no longer available")
        settled += [self.remaining[key][1].replace(failure=why) for key in sorted(pending)]
        for item in await self._saved(settled):
            yield item

    async def _saved(self, settled: Sequence[Trial]) -> list[tuple[int, Trial]]:
        """The same with their positions, once they are in the ledger; no longer remaining."""
        # Another process may have waited for the same batch: what it has written is not written a second time.
        keys = [trial.key for trial in settled]
        found = {} if self._again else await asyncio.to_thread(self._ledger.find, keys)
        await asyncio.gather(
            *(
                self._ledger.write(trial, self._agents[trial.variant])
                for key, trial in zip(keys, settled, strict=True)
                if key not in found
            )
        )
        by_key = dict(zip(keys, settled, strict=True))
        await asyncio.to_thread(close_batch_items, self._ledger, keys, lambda key: taken_of_result(by_key[key]))
        return [(self.remaining.pop(key)[0], trial) for key, trial in zip(keys, settled, strict=True)]

    def _note(self, trouble: Trouble) -> None:
        """Keeps what went wrong for the next look.

        Raises:
            SetupError: it would go wrong with every batch.
        """
        if (error := self._retry.why_it_ends(trouble.failure, self._endpoint)) is not None:
            raise error from trouble
        self._trouble = trouble

    def _give_up_without_server(self) -> None:
        if self._trouble is None:
            self._failing_since = None
            return
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if now - self._failing_since >= self._retry.patience_seconds:
            failure = self._trouble.failure
            raise SetupError(
                f"{self._endpoint.in_words} has not answered for {self._retry.patience_seconds:g} seconds "
                f"({failure.type}: {failure.message}); what was sent goes on there, and the same run picks it up"
            ) from self._trouble
