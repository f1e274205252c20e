from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
import sqlalchemy as sa

from tests.postgres_server import postgres_server
from tests.test_ledger import LedgerRules, query, trial_of, write
from workbench.definition.agent import Agent
from workbench.ledger.store import open_ledger

_numbers = count()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("psycopg", reason="the driver is not installed (pip install 'agent-workbench[postgres]')")
    with postgres_server() as address:
        yield address


class TestPostgreSQL(LedgerRules):
    types_of_version_1 = {  # noqa: RUF012
        "blob": "BYTEA",
        "serial": "SERIAL PRIMARY KEY",
        "primary_key": "",
    }

    @pytest.fixture
    def address(self, server: str) -> str:
        """The address of a new, empty database."""
        name = f"ledger_{next(_numbers)}"
        engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"create database {name}"))
        engine.dispose()
        return server.replace("/postgres?", f"/{name}?")

    def test_connection_that_the_server_dropped_is_made_anew(self, agent: Agent, address: str) -> None:
        with open_ledger(address) as ledger:
            write(ledger, agent, trial_of(agent))
            query(
                address,
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()",
            )
            write(ledger, agent, trial_of(agent, 1))

            assert ledger.count() == 2
