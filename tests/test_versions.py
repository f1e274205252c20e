"""What an agent on disk is compared with, and `workbench compare`."""

from __future__ import annotations

import csv
import hashlib
import os
import shlex
import subprocess
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import workbench as wb
from workbench.cli import EXIT_REFUSED, main
from workbench.comparison.measures import MEASURES
from workbench.errors import AgentFileError, NotebookFailed, PlanError, WorkbenchError
from workbench.headless import notebook
from workbench.runs.versions import Against, load_versions
from workbench.statistics.power import fewest_tasks

AGENT = """\
---
name: reviewer
description: Reviews code
model: sonnet
---

You review code.
- Ask a clarifying question first.
- Name the file and the line.
"""
TASKS = "\n".join(f'- {{id: task-{number}, input: "Question {number}?"}}' for number in range(4))
FILE = ".claude/agents/reviewer.md"


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one agent and its tasks, committed; the working directory."""
    folder = tmp_path / "repository"
    (folder / ".claude/agents").mkdir(parents=True)
    (folder / FILE).write_text(AGENT)
    (folder / ".claude/agents/reviewer.tasks.yaml").write_text(TASKS)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=first")
    monkeypatch.chdir(folder)
    return folder


def edit(folder: Path, old: str = "You review code.", new: str = "You review code briefly.") -> None:
    path = folder / FILE
    path.write_text(path.read_text().replace(old, new))


def test_kernel_of_a_comparison_is_begun_for_its_notebook_alone_and_not_for_an_estimate(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def run_notebook(name: str, **_: object) -> None:
        raise PlanError(f"begun were {begun}, asked for {name}")

    monkeypatch.setattr(notebook, "begin_kernel_for", begun.append)
    monkeypatch.setattr(notebook, "run_notebook", run_notebook)
    edit(repository)

    assert CliRunner().invoke(main, ["compare", FILE, "--offline", "--estimate"]).exit_code == 0
    assert begun == []
    assert (
        "begun were ['compare'], asked for compare" in CliRunner().invoke(main, ["compare", FILE, "--offline"]).output
    )


class TestAnAgent:
    def test_is_compared_with_the_last_commit(self, repository: Path) -> None:
        edit(repository)
        versions = load_versions(FILE)

        assert list(versions.variants) == ["base", "variant"]
        assert versions.pairs == (("base", "variant"),)
        assert "You review code.\n" in versions.variants["base"].agent.prompt
        assert "You review code briefly.\n" in versions.variants["variant"].agent.prompt
        assert [task.id for task in versions.tasks] == [f"task-{number}" for number in range(4)]
        commit = git(repository, "rev-parse", "HEAD")[:10]
        assert versions.notes == (f"base: {FILE} as in HEAD ({commit})", f"variant: {FILE} on disk")

    def test_is_compared_with_an_earlier_commit_a_branch_or_a_tag(self, repository: Path) -> None:
        git(repository, "tag", "v1")
        edit(repository)
        git(repository, "commit", "--all", "--quiet", "--message=second")
        edit(repository, "briefly", "at length")

        for revision in ("HEAD~1", "v1", git(repository, "rev-parse", "v1")):
            assert "You review code.\n" in load_versions(FILE, Against(other=revision)).variants["base"].agent.prompt
        assert "briefly" in load_versions(FILE, Against(other="main")).variants["base"].agent.prompt

    def test_is_compared_with_another_file_as_the_newer_of_the_two(self, repository: Path) -> None:
        (repository / "old.md").write_text(AGENT.replace("review code.", "read code."))
        versions = load_versions(FILE, Against(other="old.md"))

        assert "read code" in versions.variants["base"].agent.prompt
        assert versions.notes == ("base: old.md", f"variant: {FILE}")

    def test_is_compared_with_itself_under_another_model(self, repository: Path) -> None:
        versions = load_versions(FILE, Against(models=("haiku",)))
        several = load_versions(FILE, Against(models=("haiku", "opus")))

        assert {name: variant.model for name, variant in versions.variants.items()} == {
            "base": None,
            "variant haiku": "haiku",
        }
        assert several.pairs == (("base", "variant haiku"), ("base", "variant opus"))
        base, variant, other = several.notes
        assert base.startswith(f"base: {FILE} on disk, asked of ") and "sonnet" in base
        assert variant.startswith("variant haiku: the same, asked of ") and "haiku" in variant.partition("asked")[2]
        assert other.startswith("variant opus: the same, asked of ") and "opus" in other.partition("asked")[2]

    def test_is_compared_with_itself_without_some_lines(self, repository: Path) -> None:
        versions = load_versions(FILE, Against(without="clarifying QUESTION"))

        assert "clarifying" in versions.variants["base"].agent.prompt
        assert "clarifying" not in versions.variants["variant"].agent.prompt

    def test_is_compared_with_itself_at_another_effort(self, repository: Path) -> None:
        versions = load_versions(FILE, Against(effort="low"))

        assert [variant.effort for variant in versions.variants.values()] == [None, "low"]

    def test_old_is_compared_with_new_under_each_model(self, repository: Path) -> None:
        edit(repository)
        versions = load_versions(FILE, Against(other="HEAD", models=("haiku", "opus")))

        assert versions.pairs == (("base haiku", "variant haiku"), ("base opus", "variant opus"))
        assert [variant.model for variant in versions.variants.values()] == ["haiku", "haiku", "opus", "opus"]
        assert "briefly" in versions.variants["variant opus"].agent.prompt
        assert any("both are asked of " in note and "haiku" in note and "opus" in note for note in versions.notes)

    def test_that_changed_in_prompt_and_model_is_said_to(self, repository: Path) -> None:
        edit(repository)
        edit(repository, "model: sonnet", "model: haiku")

        assert any("in its prompt and in model or effort" in note for note in load_versions(FILE).notes)


class TestWhatToDoIsSaid:
    @pytest.mark.parametrize(
        ("description", "said"),
        [
            ("Reviews code.", "tasks: 10 drafts made of the words of the description, for"),
            (
                "Use it for plans. <example>user: Is it right?</example>",
                "tasks: 1 example of the description and 9 drafts made of the words of the description,",
            ),
            (
                "<example>user: One?</example> <example>user: Two?</example>",
                "tasks: 2 examples of the description, for",
            ),
        ],
    )
    def test_of_tasks_that_nobody_wrote(self, repository: Path, description: str, said: str) -> None:
        edit(repository)
        (repository / FILE).with_suffix(".tasks.yaml").unlink()
        edit(repository, "description: Reviews code", f"description: '{description}'")

        note = load_versions(FILE).notes[-1]

        assert note.startswith(said)
        assert f"`workbench tasks {FILE} --from description --write` puts them in one" in note

    def test_of_an_unchanged_file(self, repository: Path) -> None:
        with pytest.raises(PlanError, match=r"says what HEAD says, so there is nothing to compare\. Edit it"):
            load_versions(FILE)

    def test_of_a_change_that_no_trial_sends(self, repository: Path) -> None:
        edit(repository, "Reviews code", "Reviews all code")

        with pytest.raises(PlanError, match="differs from HEAD in description alone, which no trial sends"):
            load_versions(FILE)

    def test_not_of_a_model_that_nobody_knows_but_that_is_said(self, repository: Path) -> None:
        notes = load_versions(FILE, Against(models=("sonet", "opus"))).notes

        assert [note for note in notes if "neither an alias nor a known model" in note] == [notes[-1]]
        assert notes[-1].startswith("'sonet' is") and notes[-1].endswith("Write `sonnet` if that is what is meant.")

    def test_of_the_same_model(self, repository: Path) -> None:
        with pytest.raises(PlanError, match="and this effort anyway; name another model"):
            load_versions(FILE, Against(models=("sonnet",)))

    def test_of_two_things_at_once(self, repository: Path) -> None:
        with pytest.raises(PlanError, match="name one of them"):
            load_versions(FILE, Against(other="HEAD", without="question"))

    def test_of_a_repository_without_commits(self, tmp_path: Path) -> None:
        (tmp_path / "a.md").write_text(AGENT)
        git(tmp_path, "init", "--quiet")

        with pytest.raises(AgentFileError, match="in no commit yet, for its repository has none; `git add`"):
            load_versions(tmp_path / "a.md")

    def test_of_a_file_in_no_repository(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
        (tmp_path / "a.md").write_text(AGENT)

        with pytest.raises(AgentFileError, match=r"is in no git repository; `git init` makes one\. Or compare it"):
            load_versions(tmp_path / "a.md")

    def test_of_an_untracked_and_of_a_merely_added_file(self, repository: Path) -> None:
        (repository / ".claude/agents/new.md").write_text(AGENT)
        with pytest.raises(AgentFileError, match="in no commit yet; `git add` and `git commit` put it into one"):
            load_versions(".claude/agents/new.md")

        git(repository, "add", "--all")
        with pytest.raises(AgentFileError, match="is in no commit yet; `git commit` puts it into one"):
            load_versions(".claude/agents/new.md")

    def test_of_a_file_that_was_renamed_since(self, repository: Path) -> None:
        git(repository, "mv", FILE, ".claude/agents/critic.md")
        (repository / ".claude/agents/reviewer.tasks.yaml").rename(repository / ".claude/agents/critic.tasks.yaml")
        new = ".claude/agents/critic.md"
        (repository / new).write_text(AGENT + "- Be brief.\n")

        with pytest.raises(AgentFileError, match=rf"there it is {FILE}; name that: HEAD:{FILE}"):
            load_versions(new)
        assert "Be brief" not in load_versions(new, Against(other=f"HEAD:{FILE}")).variants["base"].agent.prompt

    def test_of_a_file_that_came_later_than_the_revision(self, repository: Path) -> None:
        (repository / ".claude/agents/later.md").write_text("---\nname: later\n---\nSomething else altogether.\n")
        git(repository, "add", "--all")
        git(repository, "commit", "--quiet", "--message=second")

        with pytest.raises(
            AgentFileError, match=r"is not in HEAD~1; `git log --oneline -- :/\.claude/agents/later\.md`"
        ):
            load_versions(".claude/agents/later.md", Against(other="HEAD~1"))

    @pytest.mark.parametrize("revision", ["nonsense", "--output=x", "HEAD^^^^", "-x"])
    def test_of_a_revision_that_git_does_not_know(self, repository: Path, revision: str) -> None:
        with pytest.raises(AgentFileError, match=r"git knows no revision .* `git log --oneline` lists commits"):
            load_versions(FILE, Against(other=revision))
        assert not (repository / "x").exists()

    def test_of_another_file_that_the_revision_does_not_have(self, repository: Path) -> None:
        with pytest.raises(AgentFileError, match=r"^HEAD:nosuch\.md: there is no such file in HEAD; `git ls-tree"):
            load_versions(FILE, Against(other="HEAD:nosuch.md"))

    def test_of_a_file_to_compare_with_that_is_not_there(self, repository: Path) -> None:
        with pytest.raises(AgentFileError, match="there is no such file to compare with"):
            load_versions(FILE, Against(other="elsewhere/old.md"))

    def test_of_lines_that_are_not_there(self, repository: Path) -> None:
        with pytest.raises(WorkbenchError, match="no line of the prompt"):
            load_versions(FILE, Against(without="no such words"))

    def test_of_an_agent_without_tasks(self, repository: Path) -> None:
        edit(repository)
        (repository / ".claude/agents/reviewer.tasks.yaml").unlink()

        assert {task.group for task in load_versions(FILE).tasks} == {"draft"}


class TestTheCommand:
    def call(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["compare", *arguments])

    def test_estimates_without_asking_anybody(self, repository: Path) -> None:
        edit(repository)
        found = self.call(FILE, "--estimate", "--repeats", "2", "--offline")

        assert found.exit_code == 0, found.output
        assert found.output.startswith(f"base: {FILE} as in HEAD")
        assert "16: 2 variants x 4 tasks x 2 repeats" in found.output
        assert "it will not say" in found.output
        assert not (repository / "outputs" / "compare-reviewer").exists()

    @pytest.mark.parametrize(
        "arguments", [(FILE,), (FILE, "--with", "nonsense"), ("nowhere.md",), (FILE, "--without-lines", "no such")]
    )
    def test_refuses_what_cannot_be_compared_before_a_kernel_starts(
        self, repository: Path, arguments: tuple[str, ...]
    ) -> None:
        found = self.call(*arguments)

        assert found.exit_code == EXIT_REFUSED
        assert found.stderr.count("\n") == 1
        assert not (repository / "outputs").exists()

    @pytest.mark.parametrize("was_there", [False, True])
    def test_leaves_nothing_for_git_to_see_or_says_so(
        self, repository: Path, was_there: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("WORKBENCH_LEDGER", raising=False)
        edit(repository)
        if was_there:
            (repository / "outputs").mkdir()
        found = self.call(FILE, "--offline", "--repeats", "1")

        assert found.exit_code == 0, found.output
        assert ("outputs/" in git(repository, "status", "--short")) is was_there
        assert ("git sees the answers in" in found.stderr) is was_there

    @pytest.mark.parametrize(
        ("arguments", "base", "is_haiku"),
        [
            (("--with", "HEAD", "--with-model", "haiku"), "You review code.", True),
            (("--with", "../../other.md"), "You read code.", False),
            (("--without-lines", "clarifying"), "You review code briefly.", False),
        ],
        ids=["revision and model", "file", "lines"],
    )
    def test_leaves_notebook_page_and_record_and_ends_in_a_sentence_from_any_folder(
        self,
        repository: Path,
        monkeypatch: pytest.MonkeyPatch,
        arguments: tuple[str, ...],
        base: str,
        is_haiku: bool,
    ) -> None:
        edit(repository)
        (repository / "other.md").write_text(AGENT.replace("You review code.", "You read code."))
        monkeypatch.chdir((repository / FILE).parent)
        found = self.call("reviewer.md", "--offline", "--repeats", "1", *arguments)

        assert found.exit_code == 0, found.output
        assert '"variant" against "base", ungraded: ' in found.output
        out = repository / "outputs" / "compare-reviewer"
        assert {"compare.ipynb", "compare.html", "run.json"} <= {path.name for path in out.iterdir()}
        run = wb.load_run(out)
        assert base in run.variants["base"].prompt
        assert "You review code briefly." in run.variants["variant"].prompt
        assert ("clarifying" in run.variants["variant"].prompt) is ("--without-lines" not in arguments)
        assert all(("haiku" in trial.request.model) is is_haiku for trial in run.trials)

    def test_says_the_command_that_compares_again_where_it_failed(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise NotebookFailed("compare: the kernel died", saved="saved", to_go_on="go_on=True")

        monkeypatch.setattr(notebook, "begin_kernel_for", lambda _: None)
        monkeypatch.setattr(notebook, "run_notebook", fail)
        edit(repository)
        given = (FILE, "--without-lines", 'it\'s a "question"', "--with-model", "haiku", "--with-model", "opus")
        (repository / FILE).write_text((repository / FILE).read_text() + '\nIs it\'s a "question"?\n')
        found = self.call(*given, "--offline", "--repeats", "1")
        [line] = [line for line in found.stderr.splitlines() if line.startswith("To go on: ")]
        words = shlex.split(line.removeprefix("To go on: "))

        assert found.stderr.splitlines()[:2] == ["compare: the kernel died", "saved"]
        assert "go_on=True" not in found.stderr
        assert words[:3] == ["workbench", "compare", FILE]
        assert sorted(words[3:]) == sorted([*given[1:], "--offline", "--repeats", "1"])
        assert self.call(*words[2:]).stderr == found.stderr

    def test_moves_another_comparison_aside_whole_and_overwrites_its_own(
        self, repository: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        edit(repository)
        out = repository / "outputs" / "compare-reviewer"
        for _ in range(2):
            found = self.call(FILE, "--offline", "--repeats", "1")
            assert found.exit_code == 0 and "held another" not in caplog.text, found.output
        (out / "report").mkdir()
        before = wb.load_run(out)
        found = self.call(FILE, "--offline", "--repeats", "1", "--with-model", "haiku")

        [aside] = [path for path in out.parent.iterdir() if path.name.startswith("compare-reviewer-")]
        assert (
            found.exit_code == 0 and f"held another run, which is now in {aside.relative_to(repository)}" in caplog.text
        ), found.output
        assert {"compare.ipynb", "compare.html"} <= {path.name for path in aside.iterdir()}
        assert (aside / "report").is_dir() and not (out / "report").exists()
        assert wb.load_run(aside).variants == before.variants
        assert any("haiku" in trial.request.model for trial in wb.load_run(out).trials)


AGENTS = int(os.environ.get("WORKBENCH_AGENTS", "5"))
"""What docs/how-to/compare.md says is of twenty; each takes some seconds."""


def agents_by_hash(corpus: Path, count: int) -> list[Path]:
    """Corpus agents of so many projects: of each the one whose text has the least hash, in the order of the hashes."""
    by_repository: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    with (corpus / "index.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            chosen = hashlib.sha256(row["sha256"].encode()).hexdigest()
            by_repository[row["repo"]].append((chosen, corpus / row["file"]))
    least = sorted(min(found) for found in by_repository.values())
    return [path for _, path in least[:count]]


def committed_and_edited(source: Path, folder: Path) -> Path:
    """The agent in a repository of its own, in a commit, and edited since; its tasks are those of its description."""
    path = folder / ".claude" / "agents" / source.name
    path.parent.mkdir(parents=True)
    path.write_bytes(source.read_bytes())
    agent = wb.load_agent(path)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=first")
    wb.save_agent(agent.replace(prompt=agent.prompt + "\nAsk the user a clarifying question before you begin.\n"))
    return path


@pytest.mark.machine
@pytest.mark.timeout(1200)
def test_agents_of_as_many_projects_end_in_a_verdict_on_measures(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command, with nothing but the agent's name: its tasks are those of its description."""
    chosen = agents_by_hash(corpus, AGENTS)
    assert len(chosen) == AGENTS
    needed = fewest_tasks(len(MEASURES))
    lines = []
    for number, source in enumerate(chosen):
        folder = tmp_path / str(number)
        path = committed_and_edited(source, folder)
        monkeypatch.chdir(folder)
        began = time.monotonic()
        said = CliRunner().invoke(main, ["compare", path.relative_to(folder).as_posix(), "--repeats", "2", "--offline"])
        seconds = time.monotonic() - began

        assert said.exit_code == 0, (source, said.output)
        run = wb.load_run(folder / "outputs" / f"compare-{path.stem}")
        [comparison] = wb.compare_pairs(run, [("base", "variant")])
        assert comparison.verdicts[0].kind == "not graded", source
        shown = " ".join(said.output.split())
        assert comparison.verdicts[0].headline in shown, (comparison.verdicts[0].headline, shown)
        assert "none of them can be established" not in shown, source
        compared = [change for change in comparison.measures if change.kind != "not compared"]
        assert {change.measure for change in compared} == {
            measure.name for measure in MEASURES if not measure.of_a_model
        }, source
        assert all(change.tasks >= needed and change.text for change in compared), source
        assert len(comparison.verdicts[0].headline.split()) <= 25
        kinds = Counter(change.kind for change in compared)
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        lines.append(
            f"{path.stem:<40} {len(run.tasks):>2} tasks, {len(run.trials):>3} replies, {seconds:4.1f} s: {told}"
        )
    print("\n" + "\n".join(lines))
