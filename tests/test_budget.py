from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from workbench.errors import BudgetError
from workbench.ledger.budget.reservation import Budget, Reservation
from workbench.ledger.budget.worst_case import TOKENS_ADDED, most_of, prompt_bytes, taken_of
from workbench.trial.catalogue import find_price
from workbench.trial.trial import CacheTime, Endpoint, Request, Usage, Via

STAND_IN = Endpoint(kind="offline", base_url="http://offline.invalid")


def request_of(
    text: str = "Hello", *, model: str = "claude-opus-5-5", max_tokens: int = 100, cache: CacheTime | None = None
) -> Request:
    return Request(
        model=model,
        system="You are terse.",
        messages=({"role": "user", "content": text},),
        max_tokens=max_tokens,
        cache=cache,
    )


def cost(request: Request, **counts: Any) -> Decimal:
    price = find_price(request.model)
    assert price is not None
    usd = price.usd(Usage(**counts))
    assert usd is not None
    return usd


def worst(request: Request) -> float:
    return float(cost(request, input_tokens=prompt_bytes(request) + TOKENS_ADDED, output_tokens=request.max_tokens))


class AnyInterleaving(RuleBasedStateMachine):
    """Calls begin and end in any order, with any usage that their requests allow; what they truly cost is summed up
    apart from the budget."""

    open = Bundle("open")

    def __init__(self) -> None:
        super().__init__()
        self.usd_limit, self.token_limit = Decimal("0.2"), 60_000
        self.budget = Budget(usd=float(self.usd_limit), tokens=self.token_limit)
        self.cost, self.tokens = Decimal(0), 0

    @rule(
        target=open,
        text=st.builds("{0}{1}".format, st.text(max_size=20), st.sampled_from(["", "x" * 900, "é" * 4000])),
        model=st.sampled_from(["claude-opus-5-5", "claude-haiku-5-5", "claude-sonnet-4-5-20250929"]),
        max_tokens=st.integers(1, 900),
        cache=st.sampled_from([None, "5m", "1h"]),
        via=st.sampled_from(["stream", "batch"]),
        share=st.sampled_from([0.0, 0.3, 1.0]),
        length=st.sampled_from([0.0, 0.3, 1.0]),
        end=st.sampled_from(["counted", "unknown", "output unknown", "refused"]),
    )
    def begin(
        self,
        text: str,
        model: str,
        max_tokens: int,
        cache: CacheTime | None,
        via: Via,
        share: float,
        length: float,
        end: str,
    ) -> tuple[Reservation | None, Usage, str]:
        request = request_of(text, model=model, max_tokens=max_tokens, cache=cache)
        reservation = self.budget.reserve(request, via=via)
        prompt = prompt_bytes(request)
        written = int(prompt * share) if cache else 0
        usage = Usage(
            input_tokens=prompt - written,
            output_tokens=int(max_tokens * length),
            cache_creation_input_tokens=written,
            cache_creation_1h_input_tokens=written if cache == "1h" or via == "batch" else 0,
            service_tier="batch" if via == "batch" else "standard",
        )
        if reservation is not None and end != "refused":
            price = find_price(model)
            assert price is not None
            usd = price.usd(usage) or Decimal(0)
            assert usd <= (reservation.most.usd or 0)
            self.cost += usd
            self.tokens += prompt + (usage.output_tokens or 0)
        return reservation, usage, end

    @rule(call=consumes(open))
    def end(self, call: tuple[Reservation | None, Usage, str]) -> None:
        reservation, usage, end = call
        if reservation is None:
            return
        if end == "refused":
            self.budget.release(reservation)
        elif end == "unknown":
            self.budget.settle(reservation, None)
        elif end == "output unknown":
            self.budget.settle(reservation, Usage(**{**_fields(usage), "output_tokens": None}))
        else:
            self.budget.settle(reservation, usage)

    @invariant()
    def what_is_spent_and_reserved_stays_within_the_limits(self) -> None:
        assert self.budget.spent_usd + self.budget.reserved_usd <= float(self.usd_limit) + 1e-12
        assert self.budget.spent_tokens + self.budget.reserved_tokens <= self.token_limit
        assert self.budget.reserved_usd >= 0

    @invariant()
    def what_it_truly_costs_stays_within_what_the_budget_says(self) -> None:
        assert self.cost <= self.usd_limit
        assert self.tokens <= self.token_limit
        assert float(self.cost) <= self.budget.spent_usd + self.budget.reserved_usd + 1e-12
        assert self.tokens <= self.budget.spent_tokens + self.budget.reserved_tokens


def _fields(usage: Usage) -> dict[str, Any]:
    return {name: getattr(usage, name) for name in Usage.__dataclass_fields__}


TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = settings(max_examples=60, stateful_step_count=40)


def test_worst_case_is_reserved_and_the_true_cost_settled() -> None:
    request = request_of()
    budget = Budget(usd=1.0)

    reservation = budget.reserve(request)
    assert reservation is not None
    assert budget.reserved_usd == pytest.approx(worst(request))

    budget.settle(reservation, Usage(input_tokens=10, output_tokens=20))
    assert budget.reserved_usd == 0
    assert budget.spent_usd == pytest.approx((10 * 4 + 20 * 20) / 1e6)
    assert budget.spent_tokens == 30


def test_exactly_what_is_left_can_be_reserved_and_no_more() -> None:
    request = request_of()
    budget = Budget(usd=float(most_of(request).usd or 0) * 2)

    assert [budget.reserve(request) is not None for _ in range(3)] == [True, True, False]


def test_unknown_cost_leaves_the_worst_case_spent() -> None:
    request = request_of()
    budget = Budget(usd=1.0, tokens=10_000)

    budget.settle(reserved(budget, request), None)

    assert budget.spent_usd == pytest.approx(worst(request))
    assert budget.spent_tokens == prompt_bytes(request) + TOKENS_ADDED + 100


def test_broken_stream_counts_its_known_input_and_all_the_output_it_might_have() -> None:
    budget = Budget(usd=1.0)

    budget.settle(reserved(budget, request_of()), Usage(input_tokens=10, output_tokens=None))

    assert budget.spent_usd == pytest.approx((10 * 4 + 100 * 20) / 1e6)


@pytest.mark.parametrize("odd", [-5, "many", 7.5, float("nan"), 10**30, 2**62, True, {"of": 1}])
@pytest.mark.parametrize("where", ["input_tokens", "output_tokens", "cache_creation_input_tokens", "service_tier"])
def test_count_that_is_none_is_one_that_is_not_known(where: str, odd: Any) -> None:
    request = request_of()
    usage = Usage(**{"input_tokens": 10, "output_tokens": 20, where: odd})
    most = most_of(request)
    taken = taken_of(request, usage, via="stream", most=most)

    if where == "output_tokens":
        assert taken.tokens == 10 + request.max_tokens
    elif where == "service_tier" and isinstance(odd, str):
        assert taken.tokens == 30
    else:
        assert taken == most


def test_refused_call_gives_everything_back() -> None:
    budget = Budget(usd=1.0, tokens=10_000)

    budget.release(reserved(budget, request_of()))

    assert (budget.spent_usd, budget.reserved_usd, budget.spent_tokens, budget.reserved_tokens) == (0, 0, 0, 0)


def test_nothing_is_settled_twice() -> None:
    budget = Budget(usd=1.0)
    reservation = reserved(budget, request_of())
    budget.settle(reservation, None)

    with pytest.raises(ValueError, match="settled already"):
        budget.release(reservation)


def test_batch_is_reserved_and_settled_at_half_the_price() -> None:
    request = request_of()
    budget = Budget(usd=1.0)

    reservation = budget.reserve(request, via="batch")
    assert reservation is not None
    assert budget.reserved_usd == pytest.approx(worst(request) / 2)

    budget.settle(reservation, Usage(input_tokens=10, output_tokens=20))
    assert budget.spent_usd == pytest.approx((10 * 4 + 20 * 20) / 2e6)


@pytest.mark.parametrize(
    ("cache", "via", "factor"), [("5m", "stream", 1.25), ("1h", "stream", 2.0), ("5m", "batch", 1.0)]
)
def test_persona_that_may_be_written_into_the_cache_is_reserved_as_written(
    cache: CacheTime, via: Via, factor: float
) -> None:
    request = request_of("x" * 10_000, max_tokens=1, cache=cache)

    plain = cost(request, input_tokens=prompt_bytes(request) + TOKENS_ADDED, output_tokens=0)
    assert float(most_of(request, via=via).usd or 0) == pytest.approx(float(plain) * factor, rel=0.01)


def test_stand_in_costs_nothing_whatever_the_budget() -> None:
    budget = Budget(usd=0, tokens=0, endpoint=STAND_IN)
    budget.check([request_of(model="claude-nobody-1")])

    budget.settle(reserved(budget, request_of()), Usage(input_tokens=10, output_tokens=20))

    assert (budget.spent_usd, budget.spent_tokens) == (0, 0)


def test_too_small_a_budget_names_the_smallest_that_can_start() -> None:
    cheap, dear = request_of(max_tokens=100), request_of(max_tokens=5000)

    with pytest.raises(BudgetError, match="cannot start any trial: the cheapest may take") as error:
        Budget(usd=0.001).check([dear, cheap])

    smallest = float(str(error.value).split("budget_usd=")[1].split(";")[0])
    Budget(usd=smallest).check([dear, cheap])
    assert Budget(usd=smallest).reserve(cheap) is not None
    with pytest.raises(BudgetError):
        Budget(usd=smallest - 0.0002).check([dear, cheap])


def test_too_small_a_budget_of_tokens_names_the_smallest_that_can_start() -> None:
    with pytest.raises(BudgetError, match=r"budget_tokens=\d+") as error:
        Budget(tokens=5).check([request_of()])

    smallest = int(str(error.value).split("budget_tokens=")[1].split(";")[0])
    Budget(tokens=smallest).check([request_of()])
    with pytest.raises(BudgetError):
        Budget(tokens=smallest - 1).check([request_of()])


def test_what_was_spent_before_counts_and_is_said() -> None:
    request = request_of(max_tokens=1000)
    budget = Budget(usd=0.04)
    budget.settle(reserved(budget, request), Usage(input_tokens=0, output_tokens=1000))

    assert budget.spent_usd == pytest.approx(0.02)
    with pytest.raises(BudgetError, match=r"and 0\.0200 USD are spent already"):
        budget.check([request])


def test_all_in_the_ledger_needs_no_budget() -> None:
    Budget(usd=0).check([])


def test_model_without_a_price_refuses_usd_and_takes_tokens() -> None:
    request = request_of(model="our-own-model")

    with pytest.raises(BudgetError, match="no price is known of our-own-model.*give budget_tokens instead"):
        Budget(usd=5).check([request])
    with pytest.raises(BudgetError, match="no price is known"):
        Budget(usd=5).reserve(request)
    Budget(tokens=5000).check([request])
    assert Budget(tokens=5000).reserve(request) is not None


@pytest.mark.parametrize("limit", [-1, float("nan"), float("inf"), True, "2", 10**30])
@pytest.mark.parametrize("kind", ["usd", "tokens"])
def test_limit_that_is_none_is_refused(kind: str, limit: Any) -> None:
    with pytest.raises(BudgetError, match=f"budget_{kind} is .* must be a number of 0 or more"):
        Budget(**{kind: limit})


def test_half_a_token_is_none() -> None:
    assert repr(Budget(tokens=1_000.5)) == "<Budget: 0 of 1,000 tokens spent, 0 reserved>"  # type: ignore[arg-type]


def test_waiting_call_begins_when_another_leaves_room() -> None:
    request = request_of(max_tokens=1000)
    budget = Budget(usd=worst(request) * 1.5)

    async def two() -> tuple[bool, bool]:
        first = await budget.reserve_when_it_fits(request)
        second = asyncio.ensure_future(budget.reserve_when_it_fits(request))
        await asyncio.sleep(0)
        waited = not second.done()
        assert first is not None
        budget.settle(first, Usage(input_tokens=1, output_tokens=1))
        return waited, await second is not None

    assert asyncio.run(two()) == (True, True)


def test_waiting_call_is_told_when_no_room_can_come() -> None:
    request = request_of(max_tokens=1000)
    budget = Budget(usd=worst(request) * 1.5)

    async def two() -> Reservation | None:
        first = await budget.reserve_when_it_fits(request)
        second = asyncio.ensure_future(budget.reserve_when_it_fits(request))
        await asyncio.sleep(0)
        assert first is not None
        budget.settle(first, None)
        return await second

    assert asyncio.run(two()) is None


def test_waiting_can_be_cancelled_and_leaves_nothing_reserved() -> None:
    request = request_of(max_tokens=1000)
    budget = Budget(usd=worst(request) * 1.5)

    async def cancelled() -> None:
        first = await budget.reserve_when_it_fits(request)
        second = asyncio.ensure_future(budget.reserve_when_it_fits(request))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert first is not None
        budget.release(first)

    asyncio.run(cancelled())

    assert budget.reserved_usd == 0


def test_many_calls_at_once_all_get_their_turn_within_the_budget() -> None:
    request = request_of(max_tokens=1000)
    budget = Budget(usd=worst(request) * 3)
    highest = 0.0

    async def one() -> bool:
        nonlocal highest
        reservation = await budget.reserve_when_it_fits(request)
        if reservation is None:
            return False
        highest = max(highest, budget.spent_usd + budget.reserved_usd)
        await asyncio.sleep(0)
        budget.settle(reservation, Usage(input_tokens=1, output_tokens=1))
        return True

    async def all_of_them() -> list[bool]:
        return await asyncio.gather(*(one() for _ in range(200)))

    assert asyncio.run(all_of_them()) == [True] * 200
    assert highest <= worst(request) * 3 + 1e-12


def test_budget_says_where_it_stands() -> None:
    budget = Budget(usd=2.0, tokens=1_000_000)
    budget.settle(reserved(budget, request_of()), Usage(input_tokens=1000, output_tokens=1000))

    assert repr(budget) == (
        "<Budget: 0.0240 USD of 2.0000 USD spent, 0 USD reserved; 2,000 of 1,000,000 tokens spent, 0 reserved>"
    )


def reserved(budget: Budget, request: Request) -> Reservation:
    reservation = budget.reserve(request)
    assert reservation is not None
    return reservation
