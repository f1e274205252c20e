"""A throwaway PostgreSQL server on a Unix socket in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa

_DEBIAN = Path("/usr/lib/postgresql")
_USER_WHEN_ROOT = "nobody"
_numbers = count()


class PostgresServer:
    """A server that can be ended, as if it were killed, and started again."""

    def __init__(self, folder: Path) -> None:
        self.address = f"postgresql://workbench@/postgres?host={quote(str(folder))}"
        self._folder = folder
        self._programs = _programs()
        self._data = folder / "data"

    def make(self) -> None:
        _run(
            *(self._folder, self._programs / "initdb", "-D", self._data, "-U", "workbench"),
            *("-A", "trust", "-E", "UTF8", "--no-sync"),
        )

    def start(self) -> None:
        _run(
            *(self._folder, self._programs / "pg_ctl", "start", "-D", self._data, "-l", self._folder / "log"),
            *("-w", "-o", f"-c listen_addresses='' -c unix_socket_directories='{self._folder}'"),
        )

    def kill(self) -> None:
        _run(self._folder, self._programs / "pg_ctl", "stop", "-D", self._data, "-m", "immediate", "-w")


@contextmanager
def mortal_postgres_server() -> Iterator[PostgresServer]:
    """A running server, ended afterwards. Skips the test where none is installed."""
    # Not pytest's own folder: as root the server runs as another user, who may not enter it; and a socket's path is
    # limited to about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="wb-pg-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        server = PostgresServer(folder)
        if os.geteuid() == 0:
            shutil.chown(folder, user=_USER_WHEN_ROOT)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def postgres_server() -> Iterator[str]:
    """The SQLAlchemy address of a running server, ended afterwards. Skips the test where none is installed."""
    with mortal_postgres_server() as server:
        yield server.address


def new_database(server: str) -> str:
    """The address of a new, empty database of the server at this address."""
    name = f"database_{next(_numbers)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"create database {name}"))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")


class InPostgreSQL:
    """For a class of tests that ask for an `address`: one server for all of them, and for each a new, empty database."""

    @pytest.fixture(scope="class")
    @classmethod
    def postgres(cls) -> Iterator[str]:
        pytest.importorskip("psycopg", reason="the driver is not installed (pip install 'agent-workbench[postgres]')")
        with postgres_server() as address:
            yield address

    @pytest.fixture
    def address(self, postgres: str) -> str:
        return new_database(postgres)


def _programs() -> Path:
    if os.name != "posix":
        pytest.skip("the PostgreSQL tests use a Unix socket")
    found = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    return (found[-1] if found else Path(str(on_path)).resolve()).parent


def _run(folder: Path, program: Path, *arguments: str | Path) -> None:
    user = {"user": _USER_WHEN_ROOT, "group": _group(), "extra_groups": []} if os.geteuid() == 0 else {}
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": str(folder)}
    with (folder / "commands").open("ab") as output:
        done = subprocess.run(
            [program, *arguments], cwd=folder, env=environment, stdout=output, stderr=output, check=False, **user
        )
    if done.returncode:
        text = (folder / "commands").read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"{program.name} ended with {done.returncode}:\n{text}")


def _group() -> int:
    import pwd

    return pwd.getpwnam(_USER_WHEN_ROOT).pw_gid
