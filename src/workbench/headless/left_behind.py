"""What running a notebook left behind, in values: of one, and of all that a batch ran."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workbench.comparison.tried import Tried
from workbench.headless.job import Job

JobEnd = Literal["completed", "failed", "refused", "unchanged", "not run"]


@dataclass(frozen=True, kw_only=True)
class NotebookRun:
    """What running a notebook left behind."""

    notebook: Path
    """The executed notebook, without widget state."""
    page: Path
    """The same as one HTML file that needs nothing else."""
    record: Path | None
    """The folder with the recorded run; `None` where the notebook recorded none."""
    verdict: str | None
    """What the cell tagged `verdict` printed; `None` where there is no such cell."""
    seconds: float
    tried: Tried | None = None
    """What the record says was tried; `None` where there is none."""


@dataclass(frozen=True, kw_only=True)
class JobOutcome:
    """What became of one notebook of a batch."""

    job: Job
    end: JobEnd
    verdict: str | None = None
    error: str | None = None
    """Why it did not complete."""
    page: Path | None = None
    """Its page, also of one that failed in the middle; `None` where nothing ran."""
    record: Path | None = None
    tried: Tried | None = None
    """What its record says was tried; `None` where there is none."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a batch left behind."""

    outcomes: tuple[JobOutcome, ...]
    """In the order of the plan."""
    index: Path
    """A page that names every notebook with its verdict."""

    @property
    def is_complete(self) -> bool:
        """Whether all that had something to compare came to their end."""
        return all(outcome.end in ("completed", "unchanged") for outcome in self.outcomes)
