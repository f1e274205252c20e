"""Agent files open from JupyterLab's file browser and from an address, in a notebook of their own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PROJECT, Lab

_EDITOR = ".jp-OutputArea-output"
_SHOW = """async path => {
  await window.jupyterapp.restored;
  await window.jupyterapp.commands.execute('filebrowser:open-path', {path: path.split('/').slice(0, -1).join('/')});
}"""
_CLOSE_ALL = """async () => {
  for (const panel of [...window.jupyterapp.shell.widgets('main')]) {
    if (!panel.sessionContext) continue;
    await panel.sessionContext.ready;
    await panel.sessionContext.shutdown(); await panel.context.revert(); panel.close();
  }
}"""


@pytest.fixture
def agent(lab: Lab, page: Any) -> Iterator[str]:
    """An agent file of a folder with a name that needs care; what was opened on it is closed and deleted."""
    path = 'agents/team "a"/über-reviewer.md'
    (lab.root / path).parent.mkdir(exist_ok=True)
    (lab.root / path).write_text("---\nname: reviewer\ndescription: Reviews.\n---\nYou review.\n")
    yield path
    page.evaluate(_CLOSE_ALL)
    for notebook in _made(lab):
        notebook.unlink()


def test_the_installed_extension_is_the_one_of_this_checkout() -> None:
    installed = Path(sys.prefix, "share", "jupyter", "labextensions", "agent-workbench")
    source = PROJECT / "src" / "workbench" / "widgets" / "lab"

    stale = [
        file.relative_to(source).as_posix()
        for file in source.rglob("*")
        if file.is_file() and (installed / file.relative_to(source)).read_bytes() != file.read_bytes()
    ]

    assert stale == [], "install the project again: pip install -e ."


def test_a_right_click_on_an_agent_file_opens_it_in_a_notebook(lab: Lab, page: Any, agent: str) -> None:
    page.evaluate(_SHOW, agent)
    page.locator(".jp-DirListing-item", has_text="über-reviewer.md").click(button="right")
    page.get_by_role("menuitem", name="Open in Workbench").click()
    page.locator(_EDITOR).first.wait_for(timeout=60_000)
    panel = page.get_by_role("group", name="Trial panel")  # of an agent that has neither tasks nor examples
    panel.get_by_placeholder("Type a question").wait_for()

    assert [_agent_of(notebook) for notebook in _made(lab)] == [agent]


def test_a_notebook_that_is_there_is_opened_and_not_written_over(lab: Lab, page: Any, agent: str) -> None:
    command = "path => window.jupyterapp.commands.execute('workbench:open-agent', {path})"
    page.evaluate(command, agent)
    made = {notebook: _cells(notebook) for notebook in _made(lab)}

    page.evaluate(_CLOSE_ALL)
    page.evaluate(command, agent)

    assert {notebook: _cells(notebook) for notebook in _made(lab)} == made


def test_files_whose_names_run_together_get_notebooks_of_their_own(lab: Lab, page: Any, agent: str) -> None:
    other = "agents/team-a-über-reviewer.md"
    (lab.root / other).write_bytes((lab.root / agent).read_bytes())
    for path in (agent, other):
        page.evaluate("path => window.jupyterapp.commands.execute('workbench:open-agent', {path})", path)

    assert {_agent_of(notebook) for notebook in _made(lab)} == {agent, other}


def test_an_address_opens_an_agent_file(lab: Lab, page: Any, agent: str) -> None:
    opened = page.context.browser.new_page()
    opened.goto(f"{lab.url}/lab?token={lab.token}&workbench-open={agent}&reset")
    opened.locator(_EDITOR).first.wait_for(timeout=60_000)
    opened.evaluate(_CLOSE_ALL)
    opened.close()

    assert [_agent_of(notebook) for notebook in _made(lab)] == [agent]


def _made(lab: Lab) -> list[Path]:
    return sorted((lab.root / "notebooks").glob("author-*.ipynb"))


def _cells(notebook: Path) -> Any:
    return [cell["source"] for cell in json.loads(notebook.read_text())["cells"]]


def _agent_of(notebook: Path) -> str:
    """The value of the parameter `agent`."""
    [cell] = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["id"] == "parameters"]
    [line] = [line for line in "".join(cell["source"]).splitlines() if line.startswith("agent: str = ")]
    return json.loads(line.removeprefix("agent: str = "))
