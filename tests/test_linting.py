"""`workbench lint`: files and folders, a project's own settings, comments that silence, and what other programs read."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections import Counter
from collections.abc import ItemsView
from datetime import date
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from tests.conftest import REPOSITORY
from tests.sarif import assert_sarif
from tests.test_lint import GOOD, found
from tests.test_secrets_in_replies import ALNUM, AROUND, COVERED, NAMES, SHAPES, STYLES, VALUES, drawn, keys_of
from workbench.cli import main
from workbench.definition import lint
from workbench.definition.agent import parse_agent
from workbench.definition.facts import facts
from workbench.definition.fields import KEYS
from workbench.definition.lint import check_agent, rules
from workbench.definition.lint_formats import as_github, as_sarif, lines_in
from workbench.definition.linting import LintSettings, lint_paths, load_lint_settings
from workbench.errors import AgentFileError, LintSettingsError
from workbench.secrets import without_secrets

KEY = "sk-ant-api03-" + "Zq7Lk2Pw9Xt4Vb8N" * 5 + "AA"


def agent_text(*, tools: str = "Read, Grep", prompt: str = "Be.", **header: str) -> str:
    lines = {"name": "code-reviewer", "description": "Use it when code changed.", "tools": tools, **header}
    return "---\n" + "".join(f"{key}: {value}\n" for key, value in lines.items()) + f"---\n{prompt}\n"


def rules_of(text: str) -> list[str]:
    return [problem.rule for problem in check_agent(parse_agent(text))]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that is not ours, with its agents in `.claude/agents`."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".claude" / "agents").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(project: Path, name: str, text: str) -> Path:
    path = project / ".claude" / "agents" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["lint", *map(str, arguments)])


@pytest.mark.parametrize(
    ("prompt", "tools", "rule"),
    [
        ("1. Run the existing tests.", "Read, Edit", "prompt-runs-commands"),
        ("- Run `npm test` first.", "Read", "prompt-runs-commands"),
        ("Then search the web for it.", "Read", "prompt-searches-the-web"),
        ("3. Save the report to `docs/report.md`.", "Read, Grep", "prompt-writes-files"),
        ("Use WebSearch to verify it.", "Read", "prompt-names-tool"),
        ("Ask with the AskUserQuestion tool.", "Read", "prompt-names-lost-tool"),
        ("Work on $ARGUMENTS.", "Read", "arguments-placeholder"),
        ("Read /Users/ann/notes/x.md first.", "Read", "home-path"),
        ("Read C:\\Users\\ann first.", "Read", "home-path"),
        ("You work on {{project_name}}.", "Read", "placeholder-left"),
        ("You are [YOUR ROLE HERE].", "Read", "placeholder-left"),
        ("TODO: say what to do.", "Read", "placeholder-left"),
        (f"The key is {KEY}.", "Read", "secret-in-file"),
        ("- Never edit source files.", "Read, Edit", "claims-read-only"),
        ("You are a read-only reviewer.", "Read, Write", "claims-read-only"),
        ("You are a read-only reviewer.", "Read, NotebookEdit", "claims-read-only"),
        ("Write it to `docs/a.md`.\nNever edit source files.", "Read, Write, Edit", "claims-read-only"),
        ("End it with the KillShell tool.", "Read", "prompt-names-tool"),
        ("word " * 9_000, "Read", "long-prompt"),
    ],
)
def test_what_a_prompt_claims_or_keeps_is_said(prompt: str, tools: str, rule: str) -> None:
    assert rules_of(agent_text(prompt=prompt, tools=tools)) == [rule]


@pytest.mark.parametrize(
    ("prompt", "tools"),
    [
        ("1. Run the existing tests.", "Read, Bash"),
        ("1. Run the existing tests.", "'*'"),
        ("1. Run the existing tests.", "Read, mcp__shell__run"),
        ("Run through the list of risks.", "Read"),
        ("Never run `rm -rf`.", "Read"),
        ("```\n1. Run `npm test`.\n```", "Read"),
        ("Then search the web for it.", "Read, WebFetch"),
        ("Write in plain words.", "Read"),
        ("Use Read to look at files.", "Read"),
        ("Use the Task tool.", "Read, Agent"),
        ("Use the Agent tool.", "Read, Task"),
        ("End it with the TaskStop tool.", "Read, KillShell"),
        ("You are a read-only reviewer.", "Read, EnterWorktree"),
        ("A template has `{{name}}` in it.", "Read"),
        ("```yaml\n- uses: x\n  with: ${{ matrix.os }}\n```", "Read"),
        ("The path /home/user/x.", "Read"),
        ("See https://example.com/home/page/x.", "Read"),
        ("Set ANTHROPIC_API_KEY=sk-ant-... in your shell.", "Read, Bash"),
        ("- Never edit source files.", "Read, Grep"),
        ("Queries go to a read-only replica.", "Read, Edit"),
        ("You must never change behavior.", "Read, Edit"),
        ("You write commands.\n```\nLook at $ARGUMENTS.\n```\n- Use the `$ARGUMENTS` placeholder for input.", "Read"),
        ("Write findings to `docs/plan.md`.\n- **Read-only.** Never edit source files.", "Read, Write"),
        ("- Show assistant using the Agent tool to launch it.", "Read"),
        ("- Show the assistant with the AskUserQuestion tool.", "Read"),
    ],
)
def test_what_only_looks_like_it_is_left_alone(prompt: str, tools: str) -> None:
    assert rules_of(agent_text(prompt=prompt, tools=tools)) == []


@pytest.mark.parametrize("kind", SHAPES)
def test_a_key_of_any_vendor_is_found_wherever_it_stands_in_a_file(kind: str) -> None:
    key = next(keys_of(kind))[0]
    for around in AROUND:
        assert "secret-in-file" in rules_of(agent_text(prompt="Be kind.\n\n" + around.format(key))), around


@pytest.mark.parametrize("cover", COVERED)
def test_a_key_behind_a_cover_is_found_as_where_it_is_taken_out(cover: str) -> None:
    for kind in list(SHAPES)[::6]:
        text = agent_text(prompt=f"Be kind.\n\nIt is [{COVERED[cover](next(keys_of(kind))[0])}].\n\nBe brief.")

        assert ("secret-in-file" in rules_of(text)) == (without_secrets(text) != text), text


@pytest.mark.parametrize(
    "around",
    [
        "Cookie: a={}",
        "Cookie:\n  sid={}",
        "curl -b 'sid={}' h",
        "curl -b \\\n 'sid={}'",
        "cookies = {{\n  'a': 'b',\n\n\n\n  'sid': '{}',\n}}",
        "Ask with -b.\n\n\nThe branch is {} today.",
    ],
)
def test_a_cookie_is_found_as_where_it_is_taken_out(around: str) -> None:
    text = agent_text(prompt="Be kind.\n\n" + around.format(drawn(ALNUM, 40, seed="cookie")) + "\n\nBe brief.")

    assert ("secret-in-file" in rules_of(text)) == (without_secrets(text) != text), text


@pytest.mark.parametrize("style", STYLES)
def test_a_key_that_is_assigned_is_found_as_where_it_is_taken_out(style: str) -> None:
    for number, name in enumerate(NAMES):
        alphabet, length = VALUES[number % len(VALUES)]
        value = drawn(alphabet, length, seed=f"{style} {name}")
        text = agent_text(prompt=f"First this.\n{style.format(n=name, v=value)}\nThen that.")
        assert ("secret-in-file" in rules_of(text)) == (without_secrets(text) != text), text


def test_a_value_of_the_environment_is_found_however_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_API_KEY", "q7Lw-x2R9z")

    assert rules_of(agent_text(prompt="Say q7Lw-x2R9z first.")) == ["secret-in-file"]


def test_an_agent_with_all_tools_claims_none_that_it_has_not() -> None:
    text = "---\nname: code-reviewer\ndescription: Use it when code changed.\n---\n1. Run the tests.\n"

    assert rules_of(text) == []


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("description: Reviews.", "short-description"),
        ("description: A seasoned expert of the review of code.", "says-not-when"),
        ("description: Use the code-critic agent when code changed.", "names-another-agent"),
        ("description: Use it when {{event}} happened.", "placeholder-left"),
        ("permissionMode: acceptEdits", "permission-beats-session"),
        ("permissionMode: bypassPermissions", "permission-does-nothing"),
        ("name: Explore", "replaces-built-in"),
        ("tools: Read, Wirte, Globb", "misspelt-tool"),
        ("disallowedTools: '*'", "disallowed-star"),
        ("disallowedTools: Read, Grep", "nothing-left"),
        ("desciption: Use it when code changed.", "misspelt-key"),
        ("permision-mode: plan", "misspelt-key"),
        ("hooks: {PostToolUsee: [{hooks: []}]}", "hooks-event"),
        ("hooks: {pre: x}", "hooks-event"),
        ("hooks: {Stop: text}", "hooks-entry"),
        ("tools: Read, ReportFindings", "foreground-tool"),
        ("tools: Bash(git:*)", "scope-limits-nothing"),
        ("disallowedTools: Bash(rm:*)", "scope-takes-all"),
        ("tools: Read, Workflow", "main-thread-tool"),
    ],
)
def test_what_a_header_says_amiss_is_said(line: str, rule: str) -> None:
    key = line.partition(":")[0]
    kept = [each for each in GOOD.splitlines() if not each.startswith(f"{key}:")]
    text = "\n".join([kept[0], line, *kept[1:]]) + "\n"

    assert rule in rules_of(text)


@pytest.mark.parametrize(
    "description",
    [
        "Revisa el código cuando cambia.",
        "コードを書いた後に使用する専門家。",
        "Prüft Code nach jeder Änderung.",
        "MUST BE USED for reviews of code.",
        "Invoked for reviews of code, and of tests.",
        "A security auditor of the team. Auto-activates on pull requests that touch secrets.",
    ],
)
def test_a_description_in_another_language_or_with_a_trigger_says_when(description: str) -> None:
    assert "says-not-when" not in rules_of(agent_text(description=description))


@pytest.mark.parametrize(
    "description",
    [
        "Use code-reviewer when code changed. For schemas use the schema-reviewer agent instead.",
        "Use it when code changed; with the schema-reviewer agent the Code-Reviewer looks at schemas.",
    ],
)
def test_an_agent_that_hands_on_to_another_was_not_renamed(description: str) -> None:
    assert rules_of(agent_text(description=description)) == []


def test_a_name_in_a_longer_one_is_not_that_of_the_agent() -> None:
    text = agent_text(description="Use the old-code-reviewer agent, or the code-reviewer-2 agent, when code changed.")
    assert rules_of(text) == ["names-another-agent"]


@pytest.mark.parametrize(("today", "severity"), [(date(2026, 11, 30), "warning"), (date(2026, 12, 1), "error")])
def test_a_model_retires_by_the_day_of_today(monkeypatch: pytest.MonkeyPatch, today: date, severity: str) -> None:
    class Day(date):
        @classmethod
        def today(cls) -> date:
            return today

    monkeypatch.setattr(lint, "date", Day)
    assert ("retired-model", severity) in found(agent_text(model="claude-sonnet-4-5"))


def test_there_are_sixty_rules_and_each_says_where_it_is_from() -> None:
    assert len(rules()) >= 60
    for rule in rules().values():
        assert rule.says and rule.source and rule.versions and rule.date <= date.today()


def test_every_rule_that_the_code_names_is_declared_and_every_declared_one_is_named() -> None:
    folder = Path(lint.__file__).parent
    code = "".join(path.read_text() for path in folder.glob("*.py"))

    made_of_keys = {"missing-name", "missing-description"}
    assert {rule for rule in rules() if f'"{rule}"' not in code} == made_of_keys


def test_the_agents_of_a_project_are_looked_at_together(project: Path) -> None:
    put(project, "a.md", agent_text(name="twin"))
    put(project, "web/b.md", agent_text(name="twin"))
    put(project, "c.md", agent_text(name="Twin"))
    put(project, "d.md", agent_text(name="skilled", skills="deploy, plugin:other, here"))
    skill = project / ".claude" / "skills" / "here" / "SKILL.md"
    skill.parent.mkdir(parents=True)
    skill.write_text("x")
    report = lint_paths([project / ".claude"])

    said = {(finding.path.name, finding.problem.rule) for finding in report.findings}
    assert {("b.md", "duplicate-name"), ("c.md", "names-differ-by-case"), ("d.md", "missing-skill")} <= said
    assert [finding.problem.message for finding in report.findings if finding.problem.rule == "missing-skill"] == [
        "There is no skill 'deploy' in .claude/skills of the project or of your home."
    ]


def test_a_skill_of_a_folder_above_is_there_up_to_the_repository(project: Path) -> None:
    for folder in ("shared/.git", ".claude/skills/outside", "shared/.claude/skills/above", "shared/web/.claude"):
        (project / folder).mkdir(parents=True)
    for folder in (".claude/skills/outside", "shared/.claude/skills/above"):
        (project / folder / "SKILL.md").write_text("x")
    path = project / "shared" / "web" / ".claude" / "agents" / "a.md"
    path.parent.mkdir()
    path.write_text(agent_text(skills="above, outside"))

    assert [finding.problem.message for finding in lint_paths([path]).findings] == [
        "There is no skill 'outside' in .claude/skills of the project or of your home."
    ]


def test_agents_of_two_projects_may_have_one_name(project: Path) -> None:
    for name in ("one", "two"):
        (project / name / ".claude" / "agents").mkdir(parents=True)
        (project / name / ".claude" / "agents" / "x.md").write_text(agent_text())

    assert [finding.problem.rule for finding in lint_paths([project / "one", project / "two"]).findings] == []


def test_what_all_descriptions_cost_is_said_once(project: Path) -> None:
    for number in range(20):
        put(project, f"{number}.md", agent_text(name=f"agent-{number}", description=f"Use it when {'x' * 4_000}"))
    report = lint_paths([project / ".claude" / "agents"])

    assert [finding.problem.rule for finding in report.findings] == ["much-described"]


def test_did_you_mean_is_asked_of_keys_tools_models_and_events() -> None:
    header = "desciption: x\ntools: Wirte\nmodel: sonet\nhooks: {PreToolUze: []}"
    told = {
        problem.rule: str(problem.fix)
        for problem in check_agent(parse_agent(f"---\nname: abc\ndescription: Use it when x.\n{header}\n---\nBe."))
    }

    assert {rule: told[rule] for rule in ("misspelt-key", "misspelt-tool", "unknown-model", "hooks-event")} == {
        "misspelt-key": "Write `description` if that is what is meant.",
        "misspelt-tool": "Write `Write` if that is what is meant.",
        "unknown-model": "Write `sonnet` if that is what is meant.",
        "hooks-event": "Write `PreToolUse` if that is what is meant.",
    }


def test_descriptions_of_which_most_is_the_same_compete(project: Path) -> None:
    text = "Use this agent when {} changed and the tests of the payment service have to be run again"
    put(project, "a.md", agent_text(name="one", description=text.format("code")))
    put(project, "b.md", agent_text(name="two", description=text.format("a schema")))
    put(project, "c.md", agent_text(name="three", description="Use this agent when prose is to be made shorter."))
    report = lint_paths([project / ".claude"])

    assert [(finding.path.name, finding.problem.rule) for finding in report.findings] == [("b.md", "competes")]


def test_a_rule_that_is_asked_for_is_looked_at_where_a_project_asks(project: Path) -> None:
    put(project, "a.md", agent_text().replace("tools: Read, Grep\n", ""))

    assert lint_paths([project / ".claude"]).findings == ()
    (project / "pyproject.toml").write_text('[tool.workbench.lint]\non = ["inherits-all-tools"]\n')
    assert [finding.problem.rule for finding in lint_paths([project / ".claude"]).findings] == ["inherits-all-tools"]
    assert "Looked at only where a project asks" in run("--explain", "inherits-all-tools").output


@pytest.mark.parametrize(
    ("lines", "has_all"),
    [
        ("", True),
        ("tools: '*'\n", True),
        ("disallowedTools: '*'\n", True),
        ("tools: All tools\n", False),
        ("tools: All toolsmiths, Read\n", False),
        ("disallowedTools: Write\n", False),
    ],
)
def test_whether_an_agent_has_all_tools_is_asked_of_its_list_and_not_of_the_words_for_it(
    project: Path, lines: str, has_all: bool
) -> None:
    (project / "pyproject.toml").write_text('[tool.workbench.lint]\non = ["inherits-all-tools"]\n')
    put(project, "a.md", agent_text().replace("tools: Read, Grep\n", lines))
    found = [finding.problem.rule for finding in lint_paths([project / ".claude"]).findings]

    assert ("inherits-all-tools" in found) == has_all


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("README.md", "# Our agents\n"),
        ("README.md", "---\ndescription: All our agents.\n---\n# Our agents\n"),
        ("style-guide.md", "# Our style\n"),
        ("how-to-write.md", "---\ntitle: How to write\ntags: [x]\n---\nText.\n"),
        ("CLAUDE.md", "Text.\n"),
    ],
)
def test_a_readme_or_a_guide_is_no_error_in_a_folder_nor_by_its_name(project: Path, name: str, text: str) -> None:
    put(project, "code-reviewer.md", agent_text())
    path = put(project, name, text)

    for named in ((), (path, project / ".claude" / "agents" / "code-reviewer.md")):
        result = run(*named)
        assert result.exit_code == 0
        assert result.output.startswith("1 agent: 0 errors, 0 warnings, 0 notes")
        assert "1 file skipped, no agents." in result.output or not named


def test_a_file_without_a_name_that_says_what_it_is_for_is_an_error(project: Path) -> None:
    path = put(project, "style-guide.md", "---\ndescription: Use it when prose changed.\n---\nBe.\n")

    assert [finding.problem.rule for finding in lint_paths([path]).findings] == ["missing-name"]


def test_what_a_plugin_lists_and_ignores_is_said(project: Path) -> None:
    (project / ".claude-plugin").mkdir()
    (project / ".claude-plugin" / "plugin.json").write_text('{"name": "cook"}')
    (project / "agents").mkdir()
    (project / "agents" / "README.md").write_text("# Ours\n")
    (project / "agents" / "a.md").write_text("---\nname: 7\npermissionMode: auto\n---\nBe.\n")
    report = lint_paths([project / "agents"])

    assert [(finding.path.name, finding.problem.rule) for finding in report.findings] == [
        ("a.md", "plugin-placeholder"),
        ("a.md", "plugin-name"),
        ("a.md", "plugin-ignores"),
        ("README.md", "plugin-lists-all"),
    ]


def test_the_pre_commit_hook_runs_a_command_that_there_is() -> None:
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text())

    assert [hook["id"] for hook in hooks] == ["workbench-lint"]
    for hook in hooks:
        program, command = hook["entry"].split()
        assert program == "workbench" and command in main.list_commands(click.Context(main))
        assert re.search(hook["files"], ".claude/agents/web/reviewer.md")
        assert not re.search(hook["files"], "src/agents.py")


def test_a_comment_silences_a_rule_for_its_entry(project: Path) -> None:
    put(project, "a.md", agent_text(tools="Read, Wirte  # workbench: off misspelt-tool", color="teal"))
    put(project, "b.md", agent_text(name="other").replace("tools:", "# workbench: off misspelt-tool\ntools: Wirte,"))
    put(
        project,
        "c.md",
        agent_text(name="third", prompt="You work on {{x}}.").replace(
            "---\nYou", "# workbench: off placeholder-left\n---\nYou"
        ),
    )
    put(project, "d.md", agent_text(name="fourth", color="blue  # workbench: off no-such-rule"))
    report = lint_paths([project / ".claude" / "agents"])

    assert [(finding.path.name, finding.problem.rule) for finding in report.findings] == [
        ("a.md", "unknown-color"),
        ("d.md", "unknown-silence"),
    ]


def test_a_project_gives_rules_their_severity(project: Path) -> None:
    put(project, "a.md", agent_text(prompt="You work on {{x}}.", tools="Read, Wirte", color="teal"))
    put(project, "drafts/b.md", agent_text(name="draft", color="teal"))
    (project / "pyproject.toml").write_text(
        '[tool.workbench.lint]\noff = ["unknown-color"]\nexclude = [".claude/agents/drafts/*"]\n'
        '[tool.workbench.lint.severity]\nplaceholder-left = "error"\nmisspelt-tool = "note"\n'
    )
    result = run()

    assert result.exit_code == 1
    assert "error: '{{x}}' looks like a placeholder" in result.output
    assert "note: 'Wirte' is no tool" in result.output
    assert "teal" not in result.output and "b.md" not in result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[tool.workbench.lint]\noff = ["no-such"]', "no rule 'no-such'"),
        ('[tool.workbench.lint]\noff = "x"', "off is a list of texts"),
        ("[tool.workbench.lint]\noof = []", "oof is no setting"),
        ('[tool.workbench.lint.severity]\nno-tools = "fatal"', "no-tools is 'fatal'"),
        ("[tool.workbench]\nlint = 7", "is a table"),
        ("[tool", "cannot be read"),
    ],
)
def test_settings_that_cannot_be_are_refused(project: Path, text: str, message: str) -> None:
    (project / "pyproject.toml").write_text(text)

    with pytest.raises(LintSettingsError, match=re.escape(message)):
        load_lint_settings(project)


def test_exit_codes(project: Path) -> None:
    path = put(project, "a.md", agent_text(tools="Read, Wirte"))

    assert run(path).exit_code == 0
    assert run("--strict", path).exit_code == 1
    put(project, "a.md", agent_text(tools="Foo"))
    assert run(path).exit_code == 1
    assert run(project / "nowhere.md").exit_code == 2
    assert run("--explain", "no-such").exit_code == 2
    assert run("--explain", "misspelt-tool").exit_code == 0
    assert run("--explain").output == run("--explain", "all").output
    assert run("--explain").exit_code == 0


def test_a_project_without_agents_is_told(project: Path) -> None:
    result = run()

    assert result.exit_code == 2
    assert "no agent in this project" in result.output


def test_a_baseline_leaves_what_is_new(project: Path) -> None:
    path = put(project, "a.md", agent_text(tools="Read, Wirte", color="teal"))
    baseline = project / "lint.json"
    baseline.write_text(run("--format", "json").output)
    path.write_text(agent_text(tools="Read, Wirte", color="teal", effort="huge").replace("---\nname", "---\n# x\nname"))
    result = run("--baseline", baseline, "--format", "json")

    assert [json.loads(line)["rule"] for line in result.output.splitlines()] == ["unknown-effort"]
    baseline.write_text("[]")
    assert run("--baseline", baseline).exit_code == 2


def test_what_is_written_for_programs_holds_all_that_was_found(project: Path) -> None:
    put(project, "a.md", agent_text(tools="Read, Wirte", color="teal", prompt=f"50%: ::x, y\nThe key is {KEY}."))
    report = lint_paths([Path(".claude/agents")])
    log = json.loads("\n".join(as_sarif(report)))
    results = log["runs"][0]["results"]

    assert_sarif(log)
    assert [each["ruleId"] for each in results] == ["misspelt-tool", "unknown-color", "secret-in-file"]
    for each in results:
        place = each["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == ".claude/agents/a.md" and place["region"]["startLine"] > 1
    annotations = list(as_github(report))
    assert annotations[0].startswith("::warning file=.claude/agents/a.md,line=4,col=8,title=misspelt-tool::'Wirte'")
    assert all("\n" not in line for line in annotations)
    for form in ("text", "json", "github", "sarif"):
        assert KEY not in run("--format", form).output


def test_a_file_that_cannot_be_read_is_said_and_the_others_are_linted(project: Path) -> None:
    put(project, "a.md", agent_text(color="teal"))
    gone = put(project, "b.md", agent_text())
    gone.unlink()
    gone.symlink_to(project / "nowhere")
    result = run(project / ".claude" / "agents" / "a.md", gone)

    assert result.exit_code in (1, 2)


def test_no_such_path_is_refused(project: Path) -> None:
    with pytest.raises(AgentFileError, match="no such file or folder"):
        lint_paths([project / "nowhere"])


def test_many_files_are_read_by_all_cores_and_come_in_order(project: Path) -> None:
    for number in range(220):
        put(project, f"{number:03}.md", agent_text(name=f"agent-{number}", color="teal"))
    report = lint_paths([project / ".claude" / "agents"])

    assert report.files == 220
    assert [finding.path.name for finding in report.findings] == [f"{number:03}.md" for number in range(220)]


def test_a_report_asks_the_environment_for_secrets_once_and_not_once_a_finding(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 6,000 files there are thousands of findings, and what is secret is the same for each."""
    value = "Qp7Zt2Lw9Xm4Vb81"
    for number in range(12):
        put(project, f"a{number:02}.md", agent_text(name=f"agent-{number}", tools=f"Read, {value}"))
    report = lint_paths([project])
    asked: list[str] = []

    class Counting(dict[str, str]):
        def items(self) -> ItemsView[str, str]:
            asked.append("items")
            return super().items()

    monkeypatch.setattr("workbench.secrets.os.environ", Counting(MY_TOKEN=value))
    for form in ("text", "json"):
        asked.clear()
        said = "\n".join(lines_in(report, form))
        assert len(report.findings) >= 12 and said.count("[MY_TOKEN]") >= 12 and value not in said
        assert len(asked) == 1


def test_a_plugin_in_a_repository_has_the_rules_of_the_nearest_folder_that_speaks_of_lint(project: Path) -> None:
    plugin = project / "plugins" / "tools"
    for folder in (".claude-plugin", "agents"):
        (plugin / folder).mkdir(parents=True)
    (plugin / ".claude-plugin" / "plugin.json").write_text('{"name": "tools"}')
    (plugin / "pyproject.toml").write_text('[project]\nname = "tools"\n')
    (plugin / "agents" / "a.md").write_text(agent_text(color="teal"))
    (plugin / "agents" / "draft.md").write_text(agent_text(name="draft", color="teal"))
    (plugin / "agents" / "README.md").write_text("# No agent\n")
    rules = '[tool.workbench.lint]\noff = ["unknown-color", "plugin-lists-all"]\nexclude = ["plugins/*/draft.md"]\n'
    (project / "pyproject.toml").write_text(rules)

    report = lint_paths([project])
    assert (report.findings, [path.name for path in report.read]) == ((), ["a.md"])

    (plugin / "pyproject.toml").write_text('[tool.workbench.lint]\noff = ["plugin-lists-all"]\n')
    report = lint_paths([project])
    assert [finding.problem.rule for finding in report.findings] == ["unknown-color", "unknown-color"]


def test_rules_can_be_passed_as_a_value(project: Path) -> None:
    path = put(project, "a.md", agent_text(color="teal"))

    assert lint_paths([path], LintSettings(off=frozenset({"unknown-color"}))).findings == ()


def test_rules_on_texts_find_in_published_files_what_they_are_for(corpus: Path) -> None:
    """Each of these was read by hand, and is true."""
    report = lint_paths([corpus / "real"])
    counts = Counter(finding.problem.rule for finding in report.findings)

    assert report.files == 400
    assert {rule: counts[rule] for rule in counts if rule.startswith("prompt-")} == {
        "prompt-names-tool": 1,
        "prompt-names-lost-tool": 7,
        "prompt-runs-commands": 1,
    }
    assert (counts["placeholder-left"], counts["arguments-placeholder"], counts["home-path"]) == (0, 0, 1)
    assert counts["names-another-agent"] == 0
    assert counts["secret-in-file"] == 0


def test_the_rules_are_toml_in_the_order_of_nothing_twice() -> None:
    text = (Path(lint.__file__).parent / "lint_rules.toml").read_text()

    assert len(tomllib.loads(text)["rules"]) == text.count("[rules.")


def test_what_is_said_of_many_keys_events_or_skills_is_said_once(project: Path) -> None:
    keys = "".join(f"key{number}: x\n" for number in range(7))
    text = agent_text(skills="one, two", hooks="{pre: x, post: x, Stopp: []}").replace("---\nBe.", f"{keys}---\nBe.")
    report = lint_paths([put(project, "a.md", text)])

    assert {finding.problem.rule: finding.problem.message for finding in report.findings} == {
        "missing-skill": "There are no skills 'one', 'two' in .claude/skills of the project or of your home.",
        "hooks-event": "In `hooks`, 'pre', 'post', 'Stopp' are no events; Claude Code ignores them.",
        "unknown-key": "Claude Code ignores `key0`, `key1`, `key2`, `key3`, `key4` and 2 more: "
        f"they are none of its {len(KEYS)} keys.",
    }
    assert len(report.findings) == 3


def test_what_was_looked_through_by_hand_is_what_lint_finds(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says how 60 files were chosen and what was found; a change of a rule changes the page."""
    monkeypatch.setenv("HOME", str(tmp_path))
    page = (REPOSITORY / "docs" / "reference" / "lint-by-hand.md").read_text()
    text = "sixty looked through by hand: "
    assert f"`{text}`" in page
    published = corpus / "real"
    chosen = sorted(
        published.rglob("*.md"),
        key=lambda path: hashlib.sha256((text + path.relative_to(published).as_posix()).encode()).hexdigest(),
    )[:60]
    findings = [finding for finding in lint_paths([published]).findings if finding.path in chosen]
    figures = figures_of(page.partition("\n## ")[0], columns=4)
    in_all = figures.pop("in all")

    assert {rule: row[0] for rule, row in figures.items()} == Counter(each.problem.rule for each in findings)
    assert in_all == [sum(column) for column in zip(*figures.values(), strict=True)]
    assert all(true == use + noise for _, true, use, noise in figures.values())
    assert f"{60 - len({each.path for each in findings})} of the 60 files have no finding" in page


def test_what_lint_finds_in_all_published_files_is_what_the_page_says(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found before, in files; found now, in files; read, true, of use and noise of those read."""
    monkeypatch.setenv("HOME", str(tmp_path))
    page = (REPOSITORY / "docs" / "reference" / "lint-by-hand.md").read_text().partition("\n## ")[2]
    figures = figures_of(page, columns=8)
    in_all = figures.pop("in all")
    findings = lint_paths([corpus / "real"]).findings
    found = Counter(finding.problem.rule for finding in findings)
    in_files = Counter(rule for _, rule in {(finding.path, finding.problem.rule) for finding in findings})

    assert {rule: (row[2], row[3]) for rule, row in figures.items() if row[2]} == {
        rule: (found[rule], in_files[rule]) for rule in found
    }
    assert {rule: row[4] for rule, row in figures.items()} == {
        rule: min(10, row[2]) if row[2] > row[0] else 0 for rule, row in figures.items()
    }
    assert all(row[5] == row[6] + row[7] for row in figures.values())
    of_findings = [0, 2, 4, 5, 6, 7]
    assert [in_all[place] for place in of_findings] == [
        sum(row[place] for row in figures.values()) for place in of_findings
    ]
    assert in_all[3] == len({finding.path for finding in findings})
    grave = [finding for finding in findings if finding.problem.severity != "note"]
    assert f"and are {len(grave)} in {len({finding.path for finding in grave})}." in page


def figures_of(page: str, *, columns: int) -> dict[str, list[int]]:
    """The figures of a table of rules, by rule."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.split("\n") if line.startswith("|")]
    return {row[0]: [int(cell or 0) for cell in row[1 : columns + 1]] for row in rows[2:]}


def test_keys_that_are_records_and_unknown_tools_are_not_said_one_by_one(project: Path) -> None:
    records = "tags: [a]\nauthor: b\nversion: 1\n"
    path = put(project, "a.md", agent_text(tools="Read, a/b, c/d").replace("tools:", f"{records}tools:"))
    assert [str(finding.problem) for finding in lint_paths([path]).findings] == [
        f"7:8: note: 'a/b', 'c/d' are no tools that were seen with Claude Code {facts()['version']}. "
        "Tools of MCP servers are written `mcp__server__tool`. [unknown-tool]"
    ]
    path = put(project, "a.md", agent_text(tools="a/b, c/d, e, f, g, h"))
    assert [finding.problem.rule for finding in lint_paths([path]).findings] == ["zero-tools"]


def test_what_agnix_finds_is_a_rule_here_or_has_a_reason() -> None:
    table = (REPOSITORY / "docs" / "reference" / "agnix.md").read_text()
    rows = [line.strip("|").split("|") for line in table.split("\n") if line.startswith(("| CC-AG", "| VER"))]

    assert len(rows) == 22
    for row in rows:
        named = set(re.findall(r"[a-z]+(?:-[a-z]+)+", row[3].partition(":")[0])) & {*rules(), "no-such"}
        assert named or "no rule:" in row[3], row


def test_a_folder_without_an_agent_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Guide\n", encoding="utf-8")

    done = run(tmp_path)
    assert (done.exit_code, "no agent was looked at in" in done.stderr) == (2, True), done.output
    assert run(tmp_path / "README.md").exit_code == 0  # as a commit hook names it
