"""`workbench fix`: each repair on its own; a safe one leaves both readings and every byte of the body as they are."""

from __future__ import annotations

import re
from pathlib import Path

import frontmatter
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.cli import main
from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.fields import FIELDS
from workbench.definition.fixing import fixes_of
from workbench.definition.two_passes import parse_as_claude_code, shown_description

BODY = "\n\nYou read code.  \n\tAlways.\n\n"


def agent_with(header: str) -> Agent:
    return parse_agent(f"---\nname: code-reviewer\n{header}\n---\n{BODY}")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["fix", *map(str, arguments)])


def readings_of(agent: Agent) -> tuple[object, ...]:
    """What a safe repair may not change: Claude Code's reading, the author's, and the bytes of the body."""
    reading = read_as_claude_code(agent)
    written = [getattr(agent, name) for name in FIELDS if name != "description"]
    values = {key: value for key, value in parse_as_claude_code(agent.document).values.items() if value is not None}
    values.pop("description", None)
    return (
        *(reading.listed, reading.name, reading.description, reading.tools, reading.model, reading.effort),
        *(reading.prompt, written, shown_description(agent.description or ""), values, agent.document.body),
    )


@pytest.mark.parametrize(
    ("header", "block"),
    [
        ("description: Use it: now", "description: |-\n  Use it: now\n"),
        ("description: Use it: 'now'\\nor \"never\"", "description: |-\n  Use it: 'now'\n  or \"never\"\n"),
        ("description: Use it when\\n\\n<example>\\nuser: \"hi\"\\n</example>",
         "description: |-\n  Use it when\n\n  <example>\n  user: \"hi\"\n  </example>\n"),
        ('description: "Use it when\\\\na plan: is there"', "description: |-\n  Use it when\n  a plan: is there\n"),
    ],
)  # fmt: skip
def test_a_description_with_a_colon_or_written_line_ends_becomes_a_block(header: str, block: str) -> None:
    agent = agent_with(header)
    [fix] = fixes_of(agent)

    assert fix.is_safe
    assert block in fix.after.text
    assert readings_of(fix.after) == readings_of(agent)
    assert frontmatter.loads(fix.after.text)["description"] == read_as_claude_code(agent).description


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("description: d\ncolor: Blue", "`color` then says 'blue', and now 'Blue'."),
        ("description: d\nbackground: yes", "Claude Code then has `background` as True, and now as 'yes'."),
        ('description: d\nmaxTurns: "20"', "Claude Code then has `maxTurns` as 20, and now as '20'."),
        ("description: d\ntools: read, Grep", "Claude Code then reads tools as 'Read, Grep', and now as 'read, Grep'."),
        ("description: d\ntools: [read, Grep]", "`tools` then says 'Read, Grep', and now 'read, Grep'."),
        ("description: d\ntools: Read, LS", "Claude Code then reads tools as 'Read', and now as 'Read, LS'."),
        ("description: d\nmodel: claude-opus-4-0", "`model` then says 'claude-opus-5-5', and now 'claude-opus-4-0'."),
        ("description: Use C # or F", "Claude Code then reads description as 'Use C # or F', and now as 'Use C'."),
        ("description: d\nhooks: []", "Claude Code then lists the agent, as 'code-reviewer', and drops it now."),
        ("description: 7", "Claude Code then lists the agent, as 'code-reviewer', and drops it now."),
    ],
)
def test_a_repair_that_changes_what_is_read_says_so_and_is_not_safe(header: str, said: str) -> None:
    agent = agent_with(header)

    assert fixes_of(agent) == ()
    [fix] = fixes_of(agent, with_changes=True)
    assert not fix.is_safe and fix.after.document.body == BODY


def test_each_repair_stands_alone_and_follows_the_one_before(tmp_path: Path) -> None:
    agent = parse_agent("\ufeff---\nname: code-reviewer\ndescription: Use it: now\nmodel:\n---\nBe.\n")
    fixes = fixes_of(agent)

    assert [fix.problem.rule for fix in fixes] == ["byte-order-mark", "repaired", "empty-value"]
    assert [fix.before.text for fix in fixes[1:]] == [fix.after.text for fix in fixes[:-1]]
    assert [fix.problem.rule for fix in fixes_of(agent, rules=("repaired",))] == ["repaired"]


def test_every_safe_repair_of_the_corpus_keeps_both_readings_and_the_body(corpus: Path) -> None:
    repairs = 0
    for path in sorted(corpus.rglob("*.md")):
        agent = parse_agent(path.read_bytes())
        fixes = fixes_of(agent)
        for fix in fixes:
            assert readings_of(fix.before) == readings_of(fix.after), (path, fix.problem)
            assert fix.diff, path
        if fixes:
            repairs += len(fixes)
            assert fixes_of(parse_agent(fixes[-1].after.to_bytes())) == (), path

    assert repairs >= 70


HEADERS = st.lists(
    st.sampled_from(
        ["color: Blue", "description: a: b", "description: c\\nd", "model:", "tools: LS, Read", "tools: [read, Grep]",
         "hooks: []", "maxTurns: '3'", "background: yes", "description: x --- y", "allowed-tools: Read", "effort: High",
         "name: other", "description: 3", "permissionMode: plan", "disallowedTools: bash", "skills: a", "# a remark", ""]
    ),
    max_size=7,
)  # fmt: skip


@settings(max_examples=60)
@given(HEADERS, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_repairs_of_any_header_end_and_are_done_once(lines: list[str], ending: str, with_changes: bool) -> None:
    text = ending.join(["---", "name: abc", *lines, "---", "Be: kind.", "--- not a fence", ""])
    agent = parse_agent(text)
    fixes = fixes_of(agent, with_changes=with_changes)
    last = parse_agent(fixes[-1].after.to_bytes()) if fixes else agent

    assert fixes_of(last, with_changes=with_changes) == ()
    if not with_changes:
        assert readings_of(last) == readings_of(agent)


def test_the_command_takes_an_agents_name_and_without_any_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / ".git").mkdir()
    assert (run().exit_code, "no agent in this project" in run().output) == (2, True)
    agents = tmp_path / ".claude" / "agents"
    agents.mkdir(parents=True)
    (agents / "code-reviewer.md").write_text(agent_with("description: Use it: now").text)

    assert "+  Use it: now" in run("code-reviewer").output
    assert run().output == run("code-reviewer").output == run(".claude/agents/code-reviewer.md").output
    assert "no agent of this name" in run("nobody").output


def test_the_command_shows_first_and_writes_when_told(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(agent_with("description: Use it: now\ncolor: Blue").text)
    before = path.read_bytes()
    shown = run(path)

    assert shown.exit_code == 1 and path.read_bytes() == before
    assert "+  Use it: now" in shown.output and "-description: Use it: now" in shown.output
    assert (
        "1 repair in 1 file; --write writes them. 1 repair more would change what is read: --with-changes"
        in shown.output
    )
    assert run("--write", path).exit_code == 0
    assert path.read_text() == agent_with("description: |-\n  Use it: now\ncolor: Blue").text
    assert run(path).exit_code == 0 and "nothing to repair" in run(path).output
    changing = run("--write", "--with-changes", path)
    assert "changes: `color` then says 'blue'" in changing.output
    assert "color: blue" in path.read_text()
    assert run("--with-changes", path).exit_code == 0


def test_a_link_out_of_the_folder_is_written_through_only_where_it_is_named(tmp_path: Path) -> None:
    text = agent_with("description: Use it: now").text
    folder, other = tmp_path / "agents", tmp_path / "elsewhere.md"
    folder.mkdir()
    for path in (folder / "a.md", other):
        path.write_text(text)
    (folder / "inside.md").symlink_to("a.md")
    (folder / "link.md").symlink_to(other)
    done = run("--write", folder)

    assert done.exit_code == 1 and other.read_text() == text
    assert f"link.md: was not written: it leads out of the folder, to {other}; name it" in " ".join(done.output.split())
    assert "1 repair in 1 file written; 1 repair of those shown could not be" in done.output
    assert "nothing was written; 1 repair of those shown could not be" in run("--write", folder).output
    assert run("--write", folder / "link.md").exit_code == 0 and other.read_text() != text
    assert run("--write", folder).exit_code == 0


def project_with_agent(project: Path) -> Path:
    """A project with one agent that is to be repaired; the agent's file."""
    (project / ".git").mkdir(parents=True)
    path = project / ".claude" / "agents" / "a.md"
    path.parent.mkdir(parents=True)
    path.write_text(agent_with("description: Use it: now").text)
    return path


@pytest.mark.parametrize("where", ["here", "below", "through a linked folder", "agents are a link", "by its name"])
def test_without_a_path_the_files_of_the_project_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = project_with_agent(tmp_path / "real" / "project")
    (tmp_path / "linked").symlink_to("real")
    project = tmp_path / ("linked" if where == "through a linked folder" else "real") / "project"
    (project / "src").mkdir()
    if where == "agents are a link":
        path = path.parent.rename(project / "shared") / "a.md"
        (project / ".claude" / "agents").symlink_to("../shared")
    monkeypatch.chdir(project / "src" if where == "below" else project)
    monkeypatch.setenv("PWD", str(project))

    done = run("--write", *(["code-reviewer"] if where == "by its name" else []))

    assert (done.exit_code, "1 repair in 1 file written" in done.output) == (0, True), done.output
    assert path.read_text() == agent_with("description: |-\n  Use it: now").text


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_without_a_path_what_leads_out_of_the_repository_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = project_with_agent(tmp_path / "project")
    if linked == "file":
        outside = path.rename(tmp_path / "outside.md")
        path.symlink_to(outside)
    else:
        outside = path.parent.rename(tmp_path / "agents-of-others") / "a.md"
        path.parent.symlink_to(outside.parent)
    before = outside.read_bytes()
    monkeypatch.chdir(tmp_path / "project")

    done = run("--write")

    assert done.exit_code == 1 and outside.read_bytes() == before, done.output
    assert "it leads out of the folder" in " ".join(done.output.split())


@pytest.mark.parametrize("header", ["tools: Read, Grep, LS", "description: Use it: now\ncolor: Blue\nmaxTurns: '5'"])
def test_so_many_repairs_as_are_said_to_be_left_are_shown_on_request(tmp_path: Path, header: str) -> None:
    path = tmp_path / "a.md"
    path.write_text(agent_with(f"description: d\n{header}" if "description" not in header else header).text)

    said = run(path).output
    shown = run("--with-changes", path).output

    few = int(found[1]) if (found := re.search(r"(\d+) repairs? in", said)) else 0
    more = int(found[1]) if (found := re.search(r"(\d+) repairs? more", said)) else 0
    assert more > 0
    assert few + more == int(re.findall(r"(\d+) repairs? in", shown)[0]) == shown.count("--- ")


def test_repairs_of_the_corpus_are_as_many_as_were_said_to_be_left(corpus: Path) -> None:
    for name in (
        "odd/tools-retired.md",
        *(f"real/{each.name}" for each in sorted((corpus / "real").glob("*.md"))[:40]),
    ):
        said, shown = run(corpus / name).output, run("--with-changes", corpus / name).output
        few, more = (
            int(found[1]) if (found := re.search(rf"(\d+) repairs? {what}", said)) else 0 for what in ("in", "more")
        )
        assert few + more == len(re.findall(r"^\+\+\+ ", shown, re.M)), name


def test_what_long_values_say_otherwise_is_seen() -> None:
    tools = ", ".join(f"mcp__server__tool_{number}" for number in range(20))
    [fix] = fixes_of(agent_with(f"description: d\ntools: {tools}, LS"), with_changes=True)

    assert "then reads tools as ...mcp__server__tool_19', and now as ...mcp__server__tool_19, LS'." in fix.changes


def test_rules_and_files_that_are_none_are_refused(tmp_path: Path) -> None:
    assert run("--rule", "no-such", tmp_path).exit_code == 2
    assert run(tmp_path / "nowhere.md").exit_code == 2


def test_no_key_is_shown_in_a_diff(tmp_path: Path) -> None:
    key = "sk-ant-api03-" + "Zq7Lk2Pw9Xt4Vb8N" * 5 + "AA"
    path = tmp_path / "a.md"
    path.write_text(agent_with(f"description: Use it: with {key}").text)

    assert key not in run(path).output
