"""What lies in a user's folders under the name of a file and is none - a pipe, a socket, a device, a folder - is passed
over or refused with a word, and never waited for."""

from __future__ import annotations

import ast
import json
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

import workbench
from workbench.cli import main
from workbench.definition.agent import parse_agent
from workbench.definition.there import bytes_in, opened, text_in
from workbench.errors import TaskFileError, WorkbenchError
from workbench.routing.drafting import cases_from_transcripts
from workbench.trial.conversations import count_conversations
from workbench.trial.transcripts import read_transcripts

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")

AGENT = "---\nname: a\ndescription: Use it.\n---\nBe.\n"
TYPED = json.dumps({"type": "user", "message": {"content": "Fix it."}, "timestamp": "2026-01-01"})


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket may have a hundred characters
    try:
        with closing(socket.socket(socket.AF_UNIX)) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def make_link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


KINDS: dict[str, Callable[[Path], None]] = {
    "a named pipe": make_pipe,
    "a socket": make_socket,
    "a device": make_link_to_device,
}


@contextmanager
def let_go(path: Path, seconds: float = 20.0) -> Iterator[None]:
    """Ends the wait of whoever opened a pipe, so that a test of it fails instead of hanging."""

    def open_other_end() -> None:
        if stat.S_ISFIFO(path.stat().st_mode):
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))

    timer = threading.Timer(seconds, open_other_end)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("read", [bytes_in, text_in, opened])
def test_only_a_file_is_read_and_the_error_names_what_is_there(
    tmp_path: Path, kind: str, read: Callable[[Path], object]
) -> None:
    path = tmp_path / "x"
    KINDS[kind](path)

    with let_go(path), pytest.raises(OSError, match=f"it is {kind} and no file"):
        read(path)


def test_folder_is_none_either_and_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a\r\n\xc3\xa4")

    assert (bytes_in(tmp_path / "f"), text_in(tmp_path / "f")) == (b"a\r\n\xc3\xa4", "a\nä")
    with pytest.raises(IsADirectoryError):
        bytes_in(tmp_path)
    with pytest.raises(FileNotFoundError):
        bytes_in(tmp_path / "nothing")


def test_what_a_shell_hands_over_is_read() -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"{}")
    os.close(theirs)
    try:
        assert bytes_in(f"/dev/fd/{ours}") == b"{}"
    finally:
        os.close(ours)


@pytest.mark.parametrize("kind", [*KINDS, "a folder"])
def test_transcripts_beside_it_are_read_and_it_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    (tmp_path / "a.jsonl").write_text(TYPED)
    odd = tmp_path / "b.jsonl"
    KINDS.get(kind, Path.mkdir)(odd)

    with let_go(odd):
        cases = cases_from_transcripts({}, tmp_path, folder=tmp_path).cases
        with pytest.raises(TaskFileError, match="nothing was handed to"):
            read_transcripts(parse_agent(AGENT), tmp_path)
        with pytest.raises(TaskFileError, match="no conversation"):
            count_conversations(tmp_path, folder=tmp_path)

    assert [case.input for case in cases] == ["Fix it."]
    assert str(odd) in caplog.text


COMMANDS: dict[str, tuple[str, list[str]]] = {
    "agent": ("x.md", ["lint", "x.md"]),
    "agent in a folder": ("agents/x.md", ["lint", "agents"]),
    "agent to repair": ("agents/x.md", ["fix", "agents"]),
    "agent to read": ("x.md", ["read", "x.md"]),
    "agent to carry": ("x.md", ["carry", "x.md", "--to", "codex"]),
    "tasks": ("x.yaml", ["check-tasks", "x.yaml"]),
    "tasks as a table": ("x.csv", ["check-tasks", "x.csv"]),
    "settings of lint": ("pyproject.toml", ["lint", "good.md"]),
    "baseline": ("b.json", ["lint", "good.md", "--baseline", "b.json"]),
    "agents of a session": ("s.json", ["roster", "--agents", "s.json"]),
    "settings": (".claude/settings.json", ["roster"]),
    "manifest": (".claude-plugin/plugin.json", ["lint", "agents"]),
    "notebook": ("n.ipynb", ["check-notebooks", "n.ipynb"]),
    "notebook to run": ("n.ipynb", ["run", "n.ipynb", "--out", "o"]),
    "record": ("r/run.json", ["review", "r", "r"]),
    "rubric": ("r.yaml", ["rubrics", "r.yaml"]),
    "routing cases": ("routing.yaml", ["route", "--cases", "routing.yaml", "--estimate"]),
    "batch": ("b.yaml", ["batch", "b.yaml"]),
}


@pytest.mark.parametrize("what", COMMANDS)
def test_no_command_waits_for_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "good.md").write_text(AGENT)
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "good.md").write_text(AGENT)
    name, command = COMMANDS[what]
    pipe = tmp_path / name
    pipe.parent.mkdir(exist_ok=True)
    os.mkfifo(pipe)
    waited = threading.Event()
    released = threading.Timer(60, waited.set)
    released.start()
    with let_go(pipe, 30):
        done = CliRunner().invoke(main, command)
    released.cancel()

    said = " ".join(done.output.split())
    assert not waited.is_set(), "it waited for the pipe"
    assert done.exception is None or isinstance(done.exception, SystemExit | WorkbenchError), done.exception
    assert "Traceback" not in said
    if what not in ("settings", "manifest"):  # which say nothing to Claude Code either
        assert done.exit_code != 0
        assert "no file" in said or "no regular file" in said or "not a" in said or "is none" in said, said


OWN = {
    "there.py": "reads them",
    "project.py": "begins a file that it has seen to be one",
    "replacing.py": "marks a file that it has seen to be one",
    "document.py": "a picture of its own",
    "limited.py": "what it wrote itself, in a folder of its own",
    "frozen.py": "lines of a notebook that it writes",
    "kernel.py": "what it wrote itself",
    "catalogue.py": "of a package that is installed, and of our own",
    "terms.py": "our own source",
    "holders.py": "of the system",
    "ready_interpreter.py": "of the system",
}
"""Files of the workbench that read without `definition/there.py`, and why they may."""


def test_every_other_reader_of_files_goes_through_one_door() -> None:
    source = Path(workbench.__file__).parent
    found = set()
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            of = ast.unparse(node.func.value)
            is_ours = any(sign in of for sign in ("__file__", "shipped(", "_SHIPPED", "KERNELS", "_FRONT"))
            if node.func.attr in ("read_text", "read_bytes") and not is_ours and path.name not in OWN:
                found.add(f"{path.relative_to(source)}:{node.lineno}")
            if ast.unparse(node.func) == "nbformat.read":
                found.add(f"{path.relative_to(source)}:{node.lineno}")

    assert sorted(found) == []
