"""The notebooks of a batch on the workers of a Dask cluster, each given to one that would run it as it is meant.

A worker may lack the project, have another version of the workbench or its ledger, or no key: what it left would look
like all the rest. So each is looked at before it takes a job, and again when it begins one; one that is not fit is
named, and takes none. Which job goes where is decided here and not by Dask, which knows workers only as equals:

    left --- to a fit worker with a free thread ---> running --- its outcome ---> ended
     ^                                                 |
     +--- the worker is gone (three times at most), or found itself unfit

A notebook runs in a thread of its worker, which no signal reaches: another thread there looks whether it is still
wanted. It is not once its batch has ended, by Ctrl-C or a SIGKILL, or the scheduler is gone.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workbench.errors import SetupError
from workbench.headless.batch_job import died, refused, run_job_in_batch
from workbench.headless.job import Job
from workbench.headless.left_behind import JobOutcome
from workbench.headless.stopping import stop_notebook_in
from workbench.headless.terms import PACKAGE, Terms, unmet
from workbench.secrets import without_secrets

if TYPE_CHECKING:
    from distributed import Client, Future, Worker

_TIMES_A_WORKER_MAY_DIE = 3
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_TO_ANSWER = 10
_SECONDS_WITHOUT_A_WORKER = 60.0
"""How long jobs wait where no worker is there."""
_SECONDS_WITHOUT_A_FIT_WORKER = 15.0
"""How long they wait where none of those that are there is fit for them, from the last that came."""
_LOGS = ("distributed", "tornado.application", "asyncio")
_VERSION = f"__import__('importlib.metadata').metadata.version({PACKAGE!r})"


def run_on_dask(
    address: str,
    jobs: Sequence[Job],
    terms: Terms,
    *,
    watch: Callable[[Sequence[Job]], None],
    say: Callable[[str], None],
) -> Generator[JobOutcome]:
    """Runs the jobs on the workers of the scheduler at this address, and gives the outcome of each as it ends.

    `watch` gets the jobs that are running, again and again; `say` a line for each worker that takes none. Whoever
    closes the iterator ends the notebooks, which save how far they are.

    Raises:
        SetupError: Dask is not installed, or the scheduler not there.
    """
    with _client(address) as client:
        at = f"at {without_secrets(address)}"
        workers = _Workers(client, terms, say)
        left, deaths = deque(jobs), Counter[str]()
        running: dict[Future[Any], tuple[Job, str]] = {}
        fit_at = time.monotonic()
        try:
            while left or running:
                if workers.look():
                    fit_at = time.monotonic()
                for future, (job, worker) in list(running.items()):
                    if worker not in workers.threads:
                        del running[future]
                        future.cancel()
                        deaths[job.name] += 1
                        if deaths[job.name] == _TIMES_A_WORKER_MAY_DIE:
                            yield died(job, deaths[job.name])
                        else:
                            left.appendleft(job)
                    elif future.done():
                        del running[future]
                        found = _result(future, job)
                        if isinstance(found, str):
                            workers.refuse(worker, found)
                            left.appendleft(job)
                        else:
                            yield found
                for worker in workers.free(Counter(worker for _, worker in running.values())):
                    if left:
                        job = left.popleft()
                        future = client.submit(_run_on_worker, job, terms, workers=[worker], pure=False)
                        running[future] = (job, worker)
                watch([job for job, _ in running.values()])
                if running:
                    fit_at = time.monotonic()
                elif left and time.monotonic() - fit_at > workers.patience_seconds:
                    for job in left:
                        yield refused(job, f"no worker {at} can run it; {workers.why()}")
                    return
                if client.status != "running":
                    raise _SchedulerGone
                time.sleep(_SECONDS_BETWEEN_LOOKS)
        except (_SchedulerGone, OSError):
            for job, _ in running.values():
                why = f"the scheduler {at} is gone: the worker ends the notebook, and saves how far it is"
                yield JobOutcome(job=job, end="failed", error=why)
            for job in left:
                yield refused(job, f"the scheduler {at} is gone: it was not begun")
        finally:
            if client.status == "running":
                client.cancel(list(running))


class _SchedulerGone(Exception):
    """The connection to it is lost, and with it all that it was told."""


class _Workers:
    """The workers of a cluster: how many threads each has, and why it takes no job."""

    def __init__(self, client: Client, terms: Terms, say: Callable[[str], None]) -> None:
        self._client = client
        self._terms = terms
        self._say = say
        self._unfit: dict[str, str] = {}
        self.threads: dict[str, int] = {}
        """By address, of those that are there; one that is started again has another address."""

    def look(self) -> bool:
        """Looks who is there, and at each that is new; false where none is."""
        # Not `scheduler_info`: what it returns may be a moment's cache without any worker.
        scheduler = self._client.scheduler
        if scheduler is None:
            raise _SchedulerGone
        found = self._client.sync(scheduler.identity, n_workers=-1)["workers"]
        new = found.keys() - self.threads.keys()
        self.threads = {worker: each["nthreads"] for worker, each in found.items()}
        for worker in sorted(new):
            if why := self._look_at(worker):
                self.refuse(worker, why)
        return bool(new)

    def _look_at(self, worker: str) -> str:
        # `eval` is on every worker; whatever else is asked for has to be imported there.
        version = self._ask(worker, eval, _VERSION)
        if isinstance(version, Exception):
            return f"it lacks {PACKAGE}"
        if version != self._terms.package:
            return f"it has {PACKAGE} {version}, not {self._terms.package}"
        found = self._ask(worker, _look, self._terms)
        return f"its {PACKAGE} is another: {found}" if isinstance(found, Exception) else str(found)

    def _ask(self, worker: str, call: Callable[..., Any], *arguments: Any) -> Any:
        """What the call gives there, or the exception that it raises."""
        return self._client.run(call, *arguments, workers=[worker], on_error="return").get(worker)

    def refuse(self, worker: str, why: str) -> None:
        """Gives it no job from now on, and says so."""
        self._unfit[worker] = without_secrets(why)
        self._say(f"the worker {worker} takes no job: {self._unfit[worker]}")

    def free(self, taken: Counter[str]) -> list[str]:
        """A worker for each thread that is free on one that is fit, in turn."""
        free = {
            worker: threads - taken[worker] for worker, threads in self.threads.items() if worker not in self._unfit
        }
        return [worker for turn in range(max(free.values(), default=0)) for worker in free if turn < free[worker]]

    @property
    def patience_seconds(self) -> float:
        """How long jobs wait for one that is fit."""
        return _SECONDS_WITHOUT_A_FIT_WORKER if self.threads else _SECONDS_WITHOUT_A_WORKER

    def why(self) -> str:
        """Why there is none."""
        there = [f"{worker}: {why}" for worker, why in self._unfit.items() if worker in self.threads]
        return "; ".join(there) or "there is none"


def _look(terms: Terms) -> str:
    """On a worker: why it takes no job; empty where it is fit for one."""
    if not terms.project.is_dir():
        return f"it lacks the project {terms.project}"
    os.chdir(terms.project)
    return unmet(terms)


def _run_on_worker(job: Job, terms: Terms) -> JobOutcome | str:
    """On a worker: what became of the job, or why it was not begun."""
    from distributed import get_worker

    if why := _look(terms):
        return why
    worker, thread, ended = get_worker(), threading.get_ident(), threading.Event()
    task = worker.get_current_task()

    def watch() -> None:
        while not ended.wait(_SECONDS_BETWEEN_LOOKS):
            # Once only: a second time would come into the middle of ending the kernel.
            if not _is_wanted(worker, task) and stop_notebook_in(thread):
                return

    threading.Thread(target=watch, name="workbench-wanted", daemon=True).start()
    try:
        return run_job_in_batch(job, terms.project)
    except SystemExit:
        return JobOutcome(job=job, end="failed", error="it was told to end; how far it was is saved", page=job.page)
    finally:
        ended.set()


def _is_wanted(worker: Worker, task: Any) -> bool:
    """Whether somebody waits for the task: not once it was cancelled, or the batch or the scheduler is gone."""
    state = worker.state.tasks.get(task)
    return worker.status.name in ("running", "paused") and state is not None and state.state == "executing"


def _result(future: Future[Any], job: Job) -> JobOutcome | str:
    if future.cancelled():  # not by us: that is how Dask tells of a scheduler that it has lost
        raise _SchedulerGone
    error = future.exception()
    if error is not None:
        return JobOutcome(job=job, end="failed", error=without_secrets(f"{type(error).__name__}: {error}"))
    found: JobOutcome | str = future.result()
    return found


@contextmanager
def _client(address: str) -> Iterator[Client]:
    try:
        from distributed import Client
    except ImportError as error:
        raise SetupError("Dask is not installed: pip install 'agent-workbench[dask]'") from error
    with _quiet():
        try:
            client = Client(address, timeout=_SECONDS_TO_ANSWER, set_as_default=False)
        except (OSError, ValueError) as error:
            raise SetupError(f"no Dask scheduler answers at {without_secrets(address)}: {error}") from error
        with client:
            yield client


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Dask from telling of a lost cluster by tracebacks: the outcomes tell it in words."""
    # One by one: Dask gives some of them a level of their own.
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict) if name.startswith(_LOGS)]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled
