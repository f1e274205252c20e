"""Many notebooks, some at a time, within one budget; one that fails does not stop the others."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from workbench.definition.project import project_folder
from workbench.errors import BudgetError, NotebookFailed, SetupError, WorkbenchError
from workbench.headless.batch_index import write_index
from workbench.headless.batch_plan import BatchPlan
from workbench.headless.job import Job
from workbench.headless.kernels.worker import begin_worker
from workbench.headless.left_behind import Batch, JobOutcome
from workbench.headless.notebook import run_job
from workbench.headless.notebook_files import write_whole
from workbench.headless.published import seen_from
from workbench.runs.estimate_only import ESTIMATE_FILE, EstimateTotals, read_estimate, write_estimate
from workbench.secrets import without_secrets

STATE_FILE = "batch.json"
"""In the folder of a batch: whose budget it is. The only file there that two equal batches do not share."""

_TIMES_A_WORKER_MAY_DIE = 3
_SECONDS_BETWEEN_LOOKS = 0.5


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
    other; `dask` is the address of a Dask scheduler whose workers run them instead, which need this project, the
    ledger and the key where they are. With `go_on`, a batch that did not come to its end goes on: finished notebooks
    are left as they are, and what was spent counts. The budget of the plan bounds all notebooks together, over all
    workers and restarts. `say` gets a line for every notebook that ends; `progress` draws a bar on a terminal.

    Raises:
        BudgetError: the environment bounds this process already, so the plan cannot have a budget of its own.
        SetupError: Dask is not installed, or the scheduler not there.
        FileError: the folder cannot be written.
        LedgerError: the ledger is of a newer workbench, or cannot be opened: every notebook would fail.
    """
    from workbench.ledger.store import check_ledger  # SQLAlchemy takes longer to load than the command line to begin

    check_ledger()
    plan.out.mkdir(parents=True, exist_ok=True)
    environment = _budget_environment(plan, go_on=go_on)
    project = project_folder()

    def start(executor: Executor, job: Job) -> Future[JobOutcome]:
        return executor.submit(run_job_in_batch, replace(job, go_on=go_on), project=project, environment=environment)

    outcomes = {job.name: _refused(job, job.refusal) for job in plan.jobs if job.refusal is not None}
    for done, refused in enumerate(outcomes.values(), 1):
        say(_line(refused, done=done, total=len(plan.jobs)))
    left = [job for job in plan.jobs if job.name not in outcomes]
    for time in range(1, _TIMES_A_WORKER_MAY_DIE + 1):
        with _executor(dask, at_once or plan.at_once, jobs=len(left)) as executor:
            futures = {start(executor, job): job for job in left}
            with _stopped_on_interrupt(futures):
                for job, outcome in _as_they_end(futures, total=len(plan.jobs), progress=progress):
                    if outcome is None and time < _TIMES_A_WORKER_MAY_DIE:
                        continue
                    outcomes[job.name] = outcome or _died(job)
                    say(_line(outcomes[job.name], done=len(outcomes), total=len(plan.jobs)))
                    write_index(plan.out, _in_order(plan, outcomes))
        left = [job for job in left if job.name not in outcomes]
        if not left:
            break
    return Batch(outcomes=_in_order(plan, outcomes), index=write_index(plan.out, _in_order(plan, outcomes)))


def estimate_batch(plan: BatchPlan, *, say: Callable[[str], None] = print) -> EstimateTotals:
    """What the whole batch would take, by running every notebook up to where it would ask for its first trial.

    Nothing is asked, and nothing is left in the folder of the batch. A trial that two notebooks need counts once, with
    the first; a notebook that cannot be run counts as nothing. `say` gets a line for every notebook, or why it cannot.
    """
    total, asked = EstimateTotals(), frozenset[str]()
    for number, job in enumerate(plan.jobs, 1):
        which = f"[{number}/{len(plan.jobs)}] {job.name}"
        try:
            totals, asked = _totals_of(job, asked)
        except WorkbenchError as error:
            say(f"{which}: {str(error).splitlines()[0]}")
        else:
            say(f"{which}: {totals.calls:,} {'call' if totals.calls == 1 else 'calls'} to make")
            total += totals
    return total


def _totals_of(job: Job, asked: frozenset[str]) -> tuple[EstimateTotals, frozenset[str]]:
    """What one notebook would take beside what is asked for already, and all that is asked for then.

    With `WORKBENCH_ESTIMATE_FILE` set in this process while the notebook runs.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "estimate.json")
        write_estimate(file, totals=None, asked=asked)
        os.environ[ESTIMATE_FILE] = str(file)
        try:
            run_job(replace(job, notebook=project_folder() / job.notebook, out=Path(folder)))
        except NotebookFailed:
            if read_estimate(file)[0] is None:
                raise
        finally:
            del os.environ[ESTIMATE_FILE]
        totals, asked = read_estimate(file)
        return totals or EstimateTotals(), asked


def run_job_in_batch(job: Job, *, project: Path, environment: Mapping[str, str]) -> JobOutcome:
    """Runs one notebook of a batch in this process, whose working directory and environment become the batch's.

    SIGTERM ends the process, once it is saved how far the notebook is.
    """
    os.chdir(project)
    os.environ.update(environment)
    try:
        run = run_job(replace(job, out=Path(seen_from(project, job.out))))
    except NotebookFailed as error:
        return JobOutcome(job=job, end="failed", error=str(error), page=job.page if job.page.exists() else None)
    except WorkbenchError as error:
        return _refused(job, str(error))
    except SystemExit:
        # Told to end, and all is saved. The pool would only take the next job, even where the batch itself is gone.
        os._exit(128 + signal.SIGTERM)
    return JobOutcome(
        job=job,
        end="completed",
        verdict=run.verdict,
        page=run.page.resolve(),
        record=run.record and run.record.resolve(),
    )


def _budget_environment(plan: BatchPlan, *, go_on: bool) -> dict[str, str]:
    """The variables by which every kernel stays within the batch's budget, on whatever machine."""
    if plan.budget_usd is None and plan.budget_tokens is None:
        return {}
    if os.environ.get("WORKBENCH_BUDGET_SCOPE"):
        raise BudgetError(
            "WORKBENCH_BUDGET_SCOPE is set, so a budget bounds this process already: take it out of the environment, "
            "or the budget out of the plan"
        )
    limits = {"WORKBENCH_BUDGET_USD": plan.budget_usd, "WORKBENCH_BUDGET_TOKENS": plan.budget_tokens}
    given = {name: f"{limit}" for name, limit in limits.items() if limit is not None}
    return {"WORKBENCH_BUDGET_SCOPE": _scope(plan.out / STATE_FILE, go_on=go_on), **given}


def _scope(state: Path, *, go_on: bool) -> str:
    """One for each batch, kept while it goes on: a batch that begins anew has its whole budget."""
    if go_on and state.exists():
        return str(json.loads(state.read_text(encoding="utf-8"))["budget_scope"])
    scope = f"batch {uuid.uuid4().hex}"
    write_whole(state, json.dumps({"budget_scope": scope}) + "\n")
    return scope


@contextmanager
def _executor(dask: str | None, at_once: int, *, jobs: int) -> Iterator[Executor]:
    if dask is not None:
        with _dask_executor(dask) as executor:
            yield executor
        return
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(
        max_workers=at_once,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=partial(begin_worker, once=jobs <= at_once),
    ) as executor:
        try:
            yield executor
        except BaseException:
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()  # it saves how far its notebook is
            raise


@contextmanager
def _dask_executor(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError as error:
        raise SetupError("Dask is not installed: pip install 'agent-workbench[dask]'") from error
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise SetupError(f"no Dask scheduler answers at {without_secrets(address)}: {error}") from error
    with client:
        yield client.get_executor(retries=_TIMES_A_WORKER_MAY_DIE, pure=False)


def _as_they_end(
    futures: Mapping[Future[JobOutcome], Job], *, total: int, progress: bool
) -> Iterator[tuple[Job, JobOutcome | None]]:
    """Each job with its outcome as it ends; `None`: its worker died."""
    pending = set(futures)
    with tqdm(total=total, initial=total - len(pending), unit="notebook", disable=None if progress else True) as bar:
        while pending:
            done, pending = wait(pending, timeout=_SECONDS_BETWEEN_LOOKS)
            for future in done:
                bar.update()
                yield futures[future], _outcome(future, futures[future])
            if not bar.disable:
                bar.set_postfix_str("; ".join(_doing(futures[future]) for future in pending if future.running()))


def _outcome(future: Future[JobOutcome], job: Job) -> JobOutcome | None:
    if future.cancelled():
        return JobOutcome(job=job, end="not run")
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, BrokenProcessPool):
        return None
    return JobOutcome(job=job, end="failed", error=without_secrets(f"{type(error).__name__}: {error}"))


def _doing(job: Job) -> str:
    """How far a job is, by what it has saved."""
    try:
        cells = json.loads(job.partial.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError):
        return f"{job.name} begins"
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    ran = sum(cell.get("execution_count") is not None for cell in code)
    return f"{job.name} {ran} of {len(code)} cells"


@contextmanager
def _stopped_on_interrupt(futures: Mapping[Future[JobOutcome], Job]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def _refused(job: Job, why: str) -> JobOutcome:
    return JobOutcome(job=job, end="refused", error=without_secrets(why))


def _died(job: Job) -> JobOutcome:
    return JobOutcome(
        job=job,
        end="failed",
        error=f"the process that ran it died {_TIMES_A_WORKER_MAY_DIE} times; memory may be short: run fewer at once",
    )


def _in_order(plan: BatchPlan, outcomes: Mapping[str, JobOutcome]) -> tuple[JobOutcome, ...]:
    return tuple(outcomes.get(job.name) or JobOutcome(job=job, end="not run") for job in plan.jobs)


def _line(outcome: JobOutcome, *, done: int, total: int) -> str:
    said: Sequence[Any] = (outcome.error or outcome.verdict or "").splitlines()
    return f"[{done}/{total}] {outcome.job.name}: {outcome.end}" + (f". {said[0]}" if said else "")
