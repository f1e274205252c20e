"""The author's walk from end to end: an agent file with a fault is opened, edited, saved, tried, and the trial frozen.

A server on 127.0.0.1 stands for the model, so that each request can be counted.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.messages_server import MessagesServer, serve
from workbench.definition.files import load_agent
from workbench.trial.record import load_run

from .conftest import PROJECT, Lab, Notebook, open_notebook
from .test_author import editor_of, panel_of, type_at_end

NAME = "senior-python-architect"
GIT = ("git", "-c", "user.name=author", "-c", "user.email=author@localhost")
WORDS = [f"word {number} " for number in range(200)]


@pytest.fixture
def file(lab: Lab) -> Iterator[Path]:
    """The agent, whose header is not YAML, and its tasks, committed to a git repository of its own."""
    folder = lab.root / "agents" / "given"
    folder.mkdir()
    path = folder / f"{NAME}.md"
    path.write_bytes(given_agent())
    for beside in (f"{NAME}.tasks.yaml", f"{NAME}.replies.yaml"):
        shutil.copy(PROJECT / "agents" / beside, folder)
    for command in (["init", "--quiet"], ["add", "agents/given"], ["commit", "--quiet", "--message", "An agent"]):
        subprocess.run([*GIT, *command], cwd=lab.root, check=True, capture_output=True)
    yield path
    for left in (lab.root / "outputs").glob("frozen-*.*"):
        left.unlink()
    shutil.rmtree(lab.root / ".git")
    shutil.rmtree(folder)


def given_agent() -> bytes:
    """The agent as it was first given, where the folder of agent files is at hand; else ours with the same fault."""
    corpus = Path(os.environ.get("WORKBENCH_CORPUS") or PROJECT.parent / "shared" / "corpus")
    given = corpus.parent / "agents" / f"{NAME}.md"
    if given.is_file():
        return given.read_bytes()
    ours = load_agent(PROJECT / "agents" / f"{NAME}.md")
    on_one_line = " ".join((ours.description or "").split())
    return re.sub(r"description: \|-\n(?:  .*\n|\n)*", f"description: {on_one_line}\n", ours.text).encode()


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    """Answers 200 words, in ten seconds unless told otherwise; does not count tokens."""
    with serve(lambda body, _before: "ok" if "max_tokens" in body else "404", seconds_a_piece=0.05) as server:
        server.pieces = WORDS
        yield server


@contextmanager
def notebook_of(lab: Lab, page: Any, agent: Path, model: MessagesServer) -> Iterator[Notebook]:
    """The author's notebook on this agent, run from top to bottom; its kernel asks this server."""
    path = agent.relative_to(lab.root).as_posix()
    source = json.loads((PROJECT / "notebooks" / "author.ipynb").read_text())
    (parameters,) = (cell for cell in source["cells"] if cell["id"] == "parameters")
    lines = [f'agent: str = "{path}"\n' if line.startswith("agent:") else line for line in parameters["source"]]
    parameters["source"] = [*lines, f'\n\nimport os\n\nos.environ["ANTHROPIC_BASE_URL"] = "{model.url}"']
    (lab.root / "notebooks" / "walk.ipynb").write_text(json.dumps(source))
    with open_notebook(lab, page, "notebooks/walk.ipynb") as opened:
        opened.run_all()
        yield opened


def answered(model: MessagesServer) -> int:
    """How many requests were for a reply: the others have tokens counted."""
    return sum("max_tokens" in body for body in model.bodies)


def git_lines(lab: Lab) -> list[str]:
    """The lines that `git diff` shows as removed and added."""
    diff = subprocess.run(
        [*GIT, "diff", "--unified=0", "--text"], cwd=lab.root, check=True, capture_output=True, text=True
    )
    return [line for line in diff.stdout.splitlines() if re.match(r"[-+](?![-+])", line)]


def test_the_authors_walk(lab: Lab, page: Any, file: Path, model: MessagesServer, screenshots: Path) -> None:
    before = load_agent(file)
    with notebook_of(lab, page, file, model) as author:
        editor, panel = editor_of(author), panel_of(author)
        editor.get_by_text("The header is not YAML").first.wait_for()
        edit_every_part(author, editor)
        editor.get_by_role("tab", name=re.compile("Changes")).click()
        changes = editor.get_by_role("textbox", name="Changes of the draft")
        changes.evaluate("changes => changes.scrollIntoView({block: 'start'})")
        changes.get_by_text("tools: Read, Grep").first.wait_for()
        page.screenshot(path=screenshots / "walk-edited.png")
        editor.get_by_role("button", name="Save", exact=True).click()
        author.wait_for("not editor.is_edited")
        editor.get_by_role("tab", name="Problems (0)").wait_for()

        saved = load_agent(file)
        assert saved.description == f"{before.description} Ask it early."
        assert git_lines(lab) == [
            f"-description: {before.description}",
            *[f"+{line}" for line in saved.text.splitlines() if line.startswith("description: ")],
            "+tools: Read, Grep",
            "+Said in the prompt.",
            "+Said in the raw file.",
        ]

        type_at_end(editor.get_by_label("Prompt", exact=True), "Only in the draft.\n")
        author.wait_for("editor.agent.prompt.endswith('Only in the draft.\\n')")
        panel.get_by_label("Tasks", exact=True).select_option(index=[1, 2])
        panel.get_by_role("button", name="Estimate").click()
        panel.get_by_text("4 calls").wait_for()
        assert answered(model) == 0

        panel.get_by_role("button", name="Run").click()
        draft = panel.get_by_role("region", name="Reply of draft", exact=True)
        draft.get_by_text("word 9").wait_for()
        page.screenshot(path=screenshots / "walk-streaming.png")
        draft.get_by_role("button", name="Stop this one").click()
        draft.get_by_text("Stopped: what had come by then is kept").wait_for()
        assert author.value("panel.is_running")
        model.seconds_a_piece = 0
        author.wait_for("not panel.is_running")
        assert author.value("[(t.variant, t.outcome) for t in panel.trials]") == [
            ("disk", "answered"),
            ("disk", "answered"),
            ("draft", "stopped"),
        ]
        assert "word 9" in draft.text_content()

        panel.get_by_role("button", name="Run").click()
        author.wait_for("len(panel.trials) == 4 and not panel.is_running")
        asked = author.value("sorted(trial.key for trial in panel.trials)")
        for count, text in enumerate(("Which of the 200 words is it?", "And in Python?"), start=5):
            draft.get_by_label("Answer to draft").fill(text)
            draft.get_by_role("button", name="Send").click()
            author.wait_for(f"len(panel.trials) == {count} and not panel.is_running")
        said = author.value("[trial.key for trial in panel.trials if len(trial.request.messages) > 1]")
        panel.get_by_role("button", name="Freeze").click()
        panel.get_by_text("Written: outputs/frozen-1.ipynb").wait_for()
        panel.get_by_text("The same as calls").click()
        panel.get_by_text("run = wb.answer_reply(run, 'And in Python?', variant='draft'").wait_for()
        panel.evaluate("panel => panel.scrollIntoView({block: 'end'})")
        panel.locator("details > pre").last.evaluate("calls => calls.scrollTo(0, calls.scrollHeight)")
        page.screenshot(path=screenshots / "walk-frozen.png")

        verdict = panel.get_by_role("heading", name="The variants compared")
        verdict.wait_for()
        verdict.scroll_into_view_if_needed()
        page.screenshot(path=screenshots / "walk-compared.png")

    paid = answered(model)
    left = subprocess.run(
        [sys.executable, "-m", "workbench", "run", "outputs/frozen-1.ipynb", "--out", "outputs/frozen-run"],
        cwd=lab.root,
        env={
            **os.environ,
            "ANTHROPIC_BASE_URL": model.url,
            "WORKBENCH_LEDGER": str(lab.root / "outputs/ledger.sqlite"),
        },
        capture_output=True,
        text=True,
    )

    assert left.returncode == 0, left.stderr
    frozen = load_run(lab.root / "outputs" / "frozen-run")
    assert sorted(trial.key for trial in frozen.trials) == asked
    assert [trial.key for trial in frozen.follow_ups] == said
    assert len(said) == 2
    assert answered(model) == paid


def edit_every_part(author: Notebook, editor: Any) -> None:
    type_at_end(editor.get_by_label("description", exact=True), " Ask it early.")
    editor.get_by_label("tools", exact=True).fill("Read, Grep")
    type_at_end(editor.get_by_label("Prompt", exact=True), "Said in the prompt.\n")
    editor.get_by_role("button", name="Raw file", exact=True).click()
    raw = editor.get_by_label("Raw file", exact=True).and_(editor.get_by_role("textbox"))
    raw.press("Control+End")
    # What was typed into the prompt has come here, the end of its line too, so that this is the end.
    raw.locator(".cm-line:text-is('Said in the prompt.') + .cm-line").wait_for()
    type_at_end(raw, "Said in the raw file.\n")
    author.wait_for("editor.edited == ('description', 'tools', 'prompt')")
    author.wait_for("editor.text.endswith('Said in the prompt.\\nSaid in the raw file.\\n')")
    editor.get_by_role("button", name="Fields", exact=True).click()
