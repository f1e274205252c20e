"""One notebook to run, and what it runs with: the value that is handed on from the front door to the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """How long a notebook may take, in seconds; `None`: as long as it likes."""

    notebook: float | None = None
    """From its start to its end, with the start of its kernel."""
    cell: float | None = None
    """For each of its cells."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One notebook to run, with its parameters, into a folder of its own."""

    notebook: Path
    """In a batch, seen from the project folder."""
    out: Path
    """The folder that holds what it leaves, and nothing of another job."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """As they were given: `check_parameters` says whether they fit."""
    deadlines: Deadlines = Deadlines()
    go_on: bool = False
    """Whether it goes on with what an earlier run of it left in the folder."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that its kernel has beside those of the process that runs it."""
    refusal: str | None = None
    """Why it cannot be run, where its plan shows that already."""
    unchanged: str | None = None
    """Why there is nothing for it to compare, where its plan shows that: "says what HEAD says"."""

    @property
    def name(self) -> str:
        """In a batch: unlike that of every other job."""
        return self.out.name

    @property
    def finished(self) -> Path:
        """Where the executed notebook is left."""
        return self.out / f"{self.notebook.stem}.ipynb"

    @property
    def page(self) -> Path:
        """Where its page is left."""
        return self.out / f"{self.notebook.stem}.html"

    @property
    def partial(self) -> Path:
        """Where it lies, as far as it got, while it runs or where its run was killed."""
        return self.out / f"{self.notebook.stem}.partial.ipynb"
