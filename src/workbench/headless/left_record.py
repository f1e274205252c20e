"""The record that a notebook left, as its page and the index of its batch tell of it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.headless.page_parts import PageParts

if TYPE_CHECKING:
    from workbench.comparison.provenance import Provenance
    from workbench.comparison.tables import Comparison
    from workbench.comparison.tried import Tried
    from workbench.headless.left_decisions import LeftDecisions
    from workbench.trial.trial import Run

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LeftRecord:
    """The record that a notebook left, compared as its plan says, or reviews, compared as it says."""

    comparison: Comparison
    found: Provenance

    def page_parts(self) -> PageParts:
        """What the page of its notebook says of it."""
        from workbench.comparison.report.overview import agents_named
        from workbench.comparison.report.page import parts_around, reply_anchors

        head, tail = parts_around(self.comparison, self.found)
        replies = reply_anchors(self.comparison)
        return PageParts(title=agents_named(self.comparison.run.variants), head=head, tail=tail, replies=replies)

    @property
    def tried(self) -> Tried:
        """The same in a few words."""
        from workbench.comparison.report.row import what_was_tried

        return what_was_tried(self.comparison, self.found)


def read_left_record(folder: Path, *, files: Iterable[str], project: Path) -> LeftRecord | LeftDecisions | None:
    """The record in this folder, of replies or of decisions; `None` where it cannot be read or compared, which is said.

    `files` are those that the run was given, seen from the project, among them those of its agents.
    """
    from workbench.trial.record import load_run

    agents = [file for file in files if file.endswith(".md")]
    with _said(folder):
        return _told(load_run(folder), agents, baseline="", project=project)
    return None


def read_reviewed_record(record: Path, *, baseline: str, project: Path) -> LeftRecord | LeftDecisions | None:
    """The record that a notebook reviews, its replies graded again; `None` where it cannot be read or compared, which
    is said. `baseline` is the variant that the others are compared with; where it is none of them, as planned."""
    from workbench.grading.recorded import load_run

    with _said(record):
        return _told(load_run(record), (), baseline=baseline, project=project)
    return None


def _told(run: Run, agents: Sequence[str], *, baseline: str, project: Path) -> LeftRecord | LeftDecisions | None:
    from workbench.trial.decisions import holds_decisions

    if not holds_decisions(run):
        return _compared(run, agents, baseline=baseline, project=project)
    from workbench.comparison.provenance import provenance
    from workbench.headless.left_decisions import decisions_of

    return decisions_of(run, provenance(run))


def _compared(run: Run, agents: Sequence[str], *, baseline: str, project: Path) -> LeftRecord | None:
    from workbench.comparison.provenance import provenance
    from workbench.comparison.tables import compare
    from workbench.definition.origin import find_origins

    if not run.variants or not run.tasks:
        return None
    comparison = compare(run, baseline=baseline if baseline in run.variants else None)
    origins = find_origins(run.variants, files=agents, project=project)
    return LeftRecord(comparison=comparison, found=provenance(run, origins=origins))


@contextmanager
def _said(record: Path) -> Iterator[None]:
    try:
        yield
    except WorkbenchError as error:
        _log.warning("%s: its page says nothing of the record: %s", record, error)


def get_ready_for_records() -> None:
    """Loads what reading and comparing a record needs, which takes longer than to do it."""
    import workbench.comparison.report.page
    import workbench.trial.record  # noqa: F401
