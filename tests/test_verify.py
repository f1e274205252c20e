"""`workbench verify`: the real Claude Code program is started on agent files, offline, and read. Those tests are skipped
where it is neither named in WORKBENCH_CLAUDE nor installed by the extra; the others need no program."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.synthetic_headers import synthetic_files
from workbench.cli import main
from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.linting import lint_paths
from workbench.errors import SetupError
from workbench.model.claude_code import Program, clean_environment, find_program
from workbench.model.observed import Observed, Sent, observe, observe_plugin
from workbench.model.plugin_copy import write_agents_of_plugin
from workbench.model.verify_command import files_in
from workbench.model.verifying import differences_of, verify_files

TEXT = "---\nname: abc\ndescription: Use it.\ntools: Read, Bash, Grep\nmodel: haiku\n---\nBe.\n"


@pytest.fixture(scope="module")
def program() -> Program:
    found = find_program()
    if found is None:
        pytest.skip("the Claude Code program is not here: pip install '.[claude-code]', or name it in WORKBENCH_CLAUDE")
    return found


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["verify", *map(str, arguments)])


def as_seen(agent: Agent, **other: object) -> Observed:
    """What a program that agrees with the workbench would have been seen to do, but for what is given."""
    reading = read_as_claude_code(agent)
    sent = Sent(model="claude-haiku-5-5", effort="medium", system="Be.\n\nNotes.", tools=("Bash", "Read"))
    values = {"name": reading.name, "description": reading.description, "tools": reading.tools, "sent": sent}
    return Observed(listed=True, **{**values, **other})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({}, []),
        ({"name": "abd"}, ["name"]),
        ({"tools": "Read"}, ["tools"]),
        ({"sent": None, "refusal": "zero tools"}, ["started"]),
        ({"sent": Sent(model="x", effort=None, system="He", tools=())}, ["model", "effort", "offered tools", "prompt"]),
    ],
)
def test_each_thing_that_the_program_does_otherwise_is_a_difference(other: dict[str, object], what: list[str]) -> None:
    agent = parse_agent(TEXT)

    assert [difference.what for difference in differences_of(as_seen(agent, **other), agent)] == what


def test_a_file_that_the_program_drops_and_we_do_not_differs_in_all_that_is_listed() -> None:
    found = list(differences_of(Observed(listed=False), parse_agent(TEXT)))

    assert [difference.what for difference in found] == ["listed", "name", "description", "tools"]


def test_without_the_program_the_command_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_CLAUDE", "none")
    result = run(tmp_path)

    assert result.exit_code == 2
    assert "pip install 'agent-workbench[claude-code]'" in result.output


def test_a_folder_that_is_called_as_a_file_is_is_no_agent(tmp_path: Path) -> None:
    (tmp_path / "x.md").mkdir()
    (tmp_path / "x.md/a.md").write_text(TEXT)

    assert list(files_in([tmp_path])) == [tmp_path / "x.md/a.md"]


HAS_NO_AGENTS = "print(json.dumps({'type': 'system', 'subtype': 'init', 'agents': []}))"


def program_that(folder: Path, *lines: str) -> Program:
    """A program of ours in the place of Claude Code, which does this where it is not asked for its version."""
    path = folder / "program"
    path.write_text(
        "\n".join(
            [
                f"#!{sys.executable}",
                "import json, os, pathlib, sys, time",
                "if '--version' in sys.argv: sys.exit(print('9.9.9'))",
                *lines,
            ]
        )
        + "\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Program(path=path, version="9.9.9")


def test_the_program_is_started_with_nothing_of_the_users_and_our_server_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = tmp_path / "noted.json"
    program = program_that(
        tmp_path,
        f"json.dump([dict(os.environ), sys.argv, os.getcwd()], open({str(noted)!r}, 'w'))",
        HAS_NO_AGENTS,
    )
    for name, value in {
        "WORKBENCH_CLAUDE": str(program.path),
        "ANTHROPIC_AUTH_TOKEN": "mine",
        "CLAUDE_CODE_USE_BEDROCK": "1",
        "DB_PASSWORD": "mine",
        "GH_TOKEN": "mine",
        "HTTPS_PROXY": "http://me:mine@127.0.0.1:9",
        "NODE_OPTIONS": "--require=mine",
        "XDG_CONFIG_HOME": "/mine",
        "LC_TIME": "C",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "claude-haiku-4-5",
    }.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "a.md"
    path.write_text(TEXT)
    result = run("--json", path)
    environment, arguments, folder = json.loads(noted.read_text())

    assert result.exit_code == 1 and json.loads(result.output)["listed"] is False
    assert environment["ANTHROPIC_BASE_URL"].startswith("http://127.0.0.1:")
    assert environment["ANTHROPIC_API_KEY"] == "none"
    assert environment["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == environment["DISABLE_AUTOUPDATER"] == "1"
    assert environment["HOME"] != os.environ.get("HOME") and environment["CLAUDE_CONFIG_DIR"].startswith(
        environment["HOME"]
    )
    assert not [name for name, value in environment.items() if "mine" in value or name == "CLAUDE_CODE_USE_BEDROCK"]
    assert (environment["PATH"], environment["LC_TIME"]) == (os.environ["PATH"], "C")
    assert environment["ANTHROPIC_DEFAULT_HAIKU_MODEL"] == "claude-haiku-4-5", "it counts for our own reading too"
    assert "--strict-mcp-config" in arguments
    assert not Path(folder).exists() and not Path(environment["HOME"]).exists()


PLUGIN_HOOKS = {"SessionStart": [{"hooks": [{"type": "command", "command": "touch {ran}"}]}]}


def plugin_with_commands(folder: Path, ran: Path) -> Path:
    """A plugin that would run commands in each way that one can; returns its folder."""
    root = folder / "cook"
    hooks = json.loads(json.dumps(PLUGIN_HOOKS).replace("{ran}", str(ran)))
    server = {"mine": {"command": "touch", "args": [str(ran)]}}
    manifest = {"name": "chef", "version": "1.0.0", "description": "x", "hooks": hooks, "mcpServers": server}
    for place, text in {
        ".claude-plugin/plugin.json": json.dumps(manifest),
        "hooks/hooks.json": json.dumps({"hooks": hooks}),
        ".mcp.json": json.dumps({"mcpServers": server}),
        "bin/run": "mine",
        "agents/a.md": TEXT,
        "agents/deep/b.md": TEXT.replace("name: abc", "name: bcd"),
        "agents/run.sh": "mine",
        "elsewhere.md": TEXT.replace("name: abc", "name: cde"),
    }.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)
    (root / "agents" / "link.md").symlink_to(root / "elsewhere.md")
    (root / "agents" / "linked").symlink_to(root / "hooks")
    return root


def test_of_a_plugin_the_program_is_given_its_agents_and_nothing_that_could_be_run(tmp_path: Path) -> None:
    noted = tmp_path / "noted.json"
    root = plugin_with_commands(tmp_path, tmp_path / "ran")
    program = program_that(
        tmp_path,
        "root = pathlib.Path(sys.argv[sys.argv.index('--plugin-dir') + 1])",
        "files = {str(path.relative_to(root)): path.read_text() for path in root.rglob('*') if path.is_file()}",
        f"json.dump([root.name, files], open({str(noted)!r}, 'w'))",
        HAS_NO_AGENTS,
    )
    observe_plugin(program, root)
    name, files = json.loads(noted.read_text())

    assert name == "cook"
    assert json.loads(files.pop(".claude-plugin/plugin.json")) == {
        "name": "chef",
        "version": "1.0.0",
        "description": "x",
    }
    assert files == {"agents/a.md": TEXT, "agents/deep/b.md": TEXT.replace("name: abc", "name: bcd")}


@pytest.mark.parametrize("manifest", ["", "[]", "no JSON", None])
def test_a_manifest_that_is_none_stays_none(tmp_path: Path, manifest: str | None) -> None:
    root = tmp_path / "cook"
    (root / ".claude-plugin").mkdir(parents=True)
    if manifest is not None:
        (root / ".claude-plugin" / "plugin.json").write_text(manifest)
    copied = write_agents_of_plugin(root, tmp_path / "into") / ".claude-plugin" / "plugin.json"

    assert copied.exists() == (manifest is not None)
    assert manifest is None or copied.read_text() == "{"


def test_no_command_of_a_plugin_or_of_an_agent_is_run(program: Program, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    root = plugin_with_commands(tmp_path, ran)
    command = f"[{{hooks: [{{type: command, command: 'touch {ran}'}}]}}]"
    header = f"hooks: {{SubagentStart: {command}, Stop: {command}, SessionStart: {command}}}\nmodel:"
    own = tmp_path / "own.md"
    own.write_text(TEXT.replace("model:", header))
    found = verify_files(program, [root / "agents" / "a.md", root / "agents" / "deep" / "b.md", own])

    assert [each.observed.name for each in found] == ["chef:abc", "chef:deep:bcd", "abc"]
    assert [each.is_started for each in found] == [True, True, True]
    assert [each.differences for each in found] == [(), (), ()]
    assert not ran.exists()


def test_a_program_that_does_not_start_is_told_from_one_that_drops_every_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = program_that(
        tmp_path, "print('no libc for', os.environ.get('HOME') and 'xK9v-Qw3z-8812', file=sys.stderr)", "sys.exit(3)"
    )
    monkeypatch.setenv("WORKBENCH_CLAUDE", str(program.path))
    monkeypatch.setenv("DB_PASSWORD", "xK9v-Qw3z-8812")
    path = tmp_path / "a.md"
    path.write_text(TEXT)
    result = run(path)

    assert result.exit_code == 2
    assert "ended before it said which agents there are; its exit code was 3, and it said: no libc for" in result.output
    assert "xK9v" not in result.output
    assert observe(program_that(tmp_path, HAS_NO_AGENTS), [TEXT.encode()]) == (Observed(listed=False),)


@pytest.mark.parametrize("first", ["pass", HAS_NO_AGENTS])
def test_a_program_that_does_not_end_is_stopped_and_said_to_be(tmp_path: Path, first: str) -> None:
    program = program_that(tmp_path, first, "print('waiting', file=sys.stderr, flush=True)", "time.sleep(60)")

    with pytest.raises(SetupError, match=r"was stopped after 1 seconds.*exit code was -9, and it said: waiting"):
        observe(program, [TEXT.encode()], seconds_a_start=1)


def test_the_measured_cases_are_read_as_the_program_reads_them(program: Program, corpus: Path) -> None:
    folder = corpus.parent / "cases" / "agent_files"
    if not folder.is_dir():
        pytest.skip(f"the measured cases are not at {folder}")
    result = run(folder)

    assert (result.exit_code, result.output) == (
        0,
        f"Claude Code {program.version}: 24 files, 24 read alike, 0 otherwise; 19 started as subagents.\n",
    )


def test_headers_made_for_what_readers_differ_in_are_read_alike(program: Program, tmp_path: Path) -> None:
    made = list(synthetic_files())
    for name, data in made:
        (tmp_path / f"{name}.md").write_bytes(data)
    found = verify_files(program, sorted(tmp_path.glob("*.md")))

    assert len(found) == len(made) >= 175
    assert [(each.path.name, each.differences) for each in found if each.differences] == []
    assert sum(each.observed.listed for each in found) > 100 < len({data for _, data in made})
    assert sum(not each.observed.listed for each in found) > 30


def test_two_agents_of_one_name_are_each_read(program: Program) -> None:
    texts = [TEXT, TEXT.replace("Use it.", "Use the other."), TEXT.replace("name: abc", "name: A B-C")]
    seen = observe(program, [text.encode() for text in texts])

    assert [(one.name, one.description) for one in seen] == [
        ("abc", "Use it."),
        ("abc", "Use the other."),
        ("A B-C", "Use it."),
    ]


SAID_BY_VALIDATE = {
    "noyaml": "name: a\ndescription: d\n  y: z: [",
    "listed": "name: a\ndescription: [a]",
    "number": "name: 5\ndescription: d",
    "silent": "name: a",
    "empty": "",
    "sound": "name: sound-one\ndescription: Use it when somebody asks for it.\ntools: Read",
}


def complained_of_by_the_program(program: Program, folder: Path, home: Path) -> set[str]:
    """The names of the files of which `claude plugin validate` says that something is wrong or doubtful."""
    said = subprocess.run(
        [program.path, "plugin", "validate", "--json", str(folder)],
        env=clean_environment(home) | {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9", "ANTHROPIC_API_KEY": "none"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    ).stdout
    return {Path(each["file"]).name for each in json.loads(said)["contents"] if each["errors"] or each["warnings"]}


@pytest.mark.parametrize("is_plugin", [False, True])
def test_what_the_programs_own_validation_complains_of_is_complained_of_here(
    program: Program, tmp_path: Path, is_plugin: bool
) -> None:
    agents = tmp_path / ("agents" if is_plugin else ".claude/agents")
    agents.mkdir(parents=True)
    if is_plugin:
        (tmp_path / ".claude-plugin").mkdir()
        (tmp_path / ".claude-plugin" / "plugin.json").write_text(
            '{"name": "cook", "version": "1.0.0", "description": "x"}'
        )
    for name, header in SAID_BY_VALIDATE.items():
        (agents / f"{name}.md").write_text(f"---\n{header}\n---\nBe.\n")
    (agents / "crlf.md").write_bytes(b"---\r\nname: a\r\ndescription: a: b\r\n---\r\nB\r\n")
    (agents / "README.md").write_text("# Ours\n")
    complained = complained_of_by_the_program(program, tmp_path if is_plugin else agents, tmp_path)
    ours = {finding.path.name for finding in lint_paths([agents]).findings}

    assert complained >= {"noyaml.md", "listed.md", "number.md", "silent.md", "crlf.md"}
    assert ("README.md" in complained) == is_plugin
    assert complained <= ours
    assert "sound.md" not in ours | complained


@pytest.mark.parametrize("is_plugin", [False, True])
def test_no_file_is_found_sound_of_which_the_programs_own_validation_complains(
    program: Program, corpus: Path, tmp_path: Path, is_plugin: bool
) -> None:
    agents = tmp_path / ("agents" if is_plugin else ".claude/agents")
    agents.mkdir(parents=True)
    if is_plugin:
        (tmp_path / ".claude-plugin").mkdir()
        (tmp_path / ".claude-plugin" / "plugin.json").write_text('{"name": "cook", "version": "1.0.0"}')
    files = [data for _, data in synthetic_files()]
    files += [path.read_bytes() for path in sorted(corpus.rglob("*.md"))]
    for number, data in enumerate(files):
        (agents / f"{number:04}.md").write_bytes(data)
    complained = complained_of_by_the_program(program, tmp_path if is_plugin else agents, tmp_path)

    assert len(files) > 700 and len(complained - {"plugin.json"}) >= 20
    assert complained - {"plugin.json"} <= {finding.path.name for finding in lint_paths([agents]).findings}
