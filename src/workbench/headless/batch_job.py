"""One notebook of a batch in the process that runs it, and what became of it as a value."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from workbench.errors import NotebookFailed, WorkbenchError
from workbench.headless.job import Job
from workbench.headless.left_behind import JobOutcome
from workbench.headless.notebook import run_job
from workbench.headless.published import seen_from
from workbench.secrets import without_secrets


def run_job_in_batch(job: Job, project: Path) -> JobOutcome:
    """Runs one notebook of a batch in this process, whose working directory becomes the project folder.

    Raises:
        SystemExit: the notebook was told to end, and how far it is is saved.
    """
    os.chdir(project)
    try:
        run = run_job(replace(job, out=Path(seen_from(project, job.out))))
    except NotebookFailed as error:
        return JobOutcome(job=job, end="failed", error=error.why, page=job.page if job.page.exists() else None)
    except WorkbenchError as error:
        return refused(job, str(error))
    return JobOutcome(
        job=job,
        end="completed",
        verdict=run.verdict,
        page=run.page.resolve(),
        record=run.record and run.record.resolve(),
        tried=run.tried,
    )


def refused(job: Job, why: str) -> JobOutcome:
    """What became of a job that was not begun."""
    return JobOutcome(job=job, end="refused", error=without_secrets(why))


def died(job: Job, times: int) -> JobOutcome:
    """What became of a job whose process died each time."""
    return JobOutcome(
        job=job,
        end="failed",
        error=f"the process that ran it died {times} times; memory may be short: run fewer at once",
    )
