"""The exceptions that the workbench raises: every one a `WorkbenchError`.

A message says where, what was found and what to do next. A failing trial is not an exception: it is a
`Trial` with a failure. Exceptions are for a setup that cannot work.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_HERE = re.escape(str(Path(__file__).parent))
_NOT_THE_CALLERS = re.compile(rf"^{_HERE}|[/\\](?:IPython|ipykernel)[/\\](?!.*ipykernel_\d)")
"""Files of the workbench, and of what runs a cell; a cell itself is in a file of a folder such as `ipykernel_123`."""


EXIT_WORSE = 3
"""The gate: the run is shown to be worse. `route`: a changed description is shown to lose its own cases, or to take
cases of others or of none."""


class WorkbenchError(Exception):
    """Anything that the workbench refuses to go on with."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the lines of whoever called, and the message, which says what to do. How the workbench
        came to it is for `raise ... from` and debuggers."""
        import traceback

        frames = traceback.extract_tb(self.__traceback__)
        calling = [frame for frame in frames if not _NOT_THE_CALLERS.search(frame.filename)]
        lines = [f"line {frame.lineno} of {frame.name}: {frame.line}" for frame in calling if frame.line]
        return [*lines, f"{type(self).__name__}: {self}"]


class FileError(WorkbenchError):
    """A file is missing, unreadable or does not say what it should; the message starts with its place, and ends
    with the folder in which a relative path was looked for, where there is nothing at it."""

    def __init__(self, message: str, *, path: str | Path | None = None, line: int | None = None) -> None:
        self.path = Path(path) if path is not None else None
        self.line = line
        place = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(f"{place}{message}{_where_it_started(self.path) if line is None else ''}")


def paths_start_at(folder: Path | str) -> str:
    """How a message says which folder a relative path was looked for in."""
    return f"(paths start at {folder})"


def _where_it_started(path: Path | None) -> str:
    """Of a relative path at which there is nothing: the folder that it was looked for in."""
    if path is None or path.is_absolute() or os.path.exists(path):  # noqa: PTH110  (`Path.exists` raises in a folder that may not be read)
        return ""
    try:
        return f" {paths_start_at(Path.cwd())}"
    except FileNotFoundError:
        return " (paths start at the working directory, which is gone)"


class FolderInUse(FileError):
    """Another run writes to the folder; says which."""


class AgentFileError(FileError):
    """An agent file cannot be read or written."""


class LintSettingsError(FileError):
    """The settings of lint in a project's `pyproject.toml` are wrong; says which."""


class AgentChangedOnDisk(AgentFileError):
    """The file is not the one that was read: somebody else changed it; nothing was written."""


class DuplicateAgent(AgentFileError):
    """Two files of one folder define agents of the same name."""


class TaskFileError(FileError):
    """A task file has a field that is wrong; says file, line and field."""


class UnknownGrader(TaskFileError):
    """A task names a grader that does not exist, or gives it options that it does not take."""


class GraderError(WorkbenchError):
    """A grader gave what is no score; says which, of which task, and what it gave."""


class RubricError(FileError):
    """A rubric file has a field that is wrong; says file and field."""


class LabelError(FileError):
    """A file of people's labels cannot be read or written, or a label in it is wrong; says file and line."""


class CertificateRefused(WorkbenchError):
    """A judge is not certified: too few labels, or it hardly tells what people passed from what they failed."""


class PlanError(WorkbenchError):
    """A plan cannot be run as asked: no tasks, no variants, a count below one."""


class NothingToCompare(PlanError):
    """Nothing that a trial sends differs between an agent and what it is compared with; says what to do."""

    def __init__(self, agent: str | Path, why: str, then: str) -> None:
        self.why = why
        """Of any agent with which it is so: "says what HEAD says"."""
        super().__init__(f"{agent}: {why}{then}")


class BudgetError(WorkbenchError):
    """A budget cannot be kept: too small for any trial, or in USD for a model whose price is not known."""


class PriceFileError(FileError):
    """The file of prices is missing or a field of it is wrong; says file and field."""


class SetupError(WorkbenchError):
    """The way to the model is not set up: no key, a wrong key, a wrong address."""


class NoModel(SetupError):
    """A model is to write something, and only the offline stand-in is there."""


class LedgerError(WorkbenchError):
    """The ledger cannot be read or written. `unsaved` holds the trials that came back but are not in the ledger."""

    def __init__(self, message: str, *, unsaved: tuple[object, ...] = ()) -> None:
        self.unsaved = unsaved
        super().__init__(message)


class ReplayMiss(WorkbenchError):
    """A replay asks for what the ledger does not hold.

    `difference` is the nearest recorded attempt and what differs; `None` where the ledger is empty.
    """

    def __init__(self, message: str, *, difference: object | None = None) -> None:
        self.difference = difference
        super().__init__(message)


class RoutingRefused(WorkbenchError):
    """Decisions tell nothing of descriptions: the router fails its controls, or too many came to none. `controls` is
    the run of what was asked."""

    def __init__(self, message: str, *, controls: object | None = None) -> None:
        self.controls = controls
        super().__init__(message)


class SealError(FileError):
    """Sealed tasks cannot be opened: they were, for another choice; or their file is not the one that was written."""


class RecordError(FileError):
    """A recorded run is missing, incomplete or of an unknown version."""


class ComparisonError(WorkbenchError):
    """A run cannot be compared as asked: unknown baseline, nothing in common."""


class StandInError(ComparisonError):
    """Replies that were made up by the offline stand-in are to decide something."""


class ParameterError(WorkbenchError):
    """A notebook parameter is unknown, of the wrong type, or looks like a secret."""


class RunStopped(WorkbenchError):
    """Whoever watches a run ended it. What was answered is in the ledger, and the same run goes on from there."""


class EstimateOnly(WorkbenchError):
    """Nothing was run, because only the estimate was asked for."""


class BatchFileError(FileError):
    """The plan of a batch is missing or a field of it is wrong; says file and field."""


class ChangeError(WorkbenchError):
    """Git cannot say what a change does: no repository, no such commit, or a part of the history only."""


class NotebookFailed(WorkbenchError):
    """A cell of a notebook raised; what ran before it is saved. `why` is the message without where that is and how to
    go on, which a command says in its own words."""

    def __init__(self, why: str, *, saved: str = "", to_go_on: str = "") -> None:
        self.why, self.saved = why, saved
        super().__init__("\n".join(filter(None, (why, saved, to_go_on))))
