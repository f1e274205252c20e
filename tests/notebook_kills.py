"""A notebook whose run is killed again and again and continued: what is asked for twice, and what is left in the end.

The final files are held against those of two runs that nobody disturbed: one that asks for everything itself, and one
that is answered by the ledger of the killed one.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.messages_server import MessagesServer, serve
from tests.written_notebooks import write_notebook

VARIANTS = 2

CELLS = {
    "parameters": 'tasks: int = 10\nledger: str = "ledger.sqlite"\nout: str = "out"',
    "open": (
        "import workbench as wb\n"
        'base = wb.load_agent("agents/one.md")\n'
        'variants = {"base": base, "brief": wb.without_lines(base, "long")}\n'
        'all_tasks = [wb.Task(id=f"task {n}", input=f"task {n}") for n in range(tasks)]'
    ),
    "first": (
        "run = wb.run_trials(wb.plan_trials(variants, all_tasks[: tasks // 2]), ledger=ledger, concurrency=4)\n"
        "print(*(trial.reply.text for trial in run.trials), sep='\\n')"
    ),
    "run": (
        "plan = wb.plan_trials(variants, all_tasks, graders=wb.graders.standard())\n"
        "run = wb.run_trials(plan, ledger=ledger, concurrency=4)"
    ),
    "verdict": 'comparison = wb.compare(run, baseline="base")\nprint(comparison.verdicts[0].text)',
    "table": (
        "shown = comparison.trials\nshown = shown[[name for name in shown if 'seconds' not in name]]\n"
        "shown.to_csv(out + '/table.csv')\nshown"
    ),
    "flipped": "comparison.flipped",
    "record": "print(wb.export_record(run, out))",
}


@dataclass(frozen=True, kw_only=True)
class Life:
    """One process, from its start to the signal that ended it."""

    asked: int
    asked_again: int
    """Requests for trials that were in the ledger before it began."""
    in_flight: int
    """Requests whose replies did not come into the ledger."""
    broken: tuple[str, ...]
    """Notebooks that it left that are not whole."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What came of it."""

    trials: int
    lives: tuple[Life, ...]
    requests: int
    answers: Counter[str]
    """The whole replies in the ledger, by task."""
    differing_from_replay: tuple[str, ...]
    """Files that are not byte for byte those of an undisturbed run that the same ledger answered."""
    differing_from_undisturbed: tuple[str, ...]
    """Files that are not byte for byte those of an undisturbed run that asked for itself, were all as fast in both."""
    files: int


def kill_and_continue(kills: int, folder: Path, *, tasks: int, seed: int = 20261123) -> Found:
    """Kills a run of a notebook so often, then lets it end."""
    chance = random.Random(seed)
    (folder / "agents").mkdir(parents=True)
    (folder / "agents/one.md").write_text("---\nname: one\ndescription: D.\n---\nYou are one.\nGive long answers.\n")
    write_notebook(folder / "killed.ipynb", CELLS)
    trials, most = tasks * VARIANTS, max(1, tasks * VARIANTS // kills)
    ledger = folder / "ledger.sqlite"
    with serve(seconds_a_piece=0.005) as server:
        lives = tuple(_killed(folder, server, chance, most=most, tasks=tasks) for _ in range(kills))
        killed = _files_of_run(folder, server.url, tasks)
        requests, answers = len(server.bodies), _answers(ledger)
        replay = _files_of_new_run(folder, server.url, tasks)
        _measured_alike(ledger)
        continued = _files_of_new_run(folder, server.url, tasks)
        assert len(server.bodies) == requests, "a replay asked"
        ledger.unlink()
        _files_of_new_run(folder, server.url, tasks)
        _measured_alike(ledger)
        undisturbed = _files_of_new_run(folder, server.url, tasks)
        assert len(server.bodies) == requests + trials
    return Found(
        trials=trials,
        lives=lives,
        requests=requests,
        answers=answers,
        differing_from_replay=_differing(killed, replay),
        differing_from_undisturbed=_differing(continued, undisturbed),
        files=len(killed),
    )


def _killed(folder: Path, server: MessagesServer, chance: random.Random, *, most: int, tasks: int) -> Life:
    """One that is killed: as often before it asks or while it writes as while it asks."""
    before, held = server.asked(), _answers(folder / "ledger.sqlite")
    process = subprocess.Popen(_command(tasks), env=_environment(server.url), cwd=folder,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
    enough = before.total() + chance.randint(1, most)
    ends = time.monotonic() + (chance.uniform(0.5, 3) if chance.random() < 0.3 else 60)
    while server.asked().total() < enough and process.poll() is None and time.monotonic() < ends:
        time.sleep(0.002)
    time.sleep(chance.uniform(0, 0.05))
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise AssertionError(errors.decode())
    asked, now = server.asked() - before, _answers(folder / "ledger.sqlite")
    return Life(
        asked=asked.total(),
        asked_again=sum(max(0, count - (VARIANTS - held[task])) for task, count in asked.items()),
        in_flight=(asked - (now - held)).total(),
        broken=tuple(path.name for path in folder.glob("out/*.ipynb") if not _is_whole(path)),
    )


def _files_of_run(folder: Path, url: str, tasks: int) -> dict[str, bytes]:
    """What a run leaves that ends by itself."""
    subprocess.run(_command(tasks), env=_environment(url), cwd=folder, check=True, stdout=subprocess.DEVNULL)
    out = folder / "out"
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def _files_of_new_run(folder: Path, url: str, tasks: int) -> dict[str, bytes]:
    shutil.rmtree(folder / "out")
    return _files_of_run(folder, url, tasks)


def _command(tasks: int) -> list[str]:
    run = [sys.executable, "-m", "workbench", "run", "killed.ipynb", "--out", "out", "--continue"]
    return [*run, "-p", "tasks", str(tasks)]


def _environment(url: str) -> dict[str, str]:
    return os.environ | {"ANTHROPIC_BASE_URL": url}


def _answers(ledger: Path) -> Counter[str]:
    """Read without the workbench."""
    if not ledger.exists():
        return Counter()
    connection = sqlite3.connect(ledger)
    try:
        rows = connection.execute("select task_id, repeat from attempts where whole").fetchall()
    except sqlite3.OperationalError:
        return Counter()  # killed before it had made its tables
    finally:
        connection.close()
    return Counter(f"{task}#{repeat}" for task, repeat in rows)


def _measured_alike(ledger: Path) -> None:
    """As if every reply in it had taken the same time and come in the same moment, under the same number."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute(
            "update attempts set checksum = null, seconds = 1.0, seconds_to_first_token = 0.5, request_id = 'req',"
            " at = '2026-01-01T00:00:00.000+00:00'"
        )


def _differing(some: dict[str, bytes], others: dict[str, bytes]) -> tuple[str, ...]:
    """What is not the same, each with where it begins to differ in both."""
    names = sorted(name for name in {*some, *others} if some.get(name) != others.get(name))
    return tuple(f"{name}: {_first_difference(some.get(name, b''), others.get(name, b''))}" for name in names)


def _first_difference(one: bytes, other: bytes) -> str:
    shorter = min(len(one), len(other))
    at = next((place for place in range(shorter) if one[place] != other[place]), shorter)
    return " | ".join(repr(content[max(0, at - 100) : at + 100]) for content in (one, other))


def _is_whole(path: Path) -> bool:
    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["cells"])
    except ValueError:
        return False
