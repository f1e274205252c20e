"""Agent files open from JupyterLab's file browser and from an address, in a notebook of their own."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PROJECT, Lab, new_page
from tests.test_hostile_folder import plant

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


BESIDE = ("agents/team-a-über-reviewer.md", 'agents/team "a"/README.md', ".claude")
"""What tests of this file put into the project that others share, beside the agent."""


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
    for name in (path, *BESIDE):  # the folder stays, as the file browser shows it
        left = lab.root / name
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def test_the_installed_extension_is_the_one_of_this_checkout() -> None:
    installed = Path(sys.prefix, "share", "jupyter", "labextensions", "agent-workbench")
    source = PROJECT / "src" / "workbench" / "widgets" / "lab"

    stale = [
        file.relative_to(source).as_posix()
        for file in source.rglob("*")
        if file.is_file() and (installed / file.relative_to(source)).read_bytes() != file.read_bytes()
    ]

    assert stale == [], "install the project again: pip install -e ."


def test_the_extension_leaves_no_name_in_the_page(page: Any) -> None:
    """JupyterLab loads every extension as a script of one page: a name of two of them would lose the second."""
    script = (PROJECT / "src" / "workbench" / "widgets" / "lab" / "static" / "open.js").read_text()
    opened = new_page(page.context.browser)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    before = set(opened.evaluate("() => Object.getOwnPropertyNames(window)"))
    opened.add_script_tag(content=script)
    opened.add_script_tag(content=script.replace('"agent-workbench"', '"another"'))
    opened.add_script_tag(content='const NAME = "of another one"; class AgentFiles {}')
    after = set(opened.evaluate("() => Object.getOwnPropertyNames(window)"))
    both = opened.evaluate("() => Object.keys(window._JUPYTERLAB).sort()")
    opened.close()

    assert errors == []
    assert after - before == {"_JUPYTERLAB"}
    assert both == ["agent-workbench", "another"]


def test_a_right_click_runs_no_file_of_the_project(lab: Lab, page: Any, agent: str, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    before = set(lab.root.rglob("*"))
    plant(lab.root, marks)
    try:
        page.evaluate(_SHOW, agent)
        page.locator(".jp-DirListing-item", has_text="über-reviewer.md").click(button="right")
        page.get_by_role("menuitem", name="Open in Workbench").click()
        page.get_by_role("group", name="Agent editor").get_by_label("Prompt", exact=True).wait_for()
        page.get_by_role("group", name="Trial panel").get_by_role("button", name="Run", exact=True).wait_for()
        assert [path.name for path in marks.iterdir()] == []
    finally:
        for path in sorted(set(lab.root.rglob("*")) - before, reverse=True):
            if path.suffix in (".py", ".json"):
                path.unlink()


def test_a_right_click_on_an_agent_file_opens_it_in_a_notebook(lab: Lab, page: Any, agent: str) -> None:
    page.evaluate(_SHOW, agent)
    page.locator(".jp-DirListing-item", has_text="über-reviewer.md").click(button="right")
    page.get_by_role("menuitem", name="Open in Workbench").click()
    page.locator(_EDITOR).first.wait_for()
    panel = page.get_by_role("group", name="Trial panel")  # with what the description says, as it has no tasks
    panel.get_by_role("button", name="Run", exact=True).wait_for()

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
    opened = new_page(page.context.browser)
    opened.goto(f"{lab.url}/lab?token={lab.token}&workbench-open={agent}&reset")
    opened.locator(_EDITOR).first.wait_for()
    opened.evaluate(_CLOSE_ALL)
    opened.close()

    assert [_agent_of(notebook) for notebook in _made(lab)] == [agent]


def test_a_right_click_is_offered_on_agent_files_only(lab: Lab, page: Any, agent: str) -> None:
    folder = (lab.root / agent).parent
    (folder / "README.md").write_text("# Our agents\n")
    page.evaluate(_SHOW, agent)

    assert _offers(page, "über-reviewer.md")
    assert not _offers(page, "README.md")


def test_agents_of_claudes_folder_are_reached_by_browser_palette_and_launcher(
    lab: Lab, page: Any, agent: str, screenshots: Path
) -> None:
    hidden = lab.root / ".claude" / "agents" / "hidden-reviewer.md"
    hidden.parent.mkdir(parents=True)
    hidden.write_bytes((lab.root / agent).read_bytes().replace(b"name: reviewer", b"name: hidden-reviewer"))
    opened = new_page(page.context.browser)
    try:
        opened.goto(f"{lab.url}/lab?token={lab.token}&reset")
        opened.locator(".jp-LauncherCard", has_text="hidden-reviewer").wait_for()
        assert opened.locator(".jp-LauncherCard", has_text="Open an agent").count() == 1
        opened.locator(".jp-DirListing-item", has_text=".claude").wait_for()
        assert opened.locator(".jp-Launcher-sectionTitle").first.text_content() == "Agents"
        opened.screenshot(path=screenshots / "opening-launcher.png")

        opened.evaluate("() => window.jupyterapp.commands.execute('apputils:activate-command-palette')")
        opened.locator(".lm-CommandPalette-input").fill("agent in the workbench")
        opened.locator(".lm-CommandPalette-item", has_text="Open an Agent in the Workbench").click()
        chosen = opened.locator(".jp-Dialog select")
        chosen.select_option(label="hidden-reviewer (this project: .claude/agents/hidden-reviewer.md)")
        opened.locator(".jp-Dialog .jp-mod-accept").click()
        opened.locator(_EDITOR).first.wait_for()
        opened.evaluate(_CLOSE_ALL)
    finally:
        opened.close()

    assert [_agent_of(notebook) for notebook in _made(lab)] == [".claude/agents/hidden-reviewer.md"]


def test_opening_again_shows_live_widgets_and_the_draft(lab: Lab, page: Any, agent: str) -> None:
    """First by the page that is loaded again while the kernel lives, then by `workbench open` after it was shut down."""
    opened = new_page(page.context.browser)
    opened.goto(f"{lab.url}/lab?token={lab.token}&workbench-open={agent}&reset")
    name = opened.locator(".jp-OutputArea-output").get_by_label("name", exact=True)
    name.wait_for()
    opened.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")

    opened.goto(f"{lab.url}/lab?token={lab.token}&workbench-open={agent}")
    name.wait_for()
    assert name.input_value() == "reviewer"
    name.fill("live")  # a picture of the widget would not take it
    opened.get_by_text("edited, not saved: name").wait_for()
    assert (lab.root / agent).read_text().startswith("---\nname: reviewer\n")

    opened.evaluate(_CLOSE_ALL)
    opened.goto(f"{lab.url}/lab?token={lab.token}&workbench-open={agent}&workbench-ticket={_ticket(lab)}")
    name.wait_for()
    opened.evaluate(_CLOSE_ALL)
    opened.close()

    assert (lab.root / agent).read_text().startswith("---\nname: reviewer\n")


def _offers(page: Any, file: str) -> bool:
    """Whether the menu of a right click on this file has the workbench in it."""
    page.wait_for_timeout(500)  # the server says which are agent files
    page.locator(".jp-DirListing-item", has_text=file).click(button="right")
    page.get_by_role("menuitem", name="Rename").wait_for()
    found = page.get_by_role("menuitem", name="Open in Workbench").count() == 1
    page.keyboard.press("Escape")
    return found


def _ticket(lab: Lab) -> str:
    """What `workbench open` writes for the server that runs."""
    ticket = "ticket-of-the-test"
    (lab.runtime / f"workbench-ticket-{ticket}").touch()
    return ticket


def _made(lab: Lab) -> list[Path]:
    return sorted((lab.root / "outputs" / "notebooks").glob("author-*.ipynb"))


def _read(notebook: Path) -> Any:
    """A notebook that the page may be saving: until it is whole again."""
    ends = time.monotonic() + 60
    while True:
        try:
            return json.loads(notebook.read_text())["cells"]
        except json.JSONDecodeError:
            assert time.monotonic() < ends, f"{notebook.name} is no notebook for 60 seconds"
            time.sleep(0.05)


def _cells(notebook: Path) -> Any:
    return [cell["source"] for cell in _read(notebook)]


def _agent_of(notebook: Path) -> str:
    """The value of the parameter `agent`."""
    [cell] = [cell for cell in _read(notebook) if cell["id"] == "parameters"]
    [line] = [line for line in "".join(cell["source"]).splitlines() if line.startswith("agent: str = ")]
    return json.loads(line.removeprefix("agent: str = "))
