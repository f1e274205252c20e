"""The agent editor in JupyterLab: nothing typed is lost, whatever happens meanwhile."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lab, Notebook, open_notebook, serious_violations
from .test_author import changed_lines, contrast

AGENT = "agents/senior-python-architect.md"
CELL = f'import workbench as wb\n\nwb.enter_project()\neditor = wb.AgentEditor(wb.load_agent("{AGENT}"))\neditor'
HOSTILE = (
    '<img src="https://elsewhere.invalid/x" onerror="window.hostile=1"><script>window.hostile=1</script> '
    "[link](javascript:window.hostile=1) ![](https://elsewhere.invalid/y) \x1b[31mred \u202egnihton"
)


class Editor:
    """The editor in the page, by what a person sees of it."""

    def __init__(self, notebook: Notebook, place: Any) -> None:
        self.notebook = notebook
        self.page = notebook.page
        self.place = place

    def text(self, name: str) -> Any:
        return self.place.get_by_role("textbox", name=name, exact=True)

    def field(self, name: str) -> Any:
        return self.place.get_by_label(name, exact=True)

    def press(self, name: str) -> None:
        self.place.get_by_role("button", name=name, exact=True).click()

    def tab(self, name: str) -> None:
        self.place.get_by_role("tab", name=name).click()

    def see(self, text: str) -> None:
        self.place.get_by_text(text).locator("visible=true").first.wait_for()

    @property
    def focused(self) -> str:
        """What has the focus, by its label or text."""
        return str(
            self.page.evaluate(
                "() => document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim()"
            )
        )

    def go_to_end(self, name: str = "Prompt") -> None:
        self.text(name).focus()
        self.page.keyboard.press("Control+End")

    def wait_for(self, expression: str) -> None:
        self.notebook.wait_for(expression)

    def value(self, expression: str) -> Any:
        return self.notebook.value(expression)


@pytest.fixture
def file(lab: Lab) -> Path:
    return lab.root / AGENT


@pytest.fixture(scope="module")
def notebook(lab: Lab, page: Any) -> Iterator[Notebook]:
    """Its kernel serves all tests of this file that leave it alive."""
    with open_notebook(lab, page, write_notebook(lab, "editor.ipynb")) as opened:
        opened.run_cell("edit")
        yield opened


@pytest.fixture
def editor(notebook: Notebook) -> Editor:
    """An editor of the first agent, in a notebook of one cell that shows it and one that can show it again."""
    notebook.begin_again()
    notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets[1].model.clearExecution()")
    return shown_editor(notebook)


@pytest.fixture
def own_editor(lab: Lab, page: Any) -> Iterator[Editor]:
    """The same, with a kernel of its own."""
    with open_notebook(lab, page, write_notebook(lab, "own-editor.ipynb")) as opened:
        yield shown_editor(opened)


def shown_editor(notebook: Notebook) -> Editor:
    notebook.run_cell("edit")
    place = notebook.output("edit").get_by_role("group", name="Agent editor")
    place.wait_for()
    return Editor(notebook, place)


def write_notebook(lab: Lab, name: str) -> str:
    cells = [
        {"cell_type": "code", "id": id, "metadata": {}, "outputs": [], "source": source, "execution_count": None}
        for id, source in (("edit", CELL), ("again", "editor"))
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    (lab.root / "notebooks" / name).write_text(json.dumps(notebook))
    return f"notebooks/{name}"


def test_450_fast_keys_arrive_in_order_and_undo_goes_back_beyond_a_save(editor: Editor, file: Path) -> None:
    before = file.read_text()
    keys = "".join(f"{number:04d} wörd 😀 " for number in range(32))[:450]
    editor.go_to_end()
    editor.page.keyboard.type(keys)
    editor.page.keyboard.press("Control+s")
    editor.see("Saved.")
    saved = file.read_text()

    assert saved == before + keys
    for _ in range(60):
        if editor.value("editor.agent.prompt") == before.partition("---\n\n")[2]:
            break
        editor.page.keyboard.press("Control+z")
        editor.page.wait_for_timeout(20)
    editor.wait_for(f"editor.text == {before!r}")
    assert file.read_text() == saved


def test_fields_and_raw_text_are_two_views_of_one_document(editor: Editor) -> None:
    editor.field("model").fill("claude-")
    every = editor.field("Pick a model")
    told = every.locator("option", has_text="haiku:").first.text_content()
    every.select_option("opus")
    editor.place.get_by_role("radio", name="purple").check()
    editor.wait_for("editor.edited == ('color', 'model')")
    editor.press("Raw file")
    raw = editor.text("Raw file")
    raw.get_by_text("color: purple").click()
    editor.page.keyboard.press("End")
    editor.page.keyboard.type("\nmaxTurns: 7\nowner: nobody")
    editor.press("Fields")
    editor.place.get_by_text("Other keys").click()
    editor.see("owner: nobody")
    editor.place.get_by_text("How it runs").click()

    assert re.fullmatch(r"haiku: claude-haiku-[0-9-]+, .* USD in, .* out, context [0-9,]+", told)
    assert editor.field("maxTurns").input_value() == "7"
    assert editor.value("(editor.agent.max_turns, editor.agent.color, editor.agent.model)") == (7, "purple", "opus")


@pytest.mark.parametrize("view", ["Prompt", "Raw file"])
@pytest.mark.parametrize("width", [1500, 800])
def test_the_end_of_a_long_text_can_be_reached(editor: Editor, view: str, width: int) -> None:
    editor.page.set_viewport_size({"width": width, "height": 900})
    if view == "Raw file":
        editor.press("Raw file")
    editor.value("editor.edit(prompt=''.join(f'Rule {n}.\\n' for n in range(200)) + 'The last rule.\\n') and None")
    editor.go_to_end(view)
    last = editor.text(view).get_by_text("The last rule.")
    last.wait_for()
    editor.page.wait_for_timeout(300)
    place = editor.place.locator(".wb-writing:visible").bounding_box()
    line = last.bounding_box()
    editor.text(view).evaluate("text => text.parentElement.scrollTo(0, 0)")
    first = editor.text(view).get_by_text("Rule 0." if view == "Prompt" else "---").first
    first.wait_for()
    editor.page.set_viewport_size({"width": 1500, "height": 1100})

    assert place["y"] <= line["y"] <= line["y"] + line["height"] <= place["y"] + place["height"]


def test_what_is_typed_while_the_kernel_is_busy_arrives_when_it_is_free(editor: Editor) -> None:
    editor.notebook.kernel_client.execute("import time; time.sleep(2)")
    editor.go_to_end()
    editor.page.keyboard.type("Typed while the kernel was busy, all of it.")
    editor.field("name").fill("")
    editor.field("name").press_sequentially("another-name-of-an-agent")

    editor.wait_for("editor.agent.prompt.endswith('busy, all of it.')")
    editor.wait_for("editor.agent.name == 'another-name-of-an-agent'")
    assert editor.field("name").input_value() == "another-name-of-an-agent"


def test_two_views_of_one_draft_keep_what_is_typed_in_both(editor: Editor) -> None:
    editor.notebook.run_cell("again")
    both = editor.page.get_by_role("group", name="Agent editor")
    both.nth(1).wait_for()
    one, two = Editor(editor.notebook, both.nth(0)), Editor(editor.notebook, both.nth(1))
    for number in range(6):
        for name, view in (("one", one), ("two", two)):
            view.go_to_end()
            editor.page.keyboard.type(f"{name} {number}. ")
    typed = "".join(f"{name} {number}. " for number in range(6) for name in ("one", "two"))
    editor.wait_for(f"len(editor.agent.prompt) == len(editor.saved.prompt) + {len(typed)}")

    assert sorted(editor.value("editor.agent.prompt[len(editor.saved.prompt):]")) == sorted(typed)
    editor.page.wait_for_function(
        "() => { const [one, two] = [...document.querySelectorAll('[aria-label=Prompt]')]"
        ".map(text => text.lastElementChild.textContent); return one === two; }"
    )


def test_a_problem_leads_to_its_place_and_can_be_mended(editor: Editor) -> None:
    editor.field("tools").press_sequentially("Read, MultiEdit", delay=60)
    editor.see("no tool MultiEdit")
    editor.place.get_by_role("button", name="Go to line").first.click()
    editor.page.keyboard.type("Grep, ")
    editor.wait_for("editor.agent.tools == ('Grep', 'Read', 'MultiEdit')")
    editor.see("and now 'Grep, Read, MultiEdit'")  # what is pressed is what is read, and no more
    editor.place.get_by_role("button", name="Change", exact=True).focus()
    editor.page.keyboard.press("Enter")
    editor.wait_for("editor.agent.tools == ('Grep', 'Read')")

    editor.see("Changed as it was said.")
    editor.see("No problems found.")
    assert editor.focused == "No problems found."
    editor.press("Raw file")
    editor.text("Raw file").focus()
    editor.page.keyboard.press("Control+z")
    editor.wait_for("editor.agent.tools == ('Grep', 'Read', 'MultiEdit')")
    editor.see("no tool MultiEdit")


def test_a_file_that_changed_on_disk_is_shown_beside_the_draft(editor: Editor, file: Path, screenshots: Path) -> None:
    editor.field("model").fill("opus")
    editor.go_to_end()
    editor.page.keyboard.type("Mine.\n")
    editor.wait_for("editor.agent.model == 'opus' and editor.agent.prompt.endswith('Mine.\\n')")
    file.write_text(file.read_text().replace("model: sonnet", "model: haiku").replace("## How you speak", "## Speech"))
    editor.page.keyboard.press("Control+s")
    editor.see("Not saved: the file changed on disk")
    editor.see("Both sides changed the same lines in 1 place: choose there.")
    editor.place.get_by_role("radio", name="the file's").check()
    editor.place.scroll_into_view_if_needed()
    editor.page.screenshot(path=screenshots / "editor-conflict.png")
    chosen, all_of_it = editor.place.locator(".wb-piece-clash .wb-choice"), editor.place.locator(".wb-pieces")
    seen, whole = chosen.bounding_box(), all_of_it.bounding_box()
    assert whole["y"] <= seen["y"] < whole["y"] + whole["height"]
    breaks = editor.place.locator("pre").evaluate_all("texts => texts.map(text => getComputedStyle(text).wordBreak)")
    assert set(breaks) == {"normal"}, "JupyterLab's style breaks words in the middle"
    editor.press("Make one draft of both")
    editor.see("Both are one draft now")
    assert editor.focused == "Fields"
    editor.press("Save")
    editor.wait_for("not editor.is_edited")

    text = file.read_text()
    assert "model: haiku" in text
    assert "## Speech" in text
    assert text.endswith("Mine.\n")


def test_a_file_that_is_gone_is_written_again(editor: Editor, file: Path) -> None:
    editor.go_to_end()
    editor.page.keyboard.type("Typed meanwhile.")
    file.unlink()
    editor.page.keyboard.press("Control+s")
    editor.see("Not saved: the file is gone")
    editor.press("Write it again")
    editor.see("The file is there again")

    assert file.read_text().endswith("Typed meanwhile.")
    assert editor.place.get_by_role("button", name="Write it again").count() == 0


def test_the_changes_begin_at_the_first_and_stay_where_one_looks(editor: Editor) -> None:
    editor.value("editor.edit(description='A long line before the first change. ' * 200) and editor.save() and None")
    editor.field("model").fill("opus")
    editor.go_to_end()
    editor.page.keyboard.insert_text("A line of many.\n\n" * 60)
    editor.tab("Changes (2 edited)")  # both have come to the file's text, of which this shows the changes
    changes = editor.place.get_by_role("textbox", name="Changes of the draft")
    changes.wait_for()
    place = "text => text.parentElement.scrollTop"
    editor.page.wait_for_function("() => document.querySelector('.wb-changes .cm-scroller')?.scrollTop > 60")
    first = changes.get_by_text("model: opus").bounding_box()
    box = changes.locator("xpath=..").bounding_box()
    weight = changes.get_by_text("A line of many.").first.evaluate("line => getComputedStyle(line).fontWeight")
    changes.evaluate("text => text.parentElement.scrollTo(0, 900)")
    editor.go_to_end()
    editor.page.keyboard.type("The last one.")
    old = changes.element_handle()
    editor.page.wait_for_function("old => !old.isConnected", arg=old)
    editor.page.wait_for_function("() => document.querySelector('.wb-changes .cm-scroller')?.scrollTop > 700")

    assert box["y"] < first["y"] < box["y"] + box["height"] / 2
    assert 800 <= changes.evaluate(place) <= 1000
    assert weight == "400", "as in the editor itself"


def test_a_draft_outlives_its_kernel(own_editor: Editor) -> None:
    editor = own_editor
    editor.go_to_end()
    editor.page.keyboard.type("Not saved yet.")
    editor.wait_for("editor.kept_draft is None and editor.agent.prompt.endswith('Not saved yet.')")
    drafts = f"__import__('pathlib').Path({str(editor.notebook.lab.root / 'outputs' / 'drafts')!r}).rglob('*')"
    editor.wait_for(f"any('Not saved yet.' in file.read_text() for file in {drafts} if file.is_file())")
    restart = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    editor.page.evaluate(restart)
    editor.see("The kernel is gone")
    editor.notebook.run_cell("edit")
    editor.see("was never saved")
    fresh = editor.value("editor.is_edited")
    editor.press("Take it up")
    editor.wait_for("editor.agent.prompt.endswith('Not saved yet.')")

    assert fresh is False
    editor.go_to_end()
    editor.text("Prompt").get_by_text("Not saved yet.").wait_for()


def test_what_was_typed_just_before_the_tab_was_closed_is_kept(own_editor: Editor, lab: Lab) -> None:
    editor = own_editor
    editor.go_to_end()
    editor.page.keyboard.type("Typed at the last moment")
    editor.notebook.page.evaluate(
        "async () => { const w = window.jupyterapp.shell.currentWidget; await w.context.save(); w.close(); }"
    )
    editor.wait_for("editor.agent.prompt.endswith('Typed at the last moment')")
    drafts = f"__import__('pathlib').Path({str(lab.root)!r}, 'outputs', 'drafts').glob('*.json')"
    editor.wait_for(f"any('last moment' in file.read_text() for file in {drafts})")

    lab.call(f"kernels/{editor.notebook.kernel}", "DELETE")


def test_a_cell_that_is_run_again_keeps_draft_and_keys_stay_in_the_editor(editor: Editor, file: Path) -> None:
    before = file.read_text()
    editor.go_to_end()
    editor.page.keyboard.type("dd")
    editor.page.keyboard.press("Shift+Enter")
    editor.place.get_by_role("button", name="Fields", exact=True).focus()
    editor.page.keyboard.type("ddx")
    editor.go_to_end()
    editor.page.keyboard.type("one more line\n")
    editor.notebook.run_cell("edit")
    editor.page.get_by_role("group", name="Agent editor").wait_for()
    editor.go_to_end()
    editor.page.keyboard.type("!")
    editor.page.keyboard.press("Control+s")
    editor.wait_for("not editor.is_edited")

    assert changed_lines(before, file.read_text())[-1:] == ["+ !"]
    assert "dd\none more line\n!" in file.read_text()


def test_examples_are_written_moved_and_read_as_tasks(editor: Editor) -> None:
    editor.place.get_by_text("Examples in the description").click()
    editor.press("Add an example")
    card = editor.place.get_by_role("listitem").filter(has_text="Example 3")
    card.get_by_label("User").press_sequentially("Which index do I need? Tell me.", delay=40)
    editor.wait_for("[one.user for one in editor.examples][2:] == ['Which index do I need? Tell me.']")
    editor.press("Move up example 3")
    assert editor.focused == "Move up example 2"
    editor.page.keyboard.press("Enter")
    editor.press("Remove example 3")
    editor.wait_for("len(editor.examples) == 2 and editor.examples[0].user.startswith('Which index')")
    editor.press("As tasks")
    tasks = editor.place.get_by_label("The examples as tasks", exact=True)
    tasks.get_by_text("Which index do I need").wait_for()
    editor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    editor.press("Copy the examples as tasks")
    editor.see("Copied")
    copied = editor.page.evaluate("navigator.clipboard.readText()")
    assert copied == tasks.text_content()
    assert editor.value("editor.tasks()[0].input") == "Which index do I need? Tell me."


def test_hostile_text_is_shown_and_makes_no_element(editor: Editor) -> None:
    for name in ("name", "description", "model"):
        editor.field(name).fill(HOSTILE)
    editor.go_to_end()
    editor.page.keyboard.insert_text(f"\n# {HOSTILE}\n")
    editor.press("Raw file")
    editor.go_to_end("Raw file")
    editor.page.keyboard.insert_text(HOSTILE)
    editor.wait_for("editor.agent.prompt.count('elsewhere.invalid/x') == 2 and 'gnihton' in editor.agent.name")
    for tab in ("Changes", "As Claude Code reads it", "Cost", "Problems"):
        editor.tab(tab)
    editor.press("Fields")
    editor.place.get_by_text("Examples in the description").click()
    editor.see("gnihton")

    assert editor.place.locator(":is(img:not(.cm-widgetBuffer), script, iframe, a)").count() == 0
    assert editor.page.evaluate("window.hostile") is None


def test_the_walk_by_keyboard_alone(editor: Editor, file: Path) -> None:
    before = file.read_text()
    press = editor.page.keyboard.press

    def tab_to(role: str, name: str) -> None:
        wanted = editor.place.get_by_role(role, name=name, exact=True).first
        for _ in range(60):
            if wanted.evaluate("element => element === document.activeElement"):
                return
            press("Tab")
        pytest.fail(f"Tab does not come to the {role} {name!r}")

    editor.place.get_by_role("button", name="Fields", exact=True).focus()
    tab_to("radio", "green")
    press("ArrowRight")
    tab_to("combobox", "model")
    press("Control+a")
    editor.page.keyboard.type("opus")
    tab_to("textbox", "Prompt")
    press("Control+End")
    editor.page.keyboard.type("From the keyboard.\n")
    press("Escape")
    press("Tab")
    tab_to("tab", "Problems (0)")
    press("ArrowRight")
    editor.place.get_by_role("textbox", name="Changes of the draft").wait_for()
    press("Control+s")
    editor.see("Saved.")

    assert changed_lines(before, file.read_text()) == [
        "- model: sonnet",
        "- color: green",
        "+ model: opus",
        "+ color: yellow",
        "+ From the keyboard.",
    ]


@pytest.fixture
def dark(page: Any) -> Iterator[None]:
    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    yield
    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})")


def test_it_reads_well_in_the_dark_and_in_a_narrow_panel(dark: None, editor: Editor, screenshots: Path) -> None:
    editor.field("model").fill("opus")
    editor.go_to_end()
    editor.page.keyboard.insert_text(
        "\n## عنوان\n\nاكتب الجواب بالعربية، ثم بالإنجليزية.\n日本語で答えてください。" + "長い文" * 40 + "\n"
    )
    editor.tab("Changes")
    editor.place.get_by_role("textbox", name="Changes of the draft").wait_for()
    editor.page.screenshot(path=screenshots / "editor-dark.png")
    right_to_left = editor.text("Prompt").get_by_text("اكتب").first
    direction = right_to_left.evaluate("line => getComputedStyle(line.closest('.cm-line')).direction")
    contrasts = [contrast(editor.field("name")), contrast(editor.place.get_by_role("button", name="Save", exact=True))]
    editor.place.evaluate("place => { place.parentElement.style.width = '320px'; }")
    editor.page.screenshot(path=screenshots / "editor-narrow-dark.png")
    overflow = editor.place.evaluate(
        """place => [...place.querySelectorAll(':not(.cm-editor *)')]
          .filter(e => e.offsetParent && e.getBoundingClientRect().right > place.getBoundingClientRect().right + 1)
          .map(e => e.className + ' ' + e.textContent.slice(0, 40))"""
    )

    assert direction == "rtl"
    assert min(contrasts) >= 4.5
    assert overflow == []


def test_axe_finds_no_serious_violation(editor: Editor) -> None:
    found = {}

    def check(state: str) -> None:
        found.update({(state, rule): nodes for rule, nodes in serious_violations(editor.page, editor.place)})

    check("at first")
    editor.field("tools").fill("Read, MultiEdit, Bash(git:*)")
    editor.see("no tool MultiEdit")
    for opened in ("Pick tools", "Examples in the description", "How it runs", "What it loads"):
        editor.place.get_by_text(opened).first.click()
    check("all open")
    editor.tab("Changes")
    editor.place.get_by_role("textbox", name="Changes of the draft").wait_for()
    editor.press("Raw file")
    check("raw file and changes")
    for tab in ("As Claude Code reads it", "Cost"):
        editor.tab(tab)
        check(tab)

    assert found == {}
