"""Every version of an agent that was ever tried: which was best, and how sure that is."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

import workbench as wb
from workbench.cli import main
from workbench.comparison.agent_versions import (
    OWN_MODELS,
    AgentVersions,
    Version,
    VersionAttempt,
    compare_versions,
)
from workbench.definition.agent import Agent
from workbench.definition.committed import commits_of
from workbench.definition.draft import Draft
from workbench.definition.draft_files import draft_path, load_draft, save_draft
from workbench.errors import AgentFileError, ComparisonError
from workbench.project.tried import find_version
from workbench.statistics.corrections import holm
from workbench.statistics.means import paired, simultaneous_interval
from workbench.trial.task import Task

TASKS = [Task(id=f"t{number}", input=f"Question {number}") for number in range(12)]
NEW, OLD, ODD = (Agent(name="x", description="d", prompt=prompt) for prompt in ("new", "old", "odd"))
AGENTS = {each.digest: each for each in (NEW, OLD, ODD)}


def attempts(
    agent: Agent,
    scores: list[float | None],
    day: str,
    *,
    tasks: list[Task] = TASKS,
    model: str = "m",
    made_up: bool = False,
    own: bool = False,
    effort: str | None = None,
) -> list[VersionAttempt]:
    digest = agent.digest
    return [
        VersionAttempt(
            version=digest,
            model=model,
            effort=effort,
            is_own=own,
            is_stand_in=made_up,
            task=task,
            key=f"{digest}{task.id}{model}{effort}",
            score=score,
            at=f"{day}T00:00:00Z",
        )
        for task, score in zip(tasks, scores, strict=True)
    ]


def versions_of(*groups: list[VersionAttempt], last: int = 10) -> AgentVersions:
    return compare_versions("x", AGENTS, [one for each in groups for one in each], on_disk=NEW.digest, last=last)


def row(found: AgentVersions, agent: Agent) -> Version:
    return next(each for each in found.versions if each.digest == agent.digest)


@pytest.mark.parametrize(
    ("earlier", "said"),
    [
        ([OLD], "the one other version has not more points"),
        ([OLD, ODD], "of 2 other versions none has more points"),
    ],
)
def test_that_the_newest_is_best_is_said_in_whole_words(earlier: list[Agent], said: str) -> None:
    worse = [attempts(each, [0.5, 0.4, 0.3] * 4, "2026-11-03") for each in earlier]
    found = versions_of(attempts(NEW, [0.9, 0.8] * 6, "2026-11-04"), *worse)

    shown = "1 is" if len(earlier) == 1 else "2 are"
    assert f"{said} than {NEW.digest[:8]} of 2026-11-04 on the tasks that both share, and {shown}" in found.summary


def test_a_version_that_is_better_on_the_shared_tasks_is_named_with_its_corrected_interval() -> None:
    new, old = [0.5, 0.4] * 6, [0.9, 0.9, 0.8] * 4
    found = versions_of(
        attempts(NEW, list(new), "2026-11-03"),
        attempts(OLD, list(old), "2026-11-01"),
        attempts(ODD, [0.5, 0.5, 0.3, 0.4] * 3, "2026-11-02"),
    )
    against = row(found, OLD).against

    assert found.best is row(found, OLD) and against is not None and against.interval is not None
    differences = np.array(old) - np.array(new)
    reach = stats.t.ppf(1 - 0.05 / 2 / 2, 11) * differences.std(ddof=1) / np.sqrt(12)
    assert (against.interval.low, against.interval.high) == pytest.approx(
        (differences.mean() - reach, differences.mean() + reach)
    )
    odd = np.array([0.5, 0.5, 0.3, 0.4] * 3) - np.array(new)
    assert against.p == pytest.approx(holm([paired(differences).sign_flip.p, paired(odd).sign_flip.p])[0])
    assert against.shown == "better" and "is shown to be better" in found.summary
    assert [each.is_newest for each in found.versions] == [True, False, False]
    assert [each.last_at[:10] for each in found.versions] == ["2026-11-03", "2026-11-02", "2026-11-01"]


def test_the_luckiest_of_many_versions_is_rarely_called_better() -> None:
    """Six versions that do not differ: in about one of twenty histories any of them is called better or worse."""
    random = np.random.default_rng(5)
    agents = [Agent(name="x", description="d", prompt=str(number)) for number in range(6)]
    wrong = 0
    for _ in range(40):
        tried = [
            one
            for number, each in enumerate(agents)
            for one in attempts(each, list(random.integers(0, 5, 12) / 4), f"2026-11-{number + 1:02}")
        ]
        found = compare_versions("x", {each.digest: each for each in agents}, tried, on_disk=agents[5].digest)
        wrong += any(each.against is not None and each.against.shown in ("better", "worse") for each in found.versions)

    assert wrong <= 5


def test_only_tasks_that_both_were_given_alike_are_compared() -> None:
    changed = [Task(id=task.id, input=f"{task.input}, otherwise") for task in TASKS[6:]]
    found = versions_of(
        attempts(NEW, [0.5] * 12, "2026-11-03"),
        attempts(OLD, [0.7] * 6, "2026-11-01", tasks=TASKS[:6]),
        attempts(ODD, [1.0] * 6, "2026-11-02", tasks=changed),
    )
    old, odd = row(found, OLD).against, row(found, ODD).against

    assert old is not None and (old.tasks, old.points, old.newest_points) == (6, pytest.approx(0.7), 0.5)
    assert odd is not None and (odd.tasks, odd.shown, odd.effect) == (0, "too few tasks", None)


def test_what_another_model_said_is_never_held_against_a_version() -> None:
    found = versions_of(
        attempts(NEW, [0.5] * 12, "2026-11-03"),
        attempts(OLD, [1.0] * 12, "2026-11-01", model="stronger"),
    )

    assert [(group.asked, group.finding) for group in found.by_model] == [
        ("m", f"only {NEW.digest[:8]} of 2026-11-03 was tried"),
        ("stronger", f"only {OLD.digest[:8]} of 2026-11-01 was tried"),
    ]
    assert [each.against for each in found.versions] == [None, None]


def test_one_attempt_with_another_model_takes_no_answer_away() -> None:
    """The version on disk was asked of another model last: the ten that share a model are still compared."""
    agents = [Agent(name="x", description="d", prompt=str(number)) for number in range(10)]
    tried = [
        one
        for number, each in enumerate(agents)
        for one in attempts(each, [0.1 * number, 0.1 * number + 0.01 * number] * 6, f"2026-11-{number + 1:02}")
    ]
    tried += attempts(agents[4], [0.7] * 12, "2026-11-20", model="haiku")
    found = compare_versions("x", {each.digest: each for each in agents}, tried, on_disk=agents[4].digest)
    main, other = found.by_model

    assert (main.asked, len(main.versions), len(main.compared), main.newest.digest) == ("m", 10, 9, agents[4].digest)
    assert found.best is not None and found.best.digest == agents[9].digest
    assert found.best.against is not None and found.best.against.shown == "better"
    assert (other.asked, [each.digest for each in other.versions]) == ("haiku", [agents[4].digest])
    assert found.summary.startswith("10 versions of x were tried. Asked of m, ")
    assert "so are" in main.finding and other.finding.startswith("only ")
    assert len(found.tables()) == 2 and "haiku" in found.tables()[1].title


def test_one_text_under_two_models_is_one_version_and_each_model_has_its_answer() -> None:
    found = versions_of(
        attempts(NEW, [0.9, 0.8] * 6, "2026-11-03"),
        attempts(NEW, [0.1, 0.2] * 6, "2026-11-02", model="stronger"),
        attempts(OLD, [0.5, 0.4, 0.3] * 4, "2026-11-01"),
        attempts(OLD, [0.9, 0.8, 0.9] * 4, "2026-11-01", model="stronger"),
    )
    by_model = {group.asked: group.best for group in found.by_model}

    assert len(found.versions) == 4
    assert found.summary.startswith("2 versions of x were tried.")
    assert {asked: best.digest for asked, best in by_model.items() if best} == {"m": NEW.digest, "stronger": OLD.digest}
    assert all(each.against is None or each.against.tasks == 12 for each in found.versions)


def test_another_effort_is_another_way_of_asking() -> None:
    found = versions_of(
        attempts(NEW, [0.5] * 12, "2026-11-03", effort="low"),
        attempts(OLD, [1.0] * 12, "2026-11-01", effort="high"),
    )

    assert {group.asked for group in found.by_model} == {"m with effort low", "m with effort high"}
    assert found.best is not None and not any(group.compared for group in found.by_model)


def test_versions_whose_files_name_other_models_are_compared_as_their_files_have_them() -> None:
    found = versions_of(
        attempts(NEW, [0.5, 0.6] * 6, "2026-11-03", model="small", own=True),
        attempts(OLD, [0.9, 0.9, 0.8] * 4, "2026-11-01", model="large", own=True),
        attempts(NEW, [0.7, 0.6] * 6, "2026-11-02", model="large"),
    )
    own, large = found.by_model

    assert own.asked == OWN_MODELS and [each.model for each in own.versions] == ["small", "large"]
    assert own.best is not None and own.best.digest == OLD.digest
    assert large.asked == "large" and len(large.versions) == 2, "and of the one model that both were asked of"


def test_without_a_try_of_the_version_on_disk_the_one_first_tried_last_is_the_newest() -> None:
    found = compare_versions(
        "x",
        AGENTS,
        [
            *attempts(OLD, [0.5, 0.4] * 6, "2026-11-01"),
            *attempts(NEW, [0.6, 0.7] * 6, "2026-11-02"),
            *attempts(OLD, [0.5], "2026-11-05", tasks=[Task(id="again", input="Again")]),
        ],
        on_disk=ODD.digest,
    )

    assert found.by_model[0].newest.digest == NEW.digest
    assert "2 versions of x were tried; the one on disk was not tried." in found.summary


def test_a_version_on_disk_that_shares_no_task_leaves_the_others_their_answer() -> None:
    alone = [Task(id="other", input="Quite another")]
    found = versions_of(
        attempts(NEW, [0.5], "2026-11-03", tasks=alone),
        attempts(OLD, [0.9, 0.8, 0.9] * 4, "2026-11-01"),
        attempts(ODD, [0.5, 0.4] * 6, "2026-11-02"),
    )

    assert found.by_model[0].newest.digest == ODD.digest
    assert found.best is not None and found.best.digest == OLD.digest
    assert found.by_model[0].finding.endswith("; 1 more shares too few tasks with it")


def test_one_that_is_shown_to_be_better_comes_before_a_luckier_one_on_two_tasks() -> None:
    found = versions_of(
        attempts(NEW, [0.5, 0.4] * 6, "2026-11-03"),
        attempts(OLD, [0.8, 0.9, 0.8] * 4, "2026-11-01"),
        attempts(ODD, [1.0, 1.0], "2026-11-02", tasks=TASKS[:2]),
    )

    assert found.best is not None and found.best.digest == OLD.digest


def test_points_that_are_alike_at_every_task_are_called_identical() -> None:
    found = versions_of(attempts(NEW, [0.5, 0.4] * 6, "2026-11-03"), attempts(OLD, [0.5, 0.4] * 6, "2026-11-01"))

    assert row(found, OLD).against is not None and row(found, OLD).against.shown == "identical"  # type: ignore[union-attr]
    assert "the one other version has the very points of" in found.summary


def test_made_up_replies_are_never_held_against_a_models() -> None:
    found = versions_of(
        attempts(NEW, [0.5] * 12, "2026-11-03", made_up=True),
        attempts(OLD, [1.0] * 12, "2026-11-01"),
    )

    assert [(group.is_stand_in, group.newest.digest) for group in found.by_model] == [
        (False, OLD.digest),
        (True, NEW.digest),
    ]
    assert "OFFLINE STAND-IN, no model answered: asked of m, only" in found.summary
    made_up = versions_of(attempts(NEW, [0.5] * 12, "2026-11-03", made_up=True))
    assert made_up.summary.startswith("OFFLINE STAND-IN")
    assert "OFFLINE STAND-IN" in made_up.tables()[0].title


def test_a_reply_found_twice_counts_once_and_a_failure_that_came_back_does_not_count() -> None:
    failed = attempts(OLD, [None] * 12, "2026-10-31")
    found = versions_of(
        attempts(NEW, [0.5] * 12, "2026-11-03"), failed, attempts(OLD, [0.6] * 12, "2026-11-01"), failed
    )

    assert (row(found, OLD).replies, row(found, OLD).unscored) == (12, 0)


def test_with_too_much_missing_nothing_is_shown() -> None:
    found = versions_of(
        attempts(NEW, [0.1, 0.2, 0.1, 0.2] * 3, "2026-11-03"), attempts(OLD, [*[0.9, 1.0] * 5, 0.9, None], "2026-11-01")
    )
    against = row(found, OLD).against

    assert against is not None and against.shown == "too many without a score" and (against.effect or 0) > 0.5


def test_only_the_last_so_many_are_looked_at() -> None:
    found = versions_of(
        attempts(NEW, [0.5] * 12, "2026-11-01"),
        attempts(OLD, [0.6] * 12, "2026-11-03"),
        attempts(ODD, [0.6] * 12, "2026-11-02"),
        last=2,
    )

    assert [each.digest for each in found.versions] == [NEW.digest, OLD.digest], "the one on disk stays the newest"


def test_an_interval_for_several_is_wider_and_never_beyond_the_scale() -> None:
    varied, alike = paired([0.1, 0.3, 0.2, 0.4]), paired([0.2, 0.2, 0.2])

    for found in (varied, alike):
        one, three = simultaneous_interval(found, 1), simultaneous_interval(found, 3)
        assert one == found.interval
        assert -1 <= three.low < one.low and one.high < three.high <= 1


def test_names_are_text_in_the_page() -> None:
    agent = Agent(name="<img src=x onerror=alert(1)>", description="d")
    found = compare_versions(
        agent.name or "", {agent.digest: agent}, attempts(agent, [0.5] * 12, "2026-11-03"), on_disk=agent.digest
    )

    assert "<img" not in found._repr_html_() and "<table" in found._repr_html_()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose agent was tried in two versions, offline, the first of them also left in a record."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_LEDGER", raising=False)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    agent = tmp_path / ".claude/agents/x.md"
    agent.parent.mkdir(parents=True)
    agent.with_name("x.tasks.yaml").write_text(
        "graders: [{word_count: {at_most: 400}}]\ntasks:\n"
        + "".join(f"  - id: t{number}\n    input: Say {number}.\n" for number in range(3)),
        encoding="utf-8",
    )
    for prompt in ("First.", "Second."):
        agent.write_text(f"---\nname: x\ndescription: Use it.\n---\n\n{prompt}\n", encoding="utf-8")
        loaded = wb.load_agent(agent)
        plan = wb.plan_trials({"x": loaded}, wb.load_tasks_for(loaded), repeats=2, graders=wb.graders.standard())
        run = wb.run_trials(plan, live=False, progress=False)
        if prompt == "First.":
            wb.export_record(run, tmp_path / "outputs/night")
    yield agent


def test_versions_come_from_ledger_and_records_each_reply_once(project: Path) -> None:
    found = wb.tried_versions(project)
    by_prompt = {each.agent.prompt.strip(): each for each in found.versions}

    assert set(by_prompt) == {"First.", "Second."}
    assert by_prompt["Second."].is_newest
    assert [(each.tasks, each.replies) for each in found.versions] == [(3, 6), (3, 6)]
    assert all(each.points is not None for each in found.versions)
    (project.parents[2] / "outputs/ledger.sqlite").unlink()
    assert [each.agent.prompt.strip() for each in wb.tried_versions(project).versions] == ["First."]


def test_a_record_without_the_secrets_of_a_version_is_of_that_version(project: Path) -> None:
    key = "sk-ant-" + "canary-version-000001"
    project.write_text(f"---\nname: x\ndescription: Use it.\n---\n\nYou know {key}.\n", encoding="utf-8")
    loaded = wb.load_agent(project)
    plan = wb.plan_trials({"x": loaded}, wb.load_tasks_for(loaded), repeats=2, graders=wb.graders.standard())
    wb.export_record(wb.run_trials(plan, live=False, progress=False), project.parents[2] / "outputs/leaky")

    found = wb.tried_versions(project)
    (project.parents[2] / "outputs/ledger.sqlite").unlink()
    of_record = wb.tried_versions(project)

    assert [each.agent.prompt.strip() for each in found.versions].count(f"You know {key}.") == 1
    assert not any("[key removed]" in each.agent.prompt for each in found.versions)
    assert loaded.digest in {each.digest for each in of_record.versions}
    assert of_record.agent(loaded.digest) == loaded


def test_a_version_is_restored_as_a_draft_and_the_file_stays(project: Path) -> None:
    before = project.read_bytes()
    found = wb.tried_versions(project)
    first = next(each for each in found.versions if not each.is_newest)

    draft = wb.restore_version(project, first.digest[:8], found)

    assert project.read_bytes() == before
    assert draft.text == first.agent.text
    assert Draft(wb.load_agent(project)).text == first.agent.text, "an open editor has the same draft"
    kept = load_draft(draft_path(project))
    assert kept is not None and kept.text == first.agent.text, "and the next process is offered it"
    with pytest.raises(AgentFileError, match="edits that are not saved"):
        wb.restore_version(project, first.digest, found)
    draft.revert()
    with pytest.raises(AgentFileError, match="nothing to restore"):
        wb.restore_version(project, wb.load_agent(project).digest[:8], found)


def test_a_subject_with_a_line_separator_is_one_subject(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    file = tmp_path / "x.md"
    file.write_text("x", encoding="utf-8")
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    commit = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "one\u2028two"]
    subprocess.run(commit, cwd=tmp_path, check=True)

    assert [each.subject for each in commits_of(file)] == ["one\u2028two"]


def commit(root: Path, subject: str) -> str:
    subprocess.run(["git", "add", "--all", "."], cwd=root, check=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *who, "commit", "--quiet", "--allow-empty", "-m", subject], cwd=root, check=True)
    return git(root, "rev-parse", "--short=10", "HEAD")


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def commits_by_prompt(agent: Path) -> dict[str, str]:
    return {each.agent.prompt.strip(): each.commit for each in wb.tried_versions(agent).versions}


def test_a_version_on_another_branch_or_on_none_any_more_has_its_commit(project: Path) -> None:
    root = project.parents[2]
    second = project.read_text(encoding="utf-8")
    project.write_text(second.replace("Second.", "Third."), encoding="utf-8")
    main_branch = commit(root, "third") and git(root, "branch", "--show-current")
    git(root, "checkout", "--quiet", "-b", "side")
    project.write_text(second, encoding="utf-8")
    on_side = commit(root, "second")
    project.write_text(second.replace("Second.", "First."), encoding="utf-8")
    lost = commit(root, "first")
    git(root, "reset", "--quiet", "--hard", "HEAD~1")
    git(root, "checkout", "--quiet", main_branch)

    found = commits_by_prompt(project)

    assert found["Second."].startswith(f"{on_side} of ") and found["Second."].endswith(", on side")
    assert found["First."].startswith(f"{lost} of ") and found["First."].endswith(", on no branch")


def test_an_agent_that_was_renamed_keeps_its_versions_and_their_commits(project: Path) -> None:
    root = project.parents[2]
    long = "\n".join(f"Rule {number}." for number in range(20))
    project.write_text(f"---\nname: x\ndescription: Use it.\n---\n\nUntried.\n{long}\n", encoding="utf-8")
    untried = commit(root, "never tried")
    first = "---\nname: x\ndescription: Use it.\n---\n\nFirst.\n"
    project.write_text(first, encoding="utf-8")
    tried = commit(root, "tried")
    project.with_name("x.tasks.yaml").rename(project.with_name("y.tasks.yaml"))
    renamed = project.rename(project.with_name("y.md"))
    commit(root, "renamed")
    renamed.write_text(first.replace("name: x", "name: y"), encoding="utf-8")
    commit(root, "called otherwise")

    found = wb.tried_versions(renamed)

    assert {each.agent.name for each in found.versions} == {"x"} and len(found.versions) == 2
    assert commits_by_prompt(renamed)["First."][:10] in (tried, git(root, "rev-parse", "--short=10", "HEAD~1"))
    assert any(each.startswith(f"{untried}:.claude/agents/x.md of ") for each in found.untried)


def test_another_file_whose_agent_is_called_the_same_is_no_version_of_this_one(project: Path) -> None:
    other = project.parents[2] / "agents/x.md"
    other.parent.mkdir()
    other.write_text(project.read_text(encoding="utf-8"), encoding="utf-8")
    project.write_text("---\nname: x\ndescription: Use it.\n---\n\nFirst.\n", encoding="utf-8")

    assert [each.agent.prompt.strip() for each in wb.tried_versions(project).versions] == ["First."]


def test_digits_with_which_several_versions_begin_are_told(project: Path) -> None:
    twins = [Agent(name="x", description="d", prompt=f"{number}") for number in range(17)]
    digits = Counter(each.digest[0] for each in twins).most_common(1)[0][0]
    found = compare_versions(
        "x",
        {each.digest: each for each in twins},
        [one for each in twins for one in attempts(each, [1.0], "2026-11-01", tasks=TASKS[:1])],
        last=len(twins),
    )

    for asked in (find_version, wb.restore_version):
        with pytest.raises(AgentFileError, match="versions of x begin with .* more of its digits"):
            asked(project, digits, found)


def test_a_draft_that_an_earlier_process_kept_is_moved_aside(project: Path) -> None:
    disk = wb.load_agent(project)
    save_draft(draft_path(project), base=disk.text, text=disk.text.replace("Second", "Typed"))
    found = wb.tried_versions(project)
    first = next(each for each in found.versions if not each.is_newest)

    draft = wb.restore_version(project, first.digest, found)

    kept = [load_draft(path) for path in draft_path(project).parent.glob("*.json")]
    assert sorted(each.text.split()[-1] for each in kept if each is not None) == ["First.", "Typed."]
    draft.revert()


def test_the_command_lists_shows_and_restores_also_what_git_has(project: Path) -> None:
    root = project.parents[2]
    commit = ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm"]
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    subprocess.run(["git", *commit, "tried"], cwd=root, check=True)
    subprocess.run(["git", "rm", "-q", "--cached", str(project)], cwd=root, check=True)
    subprocess.run(["git", *commit, "gone"], cwd=root, check=True)
    project.write_text("---\nname: x\ndescription: Use it.\n---\n\nCommitted.\n", encoding="utf-8")
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    subprocess.run(["git", *commit, "x"], cwd=root, check=True)
    project.write_text("---\nname: x\ndescription: Use it.\n---\n\nNow.\n", encoding="utf-8")

    listed = CliRunner().invoke(main, ["versions", str(project)])
    data = json.loads(CliRunner().invoke(main, ["versions", str(project), "--json"]).output)
    shown = CliRunner().invoke(main, ["versions", str(project), "--show", "HEAD"])
    restored = CliRunner().invoke(main, ["versions", str(project), "--restore", "HEAD"])
    unknown = CliRunner().invoke(main, ["versions", str(project), "--show", "nothing"])

    assert listed.exit_code == 0 and "2 versions of x" in listed.output
    assert [len(each["versions"]) for each in data["by_model"]] == [2]
    assert len(data["untried"]) == 1 and data["untried"][0].endswith(": x"), "committed, and never tried"
    assert shown.output.endswith("\nCommitted.\n")
    assert restored.exit_code == 0 and "stays as it is" in restored.output
    assert "Now." in project.read_text(encoding="utf-8")
    assert CliRunner().invoke(main, ["versions", str(project), "--records", "none"]).exit_code == 2
    assert unknown.exit_code == 2 and "no version that was tried begins with 'nothing'" in unknown.output


def test_the_name_of_a_file_is_no_line_of_its_own_where_a_draft_is_told(project: Path) -> None:
    odd = project.rename(project.with_name("a\n::error::x.md"))
    root = project.parents[2]
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "odd"], cwd=root, check=True)
    odd.write_text("---\nname: x\ndescription: Use it.\n---\n\nNow.\n", encoding="utf-8")

    restored = CliRunner().invoke(main, ["versions", str(odd), "--restore", "HEAD"])

    assert restored.exit_code == 0 and "a ::error::x.md stays as it is" in restored.output
    assert not [line for line in restored.output.splitlines() if line.startswith("::")]


def test_an_agent_that_was_never_tried_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_LEDGER", raising=False)
    agent = tmp_path / "agents/x.md"
    agent.parent.mkdir()
    agent.write_text("---\nname: x\ndescription: Use it.\n---\n\nNow.\n", encoding="utf-8")

    assert str(wb.tried_versions(agent)) == "No version of x was tried yet."
    assert not (tmp_path / "outputs").exists(), "reading makes no ledger"


def test_a_digest_that_several_have_is_refused() -> None:
    found = versions_of(attempts(NEW, [0.5] * 12, "2026-11-03"), attempts(OLD, [0.6] * 12, "2026-11-01"))

    assert found.agent(OLD.digest[:12]) == OLD
    with pytest.raises(ComparisonError, match="no versions of x begin with ''"):
        found.agent("")
