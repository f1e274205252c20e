"""One notebook, executed: checked before a kernel starts, saved whole after every cell, within its deadlines.

It is saved in the form in which it is kept, and says truly what became of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output
from papermill.clientwrap import PapermillNotebookClient

from workbench.definition.project import project_folder
from workbench.errors import ParameterError, SetupError
from workbench.headless.job import Deadlines
from workbench.headless.kernels.kernel import HeadlessKernelManager, KernelLost, wait_until_ready
from workbench.headless.notebook_state import NotebookState, StateFile, is_local, written_whole_from_now_on
from workbench.headless.parameters import Parameter, check_parameters, declared_parameters
from workbench.headless.published import ABOUT, COMPLETED, KEEP_OUTPUT, STOPPED, about_notebook, names_of_folders
from workbench.headless.stopping import stoppable
from workbench.secrets import value_without_secrets, without_secrets

_log = logging.getLogger(__name__)

_OF_PAPERMILL = ("PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH")
"""Parameters that papermill itself adds when it is asked to."""
_WITH_DATA = ("display_data", "execute_result", "update_display_data")
_JSON = re.compile(r"application/(.*\+)?json")
"""Kinds of output that may be more than a text in the notebook format."""
_SECONDS_TO_SAY_WHERE = 2.0
"""How long an interrupted cell has to show where it was."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What a notebook is executed with; its parameters fit what it declares."""

    declared: Mapping[str, Parameter]
    parameters: Mapping[str, Any]
    folder: Path
    """The working directory of its kernel."""
    deadlines: Deadlines
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that the kernel has beside those of this process."""
    when_cells_ended: Callable[[NotebookNode], None] | None = None
    """Called with the notebook as it is kept, before the kernel has ended."""
    earlier: NotebookNode | None = None
    """How far an earlier run of the same notebook got, whose outputs are kept where a cell asks for it
    (`KEEP_OUTPUT`)."""


@dataclass(frozen=True, kw_only=True)
class PapermillOptions:
    """What papermill tells every engine, by its own names."""

    output_path: str | None = None
    progress_bar: bool | dict[str, Any] = True
    log_output: bool = False
    autosave_cell_every: int = 30
    start_timeout: float = 60
    stdout_file: Any = None
    stderr_file: Any = None


def execute_for_papermill(
    nb: NotebookNode, *, execution: Execution | None = None, input_path: Any = None, **options: Any
) -> NotebookNode:
    """The notebook as it is kept, executed as far as it got.

    Without `execution`, papermill itself was called: then the notebook's parameters are checked first, and the
    deadlines are among the options, as `cell_timeout` (papermill calls it `execution_timeout`) and `notebook_timeout`,
    in seconds.

    Raises:
        ParameterError: A parameter is unknown, of the wrong type, or looks like a key. Nothing was started.
        SetupError: A deadline of the environment is no number of seconds. Nothing was started.
        CellTimeoutError: A deadline passed.
        DeadKernelError: The kernel died.
    """
    if execution is None:
        given = nb.metadata.papermill.get("parameters", {})
        given = {name: value for name, value in given.items() if name not in _OF_PAPERMILL}
        declared = declared_parameters(nb)
        source = Path(input_path if isinstance(input_path, str) else "notebook")
        parameters = check_parameters(declared, given, notebook=source)
        if not _is_json(given) or parameters != given:
            # Papermill has written them into a cell by now, a number of numpy as a text.
            raise ParameterError(f"{source}: give papermill parameters of Python's own types, not {given!r}")
        cell, execution_timeout = options.pop("cell_timeout", None), options.pop("execution_timeout", None)
        execution = Execution(
            declared=declared,
            parameters=parameters,
            folder=Path(options.pop("folder", None) or Path.cwd()),
            deadlines=Deadlines(cell=cell or execution_timeout, notebook=options.pop("notebook_timeout", None)),
        )
    return _execute(nb, execution, PapermillOptions(**options))


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def _execute(nb: NotebookNode, execution: Execution, options: PapermillOptions) -> NotebookNode:
    deadlines = Deadlines(
        cell=execution.deadlines.cell or _seconds_of_environment("WORKBENCH_CELL_DEADLINE"),
        notebook=execution.deadlines.notebook or _seconds_of_environment("WORKBENCH_DEADLINE"),
    )
    output, project = options.output_path, project_folder(execution.folder)
    local = written_whole_from_now_on(output) if output and is_local(output) else None
    manager = HeadlessKernelManager()
    about = about_notebook(nb, execution.declared, execution.parameters, project=project)
    state = NotebookState(
        document=nb,
        about=about,
        folders=names_of_folders(local.parent if local else project, project, (manager.temporary_folder, "$TMPDIR")),
    )
    file = StateFile(
        state,
        local,
        output_path=output,
        log_output=options.log_output,
        progress_bar=options.progress_bar,
        autosave_cell_every=options.autosave_cell_every,
    )
    file.notebook_start()
    client = _Client(file, manager, replace(execution, deadlines=deadlines), options)
    try:
        client.execute()
    finally:
        file.cleanup_pbar()
        file.notebook_complete()
    return state.published()


def _seconds_of_environment(name: str) -> float | None:
    text = os.environ.get(name)
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < float("inf"):
        raise SetupError(f"{name}={text}: set it to a number of seconds above 0, or take it out of the environment")
    return seconds


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """Runs the cells of one notebook, in one event loop from the kernel's start to its end."""

    def __init__(
        self, file: StateFile, manager: HeadlessKernelManager, execution: Execution, options: PapermillOptions
    ) -> None:
        super().__init__(
            file,
            km=manager,
            store_widget_state=False,
            record_timing=False,
            iopub_timeout=60,
            timeout_func=self._seconds_for,
            log_output=options.log_output,
            stdout_file=options.stdout_file,
            stderr_file=options.stderr_file,
            on_cell_executed=self._look_at_reply,
        )
        self._state = state = file.state
        self._execution = execution
        self._kept = _kept_outputs(execution.earlier, state) if execution.earlier else {}
        self._start_seconds = options.start_timeout
        self._began = self._ready_at = self._cell_began = time.monotonic()
        self._ends = self._began + (execution.deadlines.notebook or float("inf"))
        self._nearest: Literal["cell", "notebook"] = "notebook"
        """Whose deadline is the first to pass in this cell."""
        self._idle = asyncio.Event()
        self._leaves = False
        self._terminated = False

    def execute(self, **_: Any) -> NotebookNode:
        """Runs to the end, or as far as it gets; `self.nb` holds it.

        Raises:
            CellTimeoutError, DeadKernelError: as the names say.
            KeyboardInterrupt: Ctrl-C.
            SystemExit: SIGTERM, with the exit code that a shell gives it.
        """
        state = self._state
        try:
            _run_in_own_loop(self._run)
        except CellTimeoutError as error:
            state.end("timed out", str(error).partition("\n")[0])
            raise
        except DeadKernelError as error:
            state.end("kernel died", str(error).partition("\n")[0])
            raise
        except (KeyboardInterrupt, asyncio.CancelledError):
            state.end("terminated" if self._terminated else "interrupted")
            if self._terminated:
                raise SystemExit(128 + signal.SIGTERM) from None
            raise
        except BaseException as error:
            state.end("failed", f"{type(error).__name__}: {error}")
            raise
        executed: NotebookNode = self.nb
        return executed

    async def _run(self) -> None:
        with self._terminable():
            try:
                await self.km.start_kernel(
                    cwd=str(self._execution.folder),
                    env={**os.environ, **self._execution.environment},
                    extra_arguments=[f"--HistoryManager.hist_file={self.ipython_hist_file}"],
                )
                try:
                    info = await self._info_of_kernel()
                except KernelLost as error:
                    _log.warning("Another kernel is started: %s", error)
                    self._hang_up()
                    await self.km.start_another()
                    info = await self._info_of_kernel()
                self._ready_at = time.monotonic()
                self.nb.metadata["language_info"] = info["language_info"]
                await self._run_cells()
                if self._execution.when_cells_ended:
                    self._execution.when_cells_ended(self._state.published())
            finally:
                await self._async_cleanup_kernel()

    async def _info_of_kernel(self) -> dict[str, Any]:
        self.kc = self.km.client(context=self.km.context)
        self.kc.start_channels(stdin=False, hb=False, control=False)
        try:
            return await wait_until_ready(self.km, self.kc, seconds=min(self._start_seconds, self._left()))
        except KernelLost:
            if self._left() > 0:
                raise
            raise self._deadline_passed(f"{self._since(self._began)} went by and its kernel was not ready") from None

    def _hang_up(self) -> None:
        if self.kc is not None:
            self.kc.shell_channel.stop()
            self.kc.iopub_channel.stop()
            self.kc = None

    async def _async_check_alive(self) -> None:
        # Where a cell was cancelled, the client still looks after its kernel once we have hung up.
        if self.kc is not None:
            await super()._async_check_alive()

    async def _async_cleanup_kernel(self) -> None:
        self._hang_up()
        await super()._async_cleanup_kernel()

    async def _run_cells(self) -> None:
        for index, cell in enumerate(self.nb.cells):
            self.nb_man.cell_start(cell, index)
            self._cell_began = time.monotonic()
            try:
                await self.async_execute_cell(cell, index)
                if cell.get("id") in self._kept:
                    cell.outputs = copy.deepcopy(self._kept[cell.id])
                if self._leaves and index + 1 < len(self.nb.cells):
                    self._state.end(STOPPED, "exit()")
                    return
                self._state.cells_done = index + 1
            except CellExecutionError as error:
                left_by_itself = error.ename == "SystemExit" and error.evalue in ("", "0")
                self._state.end(STOPPED if left_by_itself else "failed", f"{error.ename}: {error.evalue}")
                if not any(output.output_type == "error" for output in cell.outputs):
                    # IPython only prints what is wrong with a magic; by such an output papermill knows a failure.
                    said = {"ename": error.ename, "evalue": error.evalue, "traceback": []}
                    cell.outputs.append(new_output("error", **said))
                return
            except DeadKernelError:
                # So says the client also of a cell that is cancelled.
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise asyncio.CancelledError from None
                raise await self.km.lost("the kernel died") from None
            finally:
                self.nb_man.cell_complete(cell, index)
        self._state.cell = None
        self._state.end(COMPLETED)

    def _look_at_reply(self, execute_reply: Mapping[str, Any], **_: Any) -> None:
        """`exit()` raises nothing in a kernel: it answers, and ends a moment later, in the middle of some next cell."""
        self._leaves = any(asked.get("source") == "ask_exit" for asked in execute_reply["content"].get("payload", ()))

    def _left(self) -> float:
        return max(0.0, self._ends - time.monotonic())

    def _seconds_for(self, cell: NotebookNode) -> float | None:
        of_cell, left = self._execution.deadlines.cell or float("inf"), self._left()
        # Kept for when it passes: a moment later, both may have.
        self._nearest = "cell" if of_cell < left else "notebook"
        seconds = min(of_cell, left)
        return None if seconds == float("inf") else max(seconds, 0.001)

    async def _async_handle_timeout(self, timeout: float, cell: NotebookNode | None = None) -> None:
        """Has the cell show where it is, and gives up."""
        passed = self._deadline_passed(self._spent())
        await self.km.interrupt_kernel()
        try:
            await asyncio.wait_for(self._idle.wait(), _SECONDS_TO_SAY_WHERE)
        except TimeoutError:
            self.shutdown_kernel = "immediate"
        raise passed

    def _spent(self) -> str:
        """What the time went to, in a sentence."""
        here = f"{self._since(self._cell_began)} in the cell {self._state.cell!r}"
        if self._nearest == "cell":
            return f"it went by with {here}"
        before = f"{self._cell_began - self._ready_at:.1f} s in the cells before it"
        return f"it went by with {self._ready_at - self._began:.1f} s until the kernel was ready, {before} and {here}"

    @staticmethod
    def _since(moment: float) -> str:
        return f"{time.monotonic() - moment:.1f} s"

    def _deadline_passed(self, spent: str) -> CellTimeoutError:
        """The first line is the same in every run, the second tells of this one."""
        seconds = getattr(self._execution.deadlines, self._nearest)
        return CellTimeoutError(f"the deadline of {seconds:g} s for the {self._nearest} passed\n{spent}")

    def process_message(self, msg: Mapping[str, Any], cell: NotebookNode, cell_index: int) -> Any:
        """Shows behind the bar what a cell updates in place, such as how far its trials are."""
        kind, content, bar = msg["msg_type"], msg["content"], self.nb_man.pbar
        if kind in _WITH_DATA:
            content["data"] = {each: _as_the_format_wants(each, data) for each, data in content["data"].items()}
        if kind == "execute_input":
            self._idle.clear()
        elif kind == "status" and content["execution_state"] == "idle":
            self._idle.set()
        if bar and kind == "execute_input":
            bar.set_postfix_str("")
        elif bar and kind == "update_display_data":
            bar.set_postfix_str(without_secrets(content["data"].get("text/plain", "").partition("\n")[0]))
        return super().process_message(msg, cell, cell_index)

    def log_output_message(self, output: NotebookNode) -> None:
        clean: NotebookNode = NotebookNode(value_without_secrets(output))
        if "data" in clean:
            clean["data"] = NotebookNode(clean["data"])
        super().log_output_message(clean)

    @contextlib.contextmanager
    def _terminable(self) -> Any:
        """SIGTERM ends the run as Ctrl-C does: with what was executed saved, and the kernel ended.

        In a thread that signals do not reach, `stop_notebook_in` does.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop() -> None:
            self._terminated = True
            assert task is not None
            task.cancel()

        if threading.current_thread() is not threading.main_thread():
            with stoppable(partial(loop.call_soon_threadsafe, stop)):
                yield
            return
        before = signal.getsignal(signal.SIGTERM)
        loop.add_signal_handler(signal.SIGTERM, stop)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGTERM)
            signal.signal(signal.SIGTERM, before)


def _as_the_format_wants(kind: str, data: Any) -> Any:
    """What a cell showed, as a text where a notebook that holds it as it is would be refused."""
    is_text = isinstance(data, str) or (isinstance(data, list) and all(isinstance(line, str) for line in data))
    return data if is_text or _JSON.fullmatch(kind) else json.dumps(data, ensure_ascii=False)


def _kept_outputs(earlier: NotebookNode, now: NotebookState) -> dict[str, list[Any]]:
    """By cell, the outputs of an earlier run that stay: of cells that ask for it, ran to their end and are the same.

    None where the agents, tasks, versions or who answers are others.
    """
    before = earlier.metadata[ABOUT]
    if _hashes(before) != _hashes(now.about) or before.get("versions") != now.about["versions"]:
        return {}
    if before.get("answers") != now.about.get("answers"):
        return {}
    sources = {cell.get("id"): cell.source for cell in now.document.cells}
    return {
        cell.id: cell.outputs
        for cell in earlier.cells[: before.get("cells_done", 0)]
        if KEEP_OUTPUT in cell.metadata.get("tags", []) and sources.get(cell.id) == cell.source
    }


def _hashes(about: Mapping[str, Any]) -> dict[str, str]:
    return {name: file["sha256"] for name, file in about.get("files", {}).items()}


def _run_in_own_loop(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs it in an event loop of its own, in another thread where this one has a loop already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner() as runner:
            runner.run(run())
        return
    # Called in a cell of another notebook: its thread's loop is at work on that very cell.
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="workbench-notebook") as thread:
        stop: list[Callable[[], object]] = []

        async def stoppable() -> None:
            task = asyncio.current_task()
            assert task is not None
            stop.append(partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel))
            await run()

        running = thread.submit(asyncio.run, stoppable())
        try:
            running.result()
        except KeyboardInterrupt:
            # Python raises it in the main thread only: the other is told, and waited for while it saves.
            for each in stop:
                each()
            raise
