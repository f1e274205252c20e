"""The kernel of a notebook that runs without a browser: this very Python, forked from a ready interpreter if it can be.

Each kernel has a private folder, for its connection (sockets, no port that another could take) and as its temporary
folder, which goes when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from queue import Empty
from typing import Any, cast

import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from nbclient.exceptions import DeadKernelError
from traitlets import default

from workbench.headless.kernels.ready import CannotFork, ForkedKernel, kernel_environment, start_ready_interpreter
from workbench.secrets import without_secrets

PROVISIONER = "workbench-ready"
"""The entry point in the group `jupyter_client.kernel_provisioners`; a kernelspec may name it too."""

_PROGRAM = str(Path(__file__).with_name("ordinary.py"))
_log = logging.getLogger(__name__)
_LONGEST_SOCKET_PATH = 80
"""Of the 104 that every system allows, what leaves room for the number of a socket."""
_LOOK_SECONDS = 0.01
_MILLISECONDS_TO_KNOCK_AGAIN = 5
_LAST_LINES = 10
_said: set[str] = set()


class KernelLost(DeadKernelError):
    """No kernel came up, or it died; the first line says how, those below what it wrote last to its stderr."""


class ReadyProvisioner(LocalProvisioner):
    """Forks a ready interpreter of this process; starts a kernel in the ordinary way where that cannot be."""

    forks = True
    """Set to `False` for an ordinary start."""

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        if not self.forks:
            return await super().launch_kernel(cmd, **options)
        try:
            ready = start_ready_interpreter(options["env"])
            if ready is None:
                return await super().launch_kernel(cmd, **options)
            kernel = ready.fork(
                ["ipykernel_launcher.py", *cmd[cmd.index(_PROGRAM) + 1 :]],
                cwd=str(options.get("cwd") or Path.cwd()),
                environment=options["env"],
                folder=str(self.parent.folder) if isinstance(self.parent, HeadlessKernelManager) else None,
                stdout=options.get("stdout") or 1,
                stderr=options.get("stderr") or 2,
            )
        except (CannotFork, ValueError) as error:
            _say_once(f"Kernels start in the ordinary way, which takes longer: {error}")
            return await super().launch_kernel(cmd, **options)
        # It has what is used of a Popen. It is no child of this process, but leads a group of its own, which
        # jupyter_client's signals go to.
        self.process = cast(Any, kernel)
        self.pid = self.pgid = kernel.pid
        self.cwd = options.get("cwd")
        return self.connection_info

    async def wait(self) -> int | None:
        # As the one of jupyter_client, which looks every 0.1 s: longer than a forked kernel takes to end.
        while await self.poll() is None:
            await asyncio.sleep(_LOOK_SECONDS)
        return await super().wait()


def _say_once(what: str) -> None:
    if what not in _said:
        _said.add(what)
        _log.warning(what)


class HeadlessKernelManager(AsyncKernelManager):
    """Starts the interpreter that runs this code, even where no or another "python3" kernel is installed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._temporary = tempfile.TemporaryDirectory(prefix="workbench-", ignore_cleanup_errors=True)
        self.folder = folder = Path(self._temporary.name)
        self._stderr = folder / "stderr"
        self._has_said = False
        (folder / "tmp").mkdir()  # apart from the sockets, which a notebook that cleans up shall not find
        self.connection_file = str(folder / "kernel.json")
        if sys.platform != "win32" and len(str(folder)) < _LONGEST_SOCKET_PATH:
            self.transport, self.ip = "ipc", str(folder / "k")

    @property
    def temporary_folder(self) -> Path:
        """Where the kernel makes its temporary files."""
        return self.folder / "tmp"

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(
            argv=[sys.executable, "-P", _PROGRAM, "-f", "{connection_file}"],
            display_name="Python 3 (ipykernel)",
            language="python",
            resource_dir="",
            metadata={
                "supported_encryption": ["curve"],
                "kernel_provisioner": {"provisioner_name": PROVISIONER},
            },
        )

    @default("transport_encryption")
    def _encrypt(self) -> str:
        # Over TCP in the clear, the kernel would print a warning at each start; sockets in a folder need no more.
        return "auto" if self.transport == "tcp" else "disabled"

    @default("context")
    def _open_context(self) -> zmq.asyncio.Context:
        self._created_context = True
        context = zmq.asyncio.Context()
        # Who connects before the kernel is there tries again after 0.1 s else, longer than a forked kernel takes.
        context.setsockopt(zmq.RECONNECT_IVL, _MILLISECONDS_TO_KNOCK_AGAIN)
        return context

    async def _async_start_kernel(self, **options: Any) -> None:
        environment = kernel_environment(options.pop("env", os.environ)) | {"TMPDIR": str(self.temporary_folder)}
        with self._stderr.open("wb") as stderr:
            self._has_said = False
            await super()._async_start_kernel(**{**options, "env": environment, "stderr": stderr.fileno()})

    async def _async_finish_shutdown(
        self, waittime: float | None = None, pollinterval: float = _LOOK_SECONDS, restart: bool = False
    ) -> None:
        await super()._async_finish_shutdown(waittime, pollinterval, restart)

    async def _async_cleanup_resources(self, restart: bool = False) -> None:
        await super()._async_cleanup_resources(restart)
        if not restart:
            # Only now has the kernel written its last. What it said is not lost with the folder.
            if not self._has_said and (said := self._last_words()):
                _log.warning("A kernel wrote to its stderr:\n%s", said)
            self._temporary.cleanup()

    async def lost(self, what: str) -> KernelLost:
        """The error that says how the kernel ended, after `what`."""
        assert self.provisioner is not None
        code = await self.provisioner.poll()
        if code is None:
            how = "it still runs"
        elif isinstance(forked := cast(Any, self.provisioner).process, ForkedKernel) and forked.is_orphan:
            how = "the interpreter that it was forked from is gone"
        elif code < 0:
            how = f"signal {-code}: {signal.strsignal(-code)}"
        else:
            how = f"exit code {code}"
        said, self._has_said = self._last_words(), True
        return KernelLost(f"{what} ({how})" + (f"; its last words:\n{said}" if said else ""))

    def _last_words(self) -> str:
        """The end of what the kernel wrote to its stderr, but for what became output of a cell."""
        if not self._stderr.exists():
            return ""
        lines = self._stderr.read_text(encoding="utf-8", errors="backslashreplace").rstrip().splitlines()
        return without_secrets("\n".join(lines[-_LAST_LINES:]))

    async def start_another(self) -> None:
        """Ends what there is of a kernel that did not start, and starts another in the ordinary way."""
        if isinstance(self.provisioner, ReadyProvisioner):
            self.provisioner.forks = False
        await self._async_restart_kernel(now=True)

    # jupyter_client binds these names to its own methods when its class is made.
    start_kernel = _async_start_kernel
    finish_shutdown = _async_finish_shutdown
    cleanup_resources = _async_cleanup_resources


async def wait_until_ready(
    manager: HeadlessKernelManager, client: AsyncKernelClient, *, seconds: float
) -> dict[str, Any]:
    """What the kernel says of itself, as soon as it answers on both of its channels.

    What a notebook's client waits for else, it waits for in steps of 0.2 s.

    Raises:
        KernelLost: the kernel died, or did not answer in so many seconds.
    """
    until, pause = time.monotonic() + seconds, 0.05
    while True:
        # What it sends on the second channel before we are connected to it is lost, and the reply on the first tells
        # nothing of that: it is asked again until one answer came on both.
        asked = client.kernel_info()
        info: dict[str, Any] | None = None
        heard = False
        again = time.monotonic() + pause
        while (left := again - time.monotonic()) > 0 and (info is None or not heard):
            with contextlib.suppress(Empty):
                if info is None:
                    reply = await client.get_shell_msg(timeout=left)
                    if reply["parent_header"].get("msg_id") == asked:
                        info = reply["content"]
                else:
                    message = await client.get_iopub_msg(timeout=left)
                    heard = message["parent_header"].get("msg_id") == asked
        if info is not None and heard:
            return info
        pause = min(1.0, pause * 2)
        if not await manager.is_alive():
            raise await manager.lost("the kernel died while it started")
        if time.monotonic() > until:
            raise await manager.lost(f"the kernel did not answer within {seconds:.3g} seconds")
