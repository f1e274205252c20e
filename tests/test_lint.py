from __future__ import annotations

import ast
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given

import workbench.definition
from tests.test_document import headers
from workbench.definition import lint
from workbench.definition.agent import parse_agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.files import load_agent
from workbench.definition.lines import lines_of
from workbench.definition.lint import check_agent, rules

GOOD = "---\nname: code-reviewer\ndescription: Use it when code changed.\ntools: Read, Grep\nmodel: sonnet\ncolor: blue\n---\nBe.\n"


class Early(date):
    """A day on which some models are retired, and others will be."""

    @classmethod
    def today(cls) -> date:
        return date(2026, 11, 1)


@pytest.fixture(autouse=True)
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lint, "date", Early)


def found(text: str) -> list[tuple[str, str]]:
    return [(problem.rule, problem.severity) for problem in check_agent(parse_agent(text))]


def test_good_file_has_no_problems() -> None:
    assert check_agent(parse_agent(GOOD)) == ()


@pytest.mark.parametrize(
    ("line", "rule", "severity"),
    [
        ("name: Code_Reviewer", "name-form", "note"),
        ("name: a:b", "name-colon", "error"),
        ("name: -ab", "name-leading-hyphen", "error"),
        ("name: 123", "not-text", "error"),
        ("name:", "missing-name", "error"),
        ("description: 42", "not-text", "error"),
        ("description: ''", "missing-description", "error"),
        ("description: Reviews code # and tests", "hash-comment", "warning"),
        ("description: Reviews code --- and tests", "cut-at-dashes", "error"),
        ("description: Reads C:\\new\\table", "backslash-n", "warning"),
        ("description: One.\\nassistant said", "backslash-n", "note"),
        ("description: " + "x" * 5001, "long-description", "warning"),
        ("description: Use it: now", "repaired", "warning"),
        ('description: "bad \\d"', "not-yaml", "error"),
        ("tools:", "no-tools", "warning"),
        ("tools: []", "no-tools", "warning"),
        ("tools: Read, MultiEdit", "gone-tool", "warning"),
        ("tools: Read, AskUserQuestion", "main-thread-tool", "note"),
        ("tools: Read, grep", "tool-case", "warning"),
        ("tools: Read, Foo", "unknown-tool", "note"),
        ("tools: Foo", "zero-tools", "error"),
        ("tools: Read, Bash(git", "tool-form", "warning"),
        ("tools: Read, Bash(git log:*)", "scope-limits-nothing", "note"),
        ("disallowedTools: Bash(rm:*)", "scope-takes-all", "warning"),
        ("hooks: none", "hooks-not-a-mapping", "error"),
        ("hooks: {PreToolUse: [{command: echo}]}", "hooks-entry", "error"),
        ("hooks: {Stop: [{command: echo}]}", "hooks-entry", "warning"),
        ("model: claude-opus-4-0", "remapped-model", "warning"),
        ("tools: Read, TaskCreate", "main-thread-tool", "note"),
        ("disallowedTools: Read", "tool-in-both", "warning"),
        ("tools: Task\ndisallowedTools: Agent", "nothing-left", "error"),
        ("tools: Read, KillShell(x)", "scope-limits-nothing", "note"),
        ("model: mythos", "not-an-alias", "warning"),
        ("model: default", "not-an-alias", "warning"),
        ("model: claude-sonnet-4-20250514", "retired-model", "error"),
        ("model: claude-sonnet-4-5", "retired-model", "warning"),
        ("model: sonet", "unknown-model", "warning"),
        ("model: claude-opus-9", "unknown-model", "note"),
        ("color: Blue", "color-case", "warning"),
        ("color: magenta", "unknown-color", "note"),
        ("color: #ff0000", "hash-comment", "warning"),
        ("color:", "empty-value", "note"),
        ("effort: extreme", "unknown-effort", "warning"),
        ("effort: 3", "effort-number", "note"),
        ("memory: project", "memory-adds-text", "note"),
        ("memory: mine", "unknown-value", "warning"),
        ("permissionMode: yolo", "unknown-value", "warning"),
        ("isolation: docker", "unknown-value", "warning"),
        ("maxTurns: 0", "max-turns", "warning"),
        ('maxTurns: "3"', "max-turns", "warning"),
        ("background: yes", "background", "warning"),
        ("hooks: []", "hooks-list", "error"),
        ("priority: 1", "unknown-key", "note"),
        ("allowed-tools: Read", "misspelt-key", "warning"),
        ("max_turns: 3", "misspelt-key", "warning"),
    ],
)
def test_each_rule_finds_its_case(line: str, rule: str, severity: str) -> None:
    key = line.partition(":")[0]
    lines = [old for old in GOOD.splitlines() if not old.startswith(f"{key}:")]
    text = "\n".join([lines[0], line, *lines[1:]]) + "\n"

    assert (rule, severity) in found(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("\ufeff" + GOOD, "byte-order-mark"),
        ("\n" + GOOD, "blank-before-header"),
        (GOOD.replace("\n", "\r"), "lone-carriage-return"),
        (GOOD.replace("Use it when code changed.", "Use it: now").replace("\n", "\r\n"), "crlf-and-colon"),
        (GOOD.replace("---\nBe.", "Be."), "unclosed-header"),
        (GOOD.replace("---\nBe.", "----\nBe."), "odd-fence"),
        (GOOD.replace("---\nBe.", "...\nBe."), "odd-fence"),
        (GOOD.replace("---\nBe.", " ---\nBe."), "odd-fence"),
        (GOOD.replace("Be.\n", "\n"), "empty-prompt"),
        (GOOD.replace("model", "color"), "duplicate-key"),
        (GOOD.replace("Be.", "caf\udce9"), "not-utf-8"),
        ("---\nJust text\n---\nBe.\n", "not-a-mapping"),
        ("Just text.\n", "no-header"),
        ("```\n" + GOOD + "```\n", "no-header"),
        ("---\nname: a\ndescription: Use: it # so\n  more\ncolor: a: b\n---\n", "not-yaml"),
        (GOOD.replace("Use it when code changed.", "Use it. Examples: so\nuser: hi"), "truncated"),
        (GOOD.replace("Use it when code changed.", "@team").replace("color: blue", "model: opus # best"), "read-differently"),
    ],
)  # fmt: skip
def test_each_odd_file_is_told(text: str, rule: str) -> None:
    assert rule in [name for name, _ in found(text)]


def test_problem_says_where_what_and_what_next() -> None:
    text = GOOD.replace("model: sonnet", "model: sonet # typo")
    (problem,) = check_agent(parse_agent(text))

    assert (problem.line, problem.column, problem.field) == (5, 8, "model")
    assert "'sonet'" in problem.message
    assert problem.fix
    assert str(problem).startswith("5:8: warning: 'sonet' is neither")


def test_place_counts_from_the_value_on_its_own_line() -> None:
    (problem,) = check_agent(parse_agent(GOOD.replace("color: blue", "# hue\ncolor:\n   teal")))

    assert (problem.line, problem.column) == (8, 4)


def test_unsaved_edits_are_checked() -> None:
    agent = parse_agent(GOOD)

    assert [problem.rule for problem in check_agent(agent.replace(color="teal", model="mythos"))] == [
        "not-an-alias",
        "unknown-color",
    ]


def test_text_that_claude_code_cannot_be_shown_is_told_and_not_changed() -> None:
    agent = parse_agent(GOOD).replace(description="Use it when C:\\new has files")

    assert [problem.rule for problem in check_agent(agent)] == ["backslash-n"]
    assert parse_agent(agent.to_bytes()).description == "Use it when C:\\new has files"


@given(headers)
def test_any_header_can_be_checked(text: str) -> None:
    problems = check_agent(parse_agent(text))

    assert {problem.rule for problem in problems} <= set(rules())
    assert set(read_as_claude_code(parse_agent(text)).problems) <= set(problems)


def test_every_file_of_the_corpus_that_is_not_listed_has_an_error(corpus: Path) -> None:
    for path in sorted([*(corpus / "real").rglob("*.md"), *(corpus / "odd").glob("*.md")]):
        agent = load_agent(path)
        reading, last_line = read_as_claude_code(agent), len(lines_of(agent.text)) + 1
        assert reading.listed or any(problem.severity == "error" for problem in reading.problems), path.name
        assert all(1 <= problem.line <= last_line and problem.column >= 1 for problem in check_agent(agent))


def test_every_rule_is_in_the_table_and_every_row_is_used() -> None:
    used: set[str] = set()
    for path in Path(workbench.definition.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in rules():
                used.add(node.value)
            if isinstance(node, ast.keyword) and node.arg == "rule" and isinstance(node.value, ast.Constant):
                used.add(str(node.value.value))
    built = {"missing-name", "missing-description"}

    assert used | built == set(rules())
    assert all(rule.source and rule.versions and rule.date for rule in rules().values())
