"""The notebooks of a batch in processes of this machine, each of which runs one after the other."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from workbench.definition.there import text_in
from workbench.headless.batch_job import died, run_job_in_batch
from workbench.headless.job import Job
from workbench.headless.kernels.ready import modules_for
from workbench.headless.kernels.worker import begin_worker
from workbench.headless.left_behind import JobOutcome
from workbench.secrets import without_secrets
from workbench.shipped.files import notebook_file

_TIMES_A_WORKER_MAY_DIE = 3
_SECONDS_BETWEEN_LOOKS = 0.5


def run_here(
    jobs: Sequence[Job], project: Path, *, at_once: int, watch: Callable[[Sequence[Job]], None]
) -> Generator[JobOutcome]:
    """Runs the jobs, and gives the outcome of each as it ends; `watch` gets those that are running, again and again.

    Whoever closes the iterator ends the processes, which save how far their notebooks are.
    """
    left = list(jobs)
    for time in range(1, _TIMES_A_WORKER_MAY_DIE + 1):
        with _executor(at_once, imports=_imports(left, project) if len(left) <= at_once else None) as executor:
            futures = {executor.submit(_run_in_worker, job, project): job for job in left}
            with _cancelled_on_interrupt(futures):
                for job, outcome in _as_they_end(futures, watch):
                    if outcome is None and time < _TIMES_A_WORKER_MAY_DIE:
                        continue
                    left.remove(job)
                    yield outcome or died(job, time)
        if not left:
            return


def _run_in_worker(job: Job, project: Path) -> JobOutcome:
    """Runs it in a process that has nothing else to do, and ends with it when it is told to end."""
    try:
        return run_job_in_batch(job, project)
    except SystemExit:
        # All is saved. The pool would only take the next job, even where the batch itself is gone.
        os._exit(128 + signal.SIGTERM)


def _imports(jobs: Sequence[Job], project: Path) -> tuple[str, ...]:
    """For workers that run one notebook each: what these use."""
    notebooks = {notebook_file(project / job.notebook) for job in jobs}
    return modules_for("".join(text_in(notebook, errors="replace") for notebook in notebooks))


@contextmanager
def _executor(at_once: int, *, imports: Sequence[str] | None) -> Iterator[Executor]:
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(
        max_workers=at_once,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=partial(begin_worker, imports=imports),
    ) as executor:
        try:
            yield executor
        except BaseException:
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()  # it saves how far its notebook is
            raise


def _as_they_end(
    futures: Mapping[Future[JobOutcome], Job], watch: Callable[[Sequence[Job]], None]
) -> Iterator[tuple[Job, JobOutcome | None]]:
    """Each job with its outcome as it ends; `None`: its worker died."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=_SECONDS_BETWEEN_LOOKS)
        for future in done:
            yield futures[future], _outcome(future, futures[future])
        watch([futures[future] for future in pending if future.running()])


def _outcome(future: Future[JobOutcome], job: Job) -> JobOutcome | None:
    if future.cancelled():
        return JobOutcome(job=job, end="not run")
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, BrokenProcessPool):
        return None
    return JobOutcome(job=job, end="failed", error=without_secrets(f"{type(error).__name__}: {error}"))


@contextmanager
def _cancelled_on_interrupt(futures: Mapping[Future[JobOutcome], Job]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for future in futures:
            future.cancel()
        raise
