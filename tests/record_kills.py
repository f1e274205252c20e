"""A program that writes records and is killed before each of its steps in turn, for `test_kept_records.py`.

Each life is a process of its own, which ends without a word before its n-th step that changes the disk. What it left is
looked at, and then written to its end.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.runs import gradable, make_run, passes
from workbench.errors import RecordError
from workbench.trial.record import export_record, load_run
from workbench.trial.trial import Run

OLD, NEW = (gradable(make_run({"base": passes((count, 4))})) for count in (1, 3))
FAILED = replace(OLD, trials=(OLD.trials[0].replace(reply=None, scores={}), *OLD.trials[1:]))
BEFORE = {"nothing": None, "same plan": FAILED, "another": OLD}
STEPS = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"}
KILLED = 9


def main(before: str, folder: str) -> None:
    """Prints how many steps there are; what is wrong ends it with an error."""
    os.fsync = lambda _: None  # who is only killed loses nothing that was written, and this takes nearly all the time
    earlier = BEFORE[before]
    new = OLD if before == "same plan" else NEW
    step = 0
    while True:
        step += 1
        here = Path(folder) / str(step)
        here.mkdir()
        record = here / "left"
        if earlier is not None:
            export_record(earlier, record)
            (record / "report").mkdir()
            (record / "report" / "page.html").write_text("A page.")
            (record / "systems" / "mine.txt").write_text("Mine.")
        was_killed = _ended(partial(export_record, new, record), killed_before=step) == KILLED
        readable = [said for path in sorted(here.iterdir()) if (said := _said(path)) is not None]
        allowed = [_of(new)] if earlier is None else [_of(earlier), _of(new)]
        assert all(said in allowed for said in readable), f"step {step}: what is read is neither"
        assert earlier is None or readable, f"step {step}: neither of them can be read"
        assert before != "another" or _of(earlier) in readable, f"step {step}: the old one is lost"

        export_record(new, record)
        assert _said(record) == _of(new), f"step {step}: not taken up"
        aside = [path for path in here.iterdir() if path != record]
        assert [_said(path) for path in aside] == ([_of(earlier)] if before == "another" else []), f"step {step}"
        assert not [path.name for path in record.iterdir() if path.name.startswith(".")], f"step {step}: litter"
        if before == "another":
            assert (aside[0] / "report" / "page.html").read_text() == "A page.", f"step {step}"
            assert not (record / "report").exists(), f"step {step}"
        if earlier is not None:
            assert (record / "systems" / "mine.txt").read_text() == "Mine.", f"step {step}"
        if not was_killed:
            print(step)
            return


def _of(run: Run | None) -> list[str]:
    return [] if run is None else [trial.reply.text if trial.reply else "" for trial in run.trials]


def _said(folder: Path) -> list[str] | None:
    try:
        return _of(load_run(folder))
    except RecordError:
        return None


def _ended(work: Callable[[], object], *, killed_before: int) -> int:
    """How a process ended that did this and was killed before its n-th step."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = killed_before

    def kill(event: str, args: tuple[object, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(args[1], str) and args[1][0] in "wxa"
        if event in STEPS or writes:
            left -= 1
            if left == 0:
                os._exit(KILLED)

    sys.addaudithook(kill)
    work()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
