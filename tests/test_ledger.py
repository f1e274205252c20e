from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.ledger_writer import numbered, start_writer
from workbench.definition.agent import Agent
from workbench.errors import LedgerError
from workbench.ledger.file import SCHEMA_VERSION
from workbench.ledger.leases import Leases
from workbench.ledger.schema import attempts
from workbench.ledger.store import Ledger, open_ledger
from workbench.runs.plan import make_request
from workbench.trial.trial import Endpoint, Failure, Reply, Request, Trial, Usage

ENDPOINT = Endpoint(kind="server", base_url="http://127.0.0.1:1")
REPLY = Reply(
    text="It depends — 你好 \u2028 \x00 \x1a0 \x1a\x00 🐍",
    stop_reason="refusal",
    stop_details={"category": "cyber"},
    model="m",
    usage=Usage(
        input_tokens=1,
        output_tokens=2,
        cache_creation_input_tokens=3,
        cache_read_input_tokens=4,
        cache_creation_1h_input_tokens=5,
        service_tier="batch",
    ),
    request_id="req_1",
    seconds_to_first_token=0.5,
    seconds=1.5,
    attempts=2,
)

VERSION_1 = """
CREATE TABLE about (schema_version INTEGER NOT NULL);
CREATE TABLE texts (sha256 VARCHAR(64) NOT NULL, body {blob} NOT NULL, PRIMARY KEY (sha256));
CREATE TABLE attempts (
    id {serial}, key VARCHAR(64) NOT NULL, at VARCHAR(32) NOT NULL, variant TEXT NOT NULL, task_id TEXT NOT NULL,
    repeat INTEGER NOT NULL, place TEXT NOT NULL, agent_sha256 VARCHAR(64) NOT NULL, system_sha256 VARCHAR(64) NOT NULL,
    request TEXT NOT NULL, whole BOOLEAN NOT NULL, text TEXT, stop_reason TEXT, stop_details TEXT, model TEXT,
    input_tokens INTEGER, output_tokens INTEGER, cache_creation_input_tokens INTEGER, cache_read_input_tokens INTEGER,
    request_id TEXT, seconds_to_first_token FLOAT, seconds FLOAT, attempts INTEGER NOT NULL, failure_type TEXT,
    failure_message TEXT, failure_status INTEGER{primary_key});
CREATE INDEX ix_attempts_key ON attempts (key);
INSERT INTO about (schema_version) VALUES (1);
"""
INSERT_1 = """
INSERT INTO attempts (key, at, variant, task_id, repeat, place, agent_sha256, system_sha256, request, whole, text,
    stop_reason, model, input_tokens, output_tokens, attempts, failure_type)
VALUES (:key, '2026-11-01T10:00:00.000+00:00', 'base', 't', :repeat, :place, 'a', 's', :request, :whole, :text,
    'end_turn', 'm', 10, 20, 1, :failure)
"""


def trial_of(agent: Agent, repeat: int = 0) -> Trial:
    return Trial(
        variant="base",
        task_id="t",
        repeat=repeat,
        request=make_request(agent, "Hello"),
        endpoint=ENDPOINT,
        reply=REPLY,
    )


def write(ledger: Ledger, agent: Agent, *trials: Trial) -> None:
    for trial in trials:
        asyncio.run(ledger.write(trial, agent))


@contextmanager
def database(address: str) -> Iterator[sa.Connection]:
    """The database beneath a ledger, in one transaction."""
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def query(address: str, statement: str) -> list[Any]:
    with database(address) as connection:
        return list(connection.execute(sa.text(statement)))


def execute(address: str, statement: str, **values: object) -> None:
    with database(address) as connection:
        connection.execute(sa.text(statement), values)


def make_version_1(address: str, trials: list[Trial], **types: str) -> None:
    """A ledger as version 1 of the schema had it, with one attempt for each trial; the last one failed."""
    with database(address) as connection:
        for statement in VERSION_1.format(**types).split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        for trial in trials:
            row = {
                "key": trial.key,
                "repeat": trial.repeat,
                "place": trial.endpoint.base_url,
                "request": '{"max_tokens": 8000}',
                "whole": trial is not trials[-1],
                "text": f"reply {trial.repeat}",
                "failure": "broken_stream" if trial is trials[-1] else None,
            }
            connection.execute(sa.text(INSERT_1), row)


class LedgerRules:
    """What holds for a ledger in any database; a subclass says in which one it is tested."""

    types_of_version_1: dict[str, str]

    def test_reply_comes_back_as_it_went_in(self, agent: Agent, address: str) -> None:
        trial = trial_of(agent)
        with open_ledger(address) as ledger:
            write(ledger, agent, trial)

        with open_ledger(address) as ledger:
            assert ledger.find([trial.key, "unknown"]) == {trial.key: REPLY}

    def test_newest_whole_reply_is_the_answer(self, agent: Agent, address: str) -> None:
        trial = trial_of(agent)
        newer = trial.replace(reply=Reply(text="newer", stop_reason="end_turn"))
        broken = trial.replace(reply=Reply(text="ha"), failure=Failure(type="broken_stream", message="cut"))

        with open_ledger(address) as ledger:
            write(ledger, agent, trial, newer, broken)

            assert ledger.find([trial.key])[trial.key].text == "newer"
            assert (ledger.count(), ledger.count(whole=True)) == (3, 2)

    def test_key_is_leased_by_one_run_however_many_try_at_once(self, address: str) -> None:
        keys = {f"{number:064x}" for number in range(200)}

        def take(_: int) -> set[str]:
            with open_ledger(address) as ledger:
                elsewhere = asyncio.run(Leases(ledger).take(keys))
                assert elsewhere.in_batches == frozenset()
                return keys - elsewhere.leased

        with ThreadPoolExecutor() as threads:
            taken = list(threads.map(take, range(4)))

        assert sorted(map(len, taken)) == [0, 0, 0, 200]

    def test_key_that_is_given_back_is_free_for_others(self, address: str) -> None:
        keys = {f"{number:064x}" for number in range(200)}

        async def take() -> tuple[set[str], set[str]]:
            with open_ledger(address) as ledger:
                first, second = Leases(ledger), Leases(ledger)
                await first.take(keys)
                before = (await second.take(keys)).leased
                await first.give_back({min(keys)})
                return set(before), set((await second.take(keys)).leased)

        assert asyncio.run(take()) == (keys, keys - {min(keys)})

    def test_agents_full_text_is_kept_once_by_hash(self, agent: Agent, address: str) -> None:
        with open_ledger(address) as ledger:
            write(ledger, agent, *(trial_of(agent, repeat) for repeat in range(3)))

        rows = query(address, "select sha256, body from texts")
        assert dict(map(tuple, rows))[agent.digest] == agent.to_bytes()
        assert len(rows) == 2
        assert query(address, "select distinct agent_sha256 from attempts") == [(agent.digest,)]

    def test_two_ledgers_on_one_database_write_at_once(self, agent: Agent, address: str) -> None:
        async def write_all() -> None:
            with open_ledger(address) as one, open_ledger(address) as other:
                await asyncio.gather(
                    *(ledger.write(trial_of(agent, n), agent) for n in range(100) for ledger in (one, other))
                )

        asyncio.run(write_all())

        with open_ledger(address) as ledger:
            assert ledger.count() == 200

    def test_processes_that_start_and_write_at_once_lose_nothing(self, address: str) -> None:
        writers = [start_writer(address, first, 100) for first in range(0, 400, 100)]
        for writer in writers:
            writer.communicate()

        assert [writer.returncode for writer in writers] == [0] * 4
        with open_ledger(address) as ledger:
            assert len(ledger.find(numbered(number).key for number in range(400))) == ledger.count() == 400
        assert query(address, "select count(*) from about") == [(1,)]

    @pytest.mark.machine
    def test_what_a_killed_process_reported_is_there(self, address: str) -> None:
        writer = start_writer(address, 0, 100_000)
        assert writer.stdout is not None
        durable = [int(writer.stdout.readline()) for _ in range(300)]
        writer.send_signal(signal.SIGKILL)
        durable += [int(line) for line in writer.stdout.read().split("\n")[:-1]]
        writer.wait()
        writer.stdout.close()

        with open_ledger(address) as ledger:
            found = ledger.find(numbered(number).key for number in durable)
            written = ledger.count()
        assert {number: found[numbered(number).key].text for number in durable} == {
            number: f"reply {number} " * 500 for number in durable
        }
        assert written >= len(durable)

    def test_half_a_character_in_a_label_or_agent_does_not_cost_the_reply(self, agent: Agent, address: str) -> None:
        trial = trial_of(agent).replace(variant="half \ud83d")
        with open_ledger(address) as ledger:
            write(ledger, agent.replace(description="half \ud83d"), trial)

            assert ledger.find([trial.key]) == {trial.key: REPLY}

    def test_version_1_keeps_every_row_and_goes_on(self, agent: Agent, address: str) -> None:
        old = [trial_of(agent, repeat) for repeat in range(10)]
        make_version_1(address, old, **self.types_of_version_1)

        with open_ledger(address) as ledger:
            assert ledger.count() == 10
            found = ledger.find(trial.key for trial in old)
            assert [found[trial.key].text for trial in old[:-1]] == [f"reply {trial.repeat}" for trial in old[:-1]]
            assert old[-1].key not in found
            write(ledger, agent, old[-1])
            assert ledger.find([old[-1].key]) == {old[-1].key: REPLY}
        assert query(address, "select schema_version from about") == [(SCHEMA_VERSION,)]

    def test_processes_that_migrate_at_once_keep_every_row(self, agent: Agent, address: str) -> None:
        make_version_1(address, [trial_of(agent, repeat) for repeat in range(10)], **self.types_of_version_1)
        writers = [start_writer(address, first, 10) for first in range(0, 40, 10)]
        for writer in writers:
            writer.communicate()

        assert [writer.returncode for writer in writers] == [0] * 4
        with open_ledger(address) as ledger:
            assert ledger.count() == 50

    def test_migration_that_fails_changes_nothing(self, agent: Agent, address: str) -> None:
        make_version_1(address, [trial_of(agent)], **self.types_of_version_1)
        execute(address, "create index ix_attempts_task on about (schema_version)")  # a name that it needs
        before = query(address, "select * from attempts")

        with pytest.raises(LedgerError, match="could not be opened"):
            open_ledger(address)

        assert query(address, "select * from attempts") == before
        assert query(address, "select schema_version from about") == [(1,)]

    def test_ledger_of_a_newer_workbench_is_left_alone(self, address: str) -> None:
        open_ledger(address).close()
        execute(address, "update about set schema_version = 99")
        execute(address, "drop table batches")

        with pytest.raises(LedgerError, match=f"has schema 99, this workbench writes {SCHEMA_VERSION}; upgrade"):
            open_ledger(address)

        with database(address) as connection:
            assert not sa.inspect(connection).has_table("batches")

    def test_older_workbench_may_go_on_writing_after_the_migration(self, agent: Agent, address: str) -> None:
        make_version_1(address, [trial_of(agent)], **self.types_of_version_1)
        open_ledger(address).close()

        execute(address, INSERT_1, key="k", repeat=7, place="p", request="{}", whole=True, text="late", failure=None)

        with open_ledger(address) as ledger:
            assert ledger.find(["k"])["k"].text == "late"

    def test_nearest_is_of_the_same_task_and_variant_and_says_what_differs(self, agent: Agent, address: str) -> None:
        recorded = trial_of(agent)
        other_task = recorded.replace(task_id="other", request=make_request(agent, "Goodbye"))
        other_variant = recorded.replace(variant="terse", request=make_request(agent, "Hello", max_tokens=5))
        wanted = trial_of(agent.replace(prompt="You are an architect.\n- Never ask.\n", model="opus", effort="low"))

        with open_ledger(address) as ledger:
            write(ledger, agent, recorded, other_task, other_variant)
            difference = ledger.nearest(wanted)

        assert difference is not None
        assert (difference.task_id, difference.variant, difference.repeat) == ("t", "base", 0)
        assert [part.name for part in difference.parts] == ["model", "effort", "system"]
        assert str(difference).split(") differs in ")[1] == (
            f"model (recorded {recorded.request.model!r}, now {wanted.request.model!r}); "
            "effort (recorded 'medium', now 'low'); "
            "system (recorded '- Ask clarifying questions when requirements are unclear.' in line 2, "
            "now '- Never ask.')"
        )

    @pytest.mark.parametrize(
        ("changes", "part"),
        [
            ({"repeat": 3}, "repeat (recorded 0, now 3)"),
            ({"twin": 1}, "repeat (recorded 0, now '0, of variant number 2 with this very request')"),
            (
                {"endpoint": Endpoint(kind="server", base_url="http://127.0.0.1:2")},
                "endpoint (recorded 'http://127.0.0.1:1', now 'http://127.0.0.1:2')",
            ),
        ],
    )
    def test_endpoint_and_repeat_are_parts_too(
        self, agent: Agent, address: str, changes: dict[str, Any], part: str
    ) -> None:
        with open_ledger(address) as ledger:
            write(ledger, agent, trial_of(agent))
            difference = ledger.nearest(trial_of(agent).replace(**changes))

        assert str(difference).endswith(f" differs in {part}")

    def test_nearest_has_the_fewest_parts_that_differ_then_the_same_repeat(self, agent: Agent, address: str) -> None:
        edited = agent.replace(prompt="You are somebody else.")
        with open_ledger(address) as ledger:
            write(ledger, agent, trial_of(agent, 0), trial_of(edited, 0), trial_of(edited, 1))
            difference = ledger.nearest(trial_of(agent, 1))

        assert difference is not None
        assert [part.name for part in difference.parts] == ["system"]
        assert difference.repeat == 1

    def test_request_that_only_failed_is_named_with_its_failure(self, agent: Agent, address: str) -> None:
        failed = trial_of(agent).replace(reply=None, failure=Failure(type="overloaded_error", message="Overloaded"))
        with open_ledger(address) as ledger:
            write(ledger, agent, failed)
            difference = ledger.nearest(trial_of(agent))

        assert str(difference).startswith("this very request is recorded (task 't', variant 'base', repeat 0, of 20")
        assert str(difference).endswith("but it was not answered: overloaded_error")

    def test_other_task_is_nearest_where_there_is_no_other_and_an_empty_ledger_has_none(
        self, agent: Agent, address: str
    ) -> None:
        wanted = trial_of(agent).replace(task_id="new")
        with open_ledger(address) as ledger:
            assert ledger.nearest(wanted) is None
            write(ledger, agent, trial_of(agent).replace(request=make_request(agent, "Bonjour")))
            difference = ledger.nearest(wanted)

        assert difference is not None
        assert difference.task_id == "t"
        assert str(difference).endswith("messages (recorded 'user: Bonjour' in line 1, now 'user: Hello')")


class TestSQLite(LedgerRules):
    types_of_version_1 = {  # noqa: RUF012
        "blob": "BLOB",
        "serial": "INTEGER NOT NULL",
        "primary_key": ", PRIMARY KEY (id)",
    }

    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'l.sqlite'}"

    def test_torn_write_costs_the_last_transaction_only(self, agent: Agent, tmp_path: Path) -> None:
        torn = tmp_path / "torn.sqlite"
        with open_ledger(tmp_path / "l.sqlite") as ledger:
            write(ledger, agent, *(trial_of(agent, repeat) for repeat in range(5)))
            shutil.copy(tmp_path / "l.sqlite", torn)
            log = (tmp_path / "l.sqlite-wal").read_bytes()
        (tmp_path / "torn.sqlite-wal").write_bytes(log[:-100] + b"\xff" * 50)

        with open_ledger(torn) as ledger:
            found = ledger.find(trial_of(agent, repeat).key for repeat in range(5))
            assert set(found) == {trial_of(agent, repeat).key for repeat in range(4)}
            write(ledger, agent, trial_of(agent, 4))
            assert ledger.count() == 5
        assert query(f"sqlite:///{torn}", "pragma integrity_check") == [("ok",)]

    def test_folder_of_a_path_is_made(self, tmp_path: Path) -> None:
        open_ledger(tmp_path / "deep" / "l.sqlite").close()

        assert (tmp_path / "deep" / "l.sqlite").is_file()


def test_same_request_elsewhere_or_repeated_has_another_key(agent: Agent) -> None:
    trial = trial_of(agent)

    keys = {
        trial.key,
        trial_of(agent, repeat=1).key,
        trial.replace(endpoint=Endpoint(kind="server", base_url="http://127.0.0.1:2")).key,
        trial_of(agent.replace(effort="low")).key,
    }

    assert len(keys) == 4


def test_every_field_of_a_reply_and_its_usage_has_a_column() -> None:
    names = set(Reply.__dataclass_fields__) - {"usage"} | set(Usage.__dataclass_fields__)

    assert names <= set(attempts.c.keys())


@pytest.mark.parametrize("where", ["nosuch://x", "file.txt", "sqlite://", "sqlite:///:memory:"])
def test_ledger_that_cannot_be_opened_says_so(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_text("this is not a database, whatever its name may say " * 50)

    with pytest.raises(LedgerError, match="WORKBENCH_LEDGER"):
        open_ledger(where)


def test_password_of_an_address_is_in_no_message() -> None:
    pytest.importorskip("psycopg")

    with pytest.raises(LedgerError) as caught:
        open_ledger("postgresql://u:s3cret@127.0.0.1:1/db?connect_timeout=2")

    assert "s3cret" not in str(caught.value)
    assert "u:***@127.0.0.1" in str(caught.value)


def test_missing_driver_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(LedgerError, match=r"pip install 'agent-workbench\[postgres\]'"):
        open_ledger("postgres://h/db")


def test_difference_far_into_a_long_line_is_quoted_where_it_is(agent: Agent, tmp_path: Path) -> None:
    def asked(end: str) -> Trial:
        messages = ({"role": "user", "content": "Please " * 50 + end},)
        return trial_of(agent).replace(request=Request(model="m", system="", messages=messages, max_tokens=9))

    with open_ledger(tmp_path / "l.sqlite") as ledger:
        write(ledger, agent, asked("come."))
        difference = ledger.nearest(asked("go away."))

    assert str(difference).endswith("'…lease Please Please come.' in line 1, now '…lease Please Please go away.')")
