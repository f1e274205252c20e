from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta

from workbench.model.limiter import FIRST_AT_ONCE, LONGEST_PAUSE_SECONDS, Limiter
from workbench.model.rate_limits import RateLimit, rate_limits


def headers(**values: str) -> dict[str, str]:
    return {f"anthropic-ratelimit-{name.replace('_', '-')}": value for name, value in values.items()}


def test_limit_doubles_with_each_round_until_the_user_s_most() -> None:
    limiter = Limiter(most=100)

    for _ in range(FIRST_AT_ONCE):
        limiter.answered()
    assert limiter.limit == 2 * FIRST_AT_ONCE
    for _ in range(200):
        limiter.answered()

    assert limiter.limit == 100


def test_refusal_shrinks_once_for_all_that_were_in_flight_together() -> None:
    limiter = Limiter(most=10)
    began = time.monotonic()

    for _ in range(5):
        limiter.refused(began, "overloaded_error", None)

    assert limiter.limit == 7
    assert limiter.reason == "7 of 10 at once after overloaded_error"


def test_after_a_refusal_it_grows_by_one_a_round_and_says_when_it_is_well() -> None:
    limiter = Limiter(most=10)
    limiter.refused(time.monotonic(), "overloaded_error", None)

    for _ in range(8):
        limiter.answered()
    assert 7.9 < limiter.limit < 8.2
    for _ in range(40):
        limiter.answered()

    assert (limiter.limit, limiter.reason) == (10, "")


def test_limit_never_falls_below_one() -> None:
    limiter = Limiter(most=2)

    for _ in range(10):
        limiter.refused(time.monotonic(), "rate_limit_error", None)

    assert limiter.limit == 1


def test_never_more_in_flight_than_the_limit() -> None:
    async def most_in_flight() -> int:
        limiter, seen = Limiter(most=3), []

        async def one() -> None:
            async with limiter.slot():
                seen.append(limiter.in_flight)
                await asyncio.sleep(0)

        await asyncio.gather(*(one() for _ in range(50)))
        return max(seen)

    assert asyncio.run(most_in_flight()) == 3


def test_cancelled_waiter_leaves_its_turn_to_others() -> None:
    async def run() -> int:
        limiter = Limiter(most=1)
        async with limiter.slot():
            waiting = asyncio.create_task(limiter.slot().__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
        async with limiter.slot():
            return limiter.in_flight

    assert asyncio.run(run()) == 1


def test_retry_after_holds_back_the_whole_family_but_not_for_hours() -> None:
    limiter = Limiter(most=4)

    limiter.refused(time.monotonic(), "rate_limit_error", 3600.0)

    assert LONGEST_PAUSE_SECONDS - 1 < limiter.seconds_paused <= LONGEST_PAUSE_SECONDS


def test_limit_that_is_nearly_reached_is_waited_for() -> None:
    limiter = Limiter(most=4)

    limiter.told((RateLimit(kind="requests", limit=1000, remaining=51, seconds_to_reset=9.0),))
    assert limiter.seconds_paused == 0
    limiter.told((RateLimit(kind="requests", limit=1000, remaining=49, seconds_to_reset=9.0),))

    assert 8 < limiter.seconds_paused <= 9
    assert re.fullmatch(r"waiting \d+ s: 49 of 1,000 requests left", limiter.reason)


def test_rate_limits_are_read_from_headers_and_illegible_ones_left_out() -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=30)).isoformat().replace("+00:00", "Z")

    [limit] = rate_limits(
        headers(
            requests_limit="50",
            requests_remaining="2",
            requests_reset=soon,
            tokens_limit="many",
            tokens_remaining="2",
            tokens_reset=soon,
            output_tokens_limit="5",
        )
    )

    assert (limit.kind, limit.limit, limit.remaining) == ("requests", 50, 2)
    assert 28 < limit.seconds_to_reset <= 30
