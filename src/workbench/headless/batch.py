"""Many notebooks, some at a time, within one budget; one that fails does not stop the others."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from workbench.definition.project import project_folder
from workbench.definition.there import text_in
from workbench.errors import BudgetError, FileError, NotebookFailed, ParameterError, WorkbenchError
from workbench.headless.batch_index import write_index
from workbench.headless.batch_job import refused
from workbench.headless.batch_plan import BatchPlan, left_out
from workbench.headless.batch_state import begin_batch, end_batch
from workbench.headless.dask_workers import run_on_dask
from workbench.headless.job import Job
from workbench.headless.left_behind import Batch, JobOutcome
from workbench.headless.local_workers import run_here
from workbench.headless.notebook import run_job
from workbench.headless.one_writer import only_writer
from workbench.headless.terms import terms_here
from workbench.markup import counted
from workbench.runs.estimate_only import ESTIMATE_FILE, EstimateTotals, read_estimate, write_estimate


def run_batch(
    plan: BatchPlan,
    *,
    at_once: int | None = None,
    go_on: bool = False,
    dask: str | None = None,
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> Batch:
    """Runs every notebook of the plan, each into its own folder, and leaves `index.html` and `index.md` beside them.

    `at_once` notebooks run at a time (the plan's number unless given), each in a process that runs one after the
    other; `dask` is the address of a Dask scheduler whose workers run them instead. Who answers is decided here, by
    `plan.live` and this environment: a worker where somebody else would answer, or that has another version of the
    workbench, another ledger or other files of the project, takes no job and is named. With `go_on`, a batch that did
    not come to its end goes on: finished notebooks are left as they are, and what was spent counts. The budget of the
    plan bounds all notebooks together, over all workers and restarts. `say` gets a line for every notebook that ends;
    `progress` draws a bar on a terminal.

    Raises:
        BudgetError: the environment bounds this process already, so the plan cannot have a budget of its own.
        SetupError: nobody can answer as the plan wants it; Dask is not installed, or the scheduler not there.
        FileError: the folder cannot be written, or another batch writes to it.
        LedgerError: the ledger is of a newer workbench, or cannot be opened: every notebook would fail.
    """
    from workbench.ledger.store import check_ledger  # SQLAlchemy takes longer to load than the command line to begin

    check_ledger()
    terms = terms_here(plan.jobs, live=plan.live)
    with _writing(plan.out), only_writer(plan.out, of="another batch"):
        environment = _budget_environment(plan, go_on=go_on)
        outcomes: dict[str, JobOutcome] = {}

        def ended(outcome: JobOutcome) -> None:
            outcomes[outcome.job.name] = outcome
            bar.update()
            say(_line(outcome, done=len(outcomes), total=len(plan.jobs)))
            write_index(plan.out, _in_order(plan, outcomes))

        def watch(running: Sequence[Job]) -> None:
            if not bar.disable:
                bar.set_postfix_str("; ".join(map(_doing, running)))

        with tqdm(total=len(plan.jobs), unit="notebook", disable=None if progress else True) as bar:
            for agents in left_out(plan.jobs):
                say(f"nothing to compare, left out: {agents}")
            for job in plan.jobs:
                if job.unchanged is not None:
                    outcomes[job.name] = JobOutcome(job=job, end="unchanged", error=job.unchanged)
                    bar.update()
                elif job.refusal is not None:
                    ended(refused(job, job.refusal))
            runnable = [job for job in plan.jobs if job.unchanged is None and job.refusal is None]
            left = [replace(job, go_on=go_on, environment=environment) for job in runnable]
            some = (
                run_here(left, terms.project, at_once=at_once or plan.at_once, watch=watch)
                if dask is None
                else run_on_dask(dask, left, terms, watch=watch, say=say)
            )
            with closing(some):
                for outcome in some:
                    ended(outcome)
        found = _in_order(plan, outcomes)
        if all(outcome.end != "not run" for outcome in found):
            end_batch(plan.out)
        return Batch(outcomes=found, index=write_index(plan.out, found))


@dataclass(frozen=True, kw_only=True)
class BatchEstimate:
    """What a batch would take, and the notebooks of which nobody can say it."""

    totals: EstimateTotals
    """Of those that can be estimated."""
    left_out: tuple[tuple[str, str], ...] = ()
    """By name, each with why it cannot."""

    def __str__(self) -> str:
        if not self.left_out:
            return str(self.totals)
        names = ", ".join(name for name, _ in self.left_out)
        return f"{self.totals}\n{'without':<22}  {names}: cannot be estimated"


def estimate_batch(plan: BatchPlan, *, say: Callable[[str], None] = print) -> BatchEstimate:
    """What the whole batch would take, by running every notebook up to where it would ask for its first trial.

    Nothing is asked, and nothing is left in the folder of the batch. A trial that two notebooks need counts once, with
    the first; a notebook that cannot be run is left out of the total, by name. `say` gets a line for every notebook, or
    why it cannot.
    """
    total, asked = EstimateTotals(), frozenset[str]()
    not_estimated: list[tuple[str, str]] = []
    for agents in left_out(plan.jobs):
        say(f"nothing to compare, left out: {agents}")
    jobs = [job for job in plan.jobs if job.unchanged is None]
    for number, job in enumerate(jobs, 1):
        which = f"[{number}/{len(jobs)}] {job.name}"
        try:
            if job.refusal is not None:
                raise ParameterError(job.refusal)
            totals, asked = _totals_of(job, asked)
        except WorkbenchError as error:
            why = str(error).splitlines()[0]
            not_estimated.append((job.name, why))
            say(f"{which}: {why}")
        else:
            say(f"{which}: {totals.calls:,} {'call' if totals.calls == 1 else 'calls'} to make")
            total += totals
    return BatchEstimate(totals=total, left_out=tuple(not_estimated))


def _totals_of(job: Job, asked: frozenset[str]) -> tuple[EstimateTotals, frozenset[str]]:
    """What one notebook would take beside what is asked for already, and all that is asked for then."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "estimate.json")
        write_estimate(file, totals=None, asked=asked)
        given = {**job.environment, ESTIMATE_FILE: str(file)}
        here = replace(job, notebook=project_folder() / job.notebook, out=Path(folder), environment=given)
        try:
            run_job(here)
        except NotebookFailed:
            if read_estimate(file)[0] is None:
                raise
        totals, asked = read_estimate(file)
        return totals or EstimateTotals(), asked


def _budget_environment(plan: BatchPlan, *, go_on: bool) -> dict[str, str]:
    """The variables by which every kernel stays within the batch's budget, on whatever machine."""
    has_budget = plan.budget_usd is not None or plan.budget_tokens is not None
    if has_budget and os.environ.get("WORKBENCH_BUDGET_SCOPE"):
        raise BudgetError(
            "WORKBENCH_BUDGET_SCOPE is set, so a budget bounds this process already: take it out of the environment, "
            "or the budget out of the plan"
        )
    scope = begin_batch(plan.out, has_budget=has_budget, go_on=go_on)
    if scope is None:
        return {}
    limits = {"WORKBENCH_BUDGET_USD": plan.budget_usd, "WORKBENCH_BUDGET_TOKENS": plan.budget_tokens}
    given = {name: f"{limit}" for name, limit in limits.items() if limit is not None}
    return {"WORKBENCH_BUDGET_SCOPE": scope, **given}


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(f"cannot be written: {error.strerror}", path=error.filename or folder) from error


def _doing(job: Job) -> str:
    """How far a job is, by what it has saved."""
    try:
        cells = json.loads(text_in(job.partial))["cells"]
    except (OSError, ValueError):
        return f"{job.name} begins"
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    ran = sum(cell.get("execution_count") is not None for cell in code)
    return f"{job.name} {ran} of {counted(len(code), 'cell')}"


def _in_order(plan: BatchPlan, outcomes: Mapping[str, JobOutcome]) -> tuple[JobOutcome, ...]:
    return tuple(outcomes.get(job.name) or JobOutcome(job=job, end="not run") for job in plan.jobs)


def _line(outcome: JobOutcome, *, done: int, total: int) -> str:
    said: Sequence[Any] = (outcome.error or outcome.verdict or "").splitlines()
    return f"[{done}/{total}] {outcome.job.name}: {outcome.end}" + (f". {said[0]}" if said else "")
