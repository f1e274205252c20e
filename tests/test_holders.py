"""Whose row it is: a process is over for certain or it is not, and time is told by one clock."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from workbench.ledger.holders import Moment, is_over, lasting, moment, this_process

pytestmark = pytest.mark.machine

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="namespaces of processes are Linux's")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sa.Connection]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.sqlite'}")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def row_of(connection: sa.Connection, seconds: float = 60, **changes: Any) -> dict[str, Any]:
    return {**this_process(), **lasting(connection, timedelta(seconds=seconds)), **changes}


def ended_process() -> int:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    return int(done.stdout)


def test_own_row_lasts_for_its_time(connection: sa.Connection) -> None:
    assert not is_over(row_of(connection), moment(connection))
    assert is_over(row_of(connection, seconds=-1), moment(connection))


def test_process_that_has_ended_is_over_before_its_time(connection: sa.Connection) -> None:
    assert is_over(row_of(connection, process=ended_process()), moment(connection))


@LINUX
def test_number_that_was_given_again_is_another_process(connection: sa.Connection) -> None:
    own = row_of(connection)

    assert is_over({**own, "started": own["started"] - 1}, moment(connection))


@LINUX
def test_process_that_nobody_has_waited_for_is_over(connection: sa.Connection) -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        stat = Path(f"/proc/{ended.pid}/stat")
        started = int(stat.read_text().rpartition(")")[2].split()[19])
        deadline = time.monotonic() + 120
        while ") Z " not in stat.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)

        assert is_over(row_of(connection, process=ended.pid, started=started), moment(connection))


@pytest.mark.parametrize("namespace", ["another", None])
def test_unknown_number_of_another_namespace_or_of_an_older_workbench_is_alive(
    connection: sa.Connection, namespace: str | None
) -> None:
    row = row_of(connection, process=ended_process(), namespace=namespace)

    assert not is_over(row, moment(connection))
    assert is_over(row_of(connection, seconds=-1, process=row["process"], namespace=namespace), moment(connection))


def test_process_that_proc_hides_is_alive(connection: sa.Connection, tmp_path: Path) -> None:
    row = row_of(connection, process=1, started=7)
    (tmp_path / "self").symlink_to(str(os.getpid()))  # as under hidepid: nothing there but ourselves

    assert not is_over(row, moment(connection), processes=tmp_path)
    assert is_over({**row, "process": ended_process()}, moment(connection), processes=tmp_path)


@LINUX
def test_wall_clock_that_jumps_ends_no_row_of_a_file(
    connection: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = row_of(connection)
    now = moment(connection)
    later = Moment(wall=now.wall + timedelta(minutes=2), clock=now.clock, milliseconds=now.milliseconds)

    assert not is_over(row, later)
    assert is_over({**row, "clock": "of another machine"}, later)
    assert is_over(row, Moment(wall=now.wall, clock=now.clock, milliseconds=now.milliseconds + 61_000))


def test_where_starts_of_the_machine_are_not_told_apart_a_clock_that_is_set_ends_no_row(
    connection: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    row, now = row_of(connection), moment(connection)

    def is_over_at(seconds: float, *, wall: timedelta = timedelta()) -> bool:
        then = Moment(wall=now.wall + wall, clock=now.clock, milliseconds=now.milliseconds + round(1000 * seconds))
        return is_over(row, then)

    assert row["clock"] == now.clock and len(row["clock"]) <= 16
    assert not is_over_at(1, wall=timedelta(minutes=2))
    assert not is_over_at(1, wall=-timedelta(minutes=2))
    assert is_over_at(61)
    assert is_over_at(-3_000_000, wall=timedelta(hours=2)), "the machine was started again since"


def test_row_of_an_older_workbench_goes_by_its_wall_clock(connection: sa.Connection) -> None:
    until = datetime.now(UTC) + timedelta(seconds=5)
    row = {
        "process": 1,
        "machine": "m",
        "namespace": None,
        "started": None,
        "clock": None,
        "clock_until": None,
        "until": until.isoformat(timespec="milliseconds"),
    }

    assert not is_over(row, moment(connection))
    assert is_over(row, Moment(wall=until + timedelta(seconds=1)))


IN_A_NAMESPACE = """
import sys
import sqlalchemy as sa
from workbench.ledger.holders import is_over, moment, this_process

row = {**eval(sys.argv[1]), "until": sys.argv[2], "clock": None, "clock_until": None}
with sa.create_engine("sqlite://").connect() as connection:
    own = {**row, **this_process()}
    print(is_over(row, moment(connection)), is_over(own, moment(connection)), own["namespace"] != row["namespace"])
"""


@LINUX
@pytest.mark.parametrize("proc", [[], ["--mount-proc"]])
def test_two_namespaces_never_take_each_other_for_dead(proc: list[str]) -> None:
    unshare = ["unshare", "--pid", "--fork", *([] if os.geteuid() == 0 else ["--map-root-user"]), *proc]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare may not make a namespace of processes here")
    until = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    own = {**this_process(), "process": 99_999_999}  # a number that nobody has there

    done = subprocess.run(
        [*unshare, sys.executable, "-c", IN_A_NAMESPACE, repr(own), until], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["False", "False", "True"]
