"""What a run of an agent sends: as a subagent, in the foreground and the background, and with `--agent`. The right
values were read from the requests of Claude Code 2.1.332."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from workbench.cli import main
from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import read_as_claude_code, read_where_it_stands
from workbench.definition.facts import base_tool, facts
from workbench.definition.files import load_agent
from workbench.definition.lint import check_agent
from workbench.definition.lint_project import agent_file_of, project_problems
from workbench.definition.sending import sending_as_main_thread, sending_as_subagent, sending_in_words
from workbench.widgets.editor_pages import reading_rows

HEADER = "---\nname: abc\ndescription: d\n{}\n---\nBe.\n"
ALL = ("Agent", "Bash", "Edit", "ListAgents", "Read", "ReportFindings", "Skill", "ToolSearch", "Write")


@pytest.mark.parametrize(
    ("header", "foreground", "background"),
    [
        ("color: red", ALL, tuple(tool for tool in ALL if tool not in ("ListAgents", "ReportFindings"))),
        ("tools: '*'", ALL, tuple(tool for tool in ALL if tool not in ("ListAgents", "ReportFindings"))),
        ("tools: Read, *\ndisallowedTools: Task, ListAgents, ReportFindings", ALL[1:3] + ALL[4:5] + ALL[6:], None),
        ("tools: Read Grep Glob", ("Glob", "Grep", "Read"), None),
        ("tools: Read, Bash, Grep, Glob", ("Bash", "Read"), None),
        ("tools: Bash(ls:*), Grep", ("Bash",), None),
        ("tools: Bash, Grep, Glob\ndisallowedTools: Bash", ("Glob", "Grep"), None),
        ("tools: Task(x), Read", ("Agent", "Read"), None),
        ("tools: KillShell", ("TaskStop",), None),
        ("tools: WebFetch, WebSearch, NotebookEdit", ("NotebookEdit", "WebFetch", "WebSearch"), None),
        ("tools: CronCreate, ListAgents, Read", ("CronCreate", "ListAgents", "Read"), ("Read",)),
        ("tools: ExitWorktree, EnterWorktree", ("EnterWorktree", "ExitWorktree"), None),
        ("tools: Read, read, Foo, LS", ("Read",), None),
        ("tools: Read, ToolSearch", ("Read",), None),
        ("tools: Read\ndisallowedTools: Read", (), None),
        ("tools: Foo\ndisallowedTools: Foo", (), None),
        ("tools: []", (), None),
        ("tools:", (), None),
        ("tools: Grep\nmemory: user", ("Edit", "Grep", "Read", "Write"), None),
        ("tools: Grep\nmemory: user\ndisallowedTools: Write", ("Edit", "Grep", "Read"), None),
        ("permissionMode: plan\ntools: Write", ("Write",), None),
    ],
)
def test_tools_are_offered_as_they_were_measured_to_be(
    header: str, foreground: tuple[str, ...], background: tuple[str, ...] | None
) -> None:
    data = HEADER.format(header).encode()
    waited, alone = sending_as_subagent(data, in_background=False), sending_as_subagent(data)

    assert waited is not None and alone is not None
    assert waited.tools == foreground
    assert alone.tools == (foreground if background is None else background)
    assert not waited.refused


@pytest.mark.parametrize(
    ("tools", "disallowed"),
    [
        ("Foo, Bar", ""),
        ("read", ""),
        ("LS", ""),
        ("AskUserQuestion", ""),
        ("Workflow", ""),
        ("ScheduleWakeup", ""),
        ("TaskCreate, TaskList", ""),
        ("Foo, Read", "Read"),
        ("Task", "Agent"),
    ],
)
def test_an_agent_none_of_whose_tools_is_one_is_not_started(tools: str, disallowed: str) -> None:
    taken = f"\ndisallowedTools: {disallowed}" if disallowed else ""
    sending = sending_as_subagent(HEADER.format(f"tools: {tools}{taken}").encode())

    assert sending is not None
    assert sending.refused and sending.tools == ()


@pytest.mark.parametrize(
    ("header", "added"),
    [
        ("model: sonnet", 1_660),
        ("model: haiku", 1_711),
        ("model: claude-opus-4-8", 1_711),
        ("model: gpt-5", 1_660),
        ("memory: project", 14_690),
        ("memory: nowhere", 1_660),
    ],
)
def test_what_the_program_adds_is_counted_and_with_agent_it_adds_no_notes(header: str, added: int) -> None:
    sub = sending_as_subagent(HEADER.format(header).encode())
    alone = sending_as_main_thread(HEADER.format(header).encode())

    assert sub is not None and alone is not None
    assert (sub.prompt_characters, sub.added_characters) == (3, added)
    assert alone.added_characters == (facts()["added_characters"]["memory"] if added > 10_000 else 0)


def test_with_agent_the_sessions_effort_and_permissions_count() -> None:
    data = HEADER.format(
        "effort: max\npermissionMode: acceptEdits\nmaxTurns: 3\nskills: x\ninitialPrompt: hi\nmodel: sonnet"
    ).encode()
    sub, alone = sending_as_subagent(data), sending_as_main_thread(data)

    assert sub is not None and alone is not None
    assert (sub.effort, sub.permission_mode, sub.ignored) == ("max", "acceptEdits", ("initialPrompt",))
    assert (alone.effort, alone.permission_mode) == ("medium", None)
    assert alone.ignored == ("effort", "maxTurns", "permissionMode", "skills")


def test_the_main_thread_is_offered_what_was_recorded_for_each_file_of_the_corpus(corpus: Path) -> None:
    checked = 0
    for line in (corpus / "claude_code_reading.jsonl").read_text(encoding="utf-8").rstrip().split("\n"):
        row = json.loads(line)
        sending = sending_as_main_thread((corpus / row["file"]).read_bytes())
        assert (sending is not None) == row["listed"], row["file"]
        if sending is None:
            continue
        offered = set(row["tool_names"] or ()) - {facts()["placeholder_tool"]}
        assert (sending.model, sending.effort) == (row["model"], row["effort"]), row["file"]
        assert set(sending.tools) == offered, row["file"]
        checked += 1

    assert checked == 497


def test_reading_and_editor_say_what_a_subagent_run_sends(tmp_path: Path) -> None:
    path = tmp_path / "abc.md"
    path.write_text(HEADER.format("tools: Read, Bash, Grep, CronList\npermissionMode: auto\neffort: low"))
    said = dict(sending_in_words(load_agent(path)))

    assert said == {
        "a subagent is sent": "3 characters of prompt, and about 1,660 behind it: notes for subagents",
        "is offered": "Bash, Read",
        "if waited for, also": "CronList",
        "is not offered": "Grep, CronList (Bash does what Grep did)",
        "permissions": "auto, whatever the session's is",
        "with --agent": "effort medium, the session's; offered also CronList; nothing behind it; "
        "the session's permissions; without effect: effort, permissionMode",
    }
    page = CliRunner().invoke(main, ["read", str(path)]).output
    assert all(what in page and how in page for what, how in said.items())
    assert set(said.items()) <= set(reading_rows(load_agent(path)))
    shown = json.loads(CliRunner().invoke(main, ["read", "--json", str(path)]).output)
    assert shown["as_subagent"]["tools"] == ["Bash", "Read"]
    assert shown["as_main_thread"]["effort"] == "medium"


def test_a_dropped_file_sends_nothing() -> None:
    assert sending_as_subagent(b"no header") is sending_as_main_thread(b"no header") is None
    assert sending_in_words(b"no header") == ()


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """The root of a plugin that is called cook."""
    (tmp_path / ".claude-plugin").mkdir()
    (tmp_path / ".claude-plugin" / "plugin.json").write_text('{"name": "cook"}')
    (tmp_path / "agents" / "roles").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "text", "name", "description"),
    [
        ("roles/mobile", "---\nname: mobile\n---\nB", "cook:roles:mobile", "Agent from cook plugin"),
        ("noname", "---\ndescription: no name\n---\nB", "cook:noname", "no name"),
        ("nofront", "Just text.", "cook:nofront", "Agent from cook plugin"),
        ("notyaml", "---\nname: bad\ndescription: x\n  y: z: [\n---\nB", "cook:notyaml", "Agent from cook plugin"),
        ("colon", '---\nname: "a:b"\ndescription: d\n---\nB', "cook:a:b", "d"),
        ("hyphen", '---\nname: "-abc"\ndescription: d\n---\nB', "cook:-abc", "d"),
        ("number", "---\nname: 7\ndescription: 42\n---\nB", "cook:7", "42"),
        ("float", "---\nname: fd\ndescription: 1.50\n---\nB", "cook:fd", "1.5"),
        ("truth", "---\nname: true\ndescription: true\n---\nB", "cook:true", "true"),
        ("list", "---\nname: [a]\ndescription: [a, b]\n---\nB", "cook:a", "Agent from cook plugin"),
        ("map", "---\nname: md\ndescription: {a: b}\n---\nB", "cook:md", "Agent from cook plugin"),
        ("empty", "---\nname: ''\ndescription: ''\n---\nB", "cook:empty", "Agent from cook plugin"),
        ("hooks", "---\nname: h\ndescription: d\nhooks: []\n---\nB", "cook:h", "d"),
        ("lines", "---\nname: l\ndescription: d\\nline\n---\nB", "cook:l", "d\\nline"),
        ("colons", "---\nname: c\ndescription: a: b\n---\nB", "cook:c", "a: b"),
    ],
)
def test_an_agent_of_a_plugin_is_listed_whatever_it_says(
    plugin: Path, file: str, text: str, name: str, description: str
) -> None:
    path = plugin / "agents" / f"{file}.md"
    path.write_text(text)
    reading = read_where_it_stands(load_agent(path))

    assert (reading.listed, reading.name, reading.description) == (True, name, description)
    assert not any(problem.rule.startswith(("hooks-", "missing-", "name-")) for problem in reading.problems)


def test_what_a_plugins_agent_may_not_bring_is_said(plugin: Path) -> None:
    path = plugin / "agents" / "a.md"
    path.write_text(HEADER.format("permissionMode: acceptEdits\nhooks: []"))
    agent = load_agent(path)
    sending = sending_as_subagent(agent)

    assert [problem.rule for problem in read_where_it_stands(agent).problems] == ["plugin-ignores", "plugin-ignores"]
    assert sending is not None and sending.permission_mode is None


EVERYTHING = tuple(tool for tool in ALL if tool not in ("ListAgents", "ReportFindings"))
OPUS = ("claude-opus-5-5", "medium")
CASES = {
    "all-tools-disallowed": ("None", (), *OPUS),
    "colon-in-description-and-flow-hooks": None,
    "color-template-placeholder": ("All tools", EVERYTHING, *OPUS),
    "disallowed-scope-removes-whole-tool": ("Bash, Read", ("Read",), *OPUS),
    "disallowed-star": ("All tools", EVERYTHING, *OPUS),
    "effort-capital": ("All tools", EVERYTHING, "claude-opus-5-5", "high"),
    "effort-number": ("All tools", EVERYTHING, "claude-opus-5-5", None),
    "hooks-flat-command": None,
    "hooks-ignored-entry": ("All tools", EVERYTHING, *OPUS),
    "hooks-string": None,
    "hooks-true": None,
    "isolation-remote": ("All tools", EVERYTHING, *OPUS),
    "max-turns-in-quotes": ("All tools", EVERYTHING, *OPUS),
    "model-haiku-1m": ("All tools", EVERYTHING, "claude-haiku-5-5", "medium"),
    "model-retired-opus-remapped": ("All tools", EVERYTHING, *OPUS),
    "model-with-spaces": ("All tools", EVERYTHING, "claude-sonnet-5-5", "medium"),
    "prose-description-no-tasks": ("All tools", EVERYTHING, *OPUS),
    "tab-in-flow-list": None,
    "tab-indented-list": ("Read", ("Read",), *OPUS),
    "tools-list-item-with-space": ("Read, Grep, Glob", ("Glob", "Grep", "Read"), *OPUS),
    "tools-notebookedit": ("NotebookEdit", ("NotebookEdit",), "claude-3-5-haiku-latest", None),
    "tools-scope-not-enforced": ("Bash(git log:*), Read", ("Bash", "Read"), *OPUS),
    "tools-space-separated": ("Read, Grep, Glob", ("Glob", "Grep", "Read"), *OPUS),
}
"""By case: the tools as listed, those offered, model and effort; `None` for a file that Claude Code drops."""


def test_each_measured_case_is_read_as_the_program_read_it(corpus: Path) -> None:
    folder = corpus.parent / "cases" / "agent_files"
    if not folder.is_dir():
        pytest.skip(f"the measured cases are not at {folder}")
    assert {path.stem for path in folder.glob("*.md")} == set(CASES)
    for name, wanted in CASES.items():
        agent = load_agent(folder / f"{name}.md")
        sub = sending_as_subagent(agent)
        assert (sub is None) == (wanted is None), name
        if sub is not None:
            shown = read_where_it_stands(agent).tools
            assert (shown, sub.tools, sub.model, sub.effort) == wanted, name
    of_plugin = load_agent(folder / "plugin-without-description" / "agents" / "roles" / "mobile.md")
    reading = read_where_it_stands(of_plugin)
    assert (reading.name, reading.description) == ("cook:roles:mobile", "Agent from cook plugin")
    assert not read_as_claude_code(of_plugin).listed, "a project's own agent without description is dropped"


_PROPOSED = re.compile(
    r"Add (\w+) to `tools`|Write `(\w+)`|Remove it; (\w+) does|`tools: ([\w, ]+)`|Known tools: ([\w, ]+)"
)
_PROMPTS = (*(f"Use the {tool} tool." for tool in facts()["tools"]), "Search the web for it.", "- Run `make test`.")


def proposed_tools(agent: Agent) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """What lint would have `tools` name: a tool, the list it comes to, and whether it is to be denied no more."""
    for problem in check_agent(agent):
        for found in _PROPOSED.finditer(problem.fix or ""):
            added, written, instead, whole, known = found.groups()
            kept = tuple(tool for tool in agent.tools or () if not written or tool.lower() != written.lower())
            for tool in (added, written, instead):
                if tool:
                    yield tool, (*kept, tool), "take it out of `disallowedTools`" in (problem.fix or "")
            for tool in (whole or "").split(", ") if whole else ():
                yield tool, tuple(whole.split(", ")), False
            for tool in (known or "").split(", ") if known else ():
                yield tool, (tool,), False


@pytest.mark.parametrize("denied", ["", "Bash", "WebSearch, Write"])
@pytest.mark.parametrize(
    "tools",
    ["Read", "Bash, Read", "Read, LS", "Bash, LS, MultiEdit", "glob, Bash", "greb, Bash", "grep, Read", "Nothing"],
)
def test_whatever_lint_proposes_for_tools_is_what_a_run_is_then_offered(tools: str, denied: str) -> None:
    taken = f"disallowedTools: {denied}\n" if denied else ""
    proposals = 0
    for prompt in _PROMPTS:
        agent = parse_agent(f"---\nname: x\ndescription: Use it when asked.\ntools: {tools}\n{taken}---\n\n{prompt}\n")
        for tool, names, denied_no_more in proposed_tools(agent):
            left = [each for each in agent.disallowed_tools or () if not denied_no_more or each != tool]
            sent = sending_as_subagent(replace(agent, tools=names, disallowed_tools=tuple(left) or None))
            assert sent is not None and base_tool(tool) in sent.tools, (prompt, tool)
            proposals += 1

    assert proposals or tools in ("glob, Bash", "greb, Bash"), "what can be proposed is"


def test_a_tool_that_bash_replaces_is_not_proposed_beside_it() -> None:
    head = "---\nname: x\ndescription: Use it when asked.\ntools: Bash, Read\n---\n\n"
    fixes = {each.rule: each.fix for each in check_agent(parse_agent(head + "Use the Glob tool.\n"))}

    assert fixes["prompt-names-tool"] == (
        "Take it out of the prompt: beside Bash, Read a subagent is not offered Glob."
    )


def test_the_tools_that_are_proposed_to_an_agent_without_any_are_offered(tmp_path: Path) -> None:
    file = tmp_path / ".claude/agents/x.md"
    file.parent.mkdir(parents=True)
    file.write_text("---\nname: x\ndescription: Use it when asked.\n---\n\nBe.\n", encoding="utf-8")
    agent = load_agent(file)
    found = agent_file_of(file, agent, read_as_claude_code(agent), roster=file.parent)
    [fix] = [each.fix for _, each in project_problems([found]) if each.rule == "inherits-all-tools"]
    [names] = re.findall(r"`tools: ([\w, ]+)`", fix or "")
    sent = sending_as_subagent(parse_agent(f"---\nname: x\ndescription: d\ntools: {names}\n---\n\nBe.\n"))

    assert sent is not None and sent.tools == tuple(sorted(names.split(", ")))
