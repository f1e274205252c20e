"""Mends: the problem is gone, and nothing else changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.synthetic_headers import synthetic_files
from tests.test_widgets import Page, asked_of
from workbench.cli import main
from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.draft_state import open_drafts
from workbench.definition.fields import FIELDS, key_of
from workbench.definition.files import load_agent
from workbench.definition.fixing import fixes_of
from workbench.definition.header import Problem
from workbench.definition.lint import check_agent
from workbench.definition.mend import find_mend, mend_agent, mends_of
from workbench.definition.two_passes import parse_as_claude_code
from workbench.markup import visible
from workbench.widgets.editor import AgentEditor

BODY = "\nYou read code.\n"
REWORDED = [
    "description: d\ncolor: Blue",
    "description: d\ntools: read, Grep",
    "description: d\ntools: [Read, MultiEdit]",
    "description: d\nallowed-tools: Read",
    "description: Use it: now",
    'description: d\nmaxTurns: "20"',
    "description: d\nbackground: yes",
    "description: 7",
    "description: Use C # or F",
    "description: a --- b",
    "description: d\nhooks: []",
    "description: d\nmodel:",
]


def agent_with(header: str) -> Agent:
    return parse_agent(f"---\nname: reviewer\n{header}\n---\n{BODY}")


def mended_of(agent: Agent, rule: str) -> Agent:
    mend = find_mend(agent, problem_of(agent, rule))
    assert mend is not None
    return mend.after


def problem_of(agent: Agent, rule: str) -> Problem:
    return next(problem for problem in check_agent(agent) if problem.rule == rule)


@pytest.mark.parametrize(
    ("rule", "header", "line"),
    [
        ("repaired", "description: Use it: now", "description: |-"),
        ("color-case", "description: d\ncolor: Blue", "color: blue"),
        ("gone-tool", "description: d\ntools: [Read, MultiEdit]", "tools: [Read]"),
        ("main-thread-tool", "description: d\ntools: Read, AskUserQuestion", "tools: Read"),
        ("max-turns", 'description: d\nmaxTurns: "20"', "maxTurns: 20"),
        ("background", "description: d\nbackground: yes", "background: true"),
        ("not-text", "description: 7", 'description: "7"'),
        ("hash-comment", "description: Use C # or F", 'description: "Use C # or F"'),
        ("cut-at-dashes", "description: a --- b", 'description: "a \\x2d-- b"'),
    ],
)
def test_a_mend_writes_what_was_meant(rule: str, header: str, line: str) -> None:
    agent = agent_with(header)
    mended = mended_of(agent, rule)

    assert line in mended.text.split("\n")
    assert mended.prompt == BODY
    assert rule not in {problem.rule for problem in check_agent(mended)}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("byte-order-mark", "\ufeff---\nname: a-b\ndescription: d\n---\nx\n"),
        ("blank-before-header", "\n\n---\nname: a-b\ndescription: d\n---\nx\n"),
        ("odd-fence", "---\nname: a-b\ndescription: d\n...\nx\n"),
        ("unclosed-header", "---\nname: a-b\ndescription: d\n\nx\n"),
        ("duplicate-key", "---\nname: a-b\ndescription: c\ndescription: d\n---\nx\n"),
        ("hooks-list", "---\nname: a-b\ndescription: d\nhooks: []\n---\nx\n"),
        ("empty-value", "---\nname: a-b\ndescription: d\nmodel:\n---\nx\n"),
    ],
)
def test_a_mend_of_the_files_form_keeps_its_fields(rule: str, text: str) -> None:
    agent = parse_agent(text)
    mended = mended_of(agent, rule)

    assert (mended.name, mended.description, mended.prompt.strip()) == ("a-b", "d", "x")
    assert rule not in {problem.rule for problem in check_agent(mended)}


@pytest.mark.parametrize(
    ("rule", "header"),
    [
        ("gone-tool", "description: d\ntools: MultiEdit"),  # without it, the agent would have every tool or none
        ("retired-model", "description: d\nmodel: claude-2.1"),
        ("unknown-key", "description: d\npriority: high"),
        ("misspelt-key", "description: d\ntools: Read\nallowed-tools: Grep"),
        ("hash-comment", 'description: "d" # a remark'),
        ("max-turns", "description: d\nmaxTurns: many"),
    ],
)
def test_what_only_the_author_can_decide_has_no_mend(rule: str, header: str) -> None:
    agent = agent_with(header)
    problem = problem_of(agent, rule)

    assert find_mend(agent, problem) is None
    assert mend_agent(agent, problem) is None


@pytest.mark.parametrize(
    ("rule", "header", "line", "said"),
    [
        (
            "misspelt-key",
            "description: d\nallowed-tools: Read, Grep",
            "tools: Read, Grep",
            "Claude Code then reads tools as 'Read, Grep', and now as 'All tools'. "
            "`tools` then says 'Read, Grep', and now nothing.",
        ),
        (
            "misspelt-key",
            "description: d\npermission-mode: bypassPermissions",
            "permissionMode: bypassPermissions",
            "`permissionMode` then says 'bypassPermissions', and now nothing.",
        ),
        (
            "tool-case",
            "description: d\ndisallowedTools: bash, Grep",
            "disallowedTools: Bash, Grep",
            "Claude Code then reads tools as 'All tools except Bash, Grep', and now as 'All tools except bash, Grep'. "
            "`disallowedTools` then says 'Bash, Grep', and now 'bash, Grep'.",
        ),
    ],
)
def test_what_gives_an_agent_other_rights_is_no_safe_mend_and_says_what_it_does(
    rule: str, header: str, line: str, said: str
) -> None:
    agent = agent_with(header)
    problem = problem_of(agent, rule)
    mend = find_mend(agent, problem)

    assert mend is not None
    assert mend_agent(agent, problem) is None
    assert mend.changes == said
    assert line in mend.after.text.split("\n")


def test_a_list_of_tools_stays_a_list_where_that_is_what_keeps_the_mend_safe() -> None:
    agent = agent_with("description: d\ntools:\n\t- Read\n\t- Grep")
    mend = find_mend(agent, problem_of(agent, "not-yaml"))

    assert mend is not None and mend.is_safe
    assert parse_as_claude_code(mend.after.document).values["tools"] == ["Read", "Grep"]


def offered_in_the_editor(path: Path) -> dict[str, dict[str, Any]]:
    """By rule, the first problem that the editor offers to mend in this file."""
    problems = Page(AgentEditor(load_agent(path))).state["problems"]
    return {each["rule"]: each for each in reversed(problems) if each["mend"]}


def mended_in_the_editor(path: Path, offered: dict[str, Any]) -> tuple[bytes, str]:
    """The bytes that the editor saves once its button was pressed, and what it says of that."""
    page = Page(AgentEditor(load_agent(path)))
    page.act("mend", **asked_of(offered))
    note = page.state["note"]
    page.act("save")
    return path.read_bytes(), note


def assert_mended_alike(data: bytes, folder: Path) -> int:
    """The editor and `workbench fix` mend this file alike, in bytes and in words; how many mends there were."""
    folder.mkdir()
    path, other = folder / "a.md", folder / "b.md"
    path.write_bytes(data)
    offered = offered_in_the_editor(path)
    for rule in {problem.rule for problem in check_agent(load_agent(path))}:
        fixes = fixes_of(load_agent(path), with_changes=True, rules=(rule,))
        assert bool(fixes) == (rule in offered), rule
        if not fixes:
            continue
        fix, problem = fixes[0], offered[rule]
        assert fix.changes == problem["changes"]
        assert fix.is_safe == (fixes_of(load_agent(path), rules=(rule,))[:1] == (fix,))

        command = ["fix", "--with-changes", "--rule", rule]
        shown = CliRunner().invoke(main, [*command, str(path)]).output
        assert visible(f"{path}:{fix.problem}") in shown.split("\n")
        said = [line.strip() for line in shown.split("\n") if line.strip().startswith("changes: ")]
        assert said[:1] == ([visible(f"changes: {problem['changes']}")] if problem["changes"] else [])
        other.write_bytes(data)
        CliRunner().invoke(main, [*command, "--write", str(other)])
        assert other.read_bytes() == fixes[-1].after.to_bytes()

        mended, note = mended_in_the_editor(path, problem)
        assert mended == fix.after.to_bytes()
        assert note == ("Changed as it was said." if problem["changes"] else "Mended.")
        path.write_bytes(data)
        open_drafts.clear()
    return len(offered)


def test_the_editor_and_the_command_mend_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = [*synthetic_files(), *((header, agent_with(header).to_bytes()) for header in REWORDED)]

    assert sum(assert_mended_alike(data, tmp_path / str(number)) for number, (_, data) in enumerate(files)) > 40


def test_the_editor_and_the_command_mend_the_measured_cases_alike(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = sorted((corpus.parent / "cases" / "agent_files").rglob("*.md"))

    assert len(files) > 20
    assert sum(assert_mended_alike(path.read_bytes(), tmp_path / str(n)) for n, path in enumerate(files)) >= 4


UNQUOTED = (
    "description: Use this agent when: a plan is to be reviewed. Examples:\\n\\n<example>\\nContext: A plan.\\n"
    'user: "I\'ve a plan, \\"large\\" one"\\nassistant: "Let me use it"\\n</example>'
)


@pytest.mark.parametrize("rule", ["repaired", "backslash-n"])
@pytest.mark.parametrize("blank", ["", " "])
def test_a_description_with_written_line_ends_is_mended_into_lines(rule: str, blank: str) -> None:
    agent = agent_with(UNQUOTED.replace("Examples:\\n", f"Examples:{blank}\\n"))
    before = read_as_claude_code(agent)
    mended = mend_agent(agent, problem_of(agent, rule))

    assert mended is not None
    lines = f"description: |-\n  Use this agent when: a plan is to be reviewed. Examples:{blank}\n\n  <example>\n"
    assert lines in mended.text
    assert "\\n" not in mended.text
    after = read_as_claude_code(mended)
    assert (after.kind, after.description, after.tools) == ("strict", before.description, before.tools)
    assert mended.description == before.description  # and every other reader reads the same now
    assert {"repaired", "backslash-n"} & {problem.rule for problem in check_agent(mended)} == set()


def test_a_backslash_and_n_in_a_path_is_not_made_a_line_end() -> None:
    agent = agent_with('description: "Reads C:\\\\new\\\\notes"')

    assert mend_agent(agent, problem_of(agent, "backslash-n")) is None


def test_a_mend_of_an_edited_agent_keeps_the_edits() -> None:
    agent = agent_with("description: d\ncolor: Blue").replace(model="opus", prompt="Other.\n")
    mended = mended_of(agent, "color-case")

    assert (mended.model, mended.color, mended.prompt) == ("opus", "blue", "Other.\n")


def test_every_mend_of_real_files_changes_its_own_field_only(corpus: Path) -> None:
    mends = 0
    for path in sorted(corpus.rglob("*.md")):
        agent = parse_agent(path.read_bytes())
        for mend in mends_of(agent, check_agent(agent)):
            problem, mended = mend.problem, mend.after
            if problem.rule == "misspelt-key":
                continue
            mends += 1
            changed = {key_of(name) for name in (*FIELDS, "prompt") if getattr(agent, name) != getattr(mended, name)}
            assert changed <= {problem.field}, (path, problem)

    assert mends > 100


@pytest.mark.parametrize("header", REWORDED)
def test_a_mend_does_not_depend_on_the_words_of_a_problem(header: str) -> None:
    agent = agent_with(header)
    mends = list(mends_of(agent, check_agent(agent)))

    assert mends
    for mend in mends:
        reworded = replace(mend.problem, fix="Use `Bash`, or `model`.", message="Something `else` is wrong.")
        assert find_mend(agent, reworded) == replace(mend, problem=reworded)


def test_the_words_of_a_problem_name_what_is_to_be_written() -> None:
    agent = agent_with("description: d\ncolor: Blue\ntools: read\ncolour: red")
    told = {problem.rule: problem for problem in check_agent(agent) if problem.replacement is not None}

    assert {rule: problem.replacement for rule, problem in told.items()} == {
        "color-case": "blue",
        "tool-case": "Read",
        "misspelt-key": "color",
    }
    assert all(f"`{problem.replacement}`" in str(problem.fix) for problem in told.values())
