"""`workbench roster` and `wb.roster`: all agents that a project sees, and what they cost."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

import workbench as wb
from workbench.cli import main
from workbench.definition.claude_code import read_where_it_stands
from workbench.definition.facts import facts
from workbench.definition.project_agents import Places, ProjectAgent, load_project_agents
from workbench.errors import AgentFileError, TaskFileError
from workbench.runs.upkeep import tokens_of
from workbench.trial.conversations import Conversations, count_conversations

TODAY = date(2026, 11, 30)


def write(path: Path, name: str, description: str = "Use it when code changed.", more: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\nname: {name}\ndescription: {description}\n{more}---\n\nYou do it.\n", encoding="utf-8")
    return path


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(home=tmp_path / "home", managed=tmp_path / "managed")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    return folder


def found(agents: tuple[ProjectAgent, ...], name: str) -> list[tuple[str, str]]:
    return [(agent.where, agent.standing) for agent in agents if agent.name == name]


def test_of_one_name_the_first_place_counts_and_the_others_are_shadowed(project: Path, places: Places) -> None:
    assert places.home is not None and places.managed is not None
    write(places.managed / ".claude/agents/x.md", "reviewer")
    write(project / ".claude/agents/x.md", "reviewer")
    write(places.home / ".claude/agents/x.md", "reviewer")
    session = {"reviewer": {"description": "Session.", "prompt": "p"}}

    agents = load_project_agents(project, Places(home=places.home, managed=places.managed, session=session))

    assert found(agents, "reviewer") == [
        ("managed", "listed"),
        ("session", "shadowed"),
        ("project", "shadowed"),
        ("user", "shadowed"),
    ]
    assert all(str(places.managed) in agent.because for agent in agents if agent.standing == "shadowed")


def test_the_nearest_folder_of_a_repository_comes_first(project: Path, places: Places) -> None:
    near = write(project / "part/.claude/agents/x.md", "reviewer")
    write(project / ".claude/agents/x.md", "reviewer")

    agents = load_project_agents(project / "part", places)

    assert [agent.path for agent in agents if agent.standing == "listed" and agent.where == "project"] == [near]
    assert found(agents, "reviewer") == [("project", "listed"), ("project", "shadowed")]


def test_two_of_one_name_in_one_folder_are_told_and_never_raise(project: Path, places: Places) -> None:
    one = write(project / ".claude/agents/a.md", "reviewer")
    other = write(project / ".claude/agents/deep/b.md", "reviewer", "A much longer description than the other has.")

    agents = load_project_agents(project, places)
    roster = wb.roster(project, places)

    assert found(agents, "reviewer") == [("project", "one of several")] * 2
    assert str(other) in agents[0].because and str(one) in agents[1].because
    assert roster.tokens == tokens_of(agents[1].line), "the longer of the two is what it costs at most"


def test_a_file_replaces_an_agent_of_the_program(project: Path, places: Places) -> None:
    write(project / ".claude/agents/plan.md", "Plan")

    agents = load_project_agents(project, places)

    assert found(agents, "Plan") == [("project", "listed"), ("built in", "shadowed")]
    listed = {agent.name for agent in agents if agent.where == "built in" and agent.standing == "listed"}
    assert listed == set(facts()["built_in_agents"]) - {"Plan"}


def test_names_that_differ_by_case_are_both_listed_and_told(project: Path, places: Places) -> None:
    write(project / ".claude/agents/a.md", "code-reviewer")
    write(project / ".claude/agents/b.md", "Code Reviewer")

    roster = wb.roster(project, places)

    assert roster.taken_for_one == (("code-reviewer", "Code Reviewer"),)
    assert "code-reviewer and Code Reviewer are taken for one" in str(roster)


def test_a_file_that_is_dropped_or_unreadable_is_told_with_why(project: Path, places: Places) -> None:
    write(project / ".claude/agents/a.md", "-x")
    (project / ".claude/agents/b.md").write_bytes(b"---\nname: only\n---\n\nBody\n")
    (project / ".claude/agents/README.md").write_text("# About these\n", encoding="utf-8")

    agents = [agent for agent in load_project_agents(project, places) if agent.where == "project"]

    assert [(agent.name, agent.standing) for agent in agents] == [("-x", "not listed"), ("only", "not listed")]
    assert "hyphen" in agents[0].because and "description" in agents[1].because


def plugin_at(folder: Path, name: str) -> Path:
    (folder / ".claude-plugin").mkdir(parents=True)
    (folder / ".claude-plugin/plugin.json").write_text(json.dumps({"name": name}), encoding="utf-8")
    return folder


def test_agents_of_enabled_plugins_are_listed_under_the_plugins_name(project: Path, places: Places) -> None:
    assert places.home is not None
    config = places.home / ".claude"
    on, off, elsewhere = (
        plugin_at(config / "plugins/cache/market" / name, name) for name in ("tools", "idle", "elsewhere")
    )
    (on / "agents/roles").mkdir(parents=True)
    (on / "agents/roles/mobile.md").write_text("---\nname: mobile\n---\n\nBody\n", encoding="utf-8")
    write(off / "agents/x.md", "x")
    write(elsewhere / "agents/y.md", "y")
    installed = {
        "tools@market": [{"scope": "user", "installPath": str(on)}],
        "idle@market": [{"scope": "user", "installPath": str(off)}],
        "elsewhere@market": [{"scope": "project", "installPath": str(elsewhere), "projectPath": "/another"}],
        "gone@market": [{"scope": "user", "installPath": str(config / "gone")}],
        "odd@market": {"installPath": "/\0"},
        "long@market": {"installPath": f"/{'x' * 5_000}"},
        "none@market": [None, 5],
    }
    (config / "plugins/installed_plugins.json").write_text(json.dumps({"version": 2, "plugins": installed}))
    enabled = {"tools@market": True, "idle@market": True, "elsewhere@market": True, "gone@market": True}
    enabled |= {"odd@market": True, "long@market": True, "none@market": True}
    (config / "settings.json").write_text(json.dumps({"enabledPlugins": enabled}))
    (project / ".claude").mkdir()
    (project / ".claude/settings.json").write_text(json.dumps({"enabledPlugins": {"idle@market": False}}))

    agents = [agent for agent in load_project_agents(project, places) if agent.where == "plugin"]

    assert [(agent.name, agent.standing) for agent in agents] == [
        ("tools:roles:mobile", "listed"),
        ("gone", "not listed"),
        ("\0", "not listed"),
        ("x" * 5_000, "not listed"),
    ]
    assert agents[0].description == "Agent from tools plugin"
    assert "folder is not there" in agents[1].because


ODD = [
    "name: reviewer",
    "name: reviewer\ndescription: One line\\nand no other.",
    "name: 5\ndescription: 7",
    "name: [a, b]\ndescription: [c]",
    "description: Use it.",
    "name: reviewer\ndescription: a: b: c\n d: [",
    "name:",
    "name: x\ndescription: Use it.\ntools: Read, Grep",
]


@pytest.mark.parametrize("header", ODD)
@pytest.mark.parametrize("is_told", [True, False])
def test_an_agent_of_a_plugin_is_listed_as_read_says(
    header: str, is_told: bool, project: Path, places: Places, tmp_path: Path
) -> None:
    """Also where the plugin's folder does not say that it is one: then as if it said so."""
    plugin = plugin_at(tmp_path / "tools", "tools") if is_told else tmp_path / "tools"
    file = plugin / "agents/deep/one.md"
    file.parent.mkdir(parents=True)
    file.write_text(f"---\n{header}\n---\n\nYou do it.\n", encoding="utf-8")

    agents = load_project_agents(project, Places(home=places.home, managed=places.managed, plugin_folders=(plugin,)))

    [agent] = [each for each in agents if each.where == "plugin"]
    (plugin / ".claude-plugin").mkdir(exist_ok=True)
    reading = read_where_it_stands(wb.load_agent(file))
    assert (agent.name, agent.description, agent.tools) == (reading.name, reading.description, reading.tools)
    assert agent.name.startswith("tools:deep:") and agent.description


def test_a_plugin_in_the_project_is_seen_where_it_is_loaded(project: Path, places: Places) -> None:
    plugin = plugin_at(project / "plugins/tools", "tools")
    write(plugin / "agents/x.md", "x")

    assert found(load_project_agents(project, places), "tools:x") == [("plugin", "not listed")]
    loaded = Places(home=places.home, managed=places.managed, plugin_folders=(plugin,))
    assert found(load_project_agents(project, loaded), "tools:x") == [("plugin", "listed")]


def test_agents_given_as_json_are_read_as_files_are(project: Path, tmp_path: Path) -> None:
    given = {
        "good": {"description": "Use it.", "prompt": "p", "tools": ["Read", "Grep"]},
        "empty": {"description": "", "prompt": "p"},
        "wrong": {"description": 5, "prompt": "p"},
        "none": "text",
        "silent": {"description": "Use it."},
        "text": {"description": "Use it.", "prompt": "p", "tools": "Read"},
    }
    file = tmp_path / "agents.json"
    file.write_text(json.dumps(given), encoding="utf-8")

    for session in (given, json.dumps(given), file):
        agents = load_project_agents(project, Places(home=tmp_path, managed=tmp_path, session=session))
        told = [(agent.name, agent.standing) for agent in agents if agent.where == "session"]
        assert told == [
            ("good", "listed"),
            ("empty", "not listed"),
            ("wrong", "not listed"),
            ("none", "not listed"),
            ("silent", "not listed"),
            ("text", "not listed"),
        ]
        assert [agent.because for agent in agents if agent.where == "session"][-2:] == [
            "Claude Code does not start with these --agents: `prompt` is no text",
            "Claude Code does not start with these --agents: `tools` is no list of texts",
        ]
        assert agents[0].line == "- good: Use it. (Tools: Read, Grep)"
    for wrong in ("{", "[1]", tmp_path / "none.json"):
        with pytest.raises(AgentFileError):
            load_project_agents(project, Places(session=wrong if isinstance(wrong, Path) else f"{{{wrong}"))


def test_what_a_line_costs_follows_from_price_and_use(project: Path, places: Places) -> None:
    write(project / ".claude/agents/a.md", "long", "x" * 3_100)
    talked = Conversations(a_day=10, requests_each=11, model="claude-opus-5-5")

    roster = wb.roster(project, places, conversations=talked, at_most=1_000)
    row = roster.rows[0]

    line = f"- long: {'x' * 3_100} (Tools: All tools)"
    price = 6.25 + 0.5 * 10  # USD per million tokens: written once, read ten times
    rates = wb.estimate_upkeep(wb.load_agent(project / ".claude/agents/a.md"), conversations=1, requests_each=11)
    assert row.tokens == tokens_of(line)
    assert row.usd == pytest.approx(
        (rates.description_usd or 0) / rates.description_tokens * row.tokens * 10 * 30, rel=1e-9
    ), price
    assert row.saved_tokens == row.tokens - tokens_of(f"- long: {'x' * 1_000} (Tools: All tools)")
    assert roster.usd == row.usd and roster.saved_usd == row.saved_usd


def test_what_examples_take_of_a_description_is_told(project: Path, places: Places) -> None:
    block = '<example>user: "Look at it" assistant: "I will use it"</example>'
    write(project / ".claude/agents/a.md", "a", f"'Use it when code changed. {block}'")

    assert wb.roster(project, places).rows[0].example_tokens == tokens_of(block)


def test_overlap_is_ranked_and_never_called_a_duplicate(project: Path, places: Places) -> None:
    write(project / ".claude/agents/a.md", "a", "Reviews Python code for security holes and leaked credentials.")
    write(project / ".claude/agents/b.md", "b", "Looks at Python code for holes in its security, leaked credentials.")
    write(project / ".claude/agents/c.md", "c", "Draws diagrams of databases with Mermaid.")

    roster = wb.roster(project, places)

    assert (roster.overlaps[0].one, roster.overlaps[0].other) == ("a", "b")
    assert roster.overlaps[0].cosine > 2 * roster.overlaps[1].cosine
    assert "security" in roster.overlaps[0].shared
    assert [table.title for table in roster.tables()] == ["Agents", "Descriptions with most in common"]
    assert "duplicate" not in str(roster).lower() + roster._repr_html_().lower()


def test_what_of_the_order_nobody_measured_is_said_where_it_is_shown(project: Path, places: Places) -> None:
    write(project / ".claude" / "agents" / "a.md", "a-one")
    said = "from documentation and public reports, not measured"
    assert said not in str(wb.roster(project, places))

    assert places.managed is not None
    write(places.managed / ".claude" / "agents" / "b.md", "b-one")
    shown = wb.roster(project, places)
    assert f"Where managed agents come in that order is {said}" in " ".join(str(shown).split())
    assert said in shown._repr_html_()


def test_a_project_without_agents_says_where_was_looked(project: Path, places: Places) -> None:
    assert "sees no agent but 5 of the program: none is in its .claude/agents" in wb.roster(project, places).summary


def test_what_is_not_simply_listed_is_counted_and_told_with_its_file(project: Path, places: Places) -> None:
    write(project / ".claude/agents/a.md", "reviewer")
    write(project / ".claude/agents/b.md", "reviewer")
    write(project / ".claude/agents/c.md", "plain")

    told = str(wb.roster(project, places))

    assert "2 agents of" in told and "Of 2 files that share 1 name, one a name is listed." in told
    assert ".claude/agents/a.md" in told.partition("Not simply listed")[2]


def test_the_html_is_a_static_table_in_which_names_are_text(project: Path, places: Places) -> None:
    write(project / ".claude/agents/a.md", "'<img src=x onerror=alert(1)>'", "'<script>alert(1)</script>'")

    shown = wb.roster(project, places)._repr_html_()

    assert "<table" in shown and "<script" not in shown and "<img" not in shown
    assert "&lt;img" in shown


def test_the_command_says_it_in_text_and_json(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "config"))
    write(project / ".claude/agents/a.md", "reviewer")
    session = json.dumps({"reviewer": {"description": "Session.", "prompt": "p"}})

    told = CliRunner().invoke(main, ["roster", str(project), "--conversations", "5"])
    data = CliRunner().invoke(main, ["roster", str(project), "--agents", session, "--json"])

    assert told.exit_code == 0 and "at 5 conversations a day" in told.output and "reviewer" in told.output
    rows = json.loads(data.output)["agents"]
    assert [(row["where"], row["standing"]) for row in rows if row["name"] == "reviewer"] == [
        ("session", "listed"),
        ("project", "shadowed"),
    ]
    both = CliRunner().invoke(main, ["roster", str(project), "--conversations", "5", "--count-transcripts"])
    assert both.exit_code == 2
    assert CliRunner().invoke(main, ["roster", str(project / "none")]).exit_code == 2


def transcript(folder: Path, name: str, *lines: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def said(request: str, day: str, model: str = "claude-opus-5-5", **more: object) -> dict[str, object]:
    return {
        "type": "assistant",
        "requestId": request,
        "timestamp": f"{day}T10:00:00Z",
        "message": {"model": model},
        **more,
    }


def test_conversations_are_counted_in_transcripts_by_request_and_day(tmp_path: Path) -> None:
    transcript(tmp_path, "one", said("a", "2026-11-26"), said("a", "2026-11-26"), said("b", "2026-11-26"))
    transcript(
        tmp_path,
        "two",
        said("c", "2026-11-28"),
        said("d", "2026-11-28", isSidechain=True),
        said("e", "2026-11-28", model="<synthetic>"),
        said("f", "2026-11-28", model="claude-haiku-5-5"),
        {"type": "assistant", "message": "broken"},
    )
    transcript(tmp_path, "old", said("g", "2026-09-01"))

    counted = count_conversations(folder=tmp_path, today=TODAY)

    assert (counted.a_day, counted.requests_each, counted.model) == (2 / 5, 2.0, "claude-opus-5-5")
    assert "2 conversations in 5 days" in counted.source


def test_without_a_conversation_of_these_days_it_says_so(tmp_path: Path) -> None:
    transcript(tmp_path, "old", said("g", "2026-09-01"))

    with pytest.raises(TaskFileError, match="no conversation of the last 30 days"):
        count_conversations(folder=tmp_path, today=TODAY)


def test_conversations_of_days_to_come_are_left_out(tmp_path: Path) -> None:
    tomorrow, later = (str(TODAY + timedelta(days=days)) for days in (1, 9))
    transcript(tmp_path, "ahead", said("a", tomorrow), said("b", later))
    with pytest.raises(TaskFileError, match="no conversation of the last 30 days"):
        count_conversations(folder=tmp_path, today=TODAY)

    transcript(tmp_path, "today", said("c", str(TODAY)))
    counted = count_conversations(folder=tmp_path, today=TODAY)
    assert (counted.a_day, counted.requests_each) == (1, 1)


def test_transcripts_of_another_project_are_not_counted(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "config"))
    folder = tmp_path / "config/projects" / "".join(each if each.isalnum() else "-" for each in str(project))
    transcript(folder, "one", said("a", "2026-11-26", cwd=str(project)))
    transcript(folder.with_name(f"{folder.name}-2"), "two", said("b", "2026-11-26", cwd=f"{project}-2"))

    assert count_conversations(project, today=TODAY).requests_each == 1
    assert count_conversations(project, today=TODAY).source.startswith("counted: 1 conversation")
