"""A repository that is not ours, whose agents a scripted server plays by what their personas say."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result

from workbench.cli import main
from workbench.project.ci_report import MARK

ASKS, NEVER_ASKS = "Ask a clarifying question.", "Never ask anything."
KEY = "k-for-tests-77aa55cc"


def agent(name: str, *lines: str, model: str = "haiku", **fields: str) -> str:
    header = {"name": name, "description": f"Works as {name}.", "model": model, **fields}
    text = "".join(f"{key}: {value}\n" for key, value in header.items())
    body = "\n".join(lines or (ASKS,))
    return f"---\n{text}---\n\nYou are {name}.\n{body}\n"


def tasks(count: int = 80, *, graders: tuple[Any, ...] = ("asks_question",), asks: str = "Design part {}.") -> str:
    return yaml.safe_dump(
        {"graders": list(graders), "tasks": [{"id": f"t{n}", "input": asks.format(n)} for n in range(count)]}
    )


LONG = (
    "Much has to be weighed before a store is chosen. Nobody reads twice what fits a page. The clerk closes at noon, and "
    "orders wait until morning. Rain fell on the harbour while two ships left. A slow query hurts more than a long one. "
    "Whoever keeps the books also counts the stamps."
)
"""Sentences of which no two are alike: a frame that is filled in says nothing to a grader."""
EASY = ({"word_count": {"at_most": 1000}},)


def says(body: dict[str, Any]) -> str:
    persona = str(body["system"])
    asks = (
        "Which part matters most to you?"
        if ASKS in persona and "opus" not in body["model"]
        else "I begin with the part that is there."
    )
    return asks if "Be brief." in persona else f"{asks} {LONG}"


@dataclass
class Repository:
    folder: Path

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
        return subprocess.run(
            ["git", *who, *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        ).stdout

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "Work")

    def ci(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["ci", "--base", "main", "--repeats", "1", "--no-pages", *arguments])

    @property
    def comment(self) -> str:
        """What people see of it."""
        first, _, seen = (self.folder / "outputs/ci/comment.md").read_text().partition("\n")
        assert first == MARK
        return seen

    @property
    def found(self) -> dict[str, Any]:
        return json.loads((self.folder / "outputs/ci/ci.json").read_text())  # type: ignore[no-any-return]

    def outcomes(self) -> dict[str, str]:
        return {each["path"]: each["outcome"] for each in self.found["agents"]}


REVIEWER, OPS, WEB = ".claude/agents/reviewer.md", "agents/ops/reviewer.md", "agents/web/reviewer.md"
PLAIN, FEW, PLUGIN = "agents/plain.md", "agents/few.md", "plugins/tools/agents/helper.md"


def tasks_of(path: str) -> str:
    return path.removesuffix(".md") + ".tasks.yaml"


def foreign_repository(folder: Path) -> Repository:
    """Agents as others have them: in Claude's folder, two of one file name, a plugin, one without tasks; on a branch
    `change` that has changed nothing yet."""
    repository = Repository(folder)
    for path in (REVIEWER, OPS, WEB, PLUGIN, FEW):
        name = "agents-one" if path == REVIEWER else path.replace("/", "-").removesuffix(".md")
        repository.write(path, agent(name, f"For {path}.", ASKS, *(f"Rule {n}." for n in range(9))))
        repository.write(tasks_of(path), tasks(12 if path == FEW else 80))
    repository.write(PLAIN, agent("plain"))
    repository.write("agents/many.md", agent("many", ASKS))
    short = tuple({"word_count": {"at_most": 20 + n, "promise": f"brief {n}"}} for n in range(3))
    repository.write("agents/many.tasks.yaml", tasks(graders=("asks_question", *short)))
    repository.write("plugins/tools/.claude-plugin/plugin.json", '{"name": "tools"}')
    repository.write("agents/README.md", "# Our agents\n")
    repository.write(".gitignore", "outputs/\n")
    repository.git("init", "--quiet", "--initial-branch=main")
    repository.commit()
    repository.git("checkout", "--quiet", "-b", "change")
    return repository
