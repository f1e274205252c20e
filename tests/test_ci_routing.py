"""`workbench ci` where a change edits descriptions: held by who gets picked, and no worse description is ever green."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import Result

from tests.foreign_project import KEY, Repository, agent
from tests.router_server import Listed, RouterServer, router_server
from tests.sarif import assert_sarif
from tests.test_routing import passes_controls
from workbench.cli import EXIT_FAILED, EXIT_REFUSED, EXIT_STAND_IN, EXIT_UNDECIDED, EXIT_WORSE
from workbench.project.ci import OUTCOMES
from workbench.routing.sides import load_change
from workbench.statistics.routing import NONE

EACH = 12
"""Cases of an agent: with none lost, a loss of 24.3 points or more is ruled out."""
MARGIN = "0.3"
NAMES = ("sec", "perf", "docs")
PERF, CASES = ".claude/agents/perf.md", ".claude/agents/routing.yaml"
GRABS = "Grabs whatever there is."
STEALS, NEVER, OVER = "Steals the work of sec.", "Never picked.", "Picked for chores too."


def decide(prompt: str, names: Listed) -> str | None:
    """As the words of the list have it: who reads them follows them."""
    whose, _, number = prompt.split()
    perf = "fast" if "fast" in names else "perf"
    if whose == "sec" and STEALS in names.text and int(number) < 9:
        return perf
    if whose == NONE and OVER in names.text:
        return perf
    if whose == "perf":
        return None if NEVER in names.text else perf
    return whose if whose in names else None


def cases(each: int = EACH, **expected: str) -> str:
    return json.dumps(
        [
            {"id": f"{name}-{number}", "prompt": f"{name} work {number}", "expect": expected.get(name, name)}
            for name in (*NAMES, NONE)
            for number in range(each)
        ]
    )


@pytest.fixture(scope="module")
def server() -> Iterator[RouterServer]:
    passes = passes_controls(decide)
    with router_server(lambda prompt, names: "perf" if GRABS in names.text else passes(prompt, names)) as server:
        yield server


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all changes: what is picked by the list of before is asked once."""
    return tmp_path_factory.mktemp("ledger") / "ledger.sqlite"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = Repository(tmp_path_factory.mktemp("routing") / "project")
    for name in NAMES:
        repository.write(f".claude/agents/{name}.md", agent(name))
    repository.write(CASES, cases())
    repository.write(".gitignore", "outputs/\n")
    repository.git("init", "--quiet", "--initial-branch=main")
    repository.commit()
    repository.git("checkout", "--quiet", "-b", "change")
    return repository.folder


@pytest.fixture
def repository(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: RouterServer, ledger: Path
) -> Repository:
    folder = tmp_path / "project"
    subprocess.run(["cp", "-a", str(template), str(folder)], check=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    monkeypatch.setenv("WORKBENCH_LEDGER", str(ledger))
    monkeypatch.setenv("WORKBENCH_CLAUDE", "none")
    for name in ("GITHUB_ACTIONS", "GITHUB_EVENT_PATH", "GITHUB_STEP_SUMMARY", "GITHUB_BASE_REF", "GITHUB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    return Repository(folder)


def held(repository: Repository, *arguments: str) -> Result:
    repository.commit()
    return repository.ci("--routing-margin", MARGIN, *arguments)


def page_in(record: Path) -> str:
    return (record / "report" / "report.html").read_text("utf-8")


def describe(repository: Repository, text: str, name: str = "perf") -> None:
    repository.write(PERF, agent(name, description=f"Works as perf. {text}"))


def easier_too(repository: Repository) -> None:
    describe(repository, STEALS)
    repository.write(CASES, cases(sec="perf"))


def without_what_it_steals(repository: Repository) -> None:
    describe(repository, STEALS)
    rows = [row for row in json.loads(cases()) if row["expect"] != "sec"]
    repository.write(CASES, json.dumps(rows))


def without_cases(repository: Repository) -> None:
    describe(repository, STEALS)
    (repository.folder / CASES).unlink()


def under_another_name(repository: Repository) -> None:
    describe(repository, NEVER, "fast")


def a_new_agent_that_steals(repository: Repository) -> None:
    """The list is what counts: the agent that takes the cases has the words of another."""
    repository.write(".claude/agents/fast.md", agent("fast", description=STEALS))


def in_another_format(repository: Repository) -> None:
    describe(repository, STEALS)
    (repository.folder / CASES).unlink()
    repository.write(".claude/agents/routing.jsonl", '{"prompt": "perf work 1", "expect": "perf"}\n')


@pytest.mark.parametrize(
    "change",
    [
        lambda repository: describe(repository, STEALS),
        lambda repository: describe(repository, NEVER),
        lambda repository: describe(repository, OVER),
        easier_too,
        without_what_it_steals,
        without_cases,
        under_another_name,
        a_new_agent_that_steals,
        in_another_format,
    ],
)
def test_no_worse_description_is_green(change: Callable[[Repository], None], repository: Repository) -> None:
    change(repository)

    done = held(repository)

    assert done.exit_code == EXIT_WORSE, done.output
    assert re.match(r"## Fails: worse: routing of \.claude/agents \(exit code 3\)\n", repository.comment)
    assert [each["outcome"] for each in repository.found["routing"]] == ["worse"]


def test_a_description_that_loses_nothing_passes_and_is_asked_again_for_nothing(
    repository: Repository, server: RouterServer
) -> None:
    describe(repository, "In other words.")

    first = held(repository)
    asked = len(server.bodies)
    again = held(repository)

    assert (first.exit_code, again.exit_code, len(server.bodies)) == (0, 0, asked), first.output
    assert repository.outcomes() == {PERF: "described"}
    found = repository.found["routing"][0]
    assert (found["folder"], found["outcome"], found["margin"]) == (".claude/agents", "passes", 0.3)
    assert {each["decision"] for each in found["gates"][0]["figures"]} == {"passes"}
    record = repository.folder / "outputs/ci" / found["records"] / "cases-before"
    assert load_change(record).changed == ("perf",)
    assert not (record / "report").exists()
    held(repository, "--pages")
    assert "Before: perf: picked in 12 of 12, by mistake in 0 of 36." in page_in(record)


@pytest.mark.parametrize(
    ("lines", "fields"), [(("Do it otherwise.",), {}), ((), {"tools": "Read"}), ((), {"model": "opus"})]
)
def test_more_than_a_description_needs_tasks_all_the_same(
    lines: tuple[str, ...], fields: dict[str, str], repository: Repository
) -> None:
    repository.write(PERF, agent("perf", *lines, **{"description": "Works as perf. In other words.", **fields}))

    done = held(repository)

    assert done.exit_code == OUTCOMES["no-tasks"].code, done.output
    assert [each["outcome"] for each in repository.found["routing"]] == ["passes"]


def test_a_description_that_fails_the_controls_is_not_green_and_said_to(repository: Repository) -> None:
    """A router that hands it the chores of the controls too is refused, which it was not with the agents as they were."""
    describe(repository, GRABS)

    done = held(repository)

    assert done.exit_code == EXIT_FAILED, done.output
    assert "with the agents as they were it passes; as they are: " in repository.found["routing"][0]["text"]


def test_a_renamed_agent_keeps_its_cases(repository: Repository) -> None:
    describe(repository, "In other words.", "fast")

    done = held(repository, "--allow", "no-tasks")  # its prompt has its name

    assert done.exit_code == 0, done.output
    assert "'perf' is 'fast' now, and is held on the cases of 'perf'" in repository.found["routing"][0]["notes"]


def test_cases_of_an_agent_that_goes_are_left_out_and_said(repository: Repository) -> None:
    (repository.folder / ".claude/agents/docs.md").unlink()

    done = held(repository, "--allow", "gone")

    found = repository.found["routing"][0]
    assert done.exit_code == 0, done.output
    assert any("12 cases are left out" in note for note in found["notes"])


def test_new_cases_may_fail_a_description_and_pass_none(repository: Repository) -> None:
    """By the cases of before nothing is lost; by those that the change brings along, it is."""
    repository.git("checkout", "--quiet", "main")
    rows = [row for row in json.loads(cases()) if row["expect"] != "sec"]
    repository.write(CASES, json.dumps([*rows, {"id": "x", "prompt": "sec work 11", "expect": "sec"}]))
    repository.commit()
    repository.git("checkout", "--quiet", "-B", "change")
    describe(repository, STEALS)
    repository.write(CASES, cases())

    done = held(repository)

    assert done.exit_code == EXIT_WORSE, done.output
    assert "By the cases of this change: Routing gate fails" in repository.found["routing"][0]["text"]


def test_without_cases_it_is_said_in_one_line_and_not_red(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "main")
    (repository.folder / CASES).unlink()
    repository.commit()
    repository.git("checkout", "--quiet", "-B", "change")
    describe(repository, "In other words.")

    none = held(repository, "--allow", "no-tasks")
    line = "routing of .claude/agents: Descriptions changed, and no routing cases (routing.yaml) are there"
    assert none.exit_code == 0 and line in none.output, none.output
    assert repository.comment.count("no routing cases") == 1
    assert (repository.found["routing"], len(repository.found["not_routed"])) == ([], 1)

    repository.write(CASES, cases())
    along = held(repository, "--allow", "no-tasks")
    assert along.exit_code == 0 and "those that come along pass nobody" in along.output, along.output

    describe(repository, STEALS)
    assert held(repository).exit_code == EXIT_WORSE


def test_what_the_main_model_is_not_shown_is_no_matter_of_routing(repository: Repository, server: RouterServer) -> None:
    repository.write(PERF, agent("perf", "Do it otherwise."))
    repository.write(CASES, cases(sec="perf"))
    asked = len(server.bodies)

    held(repository)

    assert (repository.found["routing"], repository.found["not_routed"], len(server.bodies)) == ([], [], asked)


def no_key(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    return ()


def new_ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[str, ...]:
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "new.sqlite"))
    return "--budget-usd", "0.01"


@pytest.mark.parametrize(
    ("given", "code", "outcome"),
    [
        (lambda patch, _: ("--offline",), EXIT_STAND_IN, "stand-in"),
        (lambda patch, _: no_key(patch), OUTCOMES["no-key"].code, "no-key"),
        (new_ledger, EXIT_FAILED, "incomplete"),
        (lambda patch, _: ("--routing-margin", "0.1"), EXIT_UNDECIDED, "undecided"),
    ],
    ids=["made up", "no key", "budget", "few cases"],
)
def test_what_shows_nothing_is_not_green(
    given: Callable[[pytest.MonkeyPatch, Path], tuple[str, ...]],
    code: int,
    outcome: str,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    describe(repository, "In other words.")

    done = held(repository, *given(monkeypatch, tmp_path))

    assert done.exit_code == code, done.output
    assert [each["outcome"] for each in repository.found["routing"]] == [outcome]


def test_a_file_of_cases_that_is_wrong_is_refused(repository: Repository) -> None:
    describe(repository, "In other words.")
    repository.write(CASES, "- prompt: Who gets this?\n")

    done = held(repository)

    assert done.exit_code == EXIT_REFUSED and "has no `expect`" in done.output, done.output


def test_it_is_one_row_in_every_form(repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    repository.write(PERF, agent("perf", "Do it otherwise.", description=STEALS))

    done = held(repository, "--allow", "no-tasks")

    out = repository.folder / "outputs/ci"
    row = "| routing of .claude/agents | descriptions | worse |"
    assert repository.comment.count(row) == (tmp_path / "summary.md").read_text().count(row) == 1
    assert "perf takes of 12 cases of sec 0% before and 75% after" in repository.comment
    suite = ElementTree.fromstring((out / "junit.xml").read_text())
    one = [case for case in suite.iter("testcase") if case.get("classname") == "routing"]
    assert [case.get("name") for case in one] == ["routing of .claude/agents"]
    assert one[0].find("failure") is not None
    log: dict[str, Any] = json.loads((out / "sarif.json").read_text())
    assert_sarif(log)
    found = log["runs"][0]["results"]
    places = {(each["ruleId"], each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]) for each in found}
    assert ("worse", PERF) in places and len({each["partialFingerprints"]["workbench/v1"] for each in found}) == 2
    assert re.search(rf"::error file={re.escape(PERF)},line=3.*title=worse%3A routing of", done.output)
