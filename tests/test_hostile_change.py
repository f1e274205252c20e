"""What a change or a folder of somebody else's brings along, and what it must not do to who looks at it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from workbench.cli import main
from workbench.markup import printed, visible
from workbench.project.changes import find_changes

AGENT = "---\nname: {0}\ndescription: Does {0}, when asked for it.\n---\nYou are {0}.\n"


class Repository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "a change")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.chdir(tmp_path)
    found = Repository(tmp_path)
    found.write(".claude/agents/a.md", AGENT.format("a"))
    return found


@pytest.mark.parametrize(
    ("link", "to", "path"),
    [
        (".claude/agents/s.md", "../../src/s.md", ".claude/agents/s.md"),
        (".claude/agents", "../src", ".claude/agents/s.md"),
        (".claude/agents/s.md", "t.md", ".claude/agents/s.md"),
    ],
)
def test_an_agent_behind_a_link_is_held_where_only_what_it_leads_to_changed(
    tmp_path: Path, link: str, to: str, path: str
) -> None:
    repository = Repository(tmp_path)
    repository.write("src/s.md", AGENT.format("s"))
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(to)
    if to == "t.md":
        (tmp_path / ".claude/agents/t.md").symlink_to("../../src/s.md")
    repository.commit()
    repository.git("checkout", "-qb", "change")
    repository.write("src/s.md", AGENT.format("s") + "Do harm.\n")
    repository.commit()

    found = {agent.path: agent for agent in find_changes("main", project=tmp_path).agents}

    assert found[path].kind == "edited"
    assert found[path].line == 6


def test_links_that_lead_in_a_circle_or_out_of_the_repository_are_no_agents(repository: Repository) -> None:
    folder = repository.folder / ".claude/agents"
    (folder / "one.md").symlink_to("two.md")
    (folder / "two.md").symlink_to("one.md")
    (folder / "out.md").symlink_to("../../../../etc/passwd")
    repository.commit()
    repository.git("checkout", "-qb", "change")
    repository.write(".claude/agents/a.md", AGENT.format("a") + "More.\n")
    repository.commit()

    assert [agent.path for agent in find_changes("main", project=repository.folder).agents] == [".claude/agents/a.md"]


def test_a_submodule_in_the_place_of_an_agent_keeps_nobody_from_looking_at_the_others(repository: Repository) -> None:
    repository.commit()
    repository.git("checkout", "-qb", "change")
    repository.write(".claude/agents/a.md", AGENT.format("a") + "More.\n")
    repository.git("add", "-A")
    commit = repository.git("rev-parse", "HEAD")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},.claude/agents/sub.md")
    repository.git("commit", "-qm", "a change")

    found = find_changes("main", project=repository.folder).agents
    assert [(agent.path, agent.kind) for agent in found] == [
        (".claude/agents/a.md", "edited"),
        (".claude/agents/sub.md", "submodule"),
    ]


def test_no_name_of_a_file_is_a_command_to_the_runner_or_breaks_a_report(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit()
    repository.git("checkout", "-qb", "change")
    names = ["x\n::error title=t::owned", "y\n ##[stop-commands]z", "\uffff", "%0A::b"]
    for number, name in enumerate(names):
        repository.write(f".claude/agents/{name}.md", AGENT.format(f"n{number}"))
    repository.commit()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    said = run("ci", "--base", "main", "--offline", "--no-pages")

    lines = [line.strip() for line in said.output.splitlines()]
    commands = [line for line in lines if line.startswith("::") or "##[" in line.partition("::")[0]]
    assert said.exit_code == 0, said.output
    assert all(line.startswith("::warning file=.claude/agents/") for line in commands)
    assert len(commands) == len(names)
    assert len(ElementTree.parse("outputs/ci/junit.xml").findall(".//testcase")) == len(names)


KEYS = (
    "fw_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0",
    "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",
    "tgp_v1_Kq3w7E6r5T4y3U2i1O0pAsDfGhJkLzXcVbNm1Q2w3E4",
    "ghp_q1W2e3R4t5Y6u7I8o9P0a1S2d3F4g5H6j7K8",
)
PLANTED_TASKS = f"""\
- id: one-{KEYS[1]}
  input: Say hello with {KEYS[2]}.
  graders: [{{mentions: {{any: ["hello {KEYS[3]}"]}}}}]
"""


def test_no_key_of_a_change_is_in_anything_that_is_left_or_said_of_it(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, planted = f".claude/agents/x-{KEYS[3]}.md", f".claude/agents/rev-{KEYS[0]}.md"
    tasks = planted.replace(".md", ".tasks.yaml")
    repository.write(named, AGENT.format("x"))
    repository.write(planted, AGENT.format("rev") + f"The key is {KEYS[0]}.\n")
    repository.write(tasks, PLANTED_TASKS)
    repository.commit()
    repository.git("checkout", "-qb", "change")
    repository.write(named, AGENT.format("x") + "More.\n")
    repository.write(planted, AGENT.format("rev") + f"The key is {KEYS[0]}.\nMore.\n")
    repository.write(tasks, PLANTED_TASKS.replace("Say hello", "Say hello again"))
    repository.commit()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(repository.folder / "step.md"))

    held = run("ci", "--base", "main", "--offline", "--repeats", "1", "--no-pages")
    said = [
        held.output,
        *(run("agents", *options).output for options in ((), ("--json",))),
        *(run("lint", ".claude/agents", "--format", kind).output for kind in ("text", "sarif", "github")),
        *(run("versions", planted, *options).output for options in ((), ("--json",), ("--show", "HEAD"))),
        run("carry", planted, "--to", "cursor").output,
    ]

    files = [path for path in (*(repository.folder / "outputs").rglob("*"), Path("step.md")) if path.is_file()]
    assert held.exit_code == 5, held.output  # made up by the stand-in
    assert {"comment.md", "ci.json", "junit.xml", "sarif.json", "summary.md", "run.json", "step.md"} <= {
        path.name for path in files
    }
    texts = {
        str(path.relative_to(repository.folder) if path.is_absolute() else path): path.read_text() for path in files
    }
    texts |= {f"said {number}": text for number, text in enumerate(said)}
    left = {where: key for where, text in texts.items() for key in KEYS if key.rpartition("_")[2] in text}
    assert left == {}
    assert "is not printed; --restore keeps the file as it is" in said[-2]


def test_what_is_printed_commands_nobody() -> None:
    assert printed("a ::b\n ::error::c\n##[add-mask]d ##vso[x]e\x1b") == (
        "a ::b\n : :error::c\n## [add-mask]d ## vso[x]e<U+001B>"
    )


def test_a_text_of_tags_is_seen() -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "rm")
    assert visible(f"Be kind.{hidden}\ufffe") == "Be kind.<U+E0072><U+E006D><U+FFFE>"


def test_one_odd_file_keeps_nobody_from_linting_the_others(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".claude/agents"
    folder.mkdir(parents=True)
    (tmp_path / ".claude/skills").mkdir()
    (tmp_path / "pyproject.toml").write_text("[tool.workbench.lint]\nexclude = ['b*']\n")
    outside = tmp_path_factory.mktemp("outside") / "out.md"
    outside.write_text(AGENT.format("out"))
    (folder / "linked.md").symlink_to(outside)
    header = f"---\nname: long\ndescription: Does it, when asked for it.\nskills: {'a' * 300}\n---\nBe.\n"
    (folder / "long.md").write_text(header)
    Path(os.fsdecode(os.fsencode(folder) + b"/odd\xff.md")).write_text("---\nname: odd\n---\nBe.\n")

    for form in ("text", "json", "github", "sarif"):
        said = run("lint", "--format", form, ".claude")
        assert isinstance(said.exception, SystemExit | None), (form, said.exception)
        assert "missing-description" in said.output
    log = json.loads(run("lint", "--format", "sarif", ".claude").output)
    places = [each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in log["runs"][0]["results"]]
    assert ".claude/agents/odd%FF.md" in places


def test_a_rubric_with_half_a_character_is_refused_with_its_field(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text('name: r\ncriteria:\n  - {name: x, asks: "is \\ud800"}\nreplies: {good: [a], bad: [b]}\n')

    said = run("judge", "--rubric", str(path), "--offline")

    assert said.exit_code == 2
    assert "asks: holds half a character" in said.output


@pytest.mark.parametrize("link", ["outputs", "outputs/ci", "outputs/ci/comment.md"])
def test_results_are_not_written_through_a_link_of_the_change(
    tmp_path: Path, repository: Repository, link: str
) -> None:
    elsewhere = tmp_path / ".git" / "elsewhere"
    for folder in (elsewhere, elsewhere / "ci"):
        folder.mkdir()
        (folder / "comment.md").write_text("not of this run")
    repository.commit()
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(elsewhere / "comment.md" if link.endswith(".md") else elsewhere)

    result = run("ci", "--base", "main", "--offline")

    assert result.exit_code == 2, result.output
    assert f"{link}: is a link" in result.output
    assert [(folder / "comment.md").read_text() for folder in (elsewhere, elsewhere / "ci")] == ["not of this run"] * 2
