"""`workbench carry`: what another program makes of an agent, and what is lost on the way."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.hostile import PIECES
from workbench.cli import main
from workbench.definition.agent import Agent, parse_agent
from workbench.definition.carried import read_there
from workbench.definition.carry import Carried, carry_agent, without_surrogates
from workbench.definition.carry_targets import TARGETS, Target, targets
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.facts import base_tool, facts
from workbench.definition.fields import FIELD_OF_KEY, FIELDS
from workbench.definition.files import load_agent
from workbench.definition.project_agents import Places, listing_line, load_project_agents
from workbench.definition.sending import sending_as_subagent
from workbench.definition.yaml12 import read as read_yaml

FULL = b"""---
name: Code Reviewer
description: "Use it when: code changed."
tools: Read, Grep, Bash(git log:*), mcp__docs__find, Monitor
disallowedTools: Grep
model: sonnet
permissionMode: plan
maxTurns: 7
skills: [pdf]
mcpServers:
  - docs:
      command: serve
hooks:
  Stop: []
memory: user
background: true
effort: high
isolation: worktree
color: green
initialPrompt: Begin.
vibe: calm
---

You review code.

---

Not a header: `x`
"""
_TRIMMED = ("opencode", "gemini")


def arrives(agent: Agent, to: Target) -> Carried:
    """Carried, and held to what is true of every agent and target."""
    carried = carry_agent(agent, to)
    found = read_there(to, carried.text, carried.file)
    prompt = agent.prompt if to not in ("sdk", "agents-json", "codex") else without_surrogates(agent.prompt)
    reading = read_as_claude_code(agent)
    description = without_surrogates(reading.description or agent.description or "")
    told = {*carried.carried, *(each.key for each in carried.lost)}
    written = {one.key for name, one in FIELDS.items() if getattr(agent, name) is not None}

    assert found.prompt == (prompt.strip() if to in _TRIMMED else prompt)
    assert found.description == description or not description.strip()
    assert [fault for fault in found.faults if not fault.startswith("the prompt has")] == []
    assert written | {entry.key for entry in agent.document.entries if entry.key not in FIELD_OF_KEY} <= told
    return carried


@pytest.mark.parametrize("to", TARGETS)
def test_every_agent_of_the_corpus_arrives_with_its_prompt_and_nothing_is_lost_unsaid(to: Target, corpus: Path) -> None:
    paths = sorted(path for path in corpus.rglob("*.md") if path.name != "README.md")
    assert len(paths) > 500

    for path in paths:
        arrives(parse_agent(path.read_bytes(), path=path), to)


def test_what_is_given_to_agents_is_listed_as_the_file_is(corpus: Path, tmp_path: Path) -> None:
    """Whatever Claude Code shows its main model of the file, it shows of the same agent given as JSON."""
    differing, listed = [], 0
    for path in sorted((corpus / "real").rglob("*.md")):
        agent = load_agent(path)
        reading = read_as_claude_code(agent)
        carried = carry_agent(agent, "agents-json")
        found = load_project_agents(tmp_path, Places(home=tmp_path, managed=tmp_path, session=carried.text))[0]
        if reading.listed and found.line != listing_line(found.name, reading.description or "", reading.tools or ""):
            differing.append((path.name, found.line[:200], reading.tools))
        listed += reading.listed

    assert listed > 380 and differing == []


@pytest.mark.parametrize("to", ["sdk", "copilot", "opencode", "cursor", "gemini", "codex"])
@pytest.mark.parametrize("field", ["description", "prompt"])
def test_text_of_several_lines_is_written_as_lines_that_a_person_can_read(field: str, to: Target) -> None:
    """JSON alone has no way to do so."""
    text = 'Match `\\d+` first.\n\nSay "found".\nIt\'s enough.'
    carried = arrives(Agent(**{"name": "x", "description": "d", "prompt": "p", field: text}), to)

    assert "\\U" not in carried.text
    written = carried.text.splitlines()
    for line in ("Match `", "Say ", "It"):
        assert sum(line in each for each in written) == 1
        assert not any(
            line in each and other in each for each in written for other in {"Match `", "Say ", "It"} - {line}
        )


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize(
    "text", [*PIECES, 'a """ b \\" \\', "2026-01-01", "yes", "- x", "a: b # c", "\x00\x7f\u2028", "  "]
)
def test_no_text_breaks_out_of_its_place(text: str, to: Target) -> None:
    arrives(Agent(name="x", description=text, prompt=f"{text}\n---\n{text}\n"), to)


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize(
    "fields",
    [
        {"tools": ("mcp__get_f!!int", "mcp__*", "mcp__a__b", "mcp__a__*", "mcp____", "a\nb", "*")},
        {"tools": ("mcp__get f__x", 'mcp__"__\\', "Nothing")},
        {"disallowed_tools": ("Nothing", "mcp__*")},
        {"disallowed_tools": ("Bash", "mcp__docs")},
        {"tools": (), "max_turns": 0, "effort": 5, "color": "#12345", "model": " inherit "},
    ],
)
def test_odd_names_are_carried_or_told(fields: dict[str, object], to: Target) -> None:
    arrives(Agent(name="x", description="d").replace(**fields), to)


@pytest.mark.parametrize("to", TARGETS)
def test_a_byte_that_is_not_utf8_is_kept_or_told(to: Target) -> None:
    agent = parse_agent(b"---\nname: x\ndescription: d\n---\n\nA byte: \xff\n")

    carried = arrives(agent, to)

    lost = any(each.key == "prompt" and "UTF-8" in each.why for each in carried.lost)
    assert lost != (b"\xff" in carried.to_bytes() or "\\udcff" in carried.text)


def test_no_character_of_what_is_lost_is_hidden() -> None:
    carried = carry_agent(parse_agent('---\nname: x\ndescription: d\n"\u202ek": "\u202ev"\n---\n'), "codex")

    assert "\u202e" not in str(carried) and "<U+202E>k" in str(carried)


def test_the_sdk_gets_all_but_three_fields() -> None:
    carried = arrives(parse_agent(FULL), "sdk")

    assert [each.key for each in carried.lost] == ["hooks", "isolation", "color", "vibe"]
    assert "maxTurns=7" in carried.text and "AgentDefinition(" in carried.text


def test_agents_json_gets_all_but_the_colour() -> None:
    carried = arrives(parse_agent(FULL), "agents-json")

    assert [each.key for each in carried.lost] == ["color", "vibe"]
    written = json.loads(carried.text)["Code Reviewer"]
    assert written["mcpServers"] == [{"docs": {"command": "serve"}}]
    assert set(written) == set(targets()["agents-json"]["fields"])


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo terminals here")
def test_a_terminal_is_not_steered_by_what_a_file_says_and_a_pipe_gets_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    path.write_text("---\nname: x\ndescription: Use it.\n---\n\tBe \x1b[31mred\u202e.\n", encoding="utf-8")
    command = [sys.executable, "-m", "workbench", "carry", str(path), "--to", "cursor"]
    ours, theirs = os.openpty()
    subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, check=True)
    os.close(theirs)
    seen = os.read(ours, 10_000).decode()
    os.close(ours)
    piped = subprocess.run(command, capture_output=True, check=True).stdout.decode()

    assert "Be <U+001B>[31mred<U+202E>." in seen and "\x1b[31m" not in seen
    assert piped.endswith("\tBe \x1b[31mred\u202e.\n")


def test_what_claude_code_would_not_start_with_is_lost_and_told() -> None:
    header = "hooks: {pre: x, Stop: [], PreToolUse: [{hooks: x}]}\nmaxTurns: -3\nmemory: all\neffort: high\n"
    header += "mcpServers: {docs: {command: serve}}\npermissionMode: loose\n"
    carried = arrives(parse_agent(f"---\nname: x\ndescription: Use it.\n{header}---\nBe."), "agents-json")

    written = json.loads(carried.text)["x"]
    assert (written["hooks"], written["effort"]) == ({"Stop": []}, "high")
    assert set(written) == {"description", "prompt", "hooks", "effort"}
    assert [(each.key, each.why.partition(":")[0]) for each in carried.lost] == [
        ("hooks", "pre is no event"),
        ("hooks", "PreToolUse has an entry without a list `hooks`"),
        ("permissionMode", "is 'loose', none that it knows"),
        ("maxTurns", "is -3, no whole number above 0"),
        ("mcpServers", "is no list of names and servers"),
        ("memory", "is 'all', none that it knows"),
    ]


def test_tools_get_the_other_programs_names_and_those_without_one_are_told() -> None:
    copilot = arrives(parse_agent(FULL), "copilot")
    gemini = arrives(parse_agent(FULL), "gemini")
    opencode = arrives(parse_agent(FULL), "opencode")

    assert 'tools: [read, execute, "docs/find"]\n' in copilot.text
    assert "tools: [read_file, run_shell_command, mcp_docs_find]\n" in gemini.text
    assert '  "*": false\n  read: true\n  bash: true\n  docs_find: true\n' in opencode.text
    for each in (copilot, gemini, opencode):
        assert [lost.value for lost in each.lost if lost.key == "tools"] == ["'Bash(git log:*)'", "'Monitor'"]


def given_tools(carried: Carried) -> set[str] | None:
    """The program's own names of the tools that the agent gets there; `None` where that does not take any away."""
    root = read_yaml(carried.text.split("---\n")[1])
    assert root is not None
    tools = root.value.get("tools")
    if isinstance(tools, dict):
        return {name for name, is_given in tools.items() if is_given} if tools.get("*") is False else None
    return None if tools is None else set(tools)


@pytest.mark.parametrize("to", ["copilot", "opencode", "gemini"])
def test_no_tool_is_given_that_claude_code_does_not_offer(to: Target, corpus: Path) -> None:
    """But for those that the author asks for and the program of today has not, or has by another."""
    known = targets()[to]["tools"]
    gone = {*facts()["gone_tools"], *facts()["tools_not_beside_bash"]}
    looked = 0
    agents = [parse_agent(path.read_bytes(), path=path) for path in sorted(corpus.rglob("*.md"))]
    for agent in agents:
        sending = sending_as_subagent(agent, in_background=False)
        if sending is None or (agent.tools is None and not agent.disallowed_tools):
            continue
        carried = carry_agent(agent, to)
        found = given_tools(carried)
        if found is None:
            assert agent.tools is None or "*" in agent.tools
            text = carried.text.split("---\n")[1]
            found = {there for there in known.values() if f"{there}: false" not in text}
        asked = {base_tool(tool) for tool in agent.tools or ()}
        denied = {base_tool(tool) for tool in agent.disallowed_tools or ()}
        offered = {*sending.tools, *sending.searched, *(gone & asked)} - denied
        meant = {known.get(tool) for tool in offered}
        if agent.tools is not None and "*" not in agent.tools:
            assert {tool for tool in found if tool in known.values()} <= meant, agent.path
        assert not found & {known.get(tool) for tool in denied}, agent.path
        looked += 1

    assert looked > 200


@pytest.mark.parametrize("to", ["cursor", "codex"])
def test_what_is_offered_no_tool_that_changes_files_arrives_as_reading_only(to: Target, corpus: Path) -> None:
    """These know no list of tools; what else is not offered is told as lost."""
    changing = {"Bash", "Edit", "NotebookEdit", "Write"}
    looked = 0
    for path in sorted(corpus.rglob("*.md")):
        agent = parse_agent(path.read_bytes(), path=path)
        sending = sending_as_subagent(agent, in_background=False)
        limited = agent.tools is not None or agent.disallowed_tools
        if sending is None or not limited:
            continue
        carried = carry_agent(agent, to)
        asked = {base_tool(tool) for tool in agent.tools or ()}
        may_change = changing & {*sending.tools, *sending.searched} or "MultiEdit" in asked
        if not may_change and not any(tool.startswith("mcp__") for tool in sending.searched):
            assert "readonly: true" in carried.text or 'sandbox_mode = "read-only"' in carried.text, path
            looked += 1
        assert {"tools", "disallowedTools"} & {each.key for each in carried.lost}, path

    assert looked > 20


def test_agents_as_json_have_the_tools_and_the_denied_ones_as_written(corpus: Path) -> None:
    for path in sorted(corpus.rglob("*.md")):
        agent = parse_agent(path.read_bytes(), path=path)
        [written] = json.loads(carry_agent(agent, "agents-json").text).values()
        for key, names in (("tools", agent.tools), ("disallowedTools", agent.disallowed_tools)):
            expected = None if names is None else [without_surrogates(name) for name in names]
            assert written.get(key) == expected, path


@pytest.mark.parametrize(
    ("fields", "to", "given"),
    [
        ({"tools": ("Task", "Read"), "disallowed_tools": ("Agent",)}, "opencode", {"read"}),
        ({"tools": ("Agent", "Read"), "disallowed_tools": ("Task(x)",)}, "copilot", {"read"}),
        ({"tools": ("Edit", "Read"), "disallowed_tools": ("Write",)}, "copilot", {"read"}),
        ({"tools": ("Task", "Agent")}, "opencode", {"task"}),
        ({"tools": ()}, "opencode", set()),
        ({"disallowed_tools": ("Bash",)}, "copilot", {"read", "edit", "search", "agent", "web", "todo"}),
        ({"tools": ("*",), "disallowed_tools": ("Monitor",)}, "gemini", None),
        ({"disallowed_tools": ("mcp__*",)}, "gemini", {str(each) for each in targets()["gemini"]["tools"].values()}),
    ],
)
def test_a_tool_that_is_denied_is_not_given_back_under_another_name(
    fields: dict[str, object], to: Target, given: set[str] | None
) -> None:
    carried = arrives(Agent(name="x", description="d").replace(**fields), to)

    assert given_tools(carried) == given
    assert not fields.get("disallowed_tools") or {"disallowedTools"} & {
        *carried.carried,
        *(e.key for e in carried.lost),
    }


def test_a_denied_tool_is_denied_by_any_of_its_names_where_only_reading_arrives() -> None:
    agent = Agent(name="x", description="d", tools=("Read", "Write(a)"), disallowed_tools=("Write",))

    assert "readonly: true\n" in arrives(agent, "cursor").text


def test_a_tool_that_is_lost_is_told_as_it_is_written() -> None:
    carried = arrives(Agent(name="x", description="d", tools=("KillShell",)), "gemini")

    assert [each.value for each in carried.lost] == ["'KillShell'"]


@pytest.mark.parametrize("to", TARGETS)
def test_what_is_known_of_a_program_is_told_with_its_day(to: Target) -> None:
    told = str(carry_agent(Agent(name="x", description="d"), to)).splitlines()[-1]

    assert str(targets()["date"]) in told and targets()[to]["source"] in told


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("written", ["inherit", " Inherit "])
def test_model_of_the_conversation_arrives_or_it_is_told_what_is_asked_instead(to: Target, written: str) -> None:
    carried = arrives(Agent(name="x", description="d", model=written), to)

    lost = {each.key: each.why for each in carried.lost}
    if "inherit" in carried.text.lower():
        assert "model" in carried.carried and "model" not in lost
    else:
        assert "model" not in carried.carried
        assert lost["model"].startswith(f"none is named there, and {targets()[to]['says']} then ")
        assert "model" not in read_there(to, carried.text, carried.file).faults


@pytest.mark.parametrize("to", ["copilot", "gemini", "codex"])
def test_of_a_model_that_is_lost_it_is_told_what_is_asked_instead(to: Target) -> None:
    [lost] = [each for each in arrives(Agent(name="x", description="d", model="opus"), to).lost if each.key == "model"]

    assert f"name one there. {targets()[to]['says']} then " in lost.why


def test_opencode_gets_a_colour_it_knows_and_a_model_with_its_provider() -> None:
    carried = arrives(parse_agent(FULL), "opencode")

    assert 'color: "#16a34a"\n' in carried.text and "model: anthropic/claude-sonnet-5-5\n" in carried.text
    assert "steps: 7\n" in carried.text and carried.file == ".opencode/agent/code-reviewer.md"
    assert [each.why for each in carried.lost if each.key == "name"] == [
        "the file's name, which is the agent's there becomes code-reviewer"
    ]
    odd = arrives(Agent(name="x", description="d", color="teal", model="gpt-5.4"), "opencode")
    assert [each.key for each in odd.lost] == ["model", "color"] and "color" not in odd.text


def test_where_there_is_no_list_of_tools_only_reading_arrives() -> None:
    reading = Agent(name="x", description="d", tools=("Read", "Grep"))
    writing = Agent(name="x", description="d", tools=("Read", "Bash(ls:*)"))
    denied = Agent(name="x", description="d", disallowed_tools=("Bash", "Edit", "Write", "NotebookEdit"))

    assert "readonly: true\n" in arrives(reading, "cursor").text
    assert "readonly" not in arrives(writing, "cursor").text
    assert "readonly: true\n" in arrives(denied, "cursor").text
    assert tomllib.loads(arrives(reading, "codex").text)["sandbox_mode"] == "read-only"
    assert "sandbox_mode" not in tomllib.loads(arrives(writing, "codex").text)


def test_a_prompt_that_is_too_long_for_copilot_is_told_and_whole() -> None:
    carried = carry_agent(Agent(name="x", description="d", prompt="a" * 30_001), "copilot")

    assert [each.key for each in carried.lost] == ["prompt"]
    assert read_there("copilot", carried.text).faults == ("the prompt has 30,001 characters; 30,000 are taken",)


@pytest.mark.parametrize(
    ("to", "text", "fault"),
    [
        ("gemini", "---\nname: x\ndescription: d\ncolor: red\n---\n", "color is no key there"),
        ("gemini", "---\nname: A B\ndescription: d\n---\n", "no slug"),
        ("gemini", "---\nname: x\ndescription: d\ntools: [Read]\n---\n", "'Read' is no tool there"),
        ("gemini", "---\nname: x\ndescription: d\ntools: read_file\n---\n", "list of names"),
        ("opencode", "---\ndescription: d\ncolor: green\n---\n", "neither #RRGGBB"),
        ("opencode", "---\ndescription: d\ntools: Read, Grep\n---\n", "mapping from name"),
        ("opencode", "---\ndescription: d\nmode: helper\n---\n", "mode 'helper'"),
        ("cursor", "---\nname: x\ndescription: d\nreadonly: sometimes\n---\n", "true or false"),
        ("copilot", "---\nname: x\n---\n", "description is required"),
        ("codex", 'name = "x"\n', "cannot be read"),
        ("codex", 'name = "x"\ndescription = "d"\ndeveloper_instructions = ""\ntools = []\n', "tools is no key"),
        ("agents-json", "[]", "cannot be read"),
        ("sdk", "1 +", "cannot be read"),
    ],
)
def test_what_a_program_refuses_is_refused_here(to: Target, text: str, fault: str) -> None:
    assert fault in "; ".join(read_there(to, text, "x.md").faults)


def test_the_command_prints_the_file_and_says_what_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "x.md"
    file.write_bytes(FULL)

    done = CliRunner().invoke(main, ["carry", str(file), "--to", "codex"])

    assert done.exit_code == 0, done.output
    assert tomllib.loads(done.stdout)["developer_instructions"] == parse_agent(FULL).prompt
    assert "lost: color 'green': Codex has no such field" in done.stderr


def test_the_command_writes_where_the_program_looks_and_never_over_a_file(tmp_path: Path) -> None:
    file = tmp_path / "x.md"
    file.write_bytes(FULL)
    call = ["carry", str(file), "--to", "gemini", "--out", str(tmp_path)]

    assert CliRunner().invoke(main, call).exit_code == 0
    written = (tmp_path / ".gemini/agents/code-reviewer.md").read_bytes()
    again = CliRunner().invoke(main, call)

    assert again.exit_code == 2 and "is there already" in again.output
    assert (
        (tmp_path / ".gemini/agents/code-reviewer.md").read_bytes()
        == written
        == carry_agent(parse_agent(FULL), "gemini").to_bytes()
    )


def test_the_command_says_that_a_folder_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "x.md"
    file.write_bytes(FULL)

    for below in ("out.md", "deep/out.md"):
        done = CliRunner().invoke(main, ["carry", str(file), "--to", "gemini", "--out", str(file / below)])
        assert done.exit_code == 2 and f"{file} is no folder" in done.output
        assert "is there already" not in done.output


def test_the_outputs_that_the_command_makes_are_kept_out_of_git_and_its_name_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "x.md").write_bytes(FULL)
    out = "outputs/x/a\n::error::b.md"

    done = CliRunner().invoke(main, ["carry", "x.md", "--to", "gemini", "--out", out])

    assert done.exit_code == 0 and (tmp_path / out).is_file()
    assert (tmp_path / "outputs/.gitignore").is_file()
    assert "wrote outputs/x/a ::error::b.md\n" in done.stderr


def test_the_command_says_what_would_be_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.md"
    file.write_text(f"---\nname: x\ndescription: d\n---\n{'a' * 30_001}", encoding="utf-8")

    done = CliRunner().invoke(main, ["carry", str(file), "--to", "copilot"])

    assert done.exit_code == 1 and "would be refused: the prompt has" in done.stderr


def _program(name: str) -> str:
    found = os.environ.get(f"WORKBENCH_{name.upper()}") or shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed; name it in WORKBENCH_{name.upper()}")
    return found


def _samples(corpus: Path) -> list[Agent]:
    """One full agent, and every tenth real one that has tools, a model or a colour."""
    paths = sorted((corpus / "real").rglob("*.md"))[::10]
    return [parse_agent(FULL), *(parse_agent(path.read_bytes(), path=path) for path in paths)]


def _apart(home: Path) -> dict[str, str]:
    """An environment without the user's settings, from which no address can be reached."""
    nowhere = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), nowhere)
    return {"PATH": os.environ["PATH"], "HOME": str(home), "GEMINI_API_KEY": "test", **proxies}


@pytest.mark.timeout(300)
def test_opencode_itself_takes_what_is_carried_to_it(tmp_path: Path, corpus: Path) -> None:
    program = _program("opencode")
    names = {}
    for agent in _samples(corpus):
        carried = carry_agent(agent, "opencode")
        path = tmp_path / carried.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(carried.to_bytes())
        names[path.stem] = read_there("opencode", carried.text, carried.file)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)

    def ask(name: str) -> subprocess.CompletedProcess[str]:
        command = [program, "debug", "agent", name]
        env = _apart(tmp_path / "home")
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)

    for name in list(names)[:3]:
        done = ask(name)
        assert done.returncode == 0, done.stdout + done.stderr
        said = json.loads(done.stdout)
        assert (said["description"], said["prompt"]) == (names[name].description, names[name].prompt)
    (tmp_path / ".opencode/agent/refused.md").write_text("---\ndescription: d\ncolor: green\n---\n")
    assert ask(name).returncode != 0, "one file that it refuses ends all of them, so it took the others"


@pytest.mark.timeout(300)
def test_the_gemini_cli_itself_takes_what_is_carried_to_it(tmp_path: Path, corpus: Path) -> None:
    program = _program("gemini")
    for agent in _samples(corpus):
        carried = carry_agent(agent, "gemini")
        path = tmp_path / carried.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(carried.to_bytes())

    (tmp_path / ".gemini/agents/refused.md").write_text("---\nname: refused\ndescription: d\ncolor: red\n---\n")

    said = _until(
        r"\[AgentRegistry\] Loaded with (\d+) agents",
        [program, "-d", "--skip-trust", "-p", "hi"],
        cwd=tmp_path,
        env=_apart(tmp_path / "home"),
    )

    assert re.findall(r"Failed to load agent from .*?([\w-]+\.md)", said) == ["refused.md"]


def _until(pattern: str, command: list[str], *, cwd: Path, env: dict[str, str]) -> str:
    """What the program says until it says this; then it is ended, as it would go on to ask a model."""
    with subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        assert running.stdout is not None
        said, ends = b"", time.monotonic() + 120
        try:
            while not re.search(pattern.encode(), said) and time.monotonic() < ends:
                if select.select([running.stdout], [], [], 1)[0]:
                    read = os.read(running.stdout.fileno(), 65_536)
                    if not read:
                        break
                    said += read
        finally:
            running.kill()
    return said.decode("utf-8", "replace")
