"""The examples of the how-to pages: each command is run as it stands, in order, in a fresh project that is not ours."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import workbench as wb
from workbench.cli import main

PAGES = sorted((Path(__file__).parents[1] / "docs" / "how-to").glob("*.md"))
_FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)

NEEDS_A_MODEL = 5
PLAN = "nightly.yaml"
A_VERSION = "3f2a91c0"
"""What the pages call the beginning of a digest, which is another for each reader."""
ELSEWHERE = (
    "--dask",  # a scheduler
    "--live",  # a server
    "workbench verify",  # the Claude Code program
    "from transcripts",  # what somebody's Claude Code left
    "--draft-cases transcripts",
    "labels.",  # what people said of replies
)
"""Of a command that needs what no test has."""
OTHERWISE = {
    "improve .claude/agents/reviewer.md --from": 2,  # what was made up shows nothing to improve
    "--improve db-reviewer": NEEDS_A_MODEL,  # and no seal is made for the stand-in
    "workbench draft": NEEDS_A_MODEL,
    "workbench improve": NEEDS_A_MODEL,
    "--from model": NEEDS_A_MODEL,
    "--draft-cases model": NEEDS_A_MODEL,
    "workbench judge --rubric": 1,  # the stand-in tells no good reply from a bad one
    "workbench gate": NEEDS_A_MODEL,  # made-up replies decide nothing
}
"""What a command exits with, other than 0, where the offline stand-in answers."""


def fences(page: Path, language: str) -> list[str]:
    return [
        found["text"] for found in _FENCE.finditer(page.read_text(encoding="utf-8")) if found["language"] == language
    ]


def commands(page: Path) -> list[str]:
    """The commands of a page, in order; before them the file of a plan, as "FILE NUMBER", where the page shows one."""
    found, plans = [], 0
    for fence in _FENCE.finditer(page.read_text(encoding="utf-8")):
        if fence["language"] == "yaml" and "\nnotebooks:" in fence["text"]:
            found.append(f"{PLAN} {plans}")
            plans += 1
        elif fence["language"] == "text":
            lines = [line for line in fence["text"].splitlines() if line.startswith("workbench ")]
            found += [shlex.join(shlex.split(line, comments=True)) for line in lines]
    return found


AGENT = """---
name: {name}
description: {description}
tools: Read, Grep
model: {model}
---

You are {name}.
Name the place of each fault.
Weigh the trade-offs aloud.
Say how sure you are.
Ask where the task leaves something open.
{more}
"""
DESCRIPTIONS = {
    "reviewer": "Use it when a branch is to ship, and somebody asks whether its login is safe.",
    "db-reviewer": "Use it when a query or a report takes minutes to open, for the tables and indexes of it.",
    "helper": "Use it when somebody is lost in the build and asks where a target comes from.",
}
TASKS = {
    "graders": [{"word_count": {"at_most": 400}}, "asks_question"],
    "tasks": [{"id": f"t{number}", "input": f"Look at change {number}."} for number in range(3)],
}


def agent_text(name: str, model: str, more: str = "") -> str:
    return AGENT.format(name=name, model=model, more=more, description=DESCRIPTIONS[name])


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two agents in Claude's folder, one of them edited since the last commit; and what the pages take for granted: files
    with what was asked, agents of elsewhere, records."""
    folder = tmp_path / "house"
    agents = folder / ".claude" / "agents"
    agents.mkdir(parents=True)
    for name, model in (("reviewer", "opus"), ("db-reviewer", "sonnet")):
        (agents / f"{name}.md").write_text(agent_text(name, model), encoding="utf-8")
        (agents / f"{name}.tasks.yaml").write_text(yaml.safe_dump(TASKS), encoding="utf-8")
    plugin = folder / "plugins" / "tools"
    (plugin / ".claude-plugin").mkdir(parents=True)
    (plugin / ".claude-plugin" / "plugin.json").write_text('{"name": "tools"}', encoding="utf-8")
    (plugin / "agents").mkdir()
    (plugin / "agents" / "helper.md").write_text(agent_text("helper", "haiku"), encoding="utf-8")
    (folder / "plugins" / "x").symlink_to("tools")
    (folder / "asked.csv").write_text("question,day\nIs this sound?,1\nIs that?,2\n", encoding="utf-8")
    (folder / "agents.json").write_text(
        json.dumps({"more": {"description": "Use it.", "prompt": "Be."}}), encoding="utf-8"
    )
    for number in ("one", "two"):
        (folder / f"{number}.txt").write_text(f"Use it when a database changes, {number}.", encoding="utf-8")
    (folder / "reviewer.md").write_text((agents / "reviewer.md").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / ".gitignore").write_text("outputs/\n", encoding="utf-8")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Agents")
    (folder / "before.md").write_text((agents / "reviewer.md").read_text(encoding="utf-8"), encoding="utf-8")
    (agents / "reviewer.md").write_text(agent_text("reviewer", "opus", "Be brief."), encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("WORKBENCH_LEDGER", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WORKBENCH_OFFLINE_TOKENS_PER_SECOND", "0")
    for record in ("it", "new", "my-comparison", "compare", "records/night"):
        left_record(agents / "reviewer.md", folder / "outputs" / record)
    (folder / "nightly").symlink_to("outputs/records")
    return folder


def left_record(agent: Path, folder: Path) -> None:
    loaded = wb.load_agent(agent)
    variants = {"base": wb.load_committed(agent), "new": loaded}
    plan = wb.plan_trials(variants, wb.load_tasks_for(loaded), repeats=1, graders=wb.graders.standard())
    wb.export_record(wb.run_trials(plan, live=False, progress=False), folder)


def named_files(page: Path, folder: Path) -> None:
    """What a page shows, or takes for granted, as a file or record."""
    if page.name == "batch.md":  # a kernel for each agent is slow
        for file in (folder / ".claude" / "agents").glob("db-reviewer.*"):
            file.unlink()
    if page.name == "routing.md":
        shown = yaml.safe_load(next(text for text in fences(page, "text") if text.startswith("- prompt")))
        for case, expected in zip(shown, ("reviewer", ["db-reviewer", "reviewer"], "none"), strict=True):
            case["expect"] = expected
        more = [{**case, "prompt": f"{case['prompt']} It is case {n}."} for n in range(6) for case in shown]
        (folder / ".claude" / "agents" / "routing.yaml").write_text(yaml.safe_dump(more), encoding="utf-8")
        git(folder, "worktree", "add", "../before", "HEAD")
    if page.name == "judges.md":
        (folder / "review.yaml").write_text(fences(page, "yaml")[0], encoding="utf-8")
        rubric = wb.load_rubric(folder / "review.yaml")
        wb.export_record(
            wb.judge(wb.load_run(folder / "outputs/new"), rubric, model="sonnet", budget_usd=1, live=False),
            folder / "outputs/new",
        )


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_each_command_of_a_how_to_page_runs_as_it_stands(page: Path, project: Path) -> None:
    named_files(page, project)
    digest = wb.load_agent(project / "before.md").digest[:8]
    for command in commands(page):
        if command.startswith(PLAN):
            plan = [text for text in fences(page, "yaml") if "\nnotebooks:" in text][int(command.split()[1])]
            (project / PLAN).write_text(plan, encoding="utf-8")
            continue
        if any(word in command for word in ELSEWHERE):
            continue
        expected = next((code for words, code in OTHERWISE.items() if words in command), 0)
        words = [digest if word == A_VERSION else word for word in shlex.split(command)[1:]]
        done = CliRunner().invoke(main, words, input="y\n" * 9)  # whatever is asked before a file is written
        if "--json" not in command:  # for programs, which may stand elsewhere
            assert f"{project}/" not in done.output, f"{command}\n{done.output}"
        assert done.exit_code == expected, f"{command}\n{done.output}\n{done.exception!r}"
