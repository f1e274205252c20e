"""A folder full of files that would be run if anything looked there for modules: none of them is."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from workbench.widgets.notebooks import CELLS_TO_OPEN_WITH, KERNEL, KERNELS, write_agent_notebook

pytestmark = pytest.mark.machine

SOURCE = Path(__file__).parents[1] / "src"
AGENT = "agents/reviewer.md"
MODULES = (
    *("anywidget", "comm", "traitlets", "workbench", "ipywidgets", "ipykernel_launcher", "ipykernel", "IPython"),
    *("sitecustomize", "usercustomize", "ipython_config", "ipython_kernel_config", "jupyter_config"),
    *("jupyter_server_config", "jupyterlab", "jupyter_server", "tornado", "click", "yaml", "numexpr", "bottleneck"),
    *("pip", "matplotlib", "debugpy", "psutil", "colorsys"),
)
START_SECONDS = 120


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A project with an agent; every module that Jupyter or we might look for is there too, and leaves a mark if run."""
    project = tmp_path / "project"
    (project / AGENT).parent.mkdir(parents=True)
    (project / AGENT).write_text("---\nname: reviewer\ndescription: Reviews.\n---\nYou review.\n")
    (project / "outputs" / "notebooks").mkdir(parents=True)
    plant(project, tmp_path / "marks")
    return project


def plant(project: Path, marks: Path) -> None:
    """Files that leave a mark in this folder when they are run, in the project and where its notebooks lie."""
    marks.mkdir()
    for folder in (project, project / "agents", project / "outputs" / "notebooks"):
        folder.mkdir(exist_ok=True)
        for name in MODULES:
            (folder / f"{name}.py").write_text(f"open({str(marks / name)!r}, 'w')\n")
        start = folder / ".ipython" / "profile_default" / "startup"
        start.mkdir(parents=True, exist_ok=True)
        (start / "00.py").write_text(f"open({str(marks / 'startup')!r}, 'w')\n")
        config = {"InteractiveShellApp": {"exec_lines": [f"open({str(marks / 'config')!r}, 'w')"]}}
        for name in ("jupyter_config.json", "ipython_config.json", "ipython_kernel_config.json"):
            (folder / name).write_text(json.dumps(config))
        run = f"open({str(marks / 'extension')!r}, 'w')"
        (folder / "package.json").write_text(
            json.dumps({"scripts": {"preinstall": run}, "jupyterlab": {"extension": True}})
        )


def marked(project: Path) -> list[str]:
    return sorted(path.name for path in (project.parent / "marks").iterdir())


def environment(project: Path) -> dict[str, str]:
    """Nothing of the user's, and this checkout."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON", "ANTHROPIC"))
    }
    own = project.parent / "own"
    folders = {
        name: str(own / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
    }
    return kept | folders | {"PYTHONPATH": str(SOURCE), "WORKBENCH_LEDGER": str(own / "ledger.sqlite")}


def test_the_planted_files_are_run_where_modules_are_looked_for(hostile: Path) -> None:
    for name in ("anywidget", "comm"):
        subprocess.run([sys.executable, "-c", f"import {name}"], cwd=hostile, check=True)

    assert marked(hostile) == ["anywidget", "comm"]


@pytest.mark.parametrize("start", [("-P", "-m", "workbench"), ("-c", "from workbench.__main__ import main; main()")])
def test_commands_run_in_the_folder_run_nothing_of_it(hostile: Path, start: tuple[str, ...]) -> None:
    # The second way stands for `python -m workbench`, before which Python itself would run a planted workbench.py.
    (hostile / "workbench.py").unlink()
    for command in (("lint",), ("read", AGENT), ("agents",), ("estimate", "--help")):
        ended = subprocess.run(
            [sys.executable, *start, *command], cwd=hostile, env=environment(hostile), capture_output=True, text=True
        )
        assert "Traceback" not in ended.stderr, ended.stderr

    assert marked(hostile) == []


@contextmanager
def kernel_in(folder: Path, variables: dict[str, str]) -> Iterator[BlockingKernelClient]:
    """The kernel that JupyterLab starts for an agent's notebook."""
    manager = KernelManager(kernel_name=KERNEL, kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(KERNELS)]))
    manager.start_kernel(cwd=str(folder), env=variables)
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=START_SECONDS)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_the_cells_that_opening_runs_run_nothing_of_the_folder(hostile: Path) -> None:
    made = write_agent_notebook(hostile / AGENT, hostile, kernel=KERNEL)
    cells = {cell["id"]: cell["source"] for cell in nbformat.read(made.path, as_version=4).cells}
    with kernel_in(made.path.parent, environment(hostile)) as client:
        replies = [
            client.execute(cells[name], reply=True, timeout=START_SECONDS)["content"] for name in CELLS_TO_OPEN_WITH
        ]
        completed = client.complete("editor.ag", reply=True, timeout=START_SECONDS)["content"]

    assert [reply["status"] for reply in replies] == ["ok"] * len(CELLS_TO_OPEN_WITH), replies
    assert "agent" in str(completed["matches"])
    assert marked(hostile) == []


@contextmanager
def lab_in(project: Path) -> Iterator[Any]:
    """JupyterLab as `workbench lab` starts it there; what it gives asks its server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    variables = environment(project) | {"JUPYTER_TOKEN": token, "HOME": str(project.parent)}

    def ask(path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    command = [
        sys.executable,
        "-P",
        "-m",
        "workbench",
        "lab",
        "--no-browser",
        "--allow-root",
        "--ip",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    log = project.parent / "log"
    with log.open("w") as said:
        started = subprocess.Popen(
            command, cwd=project, env=variables, stdout=said, stderr=said, start_new_session=True
        )
    try:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                ask("api/status")
                break
            except OSError:
                assert time.monotonic() < until and started.poll() is None, log.read_text()
                time.sleep(0.1)
        yield ask
    finally:
        os.killpg(started.pid, signal.SIGTERM)
        started.wait(30)


def test_jupyterlab_started_there_runs_nothing_of_the_folder(hostile: Path) -> None:
    asked = {"path": AGENT, "clicked": True}
    with lab_in(hostile) as ask:
        made = ask("workbench/notebook", asked)
        offered = ask("api/kernelspecs")["kernelspecs"]
        notebook = ask(f"api/contents/{made['notebook']}")["content"]
        again = ask("workbench/notebook", asked)

    assert made["cells"] == again["cells"] == list(CELLS_TO_OPEN_WITH)
    assert notebook["metadata"]["kernelspec"]["name"] == KERNEL
    assert KERNEL in offered
    assert marked(hostile) == []


def test_a_notebook_that_came_with_the_project_is_not_run_by_a_click(hostile: Path) -> None:
    made = write_agent_notebook(hostile / AGENT, hostile)
    text = made.path.read_text().replace("import workbench as wb", "import anywidget")
    made.path.write_text(text)
    with lab_in(hostile) as ask:
        assert ask("workbench/notebook", {"path": AGENT, "clicked": True})["cells"] == []
    assert marked(hostile) == []


@pytest.mark.parametrize("ordinary", ["0", "1"])
def test_a_notebook_imports_what_lies_beside_it_and_no_package_from_there(hostile: Path, ordinary: str) -> None:
    for name in ("numexpr", "bottleneck"):  # not installed: those would be modules beside it
        (hostile / f"{name}.py").unlink()
    (hostile / "ours.py").write_text("answer = 42\n")
    cell = nbformat.v4.new_code_cell("import anywidget, comm, ipywidgets, ours\nassert ours.answer == 42")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbformat.write(notebook, hostile / "mine.ipynb")
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "workbench", "run", "mine.ipynb", "--out", "done.ipynb"],
        cwd=hostile,
        env=environment(hostile) | {"WORKBENCH_ORDINARY_KERNELS": ordinary},
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 0, ended.stderr
    assert marked(hostile) == []
