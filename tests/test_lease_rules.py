"""What holds for leases in any database: one key is asked for by one run at a time, as a stream or in a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from tests.postgres_server import InPostgreSQL
from tests.test_ledger import execute, query
from workbench.ledger import holders, leases
from workbench.ledger.leases import LeaseLost, Leases
from workbench.ledger.open_batches import close_batch_items, drop_batch, intend_batch
from workbench.ledger.sharing import USUAL, Sharing
from workbench.ledger.store import Ledger, open_ledger

KEYS = [f"{number:064x}" for number in range(20)]


class _TwoMinutesAhead(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        return datetime.now(tz) + timedelta(minutes=2)


def seconds_pass(run: Leases, seconds: float) -> None:
    """Makes the last renewal of a run so much older."""
    before = run._renewed
    run._renewed = leases._Instant(monotonic=before.monotonic - seconds, wall=before.wall)


class LeaseRules:
    """A subclass says in which database."""

    @pytest.fixture
    def ledger(self, address: str) -> Iterator[Ledger]:
        with open_ledger(address) as ledger:
            yield ledger

    @pytest.fixture
    def elsewhere(self, address: str) -> Iterator[Ledger]:
        """The same ledger, opened once more."""
        with open_ledger(address) as ledger:
            yield ledger

    def test_clocks_that_differ_by_two_minutes_end_no_lease(
        self, ledger: Ledger, elsewhere: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def run() -> None:
            ours, theirs = Leases(ledger), Leases(elsewhere)
            await ours.take(KEYS)
            monkeypatch.setattr(holders, "datetime", _TwoMinutesAhead)
            assert (await theirs.take(KEYS)).leased == set(KEYS)
            await ours.give_back()
            assert (await theirs.take(KEYS)).leased == set()
            monkeypatch.undo()
            assert (await ours.take(KEYS)).leased == set(KEYS)

        asyncio.run(run())

    def test_run_that_lost_its_lease_is_told_before_it_sends(
        self, ledger: Ledger, elsewhere: Ledger, address: str
    ) -> None:
        async def run() -> None:
            ours, theirs = Leases(ledger), Leases(elsewhere)
            await ours.take(KEYS)
            execute(address, "update askers set until = '2000-01-01T00:00:00+00:00', clock_until = 0")  # it slept
            assert (await theirs.take(KEYS[:5])).leased == set()
            await ours.confirm()  # it does not know yet: surely nobody could take it so soon
            seconds_pass(ours, USUAL.sure_seconds + 1)
            with pytest.raises(LeaseLost):
                await ours.confirm()
            with pytest.raises(LeaseLost):
                await ours.confirm()
            assert (await ours.take(KEYS)).leased == set(KEYS[:5])
            await ours.confirm()

        asyncio.run(run())

    def test_lease_that_nobody_took_is_renewed_before_anything_is_sent(self, ledger: Ledger, address: str) -> None:
        async def run() -> None:
            ours = Leases(ledger)
            await ours.take(KEYS)
            execute(address, "update askers set until = '2000-01-01T00:00:00+00:00', clock_until = 0")
            await ours.confirm()
            assert query(address, "select until from askers where until > '2001'") == []
            seconds_pass(ours, USUAL.sure_seconds + 1)
            await ours.confirm()
            assert len(query(address, "select until from askers where until > '2001'")) == 1

        asyncio.run(run())

    def test_renewal_in_the_background_finds_out_as_well(self, ledger: Ledger, address: str) -> None:
        async def run() -> None:
            ours = Leases(ledger, Sharing(renewed_every_seconds=0.01))
            await ours.take(KEYS)
            async with ours.kept():
                await asyncio.to_thread(execute, address, "delete from askers")
                with pytest.raises(LeaseLost):
                    for _ in range(500):
                        await asyncio.sleep(0.01)
                        await ours.confirm()

        asyncio.run(run())

    def test_what_is_in_a_batch_is_not_leased_and_what_is_leased_comes_into_no_batch(
        self, ledger: Ledger, elsewhere: Ledger
    ) -> None:
        async def run() -> None:
            batch, stream = Leases(ledger), Leases(elsewhere)
            await batch.take(KEYS[:10])
            number = intend_batch(ledger, KEYS[:5], endpoint="p", leases=batch)
            assert number is not None
            found = await stream.take(KEYS)
            assert (found.in_batches, found.leased) == (set(KEYS[:5]), set(KEYS[5:10]))
            assert intend_batch(ledger, KEYS[5:11], endpoint="p", leases=batch) is None, "one is being streamed"
            assert intend_batch(ledger, KEYS[5:10], endpoint="p", leases=batch) is not None
            close_batch_items(ledger, KEYS[:2])
            drop_batch(ledger, number)
            found = await stream.take(KEYS)
            assert (found.in_batches, found.leased) == (set(KEYS[5:10]), set())

        asyncio.run(run())

    def test_fresh_batch_asks_whoever_else_is_asking(self, ledger: Ledger, elsewhere: Ledger) -> None:
        asyncio.run(Leases(elsewhere).take(KEYS))

        assert intend_batch(ledger, KEYS, endpoint="p") is not None

    @pytest.mark.parametrize("seed", range(5))
    def test_stream_and_batch_at_the_same_moment_never_have_the_same_key(self, address: str, seed: int) -> None:
        keys = [f"{seed:02x}{number:062x}" for number in range(8)]

        def as_stream(_: int) -> set[str]:
            with open_ledger(address) as ledger:
                return set(keys) - asyncio.run(Leases(ledger).take(keys)).keys

        def in_batch(_: int) -> set[str]:
            with open_ledger(address) as ledger:
                number = intend_batch(ledger, keys, endpoint="p", leases=Leases(ledger))
                return set() if number is None else set(keys)

        with ThreadPoolExecutor() as threads:
            futures = [threads.submit(way, n) for n in range(3) for way in (as_stream, in_batch)]
            taken = [future.result() for future in futures]

        assert sorted(map(len, taken)) == [0, 0, 0, 0, 0, 8]


class TestSQLite(LeaseRules):
    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'l.sqlite'}"


class TestPostgreSQL(InPostgreSQL, LeaseRules):
    pass
