"""The recipes for a change, in a repository that is not ours: the lines that a code host would run are run by bash, with the
environment that it would give them, and no network.

The repository has agents in Claude's folder, two of one file name, one that is renamed and edited, and one without tasks.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from tests.foreign_project import (
    ASKS,
    KEY,
    NEVER_ASKS,
    OPS,
    PLAIN,
    REVIEWER,
    WEB,
    Repository,
    foreign_repository,
    says,
    tasks_of,
)
from tests.messages_server import MessagesServer, serve
from tests.test_recipes import BIN, RECIPES, shell
from tests.test_wheel import build
from workbench.project.ci import OUTCOMES
from workbench.project.ci_command import ci_command
from workbench.project.ci_report import MARK

RENAMED = ".claude/agents/team/checker.md"
OWNER = "ada/own"
GATE = "Hold each changed agent against what it was"
SAY = "Say it in the pull request"
ROOM = "Take out what the change has there"


@pytest.fixture(scope="module")
def server() -> Iterator[MessagesServer]:
    with serve(lambda _body, _before: "ok") as server:
        server.pieces_for = lambda body: [says(body)]
        yield server


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return foreign_repository(tmp_path_factory.mktemp("foreign") / "project").folder


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Repository:
    folder = tmp_path / "project"
    subprocess.run(["cp", "-a", str(template), str(folder)], check=True)
    repository = Repository(folder)
    repository.write("requirements-workbench.txt", "agent-workbench\n")
    return repository


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """What would reach a network: each notes how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("pip", "gh", "curl", "apt-get"):
        answers = {"gh": GH_ANSWERS, "curl": CURL_ANSWERS}.get(name, "")
        (folder / name).write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/{name}.log"\n{answers}')
        (folder / name).chmod(0o755)
    return folder


GH_ANSWERS = """\
case "$*" in
*--paginate*)
    comments="$(dirname "$0")/../comments.json"
    while [ "$1" != --jq ]; do shift; done
    if [ -f "$comments" ]; then exec jq --raw-output "$2" "$comments"; fi;;
esac
"""
"""To who asks for the comments: none, or those of `says_comments` through the filter that was given, as `gh` does it."""


CURL_ANSWERS = """\
case "$*" in
*/user) echo '{"id": 5}';;
*per_page=100*)
    notes="$(dirname "$0")/../notes-${*##*page=}.json"
    if [ -f "$notes" ]; then cat "$notes"; else echo '[]'; fi;;
esac
"""
"""Who asks is user 5; the notes of a merge request stand in a file a page."""


def says_comments(folder: Path, *comments: tuple[str, bool, str]) -> None:
    """Has the pull request these comments: of each its id, whether the token's owner wrote it, and what it says."""
    nodes = [{"id": id, "viewerDidAuthor": ours, "body": body} for id, ours, body in comments]
    page = {"data": {"repository": {"pullRequest": {"comments": {"nodes": nodes}}}}}
    (folder / "comments.json").write_text(json.dumps(page))


def one_of_two_is_worse(repository: Repository) -> None:
    """Two of one file name, of which the one is worse and the other not; one that is renamed and edited, and no worse;
    one without tasks."""
    for path, before, to in (
        (OPS, ASKS, NEVER_ASKS),
        (WEB, "Rule 3.", "Rule three."),
        (REVIEWER, "Rule 4.", "Rule four."),
        (PLAIN, ASKS, NEVER_ASKS),
    ):
        text = (repository.folder / path).read_text()
        assert before in text
        repository.write(path, text.replace(before, to))
    (repository.folder / RENAMED).parent.mkdir()
    for path, to in ((REVIEWER, RENAMED), (tasks_of(REVIEWER), tasks_of(RENAMED))):
        (repository.folder / path).rename(repository.folder / to)
    repository.commit()


def none_is_worse(repository: Repository) -> None:
    text = (repository.folder / WEB).read_text()
    repository.write(WEB, text.replace("Rule 3.", "Rule three."))
    repository.commit()


def plants_answers_and_results(repository: Repository) -> None:
    """A ledger, which a recipe would keep for the next push; a comment that passes, and a link that ends the gate before
    it writes its own; and a comment that is a link to what is nobody's."""
    none_is_worse(repository)
    repository.write("outputs/ledger.sqlite", "answers")
    repository.write("outputs/ci/comment.md", f"{MARK}\n## Passes: no worse\n")
    (repository.folder / "outputs/ci/junit.xml").symlink_to("/proc/self/environ")
    repository.git("add", "--force", "outputs")
    repository.commit()


def assert_nothing_of_it_is_left(repository: Repository) -> None:
    assert repository.comment.startswith("## Fails: cannot be tried (exit code 2)")
    assert "outputs/ci/comment.md is committed" in repository.comment.replace("\\", "") or (
        "outputs/ledger.sqlite is committed" in repository.comment.replace("\\", "")
    )
    assert not (repository.folder / "outputs/ledger.sqlite").exists(), "it would be kept for the next push"
    assert not any(path.is_symlink() for path in (repository.folder / "outputs").rglob("*"))


def assert_found(repository: Repository) -> None:
    """What `one_of_two_is_worse` did, each by its path."""
    assert repository.outcomes() == {OPS: "worse", WEB: "passes", RENAMED: "passes", PLAIN: "no-tasks"}
    assert repository.comment.replace("\\", "").startswith(
        f'## Fails: worse: {OPS} in "asks_question" (exit code 3)'
    ), repository.comment
    left = "".join(
        path.read_text(errors="replace") for path in (repository.folder / "outputs/ci").rglob("*") if path.is_file()
    )
    assert KEY not in left


Done = Mapping[str, "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True, kw_only=True)
class Runner:
    """GitHub's, as far as scripts go."""

    repository: Repository
    programs: Path
    server: MessagesServer | None
    """`None`: there is no key."""

    def run(
        self, steps: list[dict[str, Any]], inputs: Mapping[str, str]
    ) -> dict[str, subprocess.CompletedProcess[str]]:
        """What became of each step that is a script, by its name; after one that fails, those that run all the same."""
        outside = self.repository.folder.parent
        event = outside / "event.json"
        sides: dict[str, Any] = {side: {"repo": {"full_name": OWNER}} for side in ("head", "base")}
        sides["base"]["sha"] = self.repository.git("rev-parse", "main").strip()
        event.write_text(json.dumps({"pull_request": sides}))
        key = "" if self.server is None else KEY
        known = {
            "secrets.ANTHROPIC_API_KEY": key,
            "github.event.number": "12",
            "github.token": "token",
            **{f"inputs.{name}": value for name, value in inputs.items()},
        }
        of_the_runner = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_STEP_SUMMARY": str(outside / "step-summary.md"),
            "GITHUB_OUTPUT": str(outside / "output"),
            "GITHUB_ACTION_PATH": str(RECIPES / "action"),
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": OWNER,
            "GITHUB_RUN_ID": "7",
            "ANTHROPIC_BASE_URL": "" if self.server is None else self.server.url,
        }
        done: dict[str, subprocess.CompletedProcess[str]] = {}
        for step in steps:
            failed = any(ended.returncode for ended in done.values())
            if "run" not in step or (failed and "!cancelled()" not in str(step.get("if"))):
                continue
            assert "${{" not in step["run"], "what is filled in becomes part of the script: pass it in `env`"
            given = {
                name: re.sub(r"\$\{\{ (\S+) \}\}", lambda found: known[found[1]], str(value))
                for name, value in step.get("env", {}).items()
            }
            script = step["run"].replace("--repeats 4", "--repeats 1 --no-pages")
            done[step["name"]] = shell(
                script, self.repository.folder, bin_folder=self.programs, **of_the_runner, **given
            )
        return done


def log_of(repository: Repository, program: str) -> str:
    return (repository.folder.parent / f"{program}.log").read_text()


def workflow() -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load((RECIPES / "github-actions.yml").read_text())
    return loaded


def action() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((RECIPES / "action" / "action.yml").read_text())
    return loaded


def steps_of(recipe: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The steps of a recipe for GitHub, and the inputs of the action as a repository of six lines leaves them."""
    if recipe == "workflow":
        return workflow()["jobs"]["gate"]["steps"], {}
    defaults = {name: str(given["default"]) for name, given in action()["inputs"].items()}
    return action()["runs"]["steps"], {**defaults, "repeats": "1", "pages": "false"}


@pytest.mark.parametrize("recipe", ["workflow", "action"])
class TestGitHub:
    def test_a_change_that_is_worse_fails_and_is_said_in_the_pull_request(
        self, recipe: str, repository: Repository, programs: Path, server: MessagesServer
    ) -> None:
        one_of_two_is_worse(repository)
        steps, inputs = steps_of(recipe)

        done = Runner(repository=repository, programs=programs, server=server).run(
            steps, {**inputs, "api-key": KEY, "guard": "asks_question:0.1\n"}
        )

        assert {name: step.returncode for name, step in done.items()} == {"Install": 0, ROOM: 0, GATE: 3, SAY: 0}, done[
            GATE
        ].stdout
        assert_found(repository)
        assert (repository.folder.parent / "step-summary.md").read_text() == repository.comment
        assert "https://github.com/ada/own/actions/runs/7" in repository.comment
        assert f"::error file={OPS},line=" in done[GATE].stdout
        created = "api --silent repos/ada/own/issues/12/comments -F body=@outputs/ci/comment.md"
        assert log_of(repository, "gh").splitlines()[-1] == created
        if recipe == "action":
            assert (repository.folder.parent / "output").read_text() == "exit-code=3\n"
            assert "guards" in json.dumps(repository.found["agents"][0]["gates"])
            [installed] = re.findall(r"--constraint (\S+) (\S+)", log_of(repository, "pip"))
            assert Path(installed[0]).is_file() and (Path(installed[1]) / "pyproject.toml").is_file()
        else:
            assert "requirements-workbench.txt" in log_of(repository, "pip")

    def test_a_change_that_is_no_worse_passes(
        self, recipe: str, repository: Repository, programs: Path, server: MessagesServer
    ) -> None:
        none_is_worse(repository)
        steps, inputs = steps_of(recipe)

        done = Runner(repository=repository, programs=programs, server=server).run(steps, {**inputs, "api-key": KEY})

        assert {name: step.returncode for name, step in done.items()} == {"Install": 0, ROOM: 0, GATE: 0, SAY: 0}, done
        assert repository.outcomes() == {WEB: "passes"}

    def test_what_a_change_has_in_the_place_of_answers_and_results_is_not_kept_or_said(
        self, recipe: str, repository: Repository, programs: Path, server: MessagesServer
    ) -> None:
        plants_answers_and_results(repository)
        steps, inputs = steps_of(recipe)

        done = Runner(repository=repository, programs=programs, server=server).run(steps, {**inputs, "api-key": KEY})

        assert {name: step.returncode for name, step in done.items()} == {"Install": 0, ROOM: 0, GATE: 2, SAY: 0}
        assert_nothing_of_it_is_left(repository)
        names = [step.get("name", "") for step in steps]
        assert names.index(ROOM) < names.index("Fetch what was answered before")
        [keeps] = [step for step in steps if step.get("name") == "Keep what was answered"]
        assert "steps.gate.outcome != 'skipped'" in keeps["if"]
        assert all(step["with"]["persist-credentials"] is False for step in steps if "checkout@" in str(step))

    def test_without_a_key_it_is_red_and_the_comment_says_why(
        self, recipe: str, repository: Repository, programs: Path
    ) -> None:
        none_is_worse(repository)
        steps, inputs = steps_of(recipe)

        done = Runner(repository=repository, programs=programs, server=None).run(steps, inputs)

        assert done[GATE].returncode == OUTCOMES["no-key"].code, done
        assert repository.comment.replace("\\", "").startswith(f"## Fails: not tried: {WEB}")
        assert done[SAY].returncode == 0

    @pytest.mark.skipif(shutil.which("jq") is None, reason="what stands in for gh filters with jq")
    def test_our_own_comment_is_edited_and_nobody_elses(
        self, recipe: str, repository: Repository, programs: Path, tmp_path: Path
    ) -> None:
        steps, inputs = steps_of(recipe)
        [say] = [step for step in steps if step.get("name") == SAY]
        (repository.folder / "outputs/ci").mkdir(parents=True)
        (repository.folder / "outputs/ci/comment.md").write_text(f"{MARK}\n## Passes\n")
        of_others = (
            ("another", True, "Coverage: 93 %"),
            ("forged", False, f"{MARK}\n## Passes"),
            ("q", True, f"> {MARK}"),
        )

        wrote = []
        for ours in ((), (("older", True, f"{MARK}\n## Fails"), ("ours", True, f"{MARK}\n## Fails"))):
            says_comments(tmp_path, *ours, *of_others)
            done = Runner(repository=repository, programs=programs, server=None).run([say], inputs)
            assert done[SAY].returncode == 0, done[SAY].stderr
            wrote.append(log_of(repository, "gh").splitlines()[-1])

        assert "issues/12/comments -F body=@" in wrote[0] and "updateIssueComment" not in wrote[0]
        assert "updateIssueComment" in wrote[1] and "-f id=ours -F body=@outputs/ci/comment.md" in wrote[1]

    def test_the_key_is_given_to_one_step_and_what_is_used_is_pinned(self, recipe: str) -> None:
        steps, _ = steps_of(recipe)

        with_key = [step["name"] for step in steps if "ANTHROPIC" in str(step.get("env"))]
        assert with_key == [GATE]
        used = [step["uses"] for step in steps if "uses" in step]
        assert used and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name) for name in used), used
        assert not any("OFFLINE" in str(step) for step in steps), "what passes is decided by the exit code"


def test_the_workflow_asks_for_no_more_than_it_needs() -> None:
    # YAML 1.1 reads `on` as true.
    assert list(workflow()[True]) == ["pull_request"]
    assert workflow()["permissions"] == {"contents": "read", "pull-requests": "write"}


def test_the_action_says_of_a_guard_what_the_command_says() -> None:
    [guard] = [option for option in ci_command.params if option.name == "guards"]
    said = action()["inputs"]["guard"]["description"]

    assert guard.metavar == "PROMISE[:MARGIN]"
    assert said.endswith("as PROMISE or PROMISE:MARGIN.")


def test_six_lines_are_a_workflow_that_uses_the_action() -> None:
    head = (RECIPES / "action" / "action.yml").read_text().split("name:")[0]
    in_file = "\n".join(line.removeprefix("#   ") for line in head.splitlines() if line.startswith("#   "))
    [in_page] = re.findall(r"```yaml\n(on: pull_request\n.*?)\n```", (RECIPES.parent / "recipes.md").read_text(), re.S)

    assert in_file == in_page
    assert len(in_page.splitlines()) == 6
    lines = yaml.safe_load(in_page)
    [step] = lines["jobs"]["agents"]["steps"]
    assert lines["permissions"] == workflow()["permissions"]
    assert step["uses"] == f"OWNER/REPOSITORY/{(RECIPES / 'action').relative_to(RECIPES.parents[1])}@COMMIT"
    assert step["with"].keys() <= action()["inputs"].keys()


def test_the_action_hands_over_each_input_and_has_a_default_for_it() -> None:
    text = (RECIPES / "action" / "action.yml").read_text()
    used = set(re.findall(r"inputs\.([\w-]+)", text))

    assert used == action()["inputs"].keys()
    assert all({"description", "default"} == given.keys() for given in action()["inputs"].values())
    assert all(step.get("shell") == "bash" for step in action()["runs"]["steps"] if "run" in step)


class TestGitLab:
    NOTES: ClassVar = "https://gitlab.example.org/api/v4/projects/3/merge_requests/12/notes"

    @pytest.fixture
    def job(self) -> dict[str, Any]:
        loaded: dict[str, Any] = yaml.safe_load((RECIPES / "gitlab-ci.yml").read_text())["agents"]
        return loaded

    def run(
        self, job: dict[str, Any], repository: Repository, programs: Path, **given: str
    ) -> tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]:
        """The script and what comes after it, in the environment of a merge request's pipeline."""
        of_the_runner = {
            "GITLAB_CI": "true",
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_MERGE_REQUEST_IID": "12",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": repository.git("rev-parse", "main").strip(),
            "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "3",
            "CI_MERGE_REQUEST_TARGET_PROJECT_ID": "3",
            "CI_PROJECT_ID": "3",
            "CI_API_V4_URL": "https://gitlab.example.org/api/v4",
            "CI_JOB_URL": "https://gitlab.example.org/ada/own/-/jobs/7",
        }
        variables = {
            name: re.sub(r"\$(\w+)", lambda found: of_the_runner[found[1]], value)
            for name, value in job["variables"].items()
        }
        done = []
        for part in ("script", "after_script"):
            script = "\n".join(job[part]).replace("--repeats 4", "--repeats 1 --no-pages")
            environment = {**of_the_runner, **variables, **given}
            done.append(shell(script, repository.folder, bin_folder=programs, **environment))
        return done[0], done[1]

    def test_a_change_that_is_worse_fails_and_is_said_in_the_merge_request(
        self, job: dict[str, Any], repository: Repository, programs: Path, server: MessagesServer
    ) -> None:
        one_of_two_is_worse(repository)

        gate, after = self.run(
            job, repository, programs,
            ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=server.url, COMMENT_TOKEN="another",
        )  # fmt: skip

        assert (gate.returncode, after.returncode) == (3, 0), (gate, after)
        assert_found(repository)
        assert "https://gitlab.example.org/ada/own/-/jobs/7/artifacts/browse" in repository.comment
        said = log_of(repository, "curl").splitlines()[-1]
        assert said.endswith(f"--data-urlencode body@outputs/ci/comment.md {self.NOTES}")
        assert (repository.folder / job["artifacts"]["reports"]["junit"]).is_file()
        assert (repository.folder / job["cache"]["paths"][0]).is_file(), "what was answered is kept"

    def test_what_a_change_has_in_the_place_of_answers_and_results_is_not_kept_or_said(
        self, job: dict[str, Any], repository: Repository, programs: Path
    ) -> None:
        plants_answers_and_results(repository)

        gate, after = self.run(job, repository, programs, ANTHROPIC_API_KEY=KEY, COMMENT_TOKEN="another")

        assert (gate.returncode, after.returncode) == (2, 0), (gate, after)
        assert_nothing_of_it_is_left(repository)
        assert "--data-urlencode body@" in log_of(repository, "curl")

    def test_our_own_note_is_edited_and_nobody_elses(
        self, job: dict[str, Any], repository: Repository, programs: Path, tmp_path: Path
    ) -> None:
        none_is_worse(repository)
        others = [note(number, by=5, body=f"> {MARK}") for number in range(98)]
        others += [note(98, by=9, body=f"{MARK}\n## Passes"), note(99, by=5, body="Coverage: 93 %")]
        ours = [note(number, by=5, body=f"{MARK}\n## Fails") for number in (100, 101)]

        wrote = []
        for later in ([], ours):
            for page, notes in enumerate((others, later), start=1):
                (tmp_path / f"notes-{page}.json").write_text(json.dumps(notes))
            _, after = self.run(job, repository, programs, COMMENT_TOKEN="another")
            assert after.returncode == 0, after.stderr
            wrote.append(log_of(repository, "curl").splitlines()[-1])

        said = "--data-urlencode body@outputs/ci/comment.md"
        assert wrote[0].endswith(f"{said} {self.NOTES}")
        assert wrote[1].endswith(f"{said} --request PUT {self.NOTES}/101")

    def test_a_fork_is_told_from_a_key_that_is_missing(
        self, job: dict[str, Any], repository: Repository, programs: Path
    ) -> None:
        none_is_worse(repository)

        own, after = self.run(job, repository, programs)
        fork, _ = self.run(job, repository, programs, CI_MERGE_REQUEST_SOURCE_PROJECT_ID="9")

        assert (own.returncode, fork.returncode) == (OUTCOMES["no-key"].code, OUTCOMES["fork"].code)
        assert after.returncode == 0
        assert not (repository.folder.parent / "curl.log").exists(), "without a token nothing is said"


def note(number: int, *, by: int, body: str) -> dict[str, Any]:
    return {"id": number, "author": {"id": by}, "body": body}


class TestContainer:
    LINES: ClassVar = [
        line.split(None, 1)
        for line in re.sub(r"\\\n", "", (RECIPES / "Containerfile").read_text()).splitlines()
        if line and not line.startswith("#")
    ]

    def test_its_steps_run_and_what_it_starts_by_default_names_the_agents(
        self, repository: Repository, programs: Path, tmp_path: Path
    ) -> None:
        """Read as a builder reads it, the roots of the image and of this machine being one, with what it has in /tmp
        elsewhere."""
        temporary = tmp_path / "tmp"
        temporary.mkdir()
        home = ""
        for instruction, rest in self.LINES:
            if instruction == "COPY":
                *sources, target = rest.split()
                for source in sources:
                    shutil.copy(repository.folder / source, target.replace("/tmp", str(temporary)))
            if instruction == "ENV":
                home = dict(word.split("=") for word in rest.split())["HOME"]
            if instruction == "RUN":
                script = rest.replace("/tmp", str(temporary)).replace("/var/lib", str(temporary))
                done = shell(script, tmp_path, bin_folder=programs)
                assert done.returncode == 0, done
        instructions = dict(self.LINES)
        words = [*json.loads(instructions["ENTRYPOINT"]), *json.loads(instructions["CMD"])]

        started = shell(" ".join(words), repository.folder, bin_folder=BIN, HOME=home.replace("/tmp", str(temporary)))

        assert f"--requirement {temporary}/requirements-workbench.txt" in log_of(repository, "pip")
        assert " git" in log_of(repository, "apt-get")
        assert started.returncode == 0, started
        assert all(path in started.stdout for path in (REVIEWER, OPS, WEB, PLAIN))

    def test_it_holds_no_key_and_is_not_run_as_root(self) -> None:
        instructions = dict(self.LINES)

        assert not [rest for instruction, rest in self.LINES if "KEY" in rest or instruction == "ARG"]
        assert instructions["USER"] == "1000"

    @pytest.mark.timeout(1800)
    def test_a_builder_builds_it_with_the_wheel_of_this_tree(self, repository: Repository, tmp_path: Path) -> None:
        base = dict(self.LINES)["FROM"]
        builder = builder_that_has(base)
        if builder is None:
            pytest.skip(f"none of {', '.join(BUILDERS)} answers and has {base}, which no test fetches")
        [wheel] = build(tmp_path / "dist").glob("*.whl")

        done = build_image(builder, repository.folder, wheel)

        assert done.returncode == 0, done.stdout + done.stderr

    def test_a_builder_is_one_that_answers_and_has_the_base(
        self, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of three, the first does not answer and the second has no images."""
        programs = tmp_path / "builders"
        programs.mkdir()
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        log = tmp_path / "docker.log"
        for name, script in zip(
            BUILDERS, ("exit 1", "", 'echo "$@" >> "$LOG"; cat Containerfile; echo 12ab'), strict=True
        ):
            (programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (programs / name).chmod(0o755)
        monkeypatch.setenv("LOG", str(log))
        monkeypatch.chdir(RECIPES)

        builder = builder_that_has("python:3.12-slim")

        assert builder == str(programs / "docker")
        wheel = tmp_path / "agent_workbench-1-py3-none-any.whl"
        wheel.touch()
        said = build_image(builder, repository.folder, wheel).stdout
        assert log.read_text().splitlines() == [
            "images --quiet python:3.12-slim",
            "build --file Containerfile --tag agents-test .",
        ]
        copied = re.findall(r"^COPY (.+) /tmp/$", said, re.M)[0].split()
        assert copied == ["requirements-workbench.txt", wheel.name]
        assert all((repository.folder / name).is_file() for name in copied)
        assert (repository.folder / "requirements-workbench.txt").read_text() == f"/tmp/{wheel.name}\n"


BUILDERS = ("buildah", "podman", "docker")


def builder_that_has(image: str) -> str | None:
    """The first builder of images that is here, answers and has this one already; `None`: there is none."""
    for program in filter(None, map(shutil.which, BUILDERS)):
        asked = [program, "images", "--quiet", image]
        try:
            done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
        except subprocess.TimeoutExpired:
            continue
        if done.returncode == 0 and done.stdout.strip():
            return program
    return None


def build_image(builder: str, folder: Path, wheel: Path) -> subprocess.CompletedProcess[str]:
    """Builds the recipe, which is given this wheel in place of the one of an index."""
    shutil.copy(wheel, folder)
    (folder / "requirements-workbench.txt").write_text(f"/tmp/{wheel.name}\n")
    recipe = (RECIPES / "Containerfile").read_text()
    copied = "COPY requirements-workbench.txt "
    assert recipe.count(copied) == 1
    (folder / "Containerfile").write_text(recipe.replace(copied, f"{copied}{wheel.name} "))
    return subprocess.run(
        [builder, "build", "--file", "Containerfile", "--tag", "agents-test", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
