"""What the small tables of a ledger hold is taken at its type, or the row is named; and money is never taken twice."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.spender import SCOPE, TRIAL
from tests.test_ledger import execute, trial_of
from workbench.definition.agent import Agent
from workbench.errors import LedgerError
from workbench.ledger.budget.limits import Limit
from workbench.ledger.budget.reservation import Budget, Reservation, open_budget
from workbench.ledger.budget.worst_case import most_of
from workbench.ledger.file import SCHEMA_VERSION
from workbench.ledger.leases import Elsewhere, Leases
from workbench.ledger.open_batches import (
    close_batch_items,
    drop_batch,
    find_open_batches,
    intend_batch,
    known_batch_ids,
    name_batch,
)
from workbench.ledger.schema import tables
from workbench.ledger.store import Ledger, check_ledger, open_ledger

WORST = most_of(TRIAL.request)
LEASED, NAMED, UNNAMED = ([f"{number:064x}" for number in numbers] for numbers in ((1, 2), (3, 4), (5, 6)))
SMALL = [table for name, table in tables.tables.items() if name not in ("attempts", "texts")]
COLUMNS = [
    (table.name, column.name)
    for table in SMALL
    for column in table.c
    if (table.name, column.name) != ("batches", "number")
]
"""But for the number of a batch, which SQLite itself holds to its type."""
NONE = {
    "null": "NULL",
    "blob": "x'00ff41'",
    "bytes that are no text": "CAST(x'ff41' AS TEXT)",
    "real": "7.5",
    "infinity": "9e999",
    "not a number": "9e999 - 9e999",
}
"""Never what was written; the last is null in SQLite."""
NONE_OF_NUMBERS = {"negative": "-7", "a text": "'many'", "a number as a text": "'7'"}
NONE_OF_TEXTS = {"integer": "7", "negative": "-7", "large": str(2**62)}
NONE_OF_DATES = {"no date": "'yesterday'", "a date of no zone": "'2026-01-01T00:00:00'", "empty": "''"}
NONE_OF_SCOPES = {"no JSON": "'['", "another JSON": "'[7]'", "empty": "''"}
UNSEEN = {
    ("claims", "key"): "it is looked up by what it is",
    ("budget_holds", "scope"): "what is set aside there stays taken",
    ("about", "workbench"): "it is read of a newer ledger alone, and tested there",
}
"""Columns in which none of these operations sees what is there, and why."""


def odd_values(table: str, column: str) -> dict[str, str]:
    """What this column never holds, as SQL."""
    found = tables.tables[table].c[column]
    odd = dict(NONE)
    if found.nullable and (table, column) not in (("batch_items", "tokens"), ("batch_items", "picousd")):
        del odd["null"], odd["not a number"]
    if isinstance(found.type, sa.String):
        odd |= NONE_OF_TEXTS
        odd |= NONE_OF_DATES if column in ("at", "since", "until") else {}
        return odd | (NONE_OF_SCOPES if column == "scopes" else {})
    odd |= NONE_OF_NUMBERS | {"large": str(2**62)}
    return odd | ({"integer": "7"} if isinstance(found.type, sa.Boolean) else {})


async def opened_budget(ledger: Ledger, times: int) -> Budget:
    """A budget of so many worst cases, in tokens and in money."""
    limit = Limit(scope=SCOPE, tokens=WORST.tokens * times, picousd=WORST.picousd * times)
    return await open_budget(ledger, [TRIAL], [limit], deadline_seconds=60, seconds_between_looks=0.01)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a ledger with rows in every table, that takes any value in any column."""
    path = tmp_path_factory.mktemp("ledger") / "l.sqlite"

    async def write(ledger: Ledger) -> None:
        budget = await opened_budget(ledger, 5)
        account = budget.account
        assert account is not None
        for keys, name in ((NAMED, "batch_1"), (UNNAMED, None)):
            most = dict.fromkeys(keys, WORST)
            number = intend_batch(ledger, keys, endpoint="p", also=partial(account.set_aside, most=most))
            assert number is not None
            if name is not None:
                name_batch(ledger, number, name)
        assert await budget.reserve_when_it_fits(TRIAL.request) is not None
        await Leases(ledger).take(LEASED)

    with open_ledger(path) as ledger:
        asyncio.run(write(ledger))
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in SMALL:
            take_any(connection, table.name)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.execute("pragma journal_mode = delete")
    return path.read_bytes()


def take_any(connection: sqlite3.Connection, table: str) -> None:
    """The table takes whatever is put into it, as a page of it does on which a bit has turned."""
    found = list(connection.execute(f"pragma table_info({table})"))
    keys = [name for _, name, *_, is_key in found if is_key]
    declared = [f'"{name}"' + " integer primary key" * (name == "number") for _, name, *_ in found]
    unique = [f"unique ({', '.join(keys)})"] if keys and keys != ["number"] else []
    connection.execute(f"alter table {table} rename to before")
    connection.execute(f"create table {table} ({', '.join(declared + unique)})")
    connection.execute(f"insert into {table} select * from before")
    connection.execute("drop table before")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "l.sqlite"


def lay(path: Path, written: bytes, *statements: str) -> str:
    """The ledger as it was written, and then changed by these statements; its address."""
    for left in path.parent.glob("l.sqlite*"):
        left.unlink()
    path.write_bytes(written)
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return f"sqlite:///{path}"


def take_leases(ledger: Ledger) -> object:
    return asyncio.run(Leases(ledger).take([*LEASED, *NAMED]))


def ask_within_a_budget(ledger: Ledger) -> object:
    """As a run does that finds no room for its only request: four are in batches, and one of another in flight."""

    async def run() -> list[object]:
        budget = await opened_budget(ledger, 5)
        reservation = budget.reserve(TRIAL.request)
        if reservation is None:
            await ledger.transact(budget.renew, committed=budget.renewed)
            await budget.look()
            reservation = budget.reserve(TRIAL.request)
        assert budget.may_fit(WORST) is False
        said = repr(budget)
        await budget.close()
        return [reservation, said]

    return asyncio.run(run())


OPERATIONS: dict[str, tuple[tuple[str, ...], Callable[[Ledger], object]]] = {
    "opening": (("about",), lambda ledger: ledger.count()),
    "take": (("claims", "askers", "batch_items"), take_leases),
    "ask within a budget": (("budgets", "budget_holds", "batch_items"), ask_within_a_budget),
    "find_open_batches": (("batches", "batch_items"), lambda ledger: find_open_batches(ledger, endpoint="p")),
    "known_batch_ids": (("batches",), lambda ledger: known_batch_ids(ledger, endpoint="p")),
    "name_batch": (("batches",), lambda ledger: name_batch(ledger, 2, "batch_2")),
    "drop_batch": (("batches", "batch_items", "budgets"), lambda ledger: drop_batch(ledger, 2)),
    "close_batch_items": (
        ("batch_items", "budgets"),
        lambda ledger: close_batch_items(ledger, [*NAMED, *UNNAMED], lambda _: WORST),
    ),
    "intend_batch": (
        ("claims", "askers", "batch_items"),
        lambda ledger: intend_batch(ledger, LEASED, endpoint="p", leases=Leases(ledger)),
    ),
}


def test_every_operation_gives_its_value_where_nothing_is_damaged(path: Path, written: bytes) -> None:
    found = {}
    for name, (_, work) in OPERATIONS.items():
        lay(path, written)
        with open_ledger(path) as ledger:
            found[name] = work(ledger)
            assert set(map(type, (found[name],))) <= {int, Elsewhere, list, tuple, frozenset, type(None)}
    assert found["take"] == Elsewhere(leased=frozenset(LEASED), in_batches=frozenset(NAMED))
    assert found["known_batch_ids"] == {"batch_1"}
    assert isinstance(found["find_open_batches"], tuple) and len(found["find_open_batches"]) == 2
    assert isinstance(found["ask within a budget"], list) and found["ask within a budget"][0] is None


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_value_that_a_column_never_holds_is_named_with_its_row(
    path: Path, written: bytes, table: str, column: str
) -> None:
    """Each operation gives its value or names the row, and one of them names it."""
    named = (
        f"the row.* of the table {table} is damaged .{column} is .*: put a copy of the ledger of before in its place"
    )
    for kind, odd in odd_values(table, column).items():
        damage = f'update {table} set "{column}" = {odd} where rowid = (select max(rowid) from {table})'
        errors: list[str] = []
        for name, (tables_read, _) in OPERATIONS.items():
            if table not in tables_read:
                continue
            said = said_by(name, path, written, damage)
            assert not said or re.search(named, said), (kind, name, said)
            errors += [said] if said else []
        assert errors or (table, column) in UNSEEN, kind


@pytest.mark.parametrize("odd", [NONE["blob"], NONE["bytes that are no text"]])
@pytest.mark.parametrize("table", [table.name for table in SMALL if table.name != "about"])
def test_what_a_message_says_to_do_leaves_nothing_damaged(path: Path, written: bytes, table: str, odd: str) -> None:
    for column in (column.name for column in tables.tables[table].c if (table, column.name) in COLUMNS):
        if (table, column) in UNSEEN:
            continue
        damage = f'update {table} set "{column}" = {odd} where rowid = (select max(rowid) from {table})'
        [said, *_] = filter(None, (said_by(name, path, written, damage) for name in OPERATIONS))
        mends = re.findall(r"DELETE FROM [^;]+", said)
        assert mends
        for name, (tables_read, _) in OPERATIONS.items():
            if table in tables_read and name != "ask within a budget":  # in which there is room now
                assert said_by(name, path, written, damage, *mends) == "", name


def said_by(name: str, path: Path, written: bytes, *statements: str) -> str:
    """What an operation says is wrong with the ledger after these statements; empty: nothing."""
    lay(path, written, *statements)
    try:
        with open_ledger(path) as ledger:
            OPERATIONS[name][1](ledger)
    except LedgerError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("column", "odd"),
    [
        (column, odd)
        for column in ("tokens", "picousd", "scope", "unpriced")
        for odd in sorted({*odd_values("budgets", column).values(), *NONE.values(), str(2**62), str(2**63 - 1)})
    ],
)
def test_damaged_budget_never_lets_a_call_through(path: Path, written: bytes, column: str, odd: str) -> None:
    """Neither where a run begins nor while one asks, whatever it holds of it already."""
    damage = f"update budgets set {column} = {odd}"

    async def begin(ledger: Ledger) -> Reservation | None:
        return await (await opened_budget(ledger, 5)).reserve_when_it_fits(TRIAL.request)

    async def go_on(ledger: Ledger, address: str) -> Reservation | None:
        budget = await opened_budget(ledger, 6)
        assert await budget.reserve_when_it_fits(TRIAL.request) is not None
        execute(address, damage)
        return await budget.reserve_when_it_fits(TRIAL.request)

    lay(path, written, damage)
    with open_ledger(path) as ledger:
        assert is_refused(lambda: asyncio.run(begin(ledger)))
    address = lay(path, written)
    with open_ledger(path) as ledger:
        assert is_refused(lambda: asyncio.run(go_on(ledger, address)))


def is_refused(work: Callable[[], Reservation | None]) -> bool:
    try:
        return work() is None
    except LedgerError as error:
        return "table budgets" in str(error)


@pytest.mark.parametrize("odd", ["x'00ff41'", "'many'", "-7", "7.5", "NULL"])
def test_reply_that_comes_while_a_budget_is_damaged_is_kept(agent: Agent, path: Path, written: bytes, odd: str) -> None:
    """And the damaged number is left as it is, not counted as nothing and added to."""
    address = lay(path, written)
    trial = trial_of(agent)

    async def write(ledger: Ledger) -> None:
        budget = await opened_budget(ledger, 6)
        execute(address, f"update budgets set tokens = {odd}")
        budget._allowance.want(1, WORST)
        await ledger.write(trial, agent, also=budget.renew, committed=budget.renewed)

    with (
        open_ledger(path) as ledger,
        pytest.raises(LedgerError, match=r"table budgets is damaged .*is kept in .*unsaved"),
    ):
        asyncio.run(write(ledger))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(f"select tokens is {odd} from budgets").fetchall() == [(1,)]
    with open_ledger(path) as ledger:
        assert ledger.find([trial.key]) == {trial.key: trial.reply}


def test_budget_that_is_gone_says_so(path: Path, written: bytes) -> None:
    address = lay(path, written)

    async def go_on(ledger: Ledger) -> None:
        budget = await opened_budget(ledger, 6)
        execute(address, "delete from budgets")
        await budget.reserve_when_it_fits(TRIAL.request)

    with open_ledger(path) as ledger, pytest.raises(LedgerError, match=f"no row of the scope '{SCOPE}' any more"):
        asyncio.run(go_on(ledger))


def test_request_in_a_batch_that_is_not_there_is_named(path: Path, written: bytes) -> None:
    lay(path, written, f"update batch_items set batch = 7 where key = '{NAMED[1]}'")

    with (
        open_ledger(path) as ledger,
        pytest.raises(LedgerError, match=f"the row key = '{NAMED[1]}' of the table batch_"),
    ):
        find_open_batches(ledger, endpoint="p")


def test_message_says_where_what_was_found_and_what_to_do(path: Path, written: bytes) -> None:
    lay(path, written, "update budgets set tokens = x'00ff41'")

    with open_ledger(path) as ledger, pytest.raises(LedgerError) as raised:
        asyncio.run(opened_budget(ledger, 5))
    assert str(raised.value) == (
        f"{path}: the row scope = 'a batch' of the table budgets is damaged (tokens is b'\\x00\\xffA'): put a copy of the "
        "ledger of before in its place, or begin that budget anew with nothing spent, while no run is at work, by "
        "DELETE FROM budgets WHERE scope = 'a batch'; DELETE FROM budget_holds WHERE scope = 'a batch'"
    )


@pytest.mark.parametrize("odd", [*NONE.values(), "'many'", "-1", str(2**62)])
def test_schema_that_cannot_be_read_is_named_wherever_a_ledger_is_opened(path: Path, written: bytes, odd: str) -> None:
    lay(path, written, f"update about set schema_version = {odd}")

    with pytest.raises(LedgerError, match="the row of the table about is damaged .schema_version is"):
        check_ledger(path)


@pytest.mark.parametrize("odd", ["x'00ff41'", "CAST(x'ff41' AS TEXT)", "7"])
def test_newer_ledger_whose_version_cannot_be_read_is_named(path: Path, written: bytes, odd: str) -> None:
    lay(path, written, f"update about set schema_version = {SCHEMA_VERSION + 1}, workbench = {odd}")

    with pytest.raises(LedgerError, match="the row of the table about is damaged .workbench is"):
        check_ledger(path)
