from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.messages_server import MessagesServer
from tests.test_ledger import REPLY, make_version_1, trial_of, write
from workbench.definition.agent import Agent
from workbench.ledger.file import KEYS_A_QUERY, ledger_address, read_replies, rows_in_file
from workbench.ledger.paid import find_paid
from workbench.ledger.store import open_ledger
from workbench.trial.trial import Failure, Reply

RUN = """
import sys
import workbench as wb

agent = wb.parse_agent("---\\nname: a\\ndescription: b\\n---\\n\\nYou are an architect.\\n")
plan = wb.plan_trials({"base": agent}, [wb.Task(id=str(number), input=f"task {number}") for number in range(3)])
run = wb.run_trials(plan, progress=False, mode=sys.argv[1])
print([trial.outcome for trial in run.trials])
print([name for name in ("anthropic", "sqlalchemy", "tqdm", "asyncio") if name in sys.modules])
"""


def test_file_and_ledger_give_the_same_replies(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    trials = [trial_of(agent, repeat) for repeat in range(KEYS_A_QUERY + 3)]
    newer = trials[1].replace(reply=Reply(text="newer", stop_reason="end_turn"))
    broken = trials[2].replace(reply=Reply(text="ha"), failure=Failure(type="broken_stream", message="cut"))
    keys = [trial.key for trial in trials]
    with open_ledger(path) as ledger:
        write(ledger, agent, trials[0], trials[1], newer, broken, trials[-1])

        found = read_replies(path, keys)  # while it is open, so that nothing but the write-ahead log has them

        assert found == ledger.find(keys)
    assert found == {keys[0]: REPLY, keys[1]: newer.reply, keys[-1]: REPLY}


def test_reading_makes_no_file(tmp_path: Path) -> None:
    assert read_replies(tmp_path / "ledger.sqlite", ["key"]) == {}
    assert find_paid(tmp_path / "ledger.sqlite", ["key"]) == {}
    assert list(tmp_path.iterdir()) == []


def test_what_lies_beside_a_ledger_that_is_gone_is_left_to_open_ledger(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite.unsaved-1.json").write_text("{}")
    assert read_replies(tmp_path / "ledger.sqlite", ["key"]) is None
    assert rows_in_file(tmp_path / "ledger.sqlite", ["id"], ["key"]) is None


def test_odd_name_of_a_file_is_no_query(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "a?mode=memory#100% 你.sqlite"
    with open_ledger(path) as ledger:
        write(ledger, agent, trial_of(agent))

        assert read_replies(path, [trial_of(agent).key]) == ledger.find([trial_of(agent).key])


def test_what_is_no_ledger_of_today_is_left_to_open_ledger(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database")
    sqlite3.connect(tmp_path / "empty").close()
    make_version_1(
        f"sqlite:///{tmp_path / 'old'}",
        [trial_of(agent)],
        blob="BLOB",
        serial="INTEGER NOT NULL",
        primary_key=", PRIMARY KEY (id)",
    )

    assert [read_replies(tmp_path / name, ["key"]) for name in ("text", "empty", "old")] == [None] * 3


def test_address_is_a_file_or_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_LEDGER", "postgresql://localhost/ledger")

    assert ledger_address() == "postgresql://localhost/ledger"
    assert ledger_address(tmp_path / "x") == ledger_address(str(tmp_path / "x")) == tmp_path / "x"


@pytest.mark.parametrize("mode", ["top-up", "replay"])
def test_run_that_is_answered_loads_neither_the_sdk_nor_sqlalchemy(server: MessagesServer, mode: str) -> None:
    subprocess.run([sys.executable, "-c", RUN, "top-up"], check=True, capture_output=True)

    again = subprocess.run([sys.executable, "-c", RUN, mode], check=True, capture_output=True, text=True)

    assert again.stdout.splitlines()[1:] == ["['answered', 'answered', 'answered']", "[]"]
    assert len(server.bodies) == 3
