"""Kernels without the wait: a ready interpreter of this process, and the kernels that it forks.

One ready interpreter serves every thread of its owner. It is started once, in the background, and ends with its
owner. Where a fork is not possible, `fork` says why, and the caller starts a kernel in the ordinary way.

A forked kernel as its owner sees it, who is not its parent and learns of it by a socket of its own, its fate:

    asked ----- {"refused": ...}, closed, or no answer in time ---> none: CannotFork, and an ordinary start
      |
      | {"pid": ...}
      v
    running --- {"status": ...} ----------------------------------> ended: with an exit code, or minus a signal
      |
      +-------- closed without a word ----------------------------> orphan: the ready interpreter is gone, and has
                                                                    taken its kernels with it

An owner that gave up in "asked" has closed its end: the kernel that comes of it all the same finds nobody to tell its
pid, and ends before it has begun.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_log = logging.getLogger(__name__)

KERNEL_MODULES = (
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "tornado.platform.asyncio",
    "tornado.locks",
    "psutil",
    "faulthandler",
    "cProfile",
    "encodings.idna",
)
"""What a kernel imports while it starts."""

READY_MODULES = (
    *KERNEL_MODULES,
    "numpy",
    "pandas",
    "IPython.display",
    "workbench.comparison.tables",
    "workbench.definition.agent",
    "workbench.runs.runner",
    "workbench.runs.missing",
    "workbench.trial.record",
    "workbench.grading.catalogue",
    "workbench.grading.text",
    "workbench.grading.structure",
    "workbench.grading.python_code",
    "anthropic",
    "anthropic.resources.messages",
    "workbench.model.offline.transport",
    "scipy.stats",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "workbench.comparison.pictures.plots",
    "sqlalchemy.dialects.sqlite",
    "sqlite3",
    "ipywidgets",
    "anywidget",
    "tqdm.auto",
    "pandas.io.formats.html",
    "pandas.io.formats.string",
    "pyarrow.pandas_compat",
)
"""That, then what the notebooks of a project import, most often needed first."""

_USED_WITH = {
    "workbench": ("agent", "runs.runner", "trial.record", "grading", "sqlite3", "tqdm"),
    "anthropic": ("anthropic",),
    "sqlalchemy": ("sqlalchemy",),
    "compare": ("numpy", "pandas", "IPython.display", "workbench.comparison.tables", "scipy", "pyarrow"),
    "pandas": ("numpy", "pandas", "pyarrow"),
    "numpy": ("numpy",),
    "scipy": ("numpy", "scipy"),
    "plot": ("matplotlib", "pictures"),
    "matplotlib": ("numpy", "matplotlib"),
    "ResultsTable": ("ipywidgets", "anywidget"),
    "widgets": ("ipywidgets", "anywidget"),
}
"""By a word in the source of a notebook: parts of the names of what it will import. A word too few costs a moment."""

HEADLESS = "WORKBENCH_HEADLESS"
"""Set to "1" in the kernel of a notebook that runs here, so that views show tables instead of widgets."""

DISABLED = "WORKBENCH_ORDINARY_KERNELS"
"""Set to "1" to start each kernel in the ordinary way."""

READ_AT_START = ("PYTHON", "LD_", "DYLD_", "LC_", "LANG", "MPL", "OPENBLAS_", "OMP_", "MKL_", "NUMEXPR_")
"""Variables whose names begin so are read while an interpreter starts or a library is imported."""

_WITHOUT_THREADS = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Read by libraries while they are imported, so that they start no thread that would stand in the way of a fork."""

_ANSWER_SECONDS = 120.0


def kernel_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment that a kernel gets: the given one, headless, and so that a run can be repeated to the byte.

    Sets are shown in an order that follows the hash seed, so it is fixed unless the environment fixes it.
    """
    return {
        "PYTHONHASHSEED": "0",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        **environment,
        HEADLESS: "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


class CannotFork(Exception):
    """No kernel came of the ready interpreter; the message says why."""


class ForkedKernel:
    """A kernel that the ready interpreter forked, in the form of a `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, fate: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.is_orphan = False
        """Whether it ended because the ready interpreter did."""
        fate.setblocking(False)
        self._fate = fate
        self._told = b""

    def poll(self) -> int | None:
        """The exit code, as of `subprocess`: negative for a signal; `None` while it runs."""
        if self.returncode is None:
            try:
                while piece := self._fate.recv(4096):
                    self._told += piece
            except BlockingIOError:
                return None
            except OSError:
                self._told = b""
            # Closed without a word: the ready interpreter is gone, and its kernels with it.
            self.is_orphan = not self._told
            self.returncode = -signal.SIGKILL if self.is_orphan else json.loads(self._told)["status"]
            self._fate.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, when it has ended.

        Raises:
            subprocess.TimeoutExpired: it did not end in so many seconds.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([self._fate], [], [], left)[0]:
                raise subprocess.TimeoutExpired("a forked kernel", timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Does nothing where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ReadyInterpreter:
    """A running `ready_interpreter.py`; thread-safe."""

    def __init__(self, environment: Mapping[str, str], *, imports: Sequence[str] | None = None) -> None:
        """`imports`: see `start_ready_interpreter`."""
        self._environment = _read_at_start(environment)
        self._lock = threading.Lock()
        script = Path(__file__).with_name("ready_interpreter.py")
        self._door, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as undo:
            undo.callback(self._door.close)
            self._process = subprocess.Popen(
                # -P: an `import ready` of a notebook would find our file in the folder of the script.
                [sys.executable, "-P", str(script), str(theirs.fileno()), *(imports or READY_MODULES)],
                stdin=subprocess.DEVNULL,
                # TMPDIR is a folder of the kernel that is asked for first, and goes with it.
                env=_WITHOUT_THREADS | {name: value for name, value in environment.items() if name != "TMPDIR"},
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C in a terminal is for the owner, which interrupts its kernels itself
            )
            undo.pop_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    def fork(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        environment: Mapping[str, str],
        folder: str | None = None,
        stdout: int = 1,
        stderr: int = 2,
    ) -> ForkedKernel:
        """A new kernel; `argv` is its `sys.argv`, `stdout` and `stderr` are file descriptors.

        `folder` is its own: removed with it where this process ends first, in whatever way.

        Raises:
            CannotFork: the interpreter is gone, refuses, or was started in an environment that would matter.
        """
        if _read_at_start(environment) != self._environment:
            differing = dict(set(_read_at_start(environment)) ^ set(self._environment))
            raise CannotFork(f"the kernel is to start with another {', '.join(sorted(differing))}")
        content = json.dumps(
            {"argv": list(argv), "cwd": cwd, "environment": dict(environment), "folder": folder}
        ).encode()
        fate, theirs = socket.socketpair()
        try:
            with theirs, self._lock:
                # The length first, with the files: a stream has no messages, and files go with some byte of it.
                socket.send_fds(self._door, [len(content).to_bytes(8, "big")], [theirs.fileno(), stdout, stderr])
                self._door.sendall(content)
            fate.settimeout(_ANSWER_SECONDS)
            answer = b""
            while not answer.endswith(b"\n"):
                piece = fate.recv(1)  # no more than this line: what follows it belongs to `ForkedKernel.poll`
                if not piece:
                    raise CannotFork("the ready interpreter ended")
                answer += piece
        except OSError as error:
            fate.close()
            raise CannotFork(f"the ready interpreter does not answer: {error}") from error
        except CannotFork:
            fate.close()
            raise
        told = json.loads(answer)
        if "pid" not in told:
            fate.close()
            raise CannotFork(f"the ready interpreter refuses: {told['refused']}")
        return ForkedKernel(told["pid"], fate)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def let_go(self) -> None:
        """Closes this process's side; it ends by itself when its owner has done so."""
        self._door.close()

    def close(self) -> None:
        """Ends it, and the kernels that still run."""
        self.let_go()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_own: dict[int, ReadyInterpreter] = {}
_own_lock = threading.Lock()


def modules_for(source: str) -> tuple[str, ...]:
    """What a kernel imports that runs a notebook with this source, as far as its words tell."""
    parts = {part for word, named in _USED_WITH.items() if word in source for part in named}
    return tuple(name for name in READY_MODULES if name in KERNEL_MODULES or any(part in name for part in parts))


def start_ready_interpreter(
    environment: Mapping[str, str], *, imports: Sequence[str] | None = None
) -> ReadyInterpreter | None:
    """The ready interpreter of this process, started if there is none; returns at once, it imports meanwhile.

    The first kernel waits for its imports, and no other has to make them. With more than one to come, that is all that
    notebooks use, `READY_MODULES`. For one alone, give `modules_for` its source. A notebook that the ledger answers,
    short or with a comparison, takes 1.0 or 2.3 s then, with all imports 2.2 or 3.4 s, and by an ordinary start 1.1 or
    2.5 s (benchmark "kernels").

    `None` where `WORKBENCH_ORDINARY_KERNELS` is set, and where the platform is not Linux: Windows has no fork, and the
    libraries of macOS do not survive one.
    """
    if sys.platform != "linux" or os.environ.get(DISABLED) == "1":
        return None
    with _own_lock:
        found = _own.get(os.getpid())
        if found is None or not found.is_alive():
            # Dead, or of the process that this one was forked from, whose side of the socket it holds open too.
            for other in _own.values():
                other.let_go()
            _own.clear()
            try:
                found = ReadyInterpreter(environment, imports=imports)
            except OSError as error:
                _log.warning("Kernels start in the ordinary way: no ready interpreter can be started: %s", error)
                return None
            _own[os.getpid()] = found
            atexit.unregister(end_ready_interpreter)  # a forked process has inherited it
            atexit.register(end_ready_interpreter)
        return found


def end_ready_interpreter() -> None:
    """Ends the ready interpreter of this process; the next kernel starts a new one."""
    with _own_lock:
        found = _own.pop(os.getpid(), None)
    if found is not None:
        found.close()


def _read_at_start(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in environment.items() if name.startswith(READ_AT_START)))
