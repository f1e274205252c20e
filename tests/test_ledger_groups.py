from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from workbench.ledger.groups import GroupedWrites


class Disk:
    """Keeps what is committed; the first commit waits until it is let go."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.first_began, self.go = threading.Event(), threading.Event()

    def commit(self, items: Sequence[int]) -> list[int]:
        self.groups.append(list(items))
        self.first_began.set()
        self.go.wait(10)
        if 13 in items:
            raise OSError("disk full")
        return [10 * item for item in items]


def test_what_comes_during_a_commit_is_one_group_and_each_gets_its_own_result() -> None:
    async def story() -> list[int]:
        first = writes.add(0)
        await asyncio.to_thread(disk.first_began.wait, 10)
        others = [writes.add(number) for number in (1, 2, 3)]
        disk.go.set()
        return list(await asyncio.gather(first, *others))

    writes = GroupedWrites((disk := Disk()).commit)

    assert asyncio.run(story()) == [0, 10, 20, 30]
    assert disk.groups == [[0], [1, 2, 3]]
    writes.close()


def test_failed_group_fails_for_all_in_it_and_for_no_other() -> None:
    async def story() -> list[object]:
        first = writes.add(0)
        await asyncio.to_thread(disk.first_began.wait, 10)
        failing = [writes.add(number) for number in (12, 13)]
        disk.go.set()
        ended = await asyncio.gather(first, *failing, return_exceptions=True)
        return [*ended, await writes.add(1)]

    writes = GroupedWrites((disk := Disk()).commit)

    first, *failed, last = asyncio.run(story())
    assert (first, last) == (0, 10)
    assert [str(error) for error in failed] == ["disk full", "disk full"]
    writes.close()


def test_one_that_waits_no_more_is_written_all_the_same() -> None:
    async def story() -> int:
        gone, stays = writes.add(1), writes.add(2)
        gone.cancel()
        disk.go.set()
        return int(await asyncio.wait_for(stays, 30))

    writes = GroupedWrites((disk := Disk()).commit)

    assert asyncio.run(story()) == 20
    assert [item for group in disk.groups for item in group] == [1, 2]
    writes.close()


def test_closing_writes_what_was_handed_in_though_its_loop_is_gone() -> None:
    async def story() -> None:
        writes.add(1)
        await asyncio.to_thread(disk.first_began.wait, 10)
        writes.add(2)

    writes = GroupedWrites((disk := Disk()).commit)
    asyncio.run(story())
    disk.go.set()
    writes.close()

    async def late() -> None:
        writes.add(3)

    assert disk.groups == [[1], [2]]
    with pytest.raises(RuntimeError, match="shutdown"):
        asyncio.run(late())
