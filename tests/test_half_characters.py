"""A byte that is no UTF-8 - in a folder, a file name, an argument, a file, the environment - is half a character in a text.
No output ends with an error for it, and each is written as UTF-8."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import workbench
from tests.runs import make_run, passes
from workbench.cli import main
from workbench.comparison.report.write import FORMATS, write_report
from workbench.markup import writable

pytestmark = pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="every name is UTF-8 here")

HALF = b"\xff"
AGENT = b"---\nname: r\ndescription: 'Use it: \xff now.'\ncolor: Blue\n---\nBe \xff.\n"
ODD = os.fsdecode(b"r" + HALF)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose folder, agent and tasks all have such a name."""
    folder = tmp_path / os.fsdecode(b"p" + HALF)
    agents = folder / ".claude" / "agents"
    agents.mkdir(parents=True)
    (folder / ".git").mkdir()
    (agents / f"{ODD}.md").write_bytes(AGENT)
    (agents / f"{ODD}.tasks.yaml").write_text("- {id: a, input: hi}\n")
    return folder


FILE = f".claude/agents/{ODD}.md"
SAID: dict[str, list[str]] = {
    "lint": ["lint", "."],
    "lint for a runner": ["lint", ".", "--format", "github"],
    "lint of what is not there": ["lint", ODD],
    "read": ["read", FILE],
    "agents": ["agents"],
    "roster": ["roster"],
    "fix": ["fix", "--with-changes"],
    "carry": ["carry", FILE, "--to", "codex"],
    "carry to a file": ["carry", FILE, "--to", "cursor", "--out", ODD],
    "versions": ["versions", FILE],
    "tasks": ["tasks", FILE],
    "tasks of nobody": ["tasks", ODD],
    "no command": [ODD],
    "no option": ["lint", f"--{ODD}"],
    "no rule": ["lint", "--explain", ODD],
    "no grader": ["graders", ODD],
    "no folder": ["history", ODD],
    "no notebook": ["run", ODD, "--out", ODD],
    "no batch": ["batch", ODD],
    "init": ["init"],
}
AS_JSON: dict[str, list[str]] = {
    "lint": ["lint", ".", "--format", "json"],
    "lint as SARIF": ["lint", ".", "--format", "sarif"],
    "read": ["read", FILE, "--json"],
    "agents": ["agents", "--json"],
    "roster": ["roster", "--json"],
    "versions": ["versions", FILE, "--json"],
}


def run_in(project: Path, *arguments: str, **more: str) -> tuple[int, bytes, bytes]:
    """Where the output may be no text but UTF-8, as in a terminal of today."""
    here = Path.cwd()
    os.chdir(project)
    try:
        done = CliRunner().invoke(main, arguments, env={"HOME": str(project / "home"), **more})
    finally:
        os.chdir(here)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout_bytes, done.stderr_bytes


def test_program_itself_prints_it(project: Path) -> None:
    environment = os.environ | {
        "PYTHONIOENCODING": "utf-8:strict",
        "PYTHONPATH": str(Path(workbench.__file__).parents[1]),
    }
    command = [sys.executable, "-m", "workbench", "tasks", FILE]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, check=False)

    assert done.stdout.decode().strip() == f".claude/agents/{writable(ODD)}.tasks.yaml", done.stderr


@pytest.mark.parametrize("what", SAID)
def test_what_is_said_of_it_is_text(project: Path, what: str) -> None:
    code, out, err = run_in(project, *SAID[what])

    said = f"{out.decode()}\n{err.decode()}"
    assert "Traceback" not in said and "codec can't" not in said, said
    assert code in (0, 1, 2), said


@pytest.mark.parametrize("what", AS_JSON)
def test_what_is_given_to_programs_is_json_with_the_very_character(project: Path, what: str) -> None:
    code, out, err = run_in(project, *AS_JSON[what])

    assert code in (0, 1), err.decode()
    found = [json.loads(line) for line in out.decode().splitlines()] if "SARIF" not in what else [json.loads(out)]
    assert found
    if what in ("roster", "read", "agents"):
        assert "\udcff" in json.dumps(found, ensure_ascii=False)


def test_environment_with_such_a_byte_is_text_too(project: Path) -> None:
    odd = os.fsdecode(b"/tmp/x" + HALF)
    for name in ("WORKBENCH_LEDGER", "WORKBENCH_PRICES", "CLAUDE_CONFIG_DIR", "ANTHROPIC_MODEL"):
        for command in (["roster"], ["versions", FILE]):
            _, out, err = run_in(project, *command, **{name: odd})
            assert "Traceback" not in f"{out.decode()}\n{err.decode()}"


@pytest.mark.parametrize("format", FORMATS)
def test_every_file_of_a_report_is_written(tmp_path: Path, format: str) -> None:
    run = make_run({"a": passes([3, 2]), f"b{ODD}": passes([2, 3])}, text=f"Half {ODD}.")

    for path in write_report(run, tmp_path, formats=[format]):
        if path.suffix not in (".parquet", ".png"):
            path.read_text(encoding="utf-8")


def test_it_is_spelled_out() -> None:
    assert writable("é\udcff") == "é\\udcff"


OTHERS = {
    "estimate_only.py": "JSON, in which it is spelled out",
    "data.py": "JSON, in which it is spelled out",
    "draft_files.py": "JSON, in which it is spelled out",
    "plugin_copy.py": "JSON, in which it is spelled out",
    "project.py": "a constant",
    "site.py": "versions and hashes",
    "claude_code.py": "JSON, in which it is spelled out",
    "python_tools.py": "source for a tool, in which it is a fault",
    "notebooks.py": "refuses it by name",
}
"""Files of the workbench that write otherwise, and why they may."""


def test_every_file_is_written_so() -> None:
    source = Path(workbench.__file__).parent
    left = []
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            given = {each.arg: ast.unparse(each.value) for each in node.keywords}
            opens = node.func.attr == "open" and node.args and ast.unparse(node.args[0]) in ("'w'", "'x'", "'a'")
            is_other = path.name in OTHERS or given.get("errors") == "HALF_CHARACTERS"
            if (node.func.attr == "write_text" or opens) and not is_other:
                left.append(f"{path.relative_to(source)}:{node.lineno}")

    assert left == []
