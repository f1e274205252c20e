"""A text that no file system takes as a name is a file that is not there, wherever somebody may type one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import workbench as wb
from tests.runs import gradable, make_run, passes
from workbench.cli import ROOMS, main
from workbench.definition.committed import find_committed
from workbench.definition.finding import agent_file
from workbench.definition.linting import lint_paths
from workbench.errors import WorkbenchError
from workbench.headless.batch_plan import load_batch
from workbench.headless.comparing_nothing import nothing_to_compare, refuse_nothing_to_compare
from workbench.headless.notebook import run_notebook
from workbench.headless.notebook_files import load_notebook
from workbench.headless.parameters import declared_parameters, files_named, with_own_tasks
from workbench.headless.task_check import refuse_broken_tasks_of
from workbench.project.tried import tried_versions
from workbench.runs.versions import Against, load_versions
from workbench.trial.rubric import load_rubric

ODD = {"too long": "x" * 300, "too long in a folder": f"a/{'x' * 300}/x.md", "with a NUL": "a\0b"}
AGENT = "agents/x.md"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "ledger.sqlite"))
    (tmp_path / "agents").mkdir()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / AGENT).write_text("---\nname: x\ndescription: D\n---\nYou are x.\n")
    return tmp_path


def with_an_odd_path(name: str, odd: str) -> Iterator[list[str]]:
    """Command lines of this command, each with one argument or option that is odd."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    for odd_one in arguments:
        yield [name, *(odd if each is odd_one else AGENT for each in arguments)]
    for option in command.params:
        takes_text = isinstance(option.type, click.Path | type(click.STRING))
        if isinstance(option, click.Option) and takes_text and not option.is_flag:
            yield [name, *(AGENT for _ in arguments), option.opts[0], odd]


@pytest.mark.parametrize("name", sorted(set(ROOMS) - {"lab"}))
def test_no_command_ends_with_a_traceback(name: str) -> None:
    for line in with_an_odd_path(name, ODD["too long"]):
        ended = CliRunner().invoke(main, line).exception

        assert ended is None or isinstance(ended, SystemExit | WorkbenchError), line


CALLS: dict[str, Callable[[str], Any]] = {
    "load_agent": wb.load_agent,
    "save_agent": lambda odd: wb.save_agent(wb.load_agent(AGENT), odd),
    "load_tasks": lambda odd: wb.load_tasks(f"{odd}.yaml"),
    "load_run": wb.load_run,
    "export_record": lambda odd: wb.export_record(gradable(make_run({"base": passes((1, 4))})), odd),
    "write_report": lambda odd: wb.write_report(gradable(make_run({"base": passes((1, 4))})), odd),
    "read_attempts": wb.read_attempts,
    "load_rubric": load_rubric,
    "load_batch": load_batch,
    "run_notebook": lambda odd: run_notebook("compare", out=odd, parameters={"agent": AGENT}, progress=False),
    "agent_file": agent_file,
    "lint_paths": lambda odd: lint_paths([odd]),
    "find_committed": lambda odd: find_committed(AGENT, odd),
    "versions": lambda odd: load_versions(AGENT, Against(other=odd)),
    "tasks": lambda odd: load_versions(AGENT, Against(without="You"), tasks=odd),
    "tried": lambda odd: tried_versions(AGENT, records=[odd]),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("odd", ODD)
def test_each_function_that_takes_a_path_says_so(call: str, odd: str) -> None:
    with pytest.raises(WorkbenchError):
        CALLS[call](ODD[odd])


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ["agent", "against", "tasks", "variant_file", "model", "leave_out"])
def test_a_parameter_of_one_notebook_does_not_end_its_batch(name: str, odd: str, project: Path) -> None:
    """What is found out before a kernel starts is an error of that notebook alone."""
    declared = declared_parameters(load_notebook("compare"))
    given = {"agent": AGENT, name: ODD[odd]}

    assert nothing_to_compare(declared, given, project=project) is None
    for check in (
        lambda: with_own_tasks(declared, given, project=project, notebook="compare"),
        lambda: files_named(declared, given, project=project),
        lambda: refuse_broken_tasks_of({}, declared, given, project=project),
        lambda: refuse_nothing_to_compare(declared, given, project=project),
    ):
        try:
            check()
        except WorkbenchError:
            continue
