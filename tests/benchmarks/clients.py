"""The programs that are measured: `python -m tests.benchmarks.clients NAME TRIALS AT_ONCE`, server and ledger named in
the environment. Each sends the same trials and ends with an error where one was not answered.

ours    run_trials: streamed, each reply in the ledger before it counts
hasty   the same, whose lease lasts five seconds
again   ours, then compare() and its tables; tells whether the SDK was imported
loop    the SDK's create(stream=True), events read as they come, nothing saved
gather  the SDK's create() as most people write it: default transport, not streamed, nothing saved
helper  the SDK's messages.stream() with its final message, nothing saved; aiohttp transport
plain   the same on the default transport
import  nothing but the SDK's import
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

NAME, TRIALS, AT_ONCE = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def ours(**settings: Any) -> Any:
    import workbench as wb
    from tests.benchmarks import workload
    from tests.benchmarks.either import grader_spec
    from workbench.definition.agent import parse_agent

    count = min(workload.PERSONAS, TRIALS)
    variants = {
        f"persona {number}": parse_agent(f"---\nname: a\ndescription: b\n---\n{workload.persona(number)}\n")
        for number in range(count)
    }
    graders = (
        grader_spec(name="mentions", promise="words", options={"any": ["words"]}),
        grader_spec(name="made_up", promise="made up"),
    )
    tasks = [
        wb.Task(id=f"case {number}", input=workload.task(number), graders=graders) for number in range(TRIALS // count)
    ]
    catalogue = {**wb.graders.standard(), "made_up": lambda: _made_up}
    plan = wb.plan_trials(variants, tasks, graders=catalogue, model=workload.MODEL, max_tokens=workload.MAX_TOKENS)
    run = wb.run_trials(plan, concurrency=AT_ONCE, progress=False, **settings)
    _all_came(trial.outcome == "answered" for trial in run.trials)
    return run


def hasty() -> None:
    from datetime import timedelta

    from workbench.ledger.sharing import Sharing

    ours(sharing=Sharing(lasts=timedelta(seconds=5), sure_seconds=3.0, renewed_every_seconds=1.0))


def _made_up(_task: Any, reply: Any) -> Any:
    """Scores that differ, so that a comparison has something to weigh."""
    from workbench.trial.trial import Score

    return Score(value=int(reply.request_id[4:]) * 7 % 11 / 10, explanation="made up from the number of the request")


def again() -> None:
    import workbench as wb

    print(wb.compare(ours(), baseline="persona 0"))
    print("anthropic imported:", "anthropic" in sys.modules)


async def _asked(one: Callable[[dict[str, Any]], Awaitable[str]]) -> None:
    import asyncio

    from tests.benchmarks import workload

    waiting = iter(workload.bodies(TRIALS))
    replies: list[str] = []

    async def worker() -> None:
        for body in waiting:
            replies.append(await one(body))

    await asyncio.gather(*(worker() for _ in range(min(AT_ONCE, TRIALS))))
    _all_came(len(text.split()) == 120 for text in replies)


def _all_came(each: Any) -> None:
    came = list(each)
    if len(came) != TRIALS or not all(came):
        sys.exit(f"{sum(came)} of {TRIALS} trials were answered")


def _client(*, aiohttp: bool) -> Any:
    import anthropic
    import httpx2

    if not aiohttp:
        return anthropic.AsyncAnthropic()
    limits = httpx2.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    return anthropic.AsyncAnthropic(http_client=anthropic.DefaultAioHttpClient(limits=limits))


async def loop() -> None:
    async with _client(aiohttp=True) as client:

        async def one(body: dict[str, Any]) -> str:
            pieces = []
            async for event in await client.messages.create(**body, stream=True):
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    pieces.append(event.delta.text)
            return "".join(pieces)

        await _asked(one)


async def gather() -> None:
    async with _client(aiohttp=False) as client:

        async def one(body: dict[str, Any]) -> str:
            return str((await client.messages.create(**body)).content[0].text)

        await _asked(one)


async def helper(*, aiohttp: bool) -> None:
    async with _client(aiohttp=aiohttp) as client:

        async def one(body: dict[str, Any]) -> str:
            async with client.messages.stream(**body) as stream:
                return str((await stream.get_final_message()).content[0].text)

        await _asked(one)


def main() -> None:
    if NAME == "ours":
        ours()
    elif NAME == "hasty":
        hasty()
    elif NAME == "again":
        again()
    elif NAME == "import":
        _client(aiohttp=True)
    else:
        import asyncio

        programs = {
            "loop": loop,
            "gather": gather,
            "helper": lambda: helper(aiohttp=True),
            "plain": lambda: helper(aiohttp=False),
        }
        asyncio.run(programs[NAME]())


if __name__ == "__main__":
    main()
