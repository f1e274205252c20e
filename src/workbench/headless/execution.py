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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output
from papermill.clientwrap import PapermillNotebookClient

from workbench.definition.project import project_folder
from workbench.errors import SetupError
from workbench.headless.kernels.kernel import HeadlessKernelManager, KernelLost, wait_until_ready
from workbench.headless.parameters import check_parameters, declared_parameters
from workbench.headless.progress import NotebookState, State, is_local, written_whole_from_now_on
from workbench.headless.published import ABOUT, COMPLETED, KEEP_OUTPUT, about_notebook, names_of_places
from workbench.secrets import value_without_secrets, without_secrets

_log = logging.getLogger(__name__)

_OF_PAPERMILL = ("PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH")
"""Parameters that papermill itself adds when it is asked to."""
_WITH_DATA = ("display_data", "execute_result", "update_display_data")
_JSON = re.compile(r"application/(.*\+)?json")
"""Kinds of output that may be more than a text in the notebook format."""
_SECONDS_TO_SAY_WHERE = 2.0
"""How long an interrupted cell has to show where it was."""


def execute_notebook(
    nb: NotebookNode,
    output_path: str | None = None,
    progress_bar: bool | dict[str, Any] = True,
    log_output: bool = False,
    autosave_cell_every: int = 30,
    *,
    input_path: Any = None,
    start_timeout: float = 60,
    execution_timeout: float | None = None,
    cell_timeout: float | None = None,
    notebook_timeout: float | None = None,
    folder: str | None = None,
    stdout_file: Any = None,
    stderr_file: Any = None,
    when_cells_ended: Callable[[NotebookNode], None] | None = None,
    earlier: NotebookNode | None = None,
) -> NotebookNode:
    """The notebook as it is kept, executed as far as it got.

    `cell_timeout` (papermill calls it `execution_timeout`) and `notebook_timeout` are seconds; where they are not
    given, `WORKBENCH_CELL_DEADLINE` and `WORKBENCH_DEADLINE` in the environment are. The kernel is this very Python,
    in `folder` or the working directory. `when_cells_ended` is called with what will be returned, before the kernel has
    ended. `earlier` is how far an earlier run of the same notebook got, whose outputs are kept where a cell asks for it
    (`KEEP_OUTPUT`).

    Raises:
        ParameterError: A parameter is unknown, of the wrong type, or looks like a key. Nothing was started.
        SetupError: A deadline of the environment is no number of seconds. Nothing was started.
        CellTimeoutError: A deadline passed.
        DeadKernelError: The kernel died.
    """
    given = nb.metadata.papermill.get("parameters", {})
    given = {name: value for name, value in given.items() if name not in _OF_PAPERMILL}
    source = Path(input_path if isinstance(input_path, str) else "notebook")
    check_parameters(declared_parameters(nb), given, notebook=source)
    deadlines = _Deadlines(
        cell=cell_timeout or execution_timeout or _seconds_of_environment("WORKBENCH_CELL_DEADLINE"),
        notebook=notebook_timeout or _seconds_of_environment("WORKBENCH_DEADLINE"),
    )
    project = project_folder(folder)
    local = written_whole_from_now_on(output_path) if output_path and is_local(output_path) else None
    manager = HeadlessKernelManager()
    about = about_notebook(nb, given, project=project)
    state = State(
        document=nb,
        about=about,
        places=names_of_places(local.parent if local else project, project, (manager.temporary_folder, "$TMPDIR")),
    )
    progress = NotebookState(
        state,
        local,
        output_path=output_path,
        log_output=log_output,
        progress_bar=progress_bar,
        autosave_cell_every=autosave_cell_every,
    )
    progress.notebook_start()
    client = _Client(
        progress,
        km=manager,
        folder=folder or str(Path.cwd()),
        deadlines=deadlines,
        when_cells_ended=when_cells_ended,
        kept={} if earlier is None else _kept_outputs(earlier, nb, about),
        startup_timeout=start_timeout,
        log_output=log_output,
        stdout_file=stdout_file,
        stderr_file=stderr_file,
    )
    try:
        client.execute()
    finally:
        progress.cleanup_pbar()
        progress.notebook_complete()
    return state.published()


@dataclass(frozen=True, kw_only=True)
class _Deadlines:
    """Seconds; `None` for none."""

    cell: float | None
    notebook: float | None


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
        self,
        progress: NotebookState,
        *,
        km: HeadlessKernelManager,
        folder: str,
        deadlines: _Deadlines,
        when_cells_ended: Callable[[NotebookNode], None] | None,
        kept: Mapping[str, list[Any]],
        startup_timeout: float,
        **options: Any,
    ) -> None:
        super().__init__(
            progress,
            km=km,
            store_widget_state=False,
            record_timing=False,
            iopub_timeout=60,
            timeout_func=self._seconds_for,
            **options,
        )
        self._state = progress.state
        self._folder = folder
        self._deadlines = deadlines
        self._when_cells_ended = when_cells_ended
        self._kept = kept
        self._start_seconds = startup_timeout
        self._ends = float("inf") if deadlines.notebook is None else time.monotonic() + deadlines.notebook
        self._idle = asyncio.Event()
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
            state.end("timed out", str(error))
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
                    cwd=self._folder, extra_arguments=[f"--HistoryManager.hist_file={self.ipython_hist_file}"]
                )
                try:
                    info = await self._info_of_kernel()
                except KernelLost as error:
                    if self._left() <= 0:
                        raise self._deadline_passed() from None
                    _log.warning("Another kernel is started: %s", error)
                    self._hang_up()
                    await self.km.start_another()
                    info = await self._info_of_kernel()
                self.nb.metadata["language_info"] = info["language_info"]
                await self._run_cells()
                if self._when_cells_ended:
                    self._when_cells_ended(self._state.published())
            finally:
                await self._async_cleanup_kernel()

    async def _info_of_kernel(self) -> dict[str, Any]:
        self.kc = self.km.client(context=self.km.context)
        self.kc.start_channels(stdin=False, hb=False, control=False)
        return await wait_until_ready(self.km, self.kc, seconds=min(self._start_seconds, self._left()))

    def _hang_up(self) -> None:
        if self.kc is not None:
            self.kc.shell_channel.stop()
            self.kc.iopub_channel.stop()
            self.kc = None

    async def _async_cleanup_kernel(self) -> None:
        self._hang_up()
        await super()._async_cleanup_kernel()

    async def _run_cells(self) -> None:
        for index, cell in enumerate(self.nb.cells):
            self.nb_man.cell_start(cell, index)
            try:
                await self.async_execute_cell(cell, index)
                if cell.get("id") in self._kept:
                    cell.outputs = copy.deepcopy(self._kept[cell.id])
                self._state.cells_done = index + 1
            except CellExecutionError as error:
                left_by_itself = error.ename == "SystemExit" and error.evalue in ("", "0")
                self._state.end("stopped" if left_by_itself else "failed", f"{error.ename}: {error.evalue}")
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

    def _left(self) -> float:
        return max(0.0, self._ends - time.monotonic())

    def _seconds_for(self, cell: NotebookNode) -> float | None:
        seconds = min(self._deadlines.cell or float("inf"), self._left())
        return None if seconds == float("inf") else max(seconds, 0.001)

    async def _async_handle_timeout(self, timeout: float, cell: NotebookNode | None = None) -> None:
        """Has the cell show where it is, and gives up."""
        await self.km.interrupt_kernel()
        try:
            await asyncio.wait_for(self._idle.wait(), _SECONDS_TO_SAY_WHERE)
        except TimeoutError:
            self.shutdown_kernel = "immediate"
        raise self._deadline_passed()

    def _deadline_passed(self) -> CellTimeoutError:
        whose, seconds = ("cell", self._deadlines.cell)
        if self._left() <= 0:
            whose, seconds = ("notebook", self._deadlines.notebook)
        return CellTimeoutError(f"the deadline of {seconds:g} s for the {whose} passed")

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
        """SIGTERM ends the run as Ctrl-C does: with what was executed saved, and the kernel ended."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        before = signal.getsignal(signal.SIGTERM)

        def stop() -> None:
            self._terminated = True
            assert task is not None
            task.cancel()

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


def _kept_outputs(earlier: NotebookNode, document: NotebookNode, about: Mapping[str, Any]) -> dict[str, list[Any]]:
    """By cell, the outputs of an earlier run that stay: of cells that ask for it, ran to their end and are the same.

    None where the agents, tasks or versions are others.
    """
    before = earlier.metadata[ABOUT]
    if _hashes(before) != _hashes(about) or before.get("versions") != about["versions"]:
        return {}
    sources = {cell.get("id"): cell.source for cell in document.cells}
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
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="workbench-notebook") as thread:
        stop: list[Callable[[], None]] = []

        async def stoppable() -> None:
            task, loop = asyncio.current_task(), asyncio.get_running_loop()
            assert task is not None
            stop.append(lambda: (loop.call_soon_threadsafe(task.cancel), None)[1])
            await run()

        running = thread.submit(asyncio.run, stoppable())
        try:
            running.result()
        except KeyboardInterrupt:
            for each in stop:
                each()
            raise
