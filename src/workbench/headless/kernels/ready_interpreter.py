"""A Python that has imported what notebooks use, and forks itself into a kernel whenever it is asked to.

Run as a script by `ready.py`, which owns it: `python -P ready_interpreter.py SOCKET MODULE...`. It has one
thread, no event loop and no ZeroMQ context, so that a fork is a whole interpreter: one that holds more refuses. It
ends, and its kernels with it, as soon as its owner does.

Over the socket comes, for each kernel, a length and a JSON object (argv, cwd, environment, folder), with three files:
where the kernel's fate is told, and its stdout and stderr. The folder, if there is one, goes with the kernel where the
owner is no longer there to remove it. The fate is JSON lines: `{"pid": 1}`, then `{"status": 0}`; or
`{"refused": "..."}`.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import random
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

_LOOK_AT_OWNER_SECONDS = 1.0
_SECONDS_TO_STOP = 1.0


def main(arguments: list[str]) -> None:
    """Imports, and serves until the owner is gone; returns in each kernel, when it has ended."""
    _import_without_collecting()
    owner = os.getppid()
    given = dict(os.environ)
    owner_socket = socket.socket(fileno=int(arguments[0]))
    left = arguments[:0:-1]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wake, woken = _sockets_that_wake_at_an_end()
    kernels: dict[int, socket.socket] = {}
    folders: dict[int, str | None] = {}
    importlib.import_module("ipykernel.kernelapp")
    # The owner may be killed and close nothing: then this process has another parent.
    while os.getppid() == owner:
        # The first kernel waits for what it would import itself, and the second once more.
        heard = [wake] if left else [owner_socket, wake]
        asked, _, _ = select.select(heard, [], [], 0 if left else _LOOK_AT_OWNER_SECONDS)
        if wake in asked:
            with contextlib.suppress(BlockingIOError):
                wake.recv(4096)
            _tell_ends(kernels)
        if owner_socket in asked:
            request, files = _received(owner_socket)
            if request is None:
                break
            fate = socket.socket(fileno=files[0])
            pid, reason = _fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                # A kernel that held the fate of another open would hide its end; one with the owner's socket, ours.
                for mine in (owner_socket, wake, woken, *kernels.values()):
                    mine.close()
                _become_kernel(request, fate, files[1:], given)
                return
            for file in files[1:]:
                os.close(file)
            if pid is not None:
                kernels[pid], folders[pid] = fate, request["folder"]
            else:
                with fate, contextlib.suppress(OSError):  # whoever asked has given up waiting
                    fate.sendall(_line(refused=reason))
        elif left:
            # One at a time, so that an owner that is gone is noticed between two.
            with contextlib.suppress(ImportError):  # then the notebook's own import says what is missing
                importlib.import_module(left.pop())
    for pid in kernels:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    for pid in kernels:
        os.waitpid(pid, 0)  # whoever sees that this process is gone knows that none of them still writes
        if (folder := folders[pid]) is not None:
            shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _import_without_collecting() -> None:
    """Spares all these imports the garbage collector, which finds next to nothing among what is there to stay.

    2.0 instead of 2.7 s of CPU for the imports of the ready interpreter (benchmark "kernels"). A kernel has it again.
    """
    gc.disable()


def _share_what_is_imported() -> None:
    """Has no kernel look for garbage in what it shares with the others: looking writes, and what is written is copied.

    103 instead of 160 MB of its own for a kernel that has collected once (benchmark "kernels").
    """
    gc.freeze()


def _sockets_that_wake_at_an_end() -> tuple[socket.socket, socket.socket]:
    """A socket that can be read when a kernel has ended, and the one that Python writes to.

    `select` returns for no signal by itself, and a handler may run just before it begins to wait.
    """
    wake, woken = socket.socketpair()
    wake.setblocking(False)
    woken.setblocking(False)
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # ignored, as by default, it would wake nobody
    return wake, woken


def _received(owner_socket: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """The next request and its files; `None` where the owner has closed the socket."""
    head, files, _, _ = socket.recv_fds(owner_socket, 8, 3)
    while 0 < len(head) < 8:
        head += owner_socket.recv(8 - len(head))
    if not head:
        return None, []
    content = bytearray()
    while len(content) < int.from_bytes(head, "big"):
        piece = owner_socket.recv(int.from_bytes(head, "big") - len(content))
        if not piece:
            return None, []
        content += piece
    request: dict[str, Any] = json.loads(content)
    return request, files


def _tell_ends(kernels: dict[int, socket.socket]) -> None:
    for pid in list(kernels):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with kernels.pop(pid) as fate, contextlib.suppress(OSError):
                fate.sendall(_line(status=os.waitstatus_to_exitcode(status)))


def _fork() -> tuple[int | None, str]:
    """What `os.fork` returns; `None` where there was no fork, and why."""
    try:
        if reason := _why_not():
            return None, reason
        _share_what_is_imported()
        return os.fork(), ""
    except OSError as error:  # the system has no memory or no process left, and the kernels that run need this one
        return None, f"it cannot be forked: {error.strerror}"


def _why_not() -> str:
    """Why a fork would not be a whole interpreter; empty where it would."""
    if len(_threads()) > 1:
        # A fork copies the thread that forks alone: a lock that another holds then would stay locked for good.
        _fork_and_end()
    if len(threads := _threads()) != 1:
        return f"a library that it imported has started threads ({', '.join(threads) or '/proc is not there'})"
    zmq = sys.modules.get("zmq")
    if zmq is not None and zmq.Context._instance is not None:
        return "a library that it imported has opened a ZeroMQ context"
    return ""


def _fork_and_end() -> None:
    """The threads of BLAS, which hold no work, end by themselves before a fork and begin anew when they are used."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _threads() -> list[str]:
    """Their names, in order; those of a library's own too, of which Python knows nothing."""
    names = []
    for task in Path("/proc/self/task").glob("*"):
        with contextlib.suppress(OSError):  # it has just ended
            names.append((task / "comm").read_text().strip())
    return sorted(names)


def _become_kernel(request: dict[str, Any], fate: socket.socket, files: list[int], given: dict[str, str]) -> None:
    """Makes this process what an ordinary start would have made it, and runs the kernel to its end.

    `given` is the environment as it was before the imports, some of which set variables for themselves.
    """
    gc.enable()
    parent = os.getppid()
    os.setsid()  # so that the owner can end it with all that it starts
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for file, number in zip((nothing, *files), (0, 1, 2), strict=True):
        os.dup2(file, number)
        os.close(file)
    # A variable that an import set for itself, and the request did not, was not wanted otherwise: it stays.
    wanted: dict[str, str] = request["environment"]
    set_by_imports = {
        name: value
        for name, value in os.environ.items()
        if value != given.get(name) and wanted.get(name) == given.get(name)
    }
    os.environ.clear()
    os.environ.update(wanted | set_by_imports, JPY_PARENT_PID=str(parent))
    time.tzset()  # TZ may be another than it was at the start
    os.chdir(request["cwd"])
    # What an interpreter draws or reads once, each kernel draws and reads anew: they would all have the same.
    tempfile.tempdir = None
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    try:
        fate.sendall(_line(pid=os.getpid()))
    except OSError:  # whoever asked has given up waiting
        os._exit(0)
    fate.close()  # the ready interpreter tells the end, also of one that can tell nothing any more
    sys.argv = request["argv"]
    sys.path.append("")  # as `ordinary.py` does, and why
    kernelapp = sys.modules["ipykernel.kernelapp"]
    app = kernelapp.IPKernelApp.instance(parent_handle=parent)
    code = 0
    try:
        app.initialize(sys.argv[1:])
        app.start()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    _end(app, code)


def _end(app: Any, code: int) -> None:
    """Ends as an interpreter does, but for taking apart every module: that would copy the memory that is shared.

    Threads are waited for, exit functions run, what the notebook made is let go, and files are written out.
    """
    control = app.control_thread
    if control is not None and control.is_alive():
        # It may still flush what was printed, and would wait in vain once the kernel's own exit function has run.
        control.stop()
        control.join(timeout=_SECONDS_TO_STOP)
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()
    # The notebook's own objects only: what they hold open is closed as they go.
    if app.shell is not None:
        app.shell.user_ns.clear()
        app.shell.user_module.__dict__.clear()
    gc.collect()
    atexit._run_exitfuncs()
    # `os._exit` below writes nothing out: a file that a module still holds would lose its last lines.
    for thing in gc.get_objects():
        if isinstance(thing, io.IOBase) and not thing.closed:
            with contextlib.suppress(OSError, ValueError):
                thing.flush()
    os._exit(code)


def _line(**said: object) -> bytes:
    return json.dumps(said).encode() + b"\n"


if __name__ == "__main__":
    main(sys.argv[1:])
