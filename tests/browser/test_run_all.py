"""What Run All Cells and a page that is loaded again do to an agent that is edited: nothing is saved, paid or lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.messages_server import MessagesServer, serve

from .conftest import Lab, new_page, open_notebook, screenshot_folder
from .test_author import type_at_end

AGENT = ".claude/agents/plan-reviewer.md"
NOTEBOOK = "outputs/notebooks/author-plan-reviewer.ipynb"
TEXT = "---\nname: plan-reviewer\ndescription: Reviews plans.\nmodel: sonnet\n---\n\nYou review plans.\n"
TASKS = (
    "tasks:\n  - id: cache\n    input: Review a cache before the database.\n  - id: queue\n    input: Review a queue.\n"
)
_RUN_ALL = "() => window.jupyterapp.commands.execute('notebook:run-all-cells')"
_SAVED = "() => !window.jupyterapp.shell.currentWidget.context.model.dirty"


@pytest.fixture
def server() -> Iterator[MessagesServer]:
    with serve(lambda body, _before: "ok" if "max_tokens" in body else "404") as started:
        yield started


@pytest.fixture
def project(lab: Lab) -> Iterator[Path]:
    """An agent of a repository, with two tasks, that nobody has opened yet."""
    agent = lab.root / AGENT
    agent.parent.mkdir(parents=True)
    agent.write_text(TEXT)
    agent.with_suffix(".tasks.yaml").write_text(TASKS)
    yield lab.root
    for file in (agent, agent.with_suffix(".tasks.yaml"), lab.root / NOTEBOOK):
        file.unlink(missing_ok=True)
    agent.parent.rmdir()
    agent.parent.parent.rmdir()


@contextmanager
def opened(lab: Lab, page: Any) -> Iterator[Any]:
    """A page of its own in which the agent was opened as `workbench open` does."""
    ticket = "ticket-of-run-all"
    (lab.runtime / f"workbench-ticket-{ticket}").touch()
    own = new_page(page.context.browser, viewport={"width": 1500, "height": 1100})
    try:
        own.goto(f"{lab.url}/lab?token={lab.token}&workbench-open={AGENT}&workbench-ticket={ticket}&reset")
        own.get_by_role("group", name="Agent editor").wait_for()
        own.get_by_role("group", name="Trial panel").wait_for()
        yield own
        own.evaluate(
            "async () => { const panel = window.jupyterapp.shell.currentWidget; await panel.sessionContext.shutdown();"
            " panel.context.model.dirty = false; panel.close(); }"
        )
    except BaseException:
        own.screenshot(path=screenshot_folder() / "failed.png")
        raise
    finally:
        own.close()


def run_in_kernel(page: Any, code: str) -> None:
    """As a cell of the user would."""
    page.evaluate(
        "code => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({code}).done", code
    )


def load_again(page: Any) -> None:
    """F5: the page is loaded again, and opens what was open. Nothing is run."""
    page.reload()
    page.wait_for_function("() => window.jupyterapp")
    page.evaluate("() => window.jupyterapp.restored")


def test_run_all_saves_nothing_pays_nothing_and_a_reload_brings_the_widgets_back(
    lab: Lab, page: Any, project: Path, server: MessagesServer, screenshots: Path
) -> None:
    with opened(lab, page) as own:
        editor, panel = own.get_by_role("group", name="Agent editor"), own.get_by_role("group", name="Trial panel")
        type_at_end(editor.get_by_label("Prompt", exact=True), "UNSAVED LINE\n")
        editor.get_by_text("edited, not saved: prompt").wait_for()

        # D7: the line on top follows a key that a cell sets, before anything is clicked.
        panel.get_by_text("OFFLINE STAND-IN").first.wait_for()
        panel.get_by_text("The next Run asks 2 times: disk and draft of claude-").wait_for()
        run_in_kernel(own, f"import os; os.environ['ANTHROPIC_BASE_URL'] = {server.url!r}")
        panel.get_by_text(f"Answered by the server at {server.url}.").wait_for()
        panel.get_by_label("Tasks", exact=True).select_option(index=[1, 2])
        panel.get_by_text("The next Run asks 4 times: disk and draft of claude-").wait_for()
        panel.get_by_role("button", name="Run", exact=True).click()
        panel.get_by_role("heading", name="The variants compared").wait_for()
        panel.get_by_text("The next Run asks nobody: the ledger holds all 4 replies").wait_for()
        paid = len(server.bodies)
        assert paid == 4

        # D1: all cells run, twice.
        for _ in range(2):
            assert own.evaluate(_RUN_ALL) is True
            editor.get_by_text("edited, not saved: prompt").wait_for()
            panel.get_by_role("region", name="Reply of draft", exact=True).get_by_text("what load").wait_for()
        assert (project / AGENT).read_text() == TEXT
        assert len(server.bodies) == paid

        # D0, D4: F5 at once, and what is shown is alive: it takes a letter, and knows the draft and the replies.
        own.wait_for_function(_SAVED)
        load_again(own)
        prompt = editor.get_by_label("Prompt", exact=True)
        prompt.wait_for()
        assert "UNSAVED LINE" in prompt.text_content()
        type_at_end(prompt, "And one more\n")
        panel.get_by_role("region", name="Reply of draft", exact=True).get_by_text("what load").wait_for()
        panel.get_by_text("The agent was edited since").wait_for()
        pane = own.get_by_role("group", name="Is it picked?", exact=True)
        pane.get_by_text(f"Answered by the server at {server.url}.").wait_for()
        pane.get_by_role("button", name="Estimate", exact=True).wait_for()
        own.screenshot(path=screenshots / "run-all-reloaded.png")
        assert (project / AGENT).read_text() == TEXT
        assert len(server.bodies) == paid

        editor.get_by_role("button", name="Save", exact=True).click()
        editor.get_by_text("Saved.").wait_for()
        assert (project / AGENT).read_text() == f"{TEXT}UNSAVED LINE\nAnd one more\n"


def test_a_file_that_somebody_else_changes_is_shown_and_tried_as_it_is(lab: Lab, page: Any, project: Path) -> None:
    with opened(lab, page) as own:
        editor, panel = own.get_by_role("group", name="Agent editor"), own.get_by_role("group", name="Trial panel")
        changed = TEXT.replace("You review plans.", "You review plans, tersely.")
        (project / AGENT).write_text(changed)

        editor.get_by_text("The file changed on disk: this is what it says now.").wait_for()
        assert "tersely" in editor.get_by_label("Prompt", exact=True).text_content()
        panel.get_by_role("button", name="Run", exact=True).click()
        panel.get_by_text("Answered.").first.wait_for()
        panel.get_by_text("The same as calls").click()
        panel.get_by_text(f"wb.load_agent('{AGENT}')").wait_for()  # the file, as it is now

        type_at_end(editor.get_by_label("Prompt", exact=True), "Of mine.\n")
        editor.get_by_text("edited, not saved: prompt").wait_for()
        (project / AGENT).write_text(changed.replace("model: sonnet", "model: haiku"))
        editor.get_by_role("region", name="The file changed on disk").wait_for()
        assert "Of mine." in editor.get_by_label("Prompt", exact=True).text_content()


def test_a_notebook_of_the_project_is_left_as_it_is_until_the_user_saves_it(lab: Lab, page: Any) -> None:
    """A notebook that is kept in git is not made here: Run All puts no outputs into it."""
    before = (lab.root / "notebooks" / "author.ipynb").read_text()
    with open_notebook(lab, page, "notebooks/author.ipynb") as notebook:
        notebook.run_all()
        page.wait_for_timeout(1_000)

        assert (lab.root / "notebooks" / "author.ipynb").read_text() == before
