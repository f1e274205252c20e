"""Mends: the problem is gone, and nothing else changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.facts import facts
from workbench.definition.fields import FIELDS, key_of
from workbench.definition.header import Problem
from workbench.definition.lint import check_agent
from workbench.definition.mend import find_mend, may_change, mend_agent, mendable

BODY = "\nYou read code.\n"


def agent_with(header: str) -> Agent:
    return parse_agent(f"---\nname: reviewer\n{header}\n---\n{BODY}")


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
    mended = mend_agent(agent, problem_of(agent, rule))

    assert mended is not None
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
    mended = mend_agent(agent, problem_of(agent, rule))

    assert mended is not None
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

    assert mend_agent(agent, problem) is None
    assert problem not in mendable(agent, [problem])


@pytest.mark.parametrize(
    ("rule", "header", "line", "said"),
    [
        (
            "misspelt-key",
            "description: d\nallowed-tools: Read, Grep",
            "tools: Read, Grep",
            "Claude Code then follows `tools`, which it ignores under the other name. "
            "The agent's tools become: Read, Grep. Now they are: All tools.",
        ),
        (
            "misspelt-key",
            "description: d\npermission-mode: bypassPermissions",
            "permissionMode: bypassPermissions",
            "Claude Code then follows `permissionMode`, which it ignores under the other name.",
        ),
        (
            "tool-case",
            "description: d\ntools: read, Grep",
            "tools: Read, Grep",
            "The agent's tools become: Read, Grep. Now they are: read, Grep.",
        ),
        (
            "tool-case",
            "description: d\ndisallowedTools: bash, Grep",
            "disallowedTools: Bash, Grep",
            "The agent's tools become: All tools except Bash, Grep. Now they are: All tools except bash, Grep.",
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
    assert line in mend.agent.text.split("\n")
    assert may_change(problem)


def test_a_safe_mend_of_real_files_leaves_the_rights_as_claude_code_gives_them(corpus: Path) -> None:
    known = {*facts()["tools"], "*"}
    for path in sorted(corpus.rglob("*.md")):
        agent = parse_agent(path.read_bytes())
        before = read_as_claude_code(agent)
        for problem in mendable(agent, check_agent(agent)):
            mended = mend_agent(agent, problem)
            if mended is None or not before.listed:
                continue
            after = read_as_claude_code(mended)
            tools = [
                {name.strip() for name in (shown or "").removeprefix("All tools except").split(",")}
                for shown in (before.tools, after.tools)
            ]
            # A tool that is gone, or never reaches a subagent, gives nothing: it may go out of the list.
            assert tools[0] & known == tools[1] & known, (path, problem)
            assert ("All tools" in (before.tools or "")) == ("All tools" in (after.tools or "")), (path, problem)


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
    mended = mend_agent(agent, problem_of(agent, "color-case"))

    assert mended is not None
    assert (mended.model, mended.color, mended.prompt) == ("opus", "blue", "Other.\n")


def test_every_mend_of_real_files_changes_its_own_field_only(corpus: Path) -> None:
    mends = 0
    for path in sorted(corpus.rglob("*.md")):
        agent = parse_agent(path.read_bytes())
        for problem in mendable(agent, check_agent(agent)):
            mended = mend_agent(agent, problem)
            if mended is None or problem.rule == "misspelt-key":
                continue
            mends += 1
            changed = {key_of(name) for name in (*FIELDS, "prompt") if getattr(agent, name) != getattr(mended, name)}
            assert changed <= {problem.field}, (path, problem)

    assert mends > 100


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


@pytest.mark.parametrize("header", REWORDED)
def test_a_mend_does_not_depend_on_the_words_of_a_problem(header: str) -> None:
    agent = agent_with(header)
    for problem in mendable(agent, check_agent(agent)):
        reworded = replace(problem, fix="Use `Bash`, or `model`.", message="Something `else` is wrong.")

        mended = find_mend(agent, problem)

        assert mended is not None
        assert find_mend(agent, reworded) == mended
        assert mendable(agent, [reworded]) == (reworded,)


def test_the_words_of_a_problem_name_what_is_to_be_written() -> None:
    agent = agent_with("description: d\ncolor: Blue\ntools: read\ncolour: red")
    told = {problem.rule: problem for problem in check_agent(agent) if problem.replacement is not None}

    assert {rule: problem.replacement for rule, problem in told.items()} == {
        "color-case": "blue",
        "tool-case": "Read",
        "misspelt-key": "color",
    }
    assert all(f"`{problem.replacement}`" in str(problem.fix) for problem in told.values())
