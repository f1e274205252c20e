"""`workbench open`: which address shows an agent file, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench.definition.committed import is_ignored
from workbench.errors import FileError
from workbench.shipped.files import shipped
from workbench.widgets.notebooks import CELLS_TO_OPEN_WITH, write_agent_notebook
from workbench.widgets.opening import (
    TICKET_SECONDS,
    address_in_running,
    open_agent,
    project_of,
    take_ticket,
    write_ticket,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "project" / "agents" / "reviewer & co.md"
    path.parent.mkdir(parents=True)
    path.write_text("---\nname: reviewer\n---\n")
    return path


def _server(root: Path, *, port: int, token: str = "") -> dict[str, str]:
    return {"root_dir": str(root), "url": f"http://127.0.0.1:{port}/", "token": token}


def test_the_innermost_server_that_sees_the_file_is_used(file: Path, tmp_path: Path) -> None:
    servers = [
        _server(tmp_path, port=1),
        _server(tmp_path / "project", port=2, token="t"),
        _server(Path("/nowhere"), port=3),
    ]

    address = address_in_running(file, servers)

    assert address == "http://127.0.0.1:2/lab?workbench-open=agents/reviewer+%26+co.md&token=t"


def test_no_server_that_sees_the_file_means_no_address(file: Path, tmp_path: Path) -> None:
    assert address_in_running(file, [_server(tmp_path / "elsewhere", port=1)]) is None


@pytest.mark.parametrize(("name", "said"), [("missing.md", "no such file"), ("notes.txt", "not a Markdown file")])
def test_what_is_no_agent_file_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "notes.txt").write_text("")

    with pytest.raises(FileError, match=said):
        open_agent(tmp_path / name)


def test_an_agent_of_the_home_is_opened_in_the_project_that_one_is_in(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "home" / ".claude" / "agents" / "mine.md"
    mine.parent.mkdir(parents=True)
    mine.write_text("---\nname: mine\n---\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(file.parent)
    root = tmp_path / "project"

    assert project_of(mine) == project_of(file) == root
    assert address_in_running(mine, [_server(root, port=1)], root=root) == (
        f"http://127.0.0.1:1/lab?workbench-open={mine}"
    )
    assert write_agent_notebook(mine, root).path.parent == root / "outputs" / "notebooks"


def test_a_ticket_is_good_for_one_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    ticket = write_ticket()

    assert [take_ticket(ticket), take_ticket(ticket), take_ticket(""), take_ticket("../x")] == [
        True,
        False,
        False,
        False,
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_ticket_that_nobody_took_in_time_is_good_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    old = write_ticket()
    [file] = tmp_path.iterdir()
    long_ago = time.time() - TICKET_SECONDS - 1
    os.utime(file, (long_ago, long_ago))
    assert not take_ticket(old)

    file.touch()
    os.utime(file, (long_ago, long_ago))
    write_ticket()
    assert not file.exists()


def test_notebooks_lie_with_the_outputs_and_are_never_written_over(file: Path, tmp_path: Path) -> None:
    root = tmp_path / "project"
    made = write_agent_notebook(file, root)
    assert made.is_new
    assert made.path == root / "outputs" / "notebooks" / "author-reviewer-co.ipynb"
    assert not write_agent_notebook(file, root).is_new

    made.path.write_text("no notebook")
    second = write_agent_notebook(file, root)
    assert (second.path.name, second.is_new) == ("author-reviewer-co-2.ipynb", True)
    assert made.path.read_text() == "no notebook"


def test_make_lab_opens_a_notebook_that_git_does_not_see() -> None:
    root = Path(__file__).parents[1]
    _, recipe = (root / "Makefile").read_text().split("\nlab: ")
    command = recipe.splitlines()[1].split()
    agent = root / command[2]

    assert command[1] == "open" and agent.is_file()
    made = root / "outputs" / "notebooks" / f"author-{agent.stem}.ipynb"
    assert is_ignored(made) is not False  # None: this is no repository


def test_a_folder_without_a_mark_keeps_its_notebook_at_its_root(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "reviewer.md").write_text("---\nname: reviewer\n---\n")

    assert write_agent_notebook(plain / "reviewer.md", plain).path == plain / "author-reviewer.ipynb"


def test_the_cells_that_opening_runs_are_in_the_notebook_and_none_of_them_saves() -> None:
    cells = json.loads(shipped("notebooks/author.ipynb").read_text())["cells"]
    sources = {cell["id"]: "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"}

    run = [sources[name] for name in CELLS_TO_OPEN_WITH]
    assert "AgentEditor" in run[1]
    assert "TrialPanel" in run[2]
    assert not any(call in source for source in run for call in ("save(", "save_agent", "run_trials"))


@pytest.mark.machine
@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals of this kind")
def test_a_container_that_ends_the_workbench_ends_jupyterlab(tmp_path: Path) -> None:
    # What stands for JupyterLab says that it runs, and then waits for its end.
    (tmp_path / "jupyterlab.py").write_text(
        "import os, pathlib, time\n"
        "pathlib.Path('pid.new').write_text(str(os.getpid()))\n"
        "os.rename('pid.new', 'pid')\n"
        "time.sleep(60)\n"
    )
    (tmp_path / "pyproject.toml").touch()
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1] / "src")])
    variables = {**os.environ, "PYTHONPATH": path, "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")}
    command = [sys.executable, "-m", "workbench", "lab", "--no-browser", "--allow-root"]
    log = tmp_path / "log"
    with log.open("w") as said, subprocess.Popen(command, cwd=tmp_path, env=variables, stderr=said) as started:
        until = time.monotonic() + 60
        while not (tmp_path / "pid").exists() and time.monotonic() < until:
            time.sleep(0.05)
        pid = int((tmp_path / "pid").read_text())
        assert f"JupyterLab starts in {tmp_path}" in log.read_text()  # before it says anything itself, some seconds on
        started.terminate()
        started.wait(30)
    gone = False
    until = time.monotonic() + 10
    while not gone and time.monotonic() < until:
        try:
            os.kill(pid, 0)
            time.sleep(0.05)
        except ProcessLookupError:
            gone = True
    if not gone:
        os.kill(pid, signal.SIGKILL)
    assert gone
