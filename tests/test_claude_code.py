from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.document import parse_document
from workbench.definition.facts import facts
from workbench.definition.resolved import resolve_model_alias
from workbench.definition.two_passes import split_tools

APPENDS_MEMORY = "\n\n# Persistent Agent Memory\n"
"""What follows the prompt of an agent with `memory`: the program's own text, which names folders of that run."""

WITH_MEMORY = {
    "real/Donchitos+Claude-Code-Game-Studios/.claude/agents/creative-director.md",
    "real/Donchitos+Claude-Code-Game-Studios/.claude/agents/game-designer.md",
    "real/Donchitos+Claude-Code-Game-Studios/.claude/agents/lead-programmer.md",
    "real/Donchitos+Claude-Code-Game-Studios/.claude/agents/producer.md",
    "real/Donchitos+Claude-Code-Game-Studios/.claude/agents/qa-lead.md",
    "real/Donchitos+Claude-Code-Game-Studios/.claude/agents/systems-designer.md",
    "real/HamzaAlayed+laravel-claude-agents/agents/database-developer.md",
    "real/HamzaAlayed+laravel-claude-agents/agents/package-developer.md",
    "real/HamzaAlayed+laravel-claude-agents/agents/security-engineer.md",
    "real/HamzaAlayed+laravel-claude-agents/agents/tech-lead.md",
    "real/advisely+claude-code-agents-team-nation-of-elites/agents/10_Content_and_Localization_Wing/"
    "Translation_Localization_Specialist.md",
    "real/pdugan20+claudelint/tests/fixtures/projects/valid-complete/.claude/agents/example-agent.md",
}
"""`system` is the prompt and then the program's own text on memory."""

WITHOUT_PROMPT = {"odd/empty-body.md"}
"""`system` is the program's own text, as the file has none."""


@pytest.fixture(scope="module")
def rows(corpus: Path) -> list[Mapping[str, Any]]:
    with (corpus / "claude_code_reading.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_reading_agrees_with_claude_code_on_every_file(corpus: Path, rows: list[Mapping[str, Any]]) -> None:
    assert len(rows) == 525
    for row in rows:
        data = (corpus / row["file"]).read_bytes()
        reading = read_as_claude_code(data)
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        assert reading.listed == row["listed"], row["file"]
        for field in ("name", "description", "tools", "model"):
            assert getattr(reading, field) == row.get(field), (row["file"], field)


def test_prompt_agrees_with_claude_code_but_for_the_text_it_adds(corpus: Path, rows: list[Mapping[str, Any]]) -> None:
    differing = set()
    for row in rows:
        prompt = read_as_claude_code((corpus / row["file"]).read_bytes()).prompt
        if row["listed"] and prompt != row["system"]:
            differing.add(row["file"])
            if row["file"] in WITH_MEMORY:
                assert row["system"].startswith(prompt + APPENDS_MEMORY)
            else:
                assert prompt == ""
    assert differing == WITH_MEMORY | WITHOUT_PROMPT


def test_given_agent_file_is_repaired_and_whole(corpus: Path) -> None:
    path = corpus.parent / "agents" / "senior-python-architect.md"
    if not path.is_file():
        pytest.skip(f"the given agent file is not at {path}")
    reading = read_as_claude_code(path.read_bytes())

    assert (reading.kind, reading.name, reading.tools) == ("repaired", "senior-python-architect", "All tools")
    assert len(reading.description or "") == 1128
    assert [(problem.rule, problem.line, problem.column) for problem in reading.problems] == [("repaired", 3, 230)]


@given(st.binary())
def test_any_bytes_have_a_reading(data: bytes) -> None:
    for file in (data, b"---\n" + data + b"\n---\n"):
        reading = read_as_claude_code(file)
        assert reading.listed == (reading.name is not None)
        assert reading.listed or any(problem.severity == "error" for problem in reading.problems)


def test_agent_document_and_bytes_have_one_reading() -> None:
    text = "---\nname: a\ndescription: x\nmodel: Opus\neffort: high\n---\n\nBe.\n"
    reading = read_as_claude_code(text.encode())

    assert read_as_claude_code(parse_agent(text)) == reading
    assert read_as_claude_code(parse_document(text)) == reading
    assert (reading.kind, reading.model, reading.effort, reading.prompt) == (
        "strict", facts()["aliases"]["opus"], "high", "Be.",
    )  # fmt: skip


def test_changes_of_an_agent_are_read() -> None:
    agent = Agent(name="a", description="x").replace(
        tools=("Read", "Write"), disallowed_tools=("Write",), model="haiku"
    )

    assert read_as_claude_code(agent).tools == "Read"
    assert read_as_claude_code(agent.replace(tools=None)).tools == "All tools except Write"
    assert read_as_claude_code(agent).model == resolve_model_alias("haiku")


def test_dropped_file_still_has_its_prompt() -> None:
    reading = read_as_claude_code(b"---\ndescription: x\n---\n\nBe.\n")

    assert (reading.kind, reading.listed, reading.name, reading.prompt) == ("dropped", False, None, "Be.")
    assert [problem.rule for problem in reading.problems] == ["missing-name"]


def test_colon_and_crlf_drop_the_file_and_either_alone_does_not() -> None:
    text = "---\nname: a\ndescription: Use it: now\n---\nBe.\n"

    assert read_as_claude_code(text.encode()).kind == "repaired"
    assert read_as_claude_code(text.replace("\n", "\r\n").encode()).kind == "dropped"
    assert read_as_claude_code(text.replace(": now", "").replace("\n", "\r\n").encode()).kind == "strict"


def test_repair_that_cuts_the_description_is_an_error() -> None:
    text = "---\nname: a\ndescription: Use it. Examples: one\nuser: hi\n---\nBe.\n"
    reading = read_as_claude_code(text.encode())

    assert (reading.kind, reading.description) == ("repaired", "Use it. Examples: one")
    assert ("truncated", "error") in [(problem.rule, problem.severity) for problem in reading.problems]


def test_memory_switches_tools_on() -> None:
    agent = Agent(name="a", description="x", tools=("Bash", "Read"), memory="user")

    assert read_as_claude_code(agent).tools == "Bash, Read, Write, Edit"


@pytest.mark.parametrize(
    ("model", "id"),
    [
        (None, "claude-opus-5-5"),
        ("", "claude-opus-5-5"),
        ("inherit", "claude-opus-5-5"),
        ("Sonnet", "claude-sonnet-5-5"),
        ("sonnet[1m]", "claude-sonnet-5-5"),
        ("fable", "claude-fable-5-2"),
        ("mythos", "mythos"),
        ("default", "default"),
        ("claude-opus-5", "claude-opus-5"),
        ("gpt-5", "gpt-5"),
    ],
)
def test_model_is_resolved_as_claude_code_does(model: str | None, id: str) -> None:
    assert resolve_model_alias(model) == id


def test_tools_are_parted_at_commas_outside_parentheses() -> None:
    assert split_tools("Read, Agent(a, b) ,, Bash(git log:*),") == ("Read", "Agent(a, b)", "Bash(git log:*)")
    assert split_tools("") == ()
    assert split_tools("Bash(a, Read") == ("Bash(a, Read",)
    assert split_tools("Agent(a, b) Read") == ("Agent(a, b)", "Read")
    assert split_tools("Read Grep\tGlob\nLS, Edit") == ("Read", "Grep\tGlob\nLS", "Edit")


@pytest.mark.parametrize("skills", ["one, two", "one two", "[one, two]", "[one two]", "\n  - one, two"])
def test_skills_are_parted_as_tools_are(skills: str) -> None:
    """Each was measured to load both skills."""
    assert parse_agent(HEADER.format(f"skills: {skills}")).skills == ("one", "two")


def test_what_is_known_of_claude_code_has_a_version_and_a_date() -> None:
    assert facts()["version"] == "2.1.332"
    assert facts()["date"].isoformat() == "2026-11-30"
    assert set(facts()["seen"]) == set(facts()) - {"seen", "product", "version", "date"}
    assert all(seen["day"] <= facts()["date"] and seen["how"] for seen in facts()["seen"].values())


@pytest.fixture
def cases(corpus: Path) -> Path:
    """The folder of small files that were measured one by one, beside the corpus."""
    folder = corpus.parent / "cases" / "agent_files"
    if not folder.is_dir():
        pytest.skip(f"the measured cases are not at {folder}")
    return folder


@pytest.mark.parametrize(
    ("name", "tools"),
    [
        ("tools-space-separated", "Read, Grep, Glob"),
        ("tools-list-item-with-space", "Read, Grep, Glob"),
        ("tools-scope-not-enforced", "Bash(git log:*), Read"),
        ("tools-notebookedit", "NotebookEdit"),
        ("all-tools-disallowed", "None"),
        ("disallowed-star", "All tools"),
        ("tab-indented-list", "Read"),
        ("hooks-ignored-entry", "All tools"),
        ("color-template-placeholder", "All tools"),
        ("max-turns-in-quotes", "All tools"),
        ("isolation-remote", "All tools"),
        ("prose-description-no-tasks", "All tools"),
        ("hooks-string", None),
        ("hooks-true", None),
        ("hooks-flat-command", None),
        ("colon-in-description-and-flow-hooks", None),
        ("tab-in-flow-list", None),
    ],
)
def test_measured_cases_are_read_as_they_were_listed(cases: Path, name: str, tools: str | None) -> None:
    reading = read_as_claude_code((cases / f"{name}.md").read_bytes())

    assert (reading.listed, reading.tools) == (tools is not None, tools)


HEADER = "---\nname: abc\ndescription: d\n{}\n---\nBe.\n"


@pytest.mark.parametrize(
    ("hooks", "listed"),
    [
        ("hooks: {}", True),
        ("hooks:", True),
        ("hooks: ''", True),
        ("hooks: false", True),
        ("hooks: []", False),
        ("hooks: none", False),
        ("hooks: true", False),
        ("hooks: 3", False),
        ("hooks: ./hooks.json", False),
        ("hooks: {PreToolUse: {}}", False),
        ("hooks: {PreToolUse: [text]}", False),
        ("hooks: {PreToolUse: [{matcher: Bash, command: echo}]}", False),
        ("hooks: {PreToolUse: [{matcher: [Bash], hooks: []}]}", False),
        ("hooks: {PreToolUse: [{hooks: [{type: shout, command: echo}]}]}", False),
        ("hooks: {PreToolUse: [{hooks: [{type: command, command: echo, timeout: '5'}]}]}", False),
        ("hooks: {PreToolUse: [{matcher: Bash, hooks: [{type: command, command: echo, timeout: 5}]}]}", True),
        ("hooks: {PreToolUse: []}", True),
        ("hooks: {Stop: [{command: echo}]}", True),
        ("hooks: {Stop: echo}", True),
    ],
)
def test_hooks_drop_the_file_where_they_were_measured_to(hooks: str, listed: bool) -> None:
    reading = read_as_claude_code(HEADER.format(hooks).encode())
    rules = [problem.rule for problem in reading.problems if problem.field == "hooks"]

    assert reading.listed == listed
    assert listed or any(rule.startswith("hooks-") for rule in rules)
    assert ("hooks-entry" in rules) or "Stop:" not in hooks


@pytest.mark.parametrize(
    ("lines", "listed"),
    [
        ("tools:\n\t- Read\n\t- Grep", True),
        ("hooks:\n\tStop:\n\t\t- hooks: []", True),
        ("initialPrompt: one\n\ttwo", True),
        ("tools: [\n\tRead\n]", False),
        ("tools: [Read,\tGrep]", True),
        ("initialPrompt: |\n\tone", False),
        ("initialPrompt: |\n  one\n  \ttwo", True),
    ],
)
def test_a_tab_is_indentation_outside_of_brackets_and_blocks_of_text(lines: str, listed: bool) -> None:
    data = HEADER.format(lines).encode()

    assert read_as_claude_code(data).listed == listed
    assert parse_agent(data).document.to_bytes() == data


def test_a_list_that_is_indented_by_tabs_is_read_as_meant_and_saved_so() -> None:
    agent = parse_agent(HEADER.format("tools:\n\t- Read\n\t- Grep\nmodel: sonnet"))

    assert agent.tools == ("Read", "Grep")
    assert agent.replace(model="opus").text == agent.text.replace("sonnet", "opus")
    assert parse_agent(agent.replace(tools=("Read",)).text).tools == ("Read",)
