"""Whether what is sealed was asked before it is opened: the file of a seal can be removed, and another be made; what
was asked stays in the ledger.

Found is what the ledger of this run holds, to the letter of each task. What was asked with another ledger, or of a task
that was changed by a word, is not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from workbench.errors import SealError
from workbench.ledger.asked import find_asked
from workbench.ledger.store import Ledger
from workbench.markup import counted
from workbench.runs.writer import PROPOSERS
from workbench.trial.sealed import AskedBefore, Split
from workbench.trial.task import Task


def look_back(
    split: Split, ledger: Ledger | str | Path | None, *, version_of: Callable[[str], str | None], present: str | None
) -> AskedBefore:
    """How often the sealed tasks were asked before, of a model and not of the stand-in.

    `version_of` says of a system prompt which version of what is chosen stands in it (`None`: it is not in it), and
    `present` is the one that is there now.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    found = find_asked(ledger, lambda message: split.asked_in(message) is not None)
    asked = [(split.asked_in(one.message), version) for one in found if (version := version_of(one.system)) is not None]
    return AskedBefore(
        tasks=len({task for task, _ in asked}), others=len({version for _, version in asked} - {present})
    )


def refuse_shown(split: Split, ledger: Ledger | str | Path | None) -> None:
    """Passes where the ledger has no prompt of a proposer (`PROPOSERS`) with the words of a sealed task.

    Raises:
        SealError: it has one; says of which task.
        LedgerError: the ledger cannot be read.
    """
    for one in find_asked(ledger, lambda message: split.leaked(message) is not None, variants=PROPOSERS):
        raise SealError(
            f"{split.leaked(one.message)!r} is sealed, and stands in what a model was shown before, to propose another "
            "version: seal what no proposer has seen",
            path=split.seal,
        )


def in_words(before: AskedBefore | None, *, task: str = "sealed task", version: str = "version") -> str:
    """That this is no first opening, in a sentence; empty where it is one, or where nobody looked."""
    if before is None or before.is_first_opening:
        return ""
    return (
        f"Asked before: {counted(before.tasks, task)} with {counted(before.others, version)}, so that this number is "
        "not of a first opening."
    )


def open_sealed(split: Split, for_what: str, *, ledger: Ledger | str | Path | None = None) -> tuple[Task, ...]:
    """The sealed tasks, as `split.open(for_what)`, and a printed line where the ledger holds that they were asked
    before; `split.asked_before` says it afterwards. Every system prompt that was asked with them counts as a version.

    Raises:
        SealError: they were opened for something else, the file was changed, or a proposer was shown one of them.
        LedgerError: the ledger cannot be read.
    """
    split.check_opens([for_what])
    refuse_shown(split, ledger)
    tasks = split.open(for_what, asked_before=look_back(split, ledger, version_of=str, present=None))
    if said := in_words(split.asked_before):
        print(said, flush=True)
    return tasks
