from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa

from workbench.definition.agent import Agent
from workbench.errors import LedgerError
from workbench.trial.ledger import open_ledger
from workbench.trial.plan import make_request
from workbench.trial.trial import Failure, Place, Reply, Trial, Usage

PLACE = Place(kind="server", base_url="http://127.0.0.1:1")
REPLY = Reply(
    text="It depends — 你好 \u2028 \x00 🐍",
    stop_reason="refusal",
    stop_details={"category": "cyber"},
    model="m",
    usage=Usage(input_tokens=1, output_tokens=2, cache_creation_input_tokens=3, cache_read_input_tokens=4),
    request_id="req_1",
    seconds_to_first_token=0.5,
    seconds=1.5,
    attempts=2,
)


def trial_of(agent: Agent, repeat: int = 0) -> Trial:
    return Trial(
        variant="base",
        task_id="t",
        repeat=repeat,
        request=make_request(agent, "Hello"),
        place=PLACE,
        reply=REPLY,
    )


def test_reply_comes_back_as_it_went_in(agent: Agent, tmp_path: Path) -> None:
    trial = trial_of(agent)
    with open_ledger(tmp_path / "deep" / "l.sqlite") as ledger:
        asyncio.run(ledger.write(trial, agent))

    with open_ledger(tmp_path / "deep" / "l.sqlite") as ledger:
        assert ledger.find([trial.key, "unknown"]) == {trial.key: REPLY}


def test_newest_whole_reply_is_the_answer(agent: Agent) -> None:
    trial = trial_of(agent)
    newer = trial.replace(reply=Reply(text="newer", stop_reason="end_turn"))
    broken = trial.replace(reply=Reply(text="ha"), failure=Failure(type="broken_stream", message="cut"))

    with open_ledger() as ledger:
        for attempt in (trial, newer, broken):
            asyncio.run(ledger.write(attempt, agent))

        assert ledger.find([trial.key])[trial.key].text == "newer"
        assert (ledger.count(), ledger.count(whole=True)) == (3, 2)


def test_agents_full_text_is_kept_once_by_hash(agent: Agent, tmp_path: Path) -> None:
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        for repeat in range(3):
            asyncio.run(ledger.write(trial_of(agent, repeat), agent))

    with sa.create_engine(f"sqlite:///{tmp_path / 'l.sqlite'}").connect() as connection:
        rows = connection.execute(sa.text("select sha256, body from texts")).all()
        hashes = connection.execute(sa.text("select distinct agent_sha256 from attempts")).all()
    assert dict(rows)[agent.digest] == agent.to_bytes()  # type: ignore[arg-type]
    assert len(rows) == 2
    assert hashes == [(agent.digest,)]


def test_two_ledgers_on_one_file_write_at_once(agent: Agent, tmp_path: Path) -> None:
    async def write_all() -> None:
        with open_ledger(tmp_path / "l.sqlite") as one, open_ledger(tmp_path / "l.sqlite") as other:
            await asyncio.gather(
                *(ledger.write(trial_of(agent, n), agent) for n in range(100) for ledger in (one, other))
            )

    asyncio.run(write_all())

    with open_ledger(tmp_path / "l.sqlite") as ledger:
        assert ledger.count() == 200


def test_same_request_elsewhere_or_repeated_has_another_key(agent: Agent) -> None:
    trial = trial_of(agent)

    keys = {
        trial.key,
        trial_of(agent, repeat=1).key,
        trial.replace(place=Place(kind="server", base_url="http://127.0.0.1:2")).key,
        trial_of(agent.replace(effort="low")).key,
    }

    assert len(keys) == 4


def test_ledger_of_a_newer_workbench_is_left_alone(tmp_path: Path) -> None:
    open_ledger(tmp_path / "l.sqlite").close()
    with sa.create_engine(f"sqlite:///{tmp_path / 'l.sqlite'}").begin() as connection:
        connection.execute(sa.text("update about set schema_version = 99"))

    with pytest.raises(LedgerError, match="has schema 99, this workbench writes 1; upgrade"):
        open_ledger(tmp_path / "l.sqlite")


@pytest.mark.parametrize("where", ["nosuch://x", "file.txt"])
def test_ledger_that_cannot_be_opened_says_so(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_text("this is not a database, whatever its name may say " * 50)

    with pytest.raises(LedgerError, match="WORKBENCH_LEDGER"):
        open_ledger(where)
