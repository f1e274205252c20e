"""What is read from a ledger is what was written, or an error that names the row; and it is nobody else's to read."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.messages_server import MessagesServer
from tests.test_ledger import REPLY, execute, make_version_1, query, trial_of, write
from tests.written_notebooks import write_notebook
from workbench.definition.agent import Agent
from workbench.errors import LedgerError
from workbench.headless.batch import run_batch
from workbench.headless.batch_plan import load_batch
from workbench.ledger.columns import read_attempts
from workbench.ledger.file import FOUND_COLUMNS, ROW_COLUMNS, read_replies
from workbench.ledger.paid import find_paid
from workbench.ledger.schema import SCHEMA_VERSION, attempts
from workbench.ledger.store import Ledger, check_ledger, open_ledger
from workbench.ledger.versions import find_replies, find_versions
from workbench.project.tried import tried_versions
from workbench.runs.plan import plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.task import Task
from workbench.trial.trial import Failure, Reply, Usage

OLD: dict[str, str] = {"blob": "BLOB", "serial": "INTEGER NOT NULL", "primary_key": ", PRIMARY KEY (id)"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "l.sqlite"


@pytest.fixture
def address(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.mark.parametrize("name", [name for name in FOUND_COLUMNS if name not in ("id", "checksum", "key")])
def test_every_column_of_a_reply_is_checked(agent: Agent, path: Path, address: str, name: str) -> None:
    trial = trial_of(agent)
    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent, 1), trial)
    [(value,)] = query(address, f"select {name} from attempts where id = 2")
    execute(address, f"update attempts set {name} = :other where id = 2", other=other_than(value))

    with pytest.raises(LedgerError, match=r"l\.sqlite: row 2 of the table attempts is damaged.*WHERE id = 2"):
        read_replies(path, [trial.key])
    with open_ledger(path) as ledger, pytest.raises(LedgerError, match="row 2 of the table attempts is damaged"):
        ledger.find([trial.key])


def other_than(value: Any) -> Any:
    """The value with one bit flipped, or near to that."""
    if value is None:
        return "x"
    return value[:-1] + chr(ord(value[-1]) ^ 1) if isinstance(value, str) else value + 1


def test_three_bits_of_a_text_on_disk_are_seen(agent: Agent, server: MessagesServer, path: Path) -> None:
    server.pieces = ["A reply with a word that is nowhere else: ", "quetzal, and nothing more."]
    plan = plan_trials({"base": agent}, [Task(id="t", input="Hello")])
    run_trials(plan, ledger=path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    content = path.read_bytes()
    at = content.index(b"quetzal")
    path.write_bytes(content[:at] + bytes(byte ^ 1 for byte in content[at : at + 3]) + content[at + 3 :])

    with pytest.raises(LedgerError, match="row 1 of the table attempts is damaged"):
        run_trials(plan, ledger=path)
    with pytest.raises(LedgerError, match="row 1 of the table attempts is damaged"):
        run_trials(plan, ledger=path, mode="replay")


READERS: dict[str, Callable[[Path, Agent], object]] = {
    "find_replies": lambda path, agent: _opened(path, lambda ledger: find_replies(ledger, [agent.digest])),
    "read_attempts": lambda path, _: read_attempts(path),
}


def _opened(path: Path, read: Callable[[Ledger], object]) -> object:
    with open_ledger(path) as ledger:
        return read(ledger)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("column", ["text", "output_tokens", "stop_reason", "at"])
@pytest.mark.parametrize("is_whole", [True, False])
def test_every_reader_of_texts_holds_a_row_to_its_checksum(
    agent: Agent, path: Path, address: str, reader: str, column: str, is_whole: bool
) -> None:
    odd = trial_of(agent) if is_whole else trial_of(agent).replace(failure=Failure(type="broken_stream", message="cut"))
    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent, 1), odd)
    READERS[reader](path, agent)
    [(value,)] = query(address, f"select {column} from attempts where id = 2")
    execute(address, f"update attempts set {column} = :other where id = 2", other=other_than(value))

    with pytest.raises(LedgerError, match="row 2 of the table attempts is damaged .its checksum is another"):
        READERS[reader](path, agent)


@pytest.mark.parametrize("reader", READERS)
def test_reply_that_turned_into_a_failure_is_seen(agent: Agent, path: Path, address: str, reader: str) -> None:
    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent))
    execute(address, "update attempts set whole = 0")

    with pytest.raises(LedgerError, match="row 1 of the table attempts is damaged .its checksum is another"):
        READERS[reader](path, agent)


def test_version_is_not_graded_by_a_reply_that_it_never_gave(
    agent: Agent, path: Path, address: str, tmp_path: Path
) -> None:
    (tmp_path / "x.md").write_bytes(agent.to_bytes())
    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent), trial_of(agent, 1))
    execute(address, "update attempts set text = text || '.' where id = 2")

    with pytest.raises(LedgerError, match="row 2 of the table attempts is damaged"):
        tried_versions(tmp_path / "x.md", ledger=path, records=())


def test_text_of_a_version_that_is_not_what_its_hash_says_is_seen(agent: Agent, path: Path, address: str) -> None:
    names = {agent.name or ""}
    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent))
        assert [one.sha256 for one in find_versions(ledger, names)] == [agent.digest]
    execute(address, "update texts set body = cast(body || ' ' as blob) where sha256 = :one", one=agent.digest)

    with (
        open_ledger(path) as ledger,
        pytest.raises(LedgerError, match=f"row of the table texts is damaged .*WHERE sha256 = '{agent.digest}'"),
    ):
        find_versions(ledger, names)


@pytest.mark.parametrize("request_of_it", ["{", "[]", ""])
def test_request_that_is_no_json_is_named_when_replies_are_looked_for(
    agent: Agent, path: Path, address: str, request_of_it: str
) -> None:
    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent), trial_of(agent, 1))
    execute(address, "update attempts set request = :other, asked_checksum = null where id = 2", other=request_of_it)

    with open_ledger(path) as ledger, pytest.raises(LedgerError, match=r"row 2 of .*\(request is no JSON\)"):
        find_replies(ledger, [agent.digest])


@pytest.mark.parametrize(
    ("column", "read"),
    [
        ("text", READERS["find_replies"]),
        ("request", READERS["find_replies"]),
        ("failure_message", READERS["read_attempts"]),
        ("variant", lambda path, _: read_attempts(path, texts=False)),
        ("variant", lambda path, agent: _opened(path, lambda ledger: find_versions(ledger, {agent.name or ""}))),
        ("at", lambda path, agent: _opened(path, lambda ledger: find_versions(ledger, {agent.name or ""}))),
        ("model", lambda path, agent: find_paid(path, [trial_of(agent, repeat).key for repeat in range(5)])),
    ],
)
def test_every_reader_names_the_row_with_bytes_that_are_no_text(
    agent: Agent, path: Path, address: str, column: str, read: Callable[[Path, Agent], object]
) -> None:
    with open_ledger(path) as ledger:
        write(ledger, agent, *(trial_of(agent, repeat) for repeat in range(5)))
    execute(address, f"update attempts set {column} = cast(x'ff41' as text) where id = 4")

    with pytest.raises(LedgerError, match="row 4 of the table attempts is damaged.*bytes that are no text"):
        read(path, agent)


ALL_READERS: dict[str, Callable[[Path, Agent], object]] = {
    **READERS,
    "read_attempts without texts": lambda path, _: read_attempts(path, texts=False),
    "read_replies": lambda path, agent: read_replies(path, keys_of(agent)),
    "find_paid": lambda path, agent: find_paid(path, keys_of(agent)),
    "find": lambda path, agent: _opened(path, lambda ledger: ledger.find(keys_of(agent))),
    "nearest": lambda path, agent: _opened(path, lambda ledger: ledger.nearest(trial_of(agent, 9))),
    "endpoints": lambda path, _: _opened(path, lambda ledger: ledger.endpoints()),
    "find_versions": lambda path, agent: _opened(path, lambda ledger: find_versions(ledger, {agent.name or ""})),
}
ODD_VALUES = {"null": "null", "blob": "x'00ff41'", "integer": "7", "real": "7.5", "text": "'7'"}


def keys_of(agent: Agent) -> list[str]:
    return [trial_of(agent, repeat).key for repeat in range(3)]


def without_types(path: Path, table: str) -> None:
    """The table takes whatever is put into it, as a page of it does on which a bit has turned."""
    with closing(sqlite3.connect(path)) as connection, connection:
        columns = [name for _, name, *_ in connection.execute(f"pragma table_info({table})")]
        indexes = [sql for (sql,) in connection.execute("select sql from sqlite_master where tbl_name = ?", [table])]
        declared = ", ".join(f'"{name}"' + " integer primary key" * (name == "id") for name in columns)
        connection.execute(f"alter table {table} rename to before")
        connection.execute(f"create table {table} ({declared})")
        connection.execute(f"insert into {table} select * from before")
        connection.execute("drop table before")
        for sql in indexes:
            if sql and sql.startswith("CREATE INDEX"):
                connection.execute(sql)


@pytest.mark.parametrize("column", [column.name for column in attempts.c if column.name != "id"])
@pytest.mark.parametrize("is_of_before", [False, True])
def test_a_value_of_another_type_is_never_taken_for_what_was_written(
    agent: Agent, path: Path, column: str, is_of_before: bool
) -> None:
    """Every reader gives what was written, finds nothing, or names the row; one of before there were checksums, too."""
    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent), trial_of(agent, 1), trial_of(agent, 2))
    without_types(path, "attempts")
    if is_of_before:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("update attempts set checksum = null, asked_checksum = null")
    before = {name: read(path, agent) for name, read in ALL_READERS.items()}
    with closing(sqlite3.connect(path)) as connection, connection:
        [(value,)] = connection.execute(f'select "{column}" from attempts where id = 2')
    may_be_none = {type(None)} if attempts.c[column].nullable else set()
    for kind, odd in ODD_VALUES.items():
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f'update attempts set "{column}" = {odd} where id = 2')
            [(now,)] = connection.execute(f'select "{column}" from attempts where id = 2')
        if type(now) is type(value):
            continue
        for name, read in ALL_READERS.items():
            try:
                found = read(path, agent)
            except LedgerError as error:
                assert "row 2 of the table attempts is damaged" in str(error), (kind, name)
            else:
                assert type_of(column, found) <= {attempts.c[column].type.python_type, *may_be_none}, (kind, name)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f'update attempts set "{column}" = ? where id = 2', [value])
    assert {name: read(path, agent) for name, read in ALL_READERS.items()} == before


def type_of(column: str, found: object) -> set[type]:
    """The types of the values in a column, where a reader gives columns."""
    values = found.get({"place": "endpoint"}.get(column, column)) if isinstance(found, dict) else None
    return set(map(type, values)) if isinstance(values, list) else set()


@pytest.mark.parametrize("odd", ODD_VALUES)
@pytest.mark.parametrize("column", ["sha256", "body"])
def test_a_text_of_another_type_is_named(agent: Agent, path: Path, column: str, odd: str) -> None:
    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent))
        before = find_versions(ledger, {agent.name or ""})
    without_types(path, "texts")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"update texts set {column} = {ODD_VALUES[odd]} where sha256 = ?", [agent.digest])

    for read in ALL_READERS.values():
        try:
            read(path, agent)
        except LedgerError as error:
            assert "is damaged" in str(error)
    with open_ledger(path) as ledger:
        if column == "sha256" or odd == "null":
            assert find_versions(ledger, {agent.name or ""}) == (), "as a text that was left out by hand"
        else:
            with pytest.raises(LedgerError, match="row of the table texts is damaged"):
                find_versions(ledger, {agent.name or ""})
    assert before


def test_every_bit_of_a_row_is_seen_where_all_of_it_is_read(agent: Agent, path: Path, server: MessagesServer) -> None:
    """Of what was asked too; but for its number, by which nothing is found that is another's."""
    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent), trial_of(agent, 1).replace(variant="quetzal"), trial_of(agent, 2))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.execute("pragma journal_mode = delete")
        [(last,)] = connection.execute("select asked_checksum from attempts where id = 2")
    content, written = path.read_bytes(), read_attempts(path)
    inside = content.index(b"quetzal")
    first, end = content.rindex(trial_of(agent, 1).key.encode(), 0, inside), content.index(last.encode(), inside) + 32
    wrong = []
    for position in range(first, end, 3):
        bit = 1 << position % 8
        path.write_bytes(content[:position] + bytes([content[position] ^ bit]) + content[position + 1 :])
        try:
            found = read_attempts(path)
        except LedgerError as error:
            assert "row 2 of the table attempts is damaged" in str(error), position - first
        else:
            wrong += [position - first] if found != written else []

    assert wrong == []


@pytest.mark.parametrize("column", ["request", "agent_sha256", "system_sha256", "place", "variant", "task_id", "draw"])
def test_what_was_asked_is_held_to_a_checksum_of_its_own(agent: Agent, path: Path, address: str, column: str) -> None:
    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent), trial_of(agent, 1))
    [(value,)] = query(address, f"select {column} from attempts where id = 2")
    execute(address, f"update attempts set {column} = :other where id = 2", other=other_than(value))

    with pytest.raises(LedgerError, match="row 2 of the table attempts is damaged .its checksum is another"):
        read_attempts(path)
    with open_ledger(path) as ledger:
        if column != "task_id":  # by which it looks for them
            with pytest.raises(LedgerError, match="row 2 of the table attempts is damaged .its checksum is another"):
                ledger.nearest(trial_of(agent, 9))
        if column == "agent_sha256":
            with pytest.raises(LedgerError, match="row 2 of the table attempts is damaged .its checksum is another"):
                find_versions(ledger, {agent.name or ""})


def test_all_of_a_row_is_under_a_checksum() -> None:
    assert sorted(ROW_COLUMNS) == sorted(column.name for column in attempts.c)


def test_row_of_the_version_before_is_read_by_the_rule_of_then(agent: Agent, path: Path, address: str) -> None:
    """And a kernel that still runs that version goes on writing such rows beneath one of today."""
    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent))
    execute(address, "alter table attempts drop column asked_checksum")
    execute(address, "update about set schema_version = 5")

    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent, 1))
        assert ledger.find(keys_of(agent)[:2]).keys() == set(keys_of(agent)[:2])
    assert read_attempts(path)["asked_checksum"][0] is None and read_attempts(path)["asked_checksum"][1] is not None
    execute(address, "update attempts set text = 'Another.' where id = 1")
    with pytest.raises(LedgerError, match="row 1 of the table attempts is damaged .its checksum is another"):
        read_attempts(path)


def test_attempt_that_broke_off_never_turns_into_an_answer(agent: Agent, path: Path, address: str) -> None:
    broken = trial_of(agent).replace(failure=Failure(type="broken_stream", message="cut"))
    with open_ledger(path) as ledger:
        write(ledger, agent, broken)
    execute(address, "update attempts set whole = 1")

    with pytest.raises(LedgerError, match="row 1 of the table attempts is damaged"):
        read_replies(path, [broken.key])


@pytest.mark.parametrize("column", ["text", "stop_reason", "request_id", "at"])
def test_bytes_that_are_no_text_are_named_with_their_row(agent: Agent, path: Path, address: str, column: str) -> None:
    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent), trial_of(agent, 1))
    execute(address, f"update attempts set {column} = cast(x'ff41' as text) where id = 2")

    with open_ledger(path) as ledger:
        with pytest.raises(LedgerError, match="row 2 of the table attempts is damaged.*bytes that are no text"):
            ledger.find([trial_of(agent, repeat).key for repeat in range(2)])
        assert ledger.find([trial_of(agent).key]) == {trial_of(agent).key: REPLY}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ("text = null", "a text or a count is none"),
        ("text = x'00ff'", "a text or a count is none"),
        ("input_tokens = 'many'", "a text or a count is none"),
        ("stop_details = '{'", "stop_details is no JSON"),
    ],
)
def test_row_of_before_there_were_checksums_is_held_to_its_types(
    agent: Agent, path: Path, address: str, changes: str, why: str
) -> None:
    make_version_1(address, [trial_of(agent), trial_of(agent, 1), trial_of(agent, 2)], **OLD)
    with open_ledger(path) as ledger:
        assert ledger.find([trial_of(agent).key])[trial_of(agent).key].text == "reply 0"
    execute(address, f"update attempts set {changes} where id = 1")

    with open_ledger(path) as ledger:
        with pytest.raises(LedgerError, match=f"row 1 of the table attempts is damaged .{why}"):
            ledger.find([trial_of(agent).key])
        assert ledger.find([trial_of(agent, 1).key])


def test_request_that_is_no_json_is_named_when_it_is_compared(agent: Agent, path: Path, address: str) -> None:
    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent))
    execute(address, "update attempts set request = '{', asked_checksum = null")

    with open_ledger(path) as ledger, pytest.raises(LedgerError, match=r"row 1 of .*\(request is no JSON\)"):
        ledger.nearest(trial_of(agent, 1))


@pytest.mark.parametrize("odd", [-5, 10**30, 2**62, True, "many", 0.5])
def test_odd_count_costs_no_reply_and_is_not_known(agent: Agent, path: Path, odd: Any) -> None:
    trial = trial_of(agent).replace(
        reply=Reply(text="Hi", stop_reason="end_turn", usage=Usage(input_tokens=odd, output_tokens=7))
    )
    with open_ledger(path) as ledger:
        write(ledger, agent, trial)

        assert ledger.find([trial.key])[trial.key].usage == Usage(output_tokens=7)


def modes(path: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob("l.sqlite*")}


def test_new_ledger_is_its_users_own(agent: Agent, path: Path) -> None:
    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent))

        assert modes(path) == {"l.sqlite": 0o600, "l.sqlite-wal": 0o600, "l.sqlite-shm": 0o600}


def test_ledger_that_is_brought_up_to_date_becomes_its_users_own_and_stays_as_the_user_wants(
    agent: Agent, path: Path, address: str
) -> None:
    make_version_1(address, [trial_of(agent)], **OLD)
    path.chmod(0o644)
    open_ledger(path).close()
    assert modes(path) == {"l.sqlite": 0o600}

    path.chmod(0o660)
    open_ledger(path).close()
    assert modes(path) == {"l.sqlite": 0o660}


def test_what_was_said_is_kept_as_it_was_said(agent: Agent, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_PASSWORD", "postgres")
    said = Reply(text="Use postgresql+asyncpg://{user}:{password}@{host} with postgres.", stop_reason="end_turn")
    of_it = agent.replace(prompt="You know postgres and mydb://me:secret@host.\n")
    trial = trial_of(of_it).replace(reply=said)
    with open_ledger(path) as ledger:
        write(ledger, of_it, trial)

        assert ledger.find([trial.key]) == {trial.key: said}
    with closing(sqlite3.connect(path)) as connection:
        bodies = {body for (body,) in connection.execute("select body from texts")}
    assert of_it.to_bytes() in bodies


def test_newer_ledger_names_the_version_that_it_needs(path: Path, address: str) -> None:
    open_ledger(path).close()
    execute(address, f"update about set schema_version = {SCHEMA_VERSION + 1}, workbench = '7.8.9'")

    with pytest.raises(LedgerError, match=r"upgrade the workbench to 7\.8\.9 or later"):
        check_ledger(path)


def test_batch_that_meets_a_newer_ledger_says_so_before_it_begins(
    path: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ledger(path).close()
    execute(address, f"update about set schema_version = {SCHEMA_VERSION + 1}, workbench = '7.8.9'")
    monkeypatch.setenv("WORKBENCH_LEDGER", str(path))
    monkeypatch.chdir(tmp_path)
    notebook = write_notebook(tmp_path / "n.ipynb", {"parameters": "x: int = 1", "cell": "print(x)"})
    (tmp_path / "plan.yaml").write_text(f"out: batch\nnotebooks:\n- notebook: {notebook.name}\n")

    with pytest.raises(LedgerError, match=r"upgrade the workbench to 7\.8\.9 or later"):
        run_batch(load_batch(tmp_path / "plan.yaml"), progress=False)
    assert not (tmp_path / "batch").exists()


def test_check_passes_where_a_ledger_is_or_none_is_yet_and_makes_none(path: Path) -> None:
    check_ledger(path)
    assert not path.exists()
    open_ledger(path).close()
    check_ledger(path)


def test_writing_and_reading_are_of_one_checksum_in_every_database_type(agent: Agent, path: Path) -> None:
    whole_seconds = Reply(text="", stop_reason="end_turn", seconds=1, seconds_to_first_token=0)
    trial = trial_of(agent).replace(reply=whole_seconds)
    with open_ledger(path) as ledger:
        asyncio.run(ledger.write(trial, agent))

        assert ledger.find([trial.key]) == {trial.key: whole_seconds}
