from __future__ import annotations

import asyncio
from pathlib import Path

import pandas as pd
import pytest

from tests.runs import LIVE, make_run
from workbench.errors import LedgerError
from workbench.ledger.columns import read_attempts
from workbench.ledger.schema import attempts
from workbench.ledger.store import Ledger, open_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Two attempts that were answered, and one that failed."""
    path = tmp_path / "ledger.sqlite"
    run = make_run({"A": [[1.0, None, 0.0]]}, text="A reply \x00 of \u2028 any kind 🐍")

    async def write(opened: Ledger) -> None:
        for trial in run.trials:
            await opened.write(trial, run.variants["A"])

    with open_ledger(path) as opened:
        asyncio.run(write(opened))
    return path


def test_every_attempt_is_a_row_in_the_order_of_writing(ledger: Path) -> None:
    columns = read_attempts(ledger)

    assert columns["repeat"] == [0, 1, 2]
    assert columns["whole"] == [True, False, True]
    assert columns["text"] == ["A reply \x00 of \u2028 any kind 🐍", None, "A reply \x00 of \u2028 any kind 🐍"]
    assert columns["failure_type"] == [None, "overloaded_error", None]
    assert columns["output_tokens"] == [200, None, 200]
    assert {"key", "at", "variant", "task_id", "model"} < columns.keys()


def test_where_an_attempt_was_answered_is_its_endpoint(ledger: Path) -> None:
    columns = read_attempts(ledger)

    assert columns["endpoint"] == [LIVE.base_url] * 3
    assert "place" not in columns


def test_columns_make_a_data_frame(ledger: Path) -> None:
    with open_ledger(ledger) as opened:
        frame = pd.DataFrame(read_attempts(opened))

    assert frame["output_tokens"].sum() == 400


def test_long_texts_can_be_left_out(ledger: Path) -> None:
    all_of_them, short = read_attempts(ledger), read_attempts(ledger, texts=False)

    assert all_of_them.keys() - short.keys() == {"request", "text", "stop_details", "failure_message"}
    assert {name: all_of_them[name] for name in short} == short


def test_a_new_ledger_has_all_columns_and_no_row(tmp_path: Path) -> None:
    columns = read_attempts(tmp_path / "new.sqlite")

    assert list(columns) == ["endpoint" if column.name == "place" else column.name for column in attempts.c]
    assert not any(columns.values())


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database, and long enough to be looked at" * 10)

    with pytest.raises(LedgerError, match="could not be opened"):
        read_attempts(path)
