"""What was ever asked, found in the ledger by the words of the user."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

import workbench as wb
from tests.router_server import router_server
from workbench.definition.agent import parse_agent
from workbench.errors import LedgerError
from workbench.ledger.asked import find_asked
from workbench.trial.task import Task

AGENT = parse_agent(b"---\nname: one\ndescription: d\n---\nSay yes.\n")


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two variants were asked two tasks, one of which has a context."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    tasks = [Task(id="a", input="What is it?"), Task(id="b", input="And that?", context="Here is all of it.")]
    other = AGENT.replace(prompt="Say no.")
    with router_server(lambda *_: None) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        wb.run_trials(
            wb.plan_trials({"yes": AGENT, "no": other}, tasks), ledger=tmp_path / "ledger.sqlite", progress=False
        )
    return tmp_path / "ledger.sqlite"


def test_it_is_found_with_its_variant_and_system_prompt(ledger: Path) -> None:
    found = find_asked(ledger, lambda message: "that" in message)
    assert {(one.variant, one.message, one.system.strip()) for one in found} == {
        ("yes", "Here is all of it.\n\nAnd that?", "Say yes."),
        ("no", "Here is all of it.\n\nAnd that?", "Say no."),
    }
    assert {one.message for one in find_asked(ledger, lambda _: True, variants=["no"])} == {
        "What is it?",
        "Here is all of it.\n\nAnd that?",
    }
    assert find_asked(ledger, lambda _: True, variants=["nobody"]) == ()


@pytest.mark.parametrize(
    "written",
    [
        "no JSON",
        "{}",
        '{"messages": 3}',
        '{"messages": [{"role": "user"}]}',
        *(
            json.dumps({"messages": [{"role": "user", "content": content}]})
            for content in (None, 5, ["a"], [5], [None], [[]], {"a": 1}, [{"type": "text", "text": 5}])
        ),
    ],
)
def test_a_request_that_is_none_names_its_row(written: str, ledger: Path) -> None:
    with sqlite3.connect(ledger) as connection:
        connection.execute("update attempts set request = ? where id = 2", (written,))
    with pytest.raises(LedgerError, match="row 2 of the table attempts is damaged"):
        find_asked(ledger, lambda _: True)
