"""`workbench ci` in repositories that are not ours: no change that is worse is ever green, each with its exit code.

The agents' replies come from a scripted server and follow the persona, so that verdicts are real: an agent that says
"Ask a clarifying question." asks one, and one that says "Be brief." is brief.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from tests.foreign_project import (
    ASKS,
    EASY,
    FEW,
    KEY,
    NEVER_ASKS,
    OPS,
    PLAIN,
    PLUGIN,
    REVIEWER,
    WEB,
    Repository,
    agent,
    foreign_repository,
    says,
    tasks,
    tasks_of,
)
from tests.messages_server import MessagesServer, serve
from tests.runs import gradable, make_run, passes
from tests.sarif import assert_sarif
from workbench.cli import EXIT_FAILED, EXIT_REFUSED, EXIT_STAND_IN, EXIT_UNDECIDED, main
from workbench.comparison.report.summary import unlinked
from workbench.errors import EXIT_WORSE, ChangeError
from workbench.ledger.budget.worst_case import most_of, spent_on
from workbench.project.changes import Change, ChangedAgent, find_changes
from workbench.project.ci import MAY_PASS, OUTCOMES, Checked, Held, Settings, base_of, comes_from_fork, folder_of
from workbench.project.ci_report import LONGEST_COMMENT, comment
from workbench.trial.record import export_record, load_run


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return foreign_repository(tmp_path_factory.mktemp("ci") / "project").folder


@pytest.fixture(scope="module")
def server() -> Iterator[MessagesServer]:
    with serve(lambda body, _: "404" if "no-such" in body["model"] else "ok") as server:
        server.pieces_for = lambda body: [says(body)]
        yield server


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all changes: what the agents said as they were is asked once, as in a workflow that keeps its ledger."""
    return tmp_path_factory.mktemp("ledger") / "ledger.sqlite"


@pytest.fixture
def repository(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: MessagesServer, ledger: Path
) -> Repository:
    folder = tmp_path / "project"
    subprocess.run(["cp", "-a", str(template), str(folder)], check=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("WORKBENCH_LEDGER", str(ledger))
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    for name in ("GITHUB_ACTIONS", "GITHUB_EVENT_PATH", "GITHUB_STEP_SUMMARY", "GITHUB_BASE_REF", "GITHUB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    return Repository(folder)


def edit(repository: Repository, path: str, *, to: str = NEVER_ASKS, before: str = ASKS) -> None:
    text = (repository.folder / path).read_text()
    assert before in text
    repository.write(path, text.replace(before, to))


def worse(repository: Repository, path: str = REVIEWER) -> None:
    edit(repository, path)


def no_worse(repository: Repository, path: str = REVIEWER) -> None:
    edit(repository, path, before="Rule 3.", to="Rule three.")


def rename(repository: Repository, path: str, to: str) -> None:
    (repository.folder / to).parent.mkdir(parents=True, exist_ok=True)
    (repository.folder / path).rename(repository.folder / to)


def easier(repository: Repository, path: str = REVIEWER, **options: Any) -> None:
    repository.write(tasks_of(path), tasks(**{"graders": EASY, **options}))


def renamed_and_rewritten(repository: Repository) -> None:
    """The same name, and not a line of the old text."""
    rename(repository, REVIEWER, ".claude/agents/checker.md")
    repository.write(
        ".claude/agents/checker.md", agent("agents-one", NEVER_ASKS, *(f"Wholly new {n}." for n in range(40)))
    )


def hidden_behind_a_decoy(repository: Repository) -> None:
    """The old text under another name, and the old name in another file with another text."""
    text = (repository.folder / REVIEWER).read_text()
    (repository.folder / REVIEWER).unlink()
    repository.write(".claude/agents/decoy.md", text.replace("name: agents-one", "name: decoy"))
    repository.write(".claude/agents/other.md", agent("agents-one", NEVER_ASKS))
    rename(repository, tasks_of(REVIEWER), tasks_of(".claude/agents/decoy.md"))


def better_in_three_of_four(repository: Repository) -> None:
    """A promise of four goes, for three that come."""
    path = "agents/many.md"
    edit(repository, path, to=f"{NEVER_ASKS}\nBe brief.")


def moved_into_another_file(repository: Repository) -> None:
    repository.write(REVIEWER, agent("somebody-else"))
    repository.write(".claude/agents/second.md", agent("agents-one", NEVER_ASKS))


def beside_the_old_one_in_a_nested_folder(repository: Repository) -> None:
    """The old agent as it was, where Claude Code of the project does not look, and another in its place."""
    rename(repository, REVIEWER, "packages/.claude/agents/reviewer.md")
    rename(repository, tasks_of(REVIEWER), tasks_of("packages/.claude/agents/reviewer.md"))
    repository.write(".claude/agents/second.md", agent("agents-one", NEVER_ASKS))


def no_fence(repository: Repository) -> None:
    repository.write(REVIEWER, "You are a reviewer.\n")


def a_link_instead(repository: Repository) -> None:
    repository.write(".claude/agents/bad.txt", agent("agents-one", NEVER_ASKS))
    (repository.folder / REVIEWER).unlink()
    (repository.folder / REVIEWER).symlink_to("bad.txt")


def takes_the_name_of_another(repository: Repository) -> None:
    """An agent that was there before, and is then listed in place of another."""
    path = ".claude/agents/a-second.md"
    repository.git("checkout", "--quiet", "main")
    repository.write(path, agent("second", NEVER_ASKS))
    repository.write(tasks_of(path), tasks(graders=EASY))
    repository.commit()
    repository.git("checkout", "--quiet", "change")
    repository.git("merge", "--quiet", "--ff-only", "main")
    edit(repository, path, before="name: second", to="name: agents-one")


def hidden_from_a_diff(repository: Repository) -> None:
    repository.write(".gitattributes", "*.md binary -diff linguist-generated export-ignore\n")


def settings_for_all_tools(repository: Repository) -> None:
    """Of the linter, which there are, and others, which there are not."""
    repository.write(
        "pyproject.toml",
        "[tool.workbench.lint]\nexclude = ['**']\n[tool.workbench.ci]\nmargin = 0.9\nallow = ['worse']\n",
    )


def answers_of_before_that_were_edited(repository: Repository) -> None:
    """What an earlier run left, and claims that nothing is worse."""
    found = {"exit_code": 0, "outcome": "passes", "agents": []}
    repository.write("outputs/ci/ci.json", json.dumps(found))
    repository.write(f"outputs/ci/{folder_of(REVIEWER)}/tasks-before/run.json", "{}")
    repository.git("add", "--force", "outputs")


def both(*edits: Callable[[Repository], None]) -> Callable[[Repository], None]:
    def change(repository: Repository) -> None:
        for each in edits:
            each(repository)

    return change


def tasks_that_are_a_link(repository: Repository) -> None:
    (repository.folder / tasks_of(REVIEWER)).unlink()
    (repository.folder / tasks_of(REVIEWER)).symlink_to("../../../tasks.yaml")


def before_the_change(*edits: Callable[[Repository], None]) -> Callable[[Repository], None]:
    """What stood there before, on the branch that the change goes to."""

    def change(repository: Repository) -> None:
        repository.git("checkout", "--quiet", "main")
        for each in edits:
            each(repository)
        repository.commit()
        repository.git("checkout", "--quiet", "-B", "change")

    return change


def tasks_apart_beside_easier_ones(repository: Repository) -> None:
    repository.write(".workbench/tasks/reviewer.tasks.yaml", (repository.folder / tasks_of(REVIEWER)).read_text())
    (repository.folder / tasks_of(REVIEWER)).unlink()
    repository.write(".workbench/tasks/web/reviewer.tasks.yaml", tasks(graders=EASY))


def a_link_into_the_folder_of_the_easier_ones(repository: Repository) -> None:
    worse(repository)
    rename(repository, REVIEWER, ".claude/agents/web/text.txt")
    (repository.folder / REVIEWER).symlink_to("web/text.txt")


def gains_what_it_loses(repository: Repository) -> None:
    """A promise of two goes and the other comes, on as few tasks as a first file has."""
    two = ("asks_question", {"word_count": {"at_most": 20, "promise": "brief"}})
    before_the_change(lambda r: r.write(tasks_of(FEW), tasks(10, graders=two)))(repository)
    edit(repository, FEW, to=f"{NEVER_ASKS}\nBe brief.")


NEEDED = {"asks_question": {"required": True, "weight": 3}}
LIGHT = {"asks_question": {"weight": 0.01}}


@dataclass(frozen=True, kw_only=True)
class Case:
    change: Callable[[Repository], None]
    code: int
    first_line: str
    """Of the comment, as a pattern."""
    arguments: tuple[str, ...] = ()


GONE, NO_TASKS = OUTCOMES["gone"].code, OUTCOMES["no-tasks"].code
FAILS = r'## Fails: worse: \S+\.md in "asks_question" \(exit code 3\)$'
CASES: dict[str, Case] = {
    "nothing": Case(change=lambda repository: None, code=0, first_line="## No agent was changed$"),
    "a README": Case(
        change=lambda r: r.write("agents/README.md", "# Agents\n"), code=0, first_line="## No agent was changed$"
    ),
    "no worse": Case(change=no_worse, code=0, first_line=r"## Passes: no worse: \.claude/agents/reviewer\.md$"),
    "worse": Case(change=worse, code=EXIT_WORSE, first_line=FAILS),
    "worse in a plugin": Case(change=lambda r: worse(r, PLUGIN), code=EXIT_WORSE, first_line=FAILS),
    "the first of one file name": Case(
        change=both(lambda r: worse(r, OPS), lambda r: no_worse(r, WEB)), code=EXIT_WORSE, first_line=FAILS
    ),
    "the second of one file name": Case(
        change=both(lambda r: worse(r, WEB), lambda r: no_worse(r, OPS)), code=EXIT_WORSE, first_line=FAILS
    ),
    "worse and renamed": Case(
        change=both(worse, lambda r: rename(r, REVIEWER, ".claude/agents/team/checker.md")),
        code=EXIT_WORSE,
        first_line=FAILS,
    ),
    "worse, renamed with its tasks": Case(
        change=both(
            worse,
            lambda r: rename(r, REVIEWER, "agents/checker.md"),
            lambda r: rename(r, tasks_of(REVIEWER), "agents/checker.tasks.yaml"),
        ),
        code=EXIT_WORSE,
        first_line=FAILS,
    ),
    "worse, renamed and rewritten": Case(change=renamed_and_rewritten, code=EXIT_WORSE, first_line=FAILS),
    "worse, renamed, rewritten, with another name": Case(
        change=both(
            lambda r: (r.folder / REVIEWER).unlink(),
            lambda r: r.write(".claude/agents/x.md", agent("x", NEVER_ASKS, "Other.")),
        ),
        code=GONE,
        first_line=r"## Fails: gone: \.claude/agents/reviewer.*\(exit code 9\)$",
    ),
    "worse behind a decoy": Case(change=hidden_behind_a_decoy, code=EXIT_WORSE, first_line=FAILS),
    "worse in another file": Case(change=moved_into_another_file, code=EXIT_WORSE, first_line=FAILS),
    "worse, with the old one moved elsewhere": Case(
        change=beside_the_old_one_in_a_nested_folder,
        code=EXIT_WORSE,
        first_line=FAILS,
    ),
    "worse with easier graders": Case(change=both(worse, easier), code=EXIT_WORSE, first_line=FAILS),
    "worse with easier questions": Case(
        change=both(worse, lambda r: easier(r, asks="Say hello {}.")), code=EXIT_WORSE, first_line=FAILS
    ),
    "worse with fewer tasks": Case(change=both(worse, lambda r: easier(r, count=1)), code=EXIT_WORSE, first_line=FAILS),
    "worse without its tasks": Case(
        change=both(worse, lambda r: (r.folder / tasks_of(REVIEWER)).unlink()), code=EXIT_WORSE, first_line=FAILS
    ),
    "worse with easier tasks elsewhere": Case(
        change=both(
            worse,
            lambda r: r.write(".workbench/tasks/reviewer.tasks.yaml", tasks(graders=EASY)),
            lambda r: (r.folder / tasks_of(REVIEWER)).unlink(),
        ),
        code=EXIT_WORSE,
        first_line=FAILS,
    ),
    "worse, with the first letter of its file in upper case": Case(
        change=both(worse, lambda r: rename(r, REVIEWER, ".claude/agents/Reviewer.md")),
        code=EXIT_WORSE,
        first_line=FAILS,
    ),
    "worse where git shows no differences": Case(
        change=both(hidden_from_a_diff, worse), code=EXIT_WORSE, first_line=FAILS
    ),
    "worse with settings that would pass it": Case(
        change=both(settings_for_all_tools, worse), code=EXIT_WORSE, first_line=FAILS
    ),
    "worse with results that say it is not": Case(
        change=both(answers_of_before_that_were_edited, worse),
        code=EXIT_REFUSED,
        first_line=r"## Fails: cannot be tried \(exit code 2\)",
    ),
    "worse in another agent that took its name": Case(
        change=takes_the_name_of_another, code=EXIT_WORSE, first_line=FAILS, arguments=("--allow", "gone")
    ),
    "worse in one promise, better in others, which is said": Case(
        change=lambda r: better_in_three_of_four(r),
        code=0,
        first_line=r'## Passes: no worse, 1 promise worse: agents/many\.md in "asks_question"$',
    ),
    "worse in one promise that is guarded": Case(
        change=lambda r: better_in_three_of_four(r),
        code=EXIT_WORSE,
        first_line=FAILS,
        arguments=("--guard", "asks_question"),
    ),
    "a model that nobody knows": Case(
        change=lambda r: edit(r, FEW, before="model: haiku", to="model: no-such-model-9"),
        code=EXIT_FAILED,
        first_line=r"## Fails: not tried to the end: agents/few.*\(exit code 1\)$",
        arguments=("--allow", "undecided"),
    ),
    "tasks that cannot be read": Case(
        change=both(worse, lambda r: r.write(tasks_of(REVIEWER), "tasks: 5\n")),
        code=EXIT_REFUSED,
        first_line=r"## Fails: cannot be tried: .*\(exit code 2\)$",
    ),
    "tasks with a grader that nobody knows": Case(
        change=lambda r: r.write(tasks_of(REVIEWER), tasks(graders=("no_such_grader",))),
        code=EXIT_REFUSED,
        first_line=r"## Fails: cannot be tried",
    ),
    "tasks alone": Case(change=easier, code=0, first_line="## Passes: other tasks"),
    "removed": Case(change=lambda r: (r.folder / OPS).unlink(), code=GONE, first_line=r"## Fails: gone: agents/ops"),
    "worse on few tasks": Case(
        change=both(before_the_change(lambda r: r.write(tasks_of(FEW), tasks(6))), lambda r: worse(r, FEW)),
        code=EXIT_WORSE,
        first_line=FAILS,
        arguments=("--allow", "undecided"),
    ),
    "worse in one promise, where the whole is undecided": Case(
        change=gains_what_it_loses, code=EXIT_WORSE, first_line=FAILS, arguments=("--allow", "undecided")
    ),
    "worse behind a link": Case(
        change=both(
            before_the_change(
                lambda r: r.write("pool/agents/bad.md", agent("agents-few", NEVER_ASKS)),
                lambda r: rename(r, FEW, "pool/agents/few.md"),
                lambda r: rename(r, tasks_of(FEW), tasks_of("pool/agents/few.md")),
                lambda r: (r.folder / FEW).symlink_to("../pool/agents/few.md"),
            ),
            lambda r: (r.folder / FEW).unlink(),
            lambda r: (r.folder / FEW).symlink_to("../pool/agents/bad.md"),
        ),
        code=EXIT_WORSE,
        first_line=FAILS,
    ),
    "worse in a plugin, without a name": Case(
        change=both(
            before_the_change(lambda r: edit(r, PLUGIN, before="name: plugins-tools-agents-helper\n", to="")),
            lambda r: worse(r, PLUGIN),
        ),
        code=EXIT_WORSE,
        first_line=FAILS,
    ),
    "worse with graders that count less and are not required": Case(
        change=both(
            before_the_change(lambda r: r.write(tasks_of(FEW), tasks(12, graders=(NEEDED, *EASY)))),
            lambda r: worse(r, FEW),
            lambda r: r.write(tasks_of(FEW), tasks(12, graders=(LIGHT, *EASY))),
        ),
        code=EXIT_WORSE,
        first_line=FAILS,
    ),
    "worse by graders that are required now": Case(
        change=both(
            before_the_change(lambda r: r.write(tasks_of(FEW), tasks(12, graders=(LIGHT, *EASY)))),
            lambda r: worse(r, FEW),
            lambda r: r.write(tasks_of(FEW), tasks(12, graders=(NEEDED, *EASY))),
        ),
        code=EXIT_WORSE,
        first_line=FAILS,
        arguments=("--margin", "0.2"),
    ),
    "worse beside settings and another mode": Case(
        change=both(
            lambda r: worse(r, FEW),
            lambda r: r.write(".claude/settings.json", '{"model": "opus"}'),
            lambda r: (r.folder / FEW).chmod(0o755),
        ),
        code=EXIT_WORSE,
        first_line=FAILS,
    ),
    "another alias of a model that is worse, in an agent that has the name of another": Case(
        change=both(
            before_the_change(lambda r: r.write(".claude/agents/z.md", (r.folder / REVIEWER).read_text())),
            lambda r: edit(r, REVIEWER, before="model: haiku", to="model: opus"),
        ),
        code=EXIT_WORSE,
        first_line=FAILS,
    ),
    "tasks that are a link out of the repository": Case(
        change=both(lambda r: no_worse(r), tasks_that_are_a_link),
        code=EXIT_REFUSED,
        first_line=r"## Fails: cannot be tried: \.claude/agents/reviewer\.md \(exit code 2\)$",
    ),
    "moved to where Claude Code does not read it": Case(
        change=lambda r: rename(r, REVIEWER, "agents/reviewer.md"),
        code=GONE,
        first_line=r"## Fails: gone: agents/reviewer\.md \(exit code 9\)$",
    ),
    "no worse, moved to where Claude Code does not read it": Case(
        change=both(no_worse, lambda r: rename(r, REVIEWER, "agents/reviewer.md")),
        code=GONE,
        first_line=r"## Fails: gone: agents/reviewer\.md \(exit code 9\)$",
        arguments=("--allow", "no-tasks", "--allow", "undecided"),
    ),
    "a plugin that is none any more": Case(
        change=lambda r: (r.folder / "plugins/tools/.claude-plugin/plugin.json").unlink(),
        code=GONE,
        first_line=r"## Fails: gone: plugins/tools/agents/helper\.md \(exit code 9\)$",
    ),
    "a link out of the repository": Case(
        change=lambda r: (r.folder / ".claude/agents/new.md").symlink_to("/etc/agents/new.md"),
        code=EXIT_REFUSED,
        first_line=r"## Fails: cannot be tried: \.claude/agents/new\.md \(exit code 2\)$",
    ),
    "removed, and that is allowed": Case(
        change=lambda r: (r.folder / OPS).unlink(),
        code=0,
        first_line="## Passes: gone, which is allowed",
        arguments=("--allow", "gone"),
    ),
    "removed and another worse": Case(
        change=both(lambda r: (r.folder / OPS).unlink(), worse),
        code=EXIT_WORSE,
        first_line=FAILS,
        arguments=("--allow", "gone"),
    ),
    "no fence": Case(change=no_fence, code=GONE, first_line="## Fails: gone"),
    "a link in its place": Case(change=a_link_instead, code=EXIT_WORSE, first_line=FAILS),
    "without tasks": Case(
        change=lambda r: worse(r, PLAIN),
        code=NO_TASKS,
        first_line=r"## Fails: not tried: agents/plain.*\(exit code 10\)$",
    ),
    "without tasks and another worse": Case(
        change=both(lambda r: worse(r, PLAIN), worse),
        code=EXIT_WORSE,
        first_line=FAILS,
        arguments=("--allow", "no-tasks", "--allow", "undecided"),
    ),
    "worse by tasks that are new": Case(
        change=both(lambda r: worse(r, PLAIN), lambda r: r.write(tasks_of(PLAIN), tasks())),
        code=EXIT_WORSE,
        first_line=FAILS,
        arguments=("--allow", "no-tasks"),
    ),
    "worse with tasks that are new and easy": Case(
        change=both(lambda r: worse(r, PLAIN), lambda r: easier(r, PLAIN)),
        code=NO_TASKS,
        first_line=r"## Fails: not tried: agents/plain.*\(exit code 10\)$",
    ),
    "worse with tasks that are new and too few": Case(
        change=both(lambda r: worse(r, PLAIN), lambda r: easier(r, PLAIN, count=2)),
        code=NO_TASKS,
        first_line=r"## Fails: not tried: agents/plain.*\(exit code 10\)$",
        arguments=("--allow", "undecided"),
    ),
    "new": Case(
        change=lambda r: r.write("agents/new.md", agent("new", NEVER_ASKS)),
        code=0,
        first_line="## Passes: new: agents/new",
    ),
    "new, with tasks of its own": Case(
        change=both(lambda r: r.write("agents/new.md", agent("new", NEVER_ASKS)), lambda r: easier(r, "agents/new.md")),
        code=0,
        first_line="## Passes: new: agents/new",
    ),
    "new, with the name of another": Case(
        change=lambda r: r.write(".claude/agents/more/second.md", agent("agents-one", NEVER_ASKS)),
        code=EXIT_WORSE,
        first_line=FAILS,
    ),
    "new where Claude Code reads no agents, with the name of another": Case(
        change=lambda r: r.write("agents/more/second.md", agent("agents-ops-reviewer", NEVER_ASKS)),
        code=0,
        first_line="## Passes: new",
    ),
    "moved": Case(change=lambda r: rename(r, REVIEWER, ".claude/agents/b.md"), code=0, first_line="## Passes: moved"),
    "too few tasks": Case(
        change=lambda r: no_worse(r, FEW),
        code=EXIT_UNDECIDED,
        first_line=r"## Fails: not enough data.*\(exit code 4\)$",
    ),
    "worse behind a link to where another's easier tasks are found": Case(
        change=both(before_the_change(tasks_apart_beside_easier_ones), a_link_into_the_folder_of_the_easier_ones),
        code=EXIT_WORSE,
        first_line=FAILS,
    ),
    "another model that is worse": Case(
        change=lambda r: edit(r, REVIEWER, before="model: haiku", to="model: opus"), code=EXIT_WORSE, first_line=FAILS
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_no_change_that_is_worse_is_green(repository: Repository, name: str) -> None:
    case = CASES[name]
    case.change(repository)
    repository.commit()

    done = repository.ci(*case.arguments)

    assert done.exit_code == case.code, (done.output, done.exception)
    assert re.match(case.first_line, repository.comment.splitlines()[0].replace("\\", "")), repository.comment[:300]
    assert repository.found["exit_code"] == case.code
    assert KEY not in "".join(
        path.read_text(errors="replace") for path in repository.folder.rglob("outputs/ci/**/*") if path.is_file()
    )


def test_a_promise_that_got_worse_is_said_though_the_whole_is_better(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    better_in_three_of_four(repository)
    repository.commit()
    line_of_change = (repository.folder / "agents/many.md").read_text().splitlines().index(NEVER_ASKS) + 1

    plain = repository.ci()

    [annotation] = [line for line in plain.output.splitlines() if line.startswith("::")]
    assert annotation.startswith(f"::warning file=agents/many.md,line={line_of_change},")
    assert "no worse, 1 promise worse" in annotation.replace("%2C", ",") and "asks_question" in annotation
    assert "| agents/many.md | edited | no worse, 1 promise worse |" in repository.comment
    log = json.loads((repository.folder / "outputs/ci/sarif.json").read_text())
    assert_sarif(log)
    [result] = log["runs"][0]["results"]
    assert (result["ruleId"], result["level"], place_of(result)) == (
        "promise", "warning", ("agents/many.md", line_of_change)
    )  # fmt: skip

    [gate] = repository.found["agents"][0]["gates"]
    [warning] = gate["warnings"]
    assert "asks_question" in warning
    assert unlinked(warning) in repository.comment


def test_a_promise_that_its_own_tasks_have_not_is_guarded_in_others_alone(repository: Repository) -> None:
    no_worse(repository)
    repository.commit()

    assert repository.ci("--guard", "brief 1").exit_code == 0
    assert "No task of it has the promise 'brief 1', so that is not guarded here" in repository.comment


@pytest.mark.parametrize("guard", ["ask_question", "asks_questions:0.1", "asks_question:O.1"])
def test_a_guard_that_no_task_of_the_project_has_is_refused(repository: Repository, guard: str) -> None:
    better_in_three_of_four(repository)
    repository.commit()

    done = repository.ci("--guard", guard)

    assert done.exit_code == EXIT_REFUSED, done.output
    assert "so it cannot be guarded; 'asks_question' may be meant" in done.output
    assert "The promises are 'asks_question', 'brief 0', 'brief 1', 'brief 2'" in done.output
    assert repository.comment.startswith("## Fails: cannot be tried (exit code 2)")


def test_a_promise_that_the_change_takes_out_of_the_tasks_is_guarded_all_the_same(repository: Repository) -> None:
    better_in_three_of_four(repository)
    for path in (REVIEWER, OPS, WEB, PLUGIN, FEW, "agents/many.md"):
        easier(repository, path)
    repository.commit()

    done = repository.ci("--guard", "asks_question")

    assert (done.exit_code, repository.outcomes()["agents/many.md"]) == (EXIT_WORSE, "worse")


def test_what_passes_by_no_promise_less_has_no_finding(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    no_worse(repository, OPS)
    repository.commit()

    done = repository.ci()

    assert not [line for line in done.output.splitlines() if line.startswith("::")]
    assert json.loads((repository.folder / "outputs/ci/sarif.json").read_text())["runs"][0]["results"] == []


def test_tasks_that_come_along_pass_nobody_and_the_reason_is_said(repository: Repository) -> None:
    worse(repository, PLAIN)
    easier(repository, PLAIN)
    repository.commit()

    allowed = repository.ci("--allow", "no-tasks")

    assert (allowed.exit_code, repository.outcomes()) == (0, {PLAIN: "no-tasks"})
    [found] = repository.found["agents"]
    assert found["text"].startswith("It had no tasks before, and passes by none that come along with it. Gate passes")
    assert found["notes"] == ["Its tasks are new in this very change: nobody saw them before it"]


def test_what_tasks_lost_is_said_where_they_alone_are_changed(repository: Repository) -> None:
    repository.write(tasks_of(REVIEWER), tasks(60, graders=({"asks_question": {"weight": 2}},)))
    easier(repository, OPS)
    repository.commit()

    done = repository.ci()

    assert done.exit_code == 0, done.output
    assert {each["path"]: each["notes"] for each in repository.found["agents"]} == {
        REVIEWER: ["Of 80 tasks of before, 20 went, and 60 ask or want something else"],
        OPS: [
            "Of 80 tasks of before, 0 went, and 80 ask or want something else",
            "No task has any more: 'asks_question'",
        ],
    }


def test_what_no_trial_says_anything_about_is_said_beside_what_one_does(repository: Repository) -> None:
    no_worse(repository, OPS)
    edit(repository, OPS, before="name: agents-ops-reviewer\ndescription: Works", to="name: other\ndescription: Plays")
    repository.write(".claude/settings.json", '{"model": "opus"}')
    repository.commit()

    done = repository.ci()

    assert done.exit_code == 0, done.output
    assert repository.found["agents"][0]["notes"] == [
        "Its name was 'agents-ops-reviewer' and is 'other': who asks for it by the one of before finds none",
        "Of what changed, this is not sent in a trial, so no trial says anything about it: name, description",
    ]
    line = "Changed too, and not looked at by any trial: .claude/settings.json"
    assert line in done.output and line in repository.comment


@pytest.mark.parametrize("place", [REVIEWER, ".claude/agents/team/checker.md"])
def test_both_sides_have_the_file_and_the_commit_that_they_are_of(repository: Repository, place: str) -> None:
    if place != REVIEWER:
        rename(repository, REVIEWER, place)
    no_worse(repository, place)
    repository.commit()

    repository.ci()

    commits = {
        "before": (REVIEWER, repository.git("rev-parse", "--short=10", "main").strip()),
        "after": (place, repository.git("rev-parse", "--short=10", "HEAD").strip()),
    }
    said = repository.comment.replace("\u2060", "").replace("\\", "")
    for side, (path, commit) in commits.items():
        assert f"{side} ({path}, commit {commit} of " in said, said


def test_an_agent_whose_file_took_the_name_of_another_is_gone(repository: Repository) -> None:
    takes_the_name_of_another(repository)
    repository.commit()

    kinds = [(found.path, found.kind, found.was) for found in find_changes("main", project=repository.folder).agents]

    path = ".claude/agents/a-second.md"
    assert kinds == [(path, "replaced", path), (path, "double", REVIEWER)]


@pytest.mark.parametrize("name", ["ledger.sqlite", "ledger.sqlite-wal"])
def test_answers_that_the_change_brings_along_decide_nothing(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("WORKBENCH_LEDGER")
    worse(repository, FEW)
    repository.write(f"outputs/{name}", "")
    repository.git("add", "--force", "outputs")
    repository.commit()

    done = repository.ci()

    assert done.exit_code == EXIT_REFUSED, done.output
    assert repository.comment.startswith("## Fails: cannot be tried (exit code 2)")
    assert f"outputs/{name} is committed" in repository.comment


def test_a_clone_without_the_history_is_refused(repository: Repository, tmp_path: Path) -> None:
    worse(repository, FEW)
    repository.commit()
    repository.git("checkout", "--quiet", "main")
    no_worse(repository, OPS)
    repository.commit()
    shallow = tmp_path / "shallow"
    address = repository.folder.as_uri()
    repository.git("clone", "--quiet", "--depth=1", "--no-single-branch", address, str(shallow))
    clone = Repository(shallow)
    clone.git("checkout", "--quiet", "change")

    with pytest.raises(ChangeError, match="fetch-depth: 0"):
        find_changes("origin/main", project=shallow)


def test_there_are_at_least_thirty_such_changes() -> None:
    assert len(CASES) >= 30


# Where nobody answers, or not to the end


def test_without_a_key_nothing_is_green(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    no_worse(repository)
    repository.commit()

    done = repository.ci(*(word for name in MAY_PASS for word in ("--allow", name)))

    assert done.exit_code == OUTCOMES["no-key"].code == 7, done.output
    assert repository.comment.startswith("## Fails: not tried: ")
    assert "set ANTHROPIC\\_API\\_KEY" in repository.comment


@pytest.mark.parametrize(("allow", "code"), [((), 8), (("--allow", "fork"), 0)])
def test_a_fork_is_said(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, allow: tuple[str, ...], code: int
) -> None:
    event = {"pull_request": {"head": {"repo": {"full_name": "eve/fork"}}, "base": {"repo": {"full_name": "ada/own"}}}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    worse(repository)
    repository.commit()

    done = repository.ci(*allow)

    assert (done.exit_code, repository.outcomes()) == (code, {REVIEWER: "fork"}), done.output
    first = (
        f"Passes: not tried, which is allowed: {REVIEWER}" if allow else f"Fails: not tried: {REVIEWER} (exit code 8)"
    )
    assert repository.comment.splitlines()[0].replace("\\", "") == f"## {first}"
    assert "The pull request is from a fork" in repository.comment


def test_replies_of_the_stand_in_are_never_green(repository: Repository) -> None:
    no_worse(repository, FEW)
    repository.commit()

    done = repository.ci("--offline", *(word for name in MAY_PASS for word in ("--allow", name)))

    assert done.exit_code == EXIT_STAND_IN, done.output
    assert repository.comment.startswith("## Fails: made up: ")
    assert "OFFLINE STAND-IN" in repository.comment


def down_after(number: int) -> Callable[[dict[str, Any], int], str]:
    asked = iter(range(10**9))
    return lambda _body, _before: "ok" if next(asked) < number else "403"


FAULTS: dict[str, Callable[[dict[str, Any], int], str]] = {
    "down from the start": lambda _body, _before: "403",
    "down in the middle": down_after(50),
    "all replies are refused": lambda _body, _before: "refusal",
    "all replies of the new one are refused": lambda body, _: "refusal" if NEVER_ASKS in str(body["system"]) else "ok",
    "all replies of the new one are cut": lambda body, _: "cut off" if NEVER_ASKS in str(body["system"]) else "ok",
    "all replies are empty": lambda _body, _before: "empty",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_not_tried_to_the_end_is_not_green(
    repository: Repository, fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worse(repository, FEW)
    repository.commit()
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "own.sqlite"))

    with serve(FAULTS[fault] if fault != "down in the middle" else down_after(10)) as broken:
        broken.pieces_for = lambda body: [says(body)]
        monkeypatch.setenv("ANTHROPIC_BASE_URL", broken.url)
        done = repository.ci(*(word for name in MAY_PASS for word in ("--allow", name)))

    assert done.exit_code == EXIT_FAILED, done.output
    assert repository.comment.startswith("## Fails: not tried to the end: agents/few.md (exit code 1)")


def test_a_budget_that_is_too_small_is_not_green(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worse(repository, FEW)
    no_worse(repository, OPS)
    repository.commit()
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "own.sqlite"))

    done = repository.ci("--budget-usd", "0.0001", "--allow", "undecided")

    assert done.exit_code == EXIT_FAILED, done.output
    assert repository.comment.splitlines()[0] == f"## Fails: not tried to the end: {FEW} and 1 more (exit code 1)"
    assert repository.outcomes() == {FEW: "incomplete", OPS: "incomplete"}
    assert "budget" in repository.comment


def test_the_budget_is_one_for_all_agents(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    no_worse(repository, FEW)
    no_worse(repository, OPS)
    repository.commit()
    repository.ci()
    first = load_run(repository.folder / "outputs/ci" / folder_of(FEW) / "tasks-before")
    spent = sum(spent_on(trial.request.model, trial.reply.usage).usd for trial in first.trials if trial.reply)
    most = max(most_of(trial.request).usd for trial in first.trials)
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "own.sqlite"))

    done = repository.ci("--budget-usd", f"{spent + most:f}", "--allow", "undecided")

    assert done.exit_code == EXIT_FAILED, done.output
    assert repository.outcomes() == {FEW: "undecided", OPS: "incomplete"}
    assert repository.comment.splitlines()[0] == f"## Fails: not tried to the end: {OPS} (exit code 1)"
    assert "budget" in repository.found["agents"][1]["text"]


# What it leaves


def test_findings_stand_at_their_lines_and_in_every_form(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    for name, value in {"SERVER_URL": "https://github.com", "REPOSITORY": "ada/own", "RUN_ID": "7"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    worse(repository)
    easier(repository)
    no_worse(repository, OPS)
    worse(repository, PLAIN)
    (repository.folder / WEB).unlink()
    repository.write("agents/new, or 100%.md", agent("new"))
    repository.commit()

    done = repository.ci()

    assert done.exit_code == EXIT_WORSE, done.output
    lines = [line for line in done.output.splitlines() if line.startswith("::")]
    line_of_change = (repository.folder / REVIEWER).read_text().splitlines().index(NEVER_ASKS) + 1
    assert [line.split(",title")[0] for line in lines] == [
        f"::error file={REVIEWER},line={line_of_change}",
        "::warning file=agents/new%2C or 100%25.md,line=1",
        f"::error file={PLAIN},line={(repository.folder / PLAIN).read_text().splitlines().index(NEVER_ASKS) + 1}",
        f"::error file={WEB},line=1",
    ]
    assert "By the tasks of before: Gate fails" in lines[0]
    assert "By the tasks of this change: Gate passes" in lines[0]
    assert "Its tasks .claude/agents/reviewer.tasks.yaml were changed too" in lines[0]
    assert repository.outcomes() == {
        REVIEWER: "worse",
        "agents/new, or 100%.md": "new",
        OPS: "passes",
        PLAIN: "no-tasks",
        WEB: "gone",
    }
    assert "https://github.com/ada/own/actions/runs/7" in repository.comment
    assert (tmp_path / "summary.md").read_text() == repository.comment
    suite = ElementTree.fromstring((repository.folder / "outputs/ci/junit.xml").read_text())[0]
    assert suite.attrib == {
        "name": "changed agents", "tests": "5", "failures": "1", "errors": "2", "skipped": "1"
    }  # fmt: skip
    log = json.loads((repository.folder / "outputs/ci/sarif.json").read_text())
    assert_sarif(log)
    results = log["runs"][0]["results"]
    assert [(each["ruleId"], each["level"], place_of(each)) for each in results] == [
        ("worse", "error", (REVIEWER, line_of_change)),
        ("new", "warning", ("agents/new%2C%20or%20100%25.md", 1)),
        ("no-tasks", "error", (PLAIN, (repository.folder / PLAIN).read_text().splitlines().index(NEVER_ASKS) + 1)),
        ("gone", "error", (WEB, 1)),
    ]
    left = repository.folder / "outputs/ci" / folder_of(REVIEWER)
    assert {path.parent.name for path in left.rglob("run.json")} == {"tasks-before", "tasks-after"}
    # What is kept of a workflow is without hidden files.
    inside = (path.relative_to(repository.folder) for path in left.rglob("*"))
    assert not any(part.startswith(".") for path in inside for part in path.parts)


def place_of(result: dict[str, Any]) -> tuple[str, int]:
    [location] = result["locations"]
    place = location["physicalLocation"]
    return place["artifactLocation"]["uri"], place["region"]["startLine"]


def test_the_nights_of_an_agent_stand_beside_its_change(repository: Repository, tmp_path: Path) -> None:
    for day, kept in (("2026-11-27", 1), ("2026-11-28", 3)):
        run = gradable(make_run({"few": passes((kept, kept + 1) * 6)}))
        few = replace(run.variants["few"], name="agents-few")
        export_record(replace(run, variants={"few": few}), tmp_path / "nightly" / day / "few")
        export_record(run, tmp_path / "nightly" / day / "another")
    no_worse(repository, FEW)
    repository.commit()

    repository.ci("--nights", str(tmp_path / "nightly"))

    [held_] = repository.found["agents"]
    assert [(night["night"], night["mean"]) for night in held_["trend"]] == [
        ("2026-11-27", 0.375),
        ("2026-11-28", 0.875),
    ]
    assert all(night["interval"] is not None for night in held_["trend"])
    assert repository.ci("--nights", str(tmp_path / "nowhere")).exit_code == EXIT_REFUSED


def test_a_page_is_left_for_each_agent(repository: Repository) -> None:
    no_worse(repository, FEW)
    repository.commit()

    done = CliRunner().invoke(main, ["ci", "--base", "main", "--repeats", "1"])

    assert done.exit_code == EXIT_UNDECIDED, done.output
    assert (repository.folder / "outputs/ci" / folder_of(FEW) / "tasks-before/report/report.html").is_file()


def held(number: int, *, outcome: str, text: str = "It is so.") -> Held:
    agent_ = ChangedAgent(kind="edited", path=f"agents/a{number}.md", was=f"agents/a{number}.md")
    return Held(agent=agent_, outcome=outcome, text=text, summary="### Worse\n\n" + "A line of a report.\n" * 100)


def test_the_first_line_names_each_agent_with_its_own_promises_and_all_that_is_allowed(repository: Repository) -> None:
    better_in_three_of_four(repository)
    no_worse(repository, OPS)
    no_worse(repository, FEW)
    (repository.folder / WEB).unlink()
    repository.commit()

    done = repository.ci("--allow", "gone", "--allow", "undecided")

    assert done.exit_code == 0, done.output
    assert repository.comment.splitlines()[0].replace("\\", "") == (
        f"## Passes: gone, which is allowed: {WEB}; not enough data, which is allowed: {FEW}; "
        'no worse, 1 promise worse: agents/many.md in "asks_question"'
    )


@pytest.mark.parametrize("count", [1, 40, 3000])
def test_a_comment_is_never_too_long_and_says_what_it_leaves_out(count: int) -> None:
    agents = tuple(held(n, outcome="worse" if n == count - 1 else "passes", text="ä" * 500) for n in range(count))
    checked = Checked(change=Change(base="a" * 40, head="b" * 40, agents=()), held=agents, settings=Settings())

    found = comment(checked)

    assert len(found.encode()) <= LONGEST_COMMENT
    assert found.startswith(f"## Fails: worse: agents/a{count - 1}.md (exit code 3)")
    assert found.count("### agents/") > 0 and f"### agents/a{count - 1}.md: worse" in found
    left_out = count - found.count("\n### agents/")
    assert (f"The details of {left_out:,} agents have no room here" in found) == (left_out > 0)


def test_the_worst_outcome_decides_and_what_is_allowed_passes_nothing_else() -> None:
    for number, name in enumerate(OUTCOMES):
        others = tuple(held(n, outcome=other) for n, other in enumerate(tuple(OUTCOMES)[number:]))
        checked = Checked(change=Change(base="", head="", agents=()), held=others, settings=Settings())
        assert (checked.deciding, checked.exit_code) == (name, OUTCOMES[name].code)
        if name in MAY_PASS:
            allowing = Settings(allow=frozenset({name}))
            assert Checked(change=checked.change, held=others[:1], settings=allowing).exit_code == 0
            with_worse = (*others, held(99, outcome="worse"))
            assert Checked(change=checked.change, held=with_worse, settings=allowing).exit_code == EXIT_WORSE
    codes = [outcome.code for outcome in OUTCOMES.values() if outcome.code]
    assert len(set(codes)) == len(codes)


# Git, and where the change goes to


def test_what_cannot_be_said_of_a_change_is_refused(repository: Repository, tmp_path: Path) -> None:
    assert repository.ci("--base", "nosuch").exit_code == EXIT_REFUSED
    unknown = repository.ci("--base", "nosuch").output
    assert "fetch-depth: 0" in unknown and "`git branch --all` lists branches" in unknown
    assert "cannot be allowed" in repository.ci("--allow", "worse").output
    unbased = CliRunner().invoke(main, ["ci"])
    assert (unbased.exit_code, "--base main" in unbased.output) == (EXIT_REFUSED, True)
    with pytest.raises(ChangeError, match="is in no git repository"):
        find_changes("main", project=tmp_path)
    repository.git("checkout", "--quiet", "--orphan", "alone")
    repository.write("alone.txt", "Another tree: within a second of it, the same one would be the same commit.\n")
    repository.commit()
    assert "have no common ancestor" in repository.ci().output


@pytest.mark.parametrize("kept", ["outputs/ledger.sqlite", "elsewhere/ledger.sqlite"])
def test_replies_that_a_change_brings_along_decide_nothing(
    repository: Repository, server: MessagesServer, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    monkeypatch.delenv("WORKBENCH_LEDGER")
    worse(repository)
    repository.commit()
    honest = server.pieces_for
    server.pieces_for = lambda body: [says({**body, "system": f"{body['system']}\n{ASKS}"})]
    try:
        assert repository.ci().exit_code == 0, "made up, they would do"
    finally:
        server.pieces_for = honest
    if kept != "outputs/ledger.sqlite":
        (repository.folder / "outputs").rename(repository.folder / "elsewhere")
        (repository.folder / "outputs").symlink_to("elsewhere")
    repository.git("add", "--force", kept)
    repository.git("commit", "--quiet", "--message", "Replies")

    done = repository.ci("--out", "left")

    assert done.exit_code == EXIT_REFUSED, done.output
    assert f"{kept} is committed, so the change could bring along what its agents say" in done.output
    repository.git("rm", "--quiet", "--cached", kept)
    repository.git("commit", "--quiet", "--message", "No replies")
    (repository.folder / kept).unlink()
    assert repository.ci("--out", "left").exit_code == EXIT_WORSE


def a_record_that_waits_behind_a_link(repository: Repository, forged: Path) -> None:
    """Whoever makes the folder for the agent's results finishes what waits there: a file into `outputs`."""
    waiting = repository.folder / "evil/tasks-before/.record-new"
    (waiting / "x").mkdir(parents=True)
    shutil.copy(forged, waiting / "x/ledger.sqlite")
    (waiting / "about.json").write_text('{"format": 1, "files": []}')
    (waiting.parent / "x").symlink_to("../../outputs")
    (repository.folder / "outputs/ci").mkdir(parents=True)
    (repository.folder / "outputs/ci" / folder_of(FEW)).symlink_to("../../evil")
    repository.git("add", "--force", "outputs", "evil")
    repository.commit()


def a_submodule_with_answers(repository: Repository, forged: Path) -> None:
    other = Repository(forged.parent / "other")
    other.folder.mkdir()
    shutil.copy(forged, other.folder / "ledger.sqlite")
    other.git("init", "--quiet")
    other.commit()
    address = str(other.folder)
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "--force", address, "outputs")
    repository.commit()


@pytest.mark.parametrize("plant", [a_record_that_waits_behind_a_link, a_submodule_with_answers])
def test_no_answers_that_a_change_has_put_into_place_make_it_green(
    repository: Repository,
    server: MessagesServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    plant: Callable[[Repository, Path], None],
) -> None:
    forged = tmp_path / "forged.sqlite"
    monkeypatch.setenv("WORKBENCH_LEDGER", str(forged))
    worse(repository, FEW)
    repository.commit()
    honest = server.pieces_for
    server.pieces_for = lambda body: [says({**body, "system": f"{body['system']}\n{ASKS}"})]
    try:
        assert repository.ci("--margin", "0.4").exit_code == 0, "made up, they would do"
    finally:
        server.pieces_for = honest
    with closing(sqlite3.connect(forged)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    shutil.rmtree(repository.folder / "outputs")
    monkeypatch.delenv("WORKBENCH_LEDGER")
    plant(repository, forged)
    asked = len(server.bodies)

    done = repository.ci("--margin", "0.4")

    assert done.exit_code == EXIT_REFUSED, done.output
    assert len(server.bodies) == asked
    assert "is committed" in repository.comment


def test_what_an_earlier_run_left_is_not_taken_for_this_one(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_worse(repository, FEW)
    repository.commit()
    repository.ci()
    left = repository.folder / "outputs/ci" / folder_of(FEW)
    assert (left / "tasks-before" / "run.json").exists()
    assert not (left / "tasks-after").exists(), "the tasks are the same"
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("ANTHROPIC_BASE_URL")

    repository.ci()
    assert not (left / "tasks-before" / "run.json").exists()

    repository.ci("--allow", "wrose")
    assert repository.found["outcome"] == "no-key", "a typing fault takes nothing away"

    repository.ci("--base", "nosuch")
    assert "cannot be tried (exit code 2)" in repository.comment and "fetch-depth: 0" in repository.comment
    assert (repository.found["outcome"], repository.found["exit_code"]) == ("refused", EXIT_REFUSED)
    assert not (repository.folder / "outputs/ci/junit.xml").exists()


def test_agents_that_are_not_committed_are_named(repository: Repository) -> None:
    worse(repository)
    repository.write("agents/new.md", agent("new"))
    repository.write("agents/README.md", "# Other words\n")

    done = repository.ci()

    line = f"Not committed, and so not held: {REVIEWER}, agents/new.md"
    assert line in done.output and "Not committed" in repository.comment
    assert repository.found["not_committed"] == [REVIEWER, "agents/new.md"]


def test_only_what_the_change_itself_did_counts(repository: Repository) -> None:
    no_worse(repository, OPS)
    repository.commit()
    repository.git("checkout", "--quiet", "main")
    worse(repository, WEB)
    repository.commit()
    repository.git("checkout", "--quiet", "change")

    assert [agent_.path for agent_ in find_changes("main", project=repository.folder).agents] == [OPS]


def test_the_base_is_that_of_the_pull_request(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"base": {"sha": "abc"}, "head": {"repo": None}}}))

    assert base_of({"GITHUB_EVENT_PATH": str(event), "GITHUB_BASE_REF": "main"}) == "abc"
    assert base_of({"GITHUB_BASE_REF": "main"}) == "origin/main"
    assert base_of({"CI_MERGE_REQUEST_DIFF_BASE_SHA": "def"}) == "def"
    assert base_of({}) is None
    event.write_text("[]")
    assert not comes_from_fork({"GITHUB_EVENT_PATH": str(event)})


def test_names_of_folders_are_of_the_whole_path() -> None:
    paths = (
        OPS,
        WEB,
        REVIEWER,
        "claude/agents/reviewer.md",
        "agents/ops-reviewer.md",
        "agents/a b.md",
        "agents/a-b.md",
    )

    assert len({folder_of(path) for path in paths}) == len(paths)
    assert all(re.fullmatch(r"[\w][\w.-]*", folder_of(path)) for path in paths)


def test_every_outcome_is_documented_with_its_exit_code() -> None:
    page = (Path(__file__).parents[1] / "docs" / "how-to" / "ci.md").read_text()

    documented = re.findall(r"^\| \*\*([\w-]+)\*\* \| (\d+) \| (.*) \|$", page, re.MULTILINE)
    assert documented == [(name, str(outcome.code), outcome.when) for name, outcome in OUTCOMES.items()]
    [allowed] = re.findall(
        r"^`--allow (undecided)` passes in spite of that outcome; so do (.*)\. Nothing else", page, re.M
    )
    assert {allowed[0], *re.findall(r"`([\w-]+)`", allowed[1])} == set(MAY_PASS)
