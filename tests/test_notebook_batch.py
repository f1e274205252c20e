"""Many notebooks: what a plan means, one budget for all, and what a failure or a killed worker costs."""

from __future__ import annotations

import html
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner

from tests.messages_server import MessagesServer, serve
from tests.postgres_server import postgres_server
from tests.written_notebooks import write_notebook
from workbench.cli import main
from workbench.errors import BatchFileError, BudgetError, FolderInUse, ParameterError
from workbench.headless import batch, local_workers
from workbench.headless.batch import estimate_batch, run_batch
from workbench.headless.batch_plan import BatchPlan, load_batch
from workbench.headless.dask_workers import _look
from workbench.headless.kernels.ready import DISABLED
from workbench.headless.left_behind import Batch
from workbench.headless.notebook import run_notebook
from workbench.headless.one_writer import only_writer
from workbench.headless.terms import Terms, terms_here, unmet
from workbench.trial.trial import Endpoint

pytestmark = pytest.mark.machine

TRY = """
import workbench as wb
tasks = [wb.Task(id=f"{topic}-{n}", input=f"{topic} {n}") for n in range(count)]
plan = wb.plan_trials({"base": wb.load_agent(agent)}, tasks, max_tokens=100, model="claude-haiku-4-5")
run = wb.run_trials(plan, progress=False, concurrency=2)
"""
TRY_TASKS = """
import workbench as wb
plan = wb.plan_trials({"base": wb.load_agent(agent)}, wb.load_tasks(tasks), max_tokens=100, model="claude-haiku-4-5")
run = wb.run_trials(plan, progress=False)
"""
PARAMETERS = 'agent: str = "agents/one.md"\ntopic: str = "a"\ncount: int = 4\nfails: bool = False'
PLANS = "plan.yaml"


class _Here(Executor):
    """Runs each job at once in this process, as a worker does; its environment and folder stay as they were."""

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        environment, folder = dict(os.environ), Path.cwd()
        try:
            future.set_result(call(*arguments, **options))
        finally:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)
        return future


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is the same with and without worker processes, which take seconds to start."""
    monkeypatch.setattr(local_workers, "_executor", lambda *_, **__: nullcontext(_Here()))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two agents and a notebook that tries one; the working directory."""
    (tmp_path / "agents").mkdir()
    for name in ("one", "two"):
        (tmp_path / "agents" / f"{name}.md").write_text(f"---\nname: {name}\ndescription: D.\n---\nYou are {name}.\n")
    cells = {
        "parameters": PARAMETERS,
        "fail": "assert not fails, 'asked to fail'",
        "try": TRY,
        "verdict": "print('fine:', topic)",
    }
    write_notebook(tmp_path / "try.ipynb", cells)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "ledger.sqlite"))
    return tmp_path


def test_grid_and_agents_make_one_job_each(project: Path) -> None:
    plan = _plan(project, {"notebook": "try.ipynb", "agents": "agents", "grid": {"count": [1, 2]}})

    assert [(job.name, dict(job.parameters)) for job in plan.jobs] == [
        (f"try-{name}-{count}", {"agent": f"agents/{name}.md", "count": count})
        for name in ("one", "two")
        for count in (1, 2)
    ]


@pytest.mark.parametrize("agents", ["agents/**/*.md", "agents"])
def test_agents_of_one_name_in_two_folders_are_two_jobs(project: Path, agents: str) -> None:
    for folder in ("ops", "web"):
        (project / "agents" / folder).mkdir()
        shutil.copy(project / "agents/one.md", project / "agents" / folder / "reviewer.md")
    plan = _plan(project, {"notebook": "try.ipynb", "agents": agents})

    assert [(job.name, job.parameters["agent"]) for job in plan.jobs] == [
        ("try-one", "agents/one.md"),
        ("try-ops-reviewer", "agents/ops/reviewer.md"),
        ("try-two", "agents/two.md"),
        ("try-web-reviewer", "agents/web/reviewer.md"),
    ]


TASKS = 'agent: str = "agents/one.md"\ntasks: str = "agents/one.tasks.yaml"'


@pytest.mark.usefixtures("no_workers")
def test_agent_without_tasks_is_tried_on_no_others_and_is_named(project: Path, server: MessagesServer) -> None:
    (project / "agents/one.tasks.yaml").write_text("- id: own\n  input: Of one.\n")
    cells = {"parameters": TASKS, "try": TRY_TASKS, "verdict": "print([task.id for task in run.tasks])"}
    write_notebook(project / "tasks.ipynb", cells)
    _plan(project, {"notebook": "tasks.ipynb", "agents": "agents"})
    done = CliRunner().invoke(main, ["batch", PLANS])
    estimate = CliRunner().invoke(main, ["batch", PLANS, "--estimate"])
    alone = CliRunner().invoke(main, ["run", "tasks.ipynb", "--out", "alone", "-p", "agent", "agents/two.md"])

    why = "agents/two.md has no tasks beside it (agents/two.tasks.yaml), and agents/one.tasks.yaml are another agent's"
    assert (done.exit_code, estimate.exit_code, alone.exit_code) == (1, 1, 2)
    assert "2 notebooks: 1 completed, 1 refused" in done.output
    assert all(why in each.output for each in (done, estimate, alone))
    assert why in html.unescape((project / "outputs/batch/index.html").read_text())
    assert {str(body["messages"]) for body in server.bodies if "max_tokens" in body} == {
        str([{"role": "user", "content": "Of one."}])
    }


@pytest.fixture
def committed(project: Path) -> Path:
    """The project with a task for each of its agents, all in a commit."""
    for name in ("one", "two"):
        (project / "agents" / f"{name}.tasks.yaml").write_text("- {id: a, input: Do it.}\n")
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Begin"]):
        subprocess.run([*git, *command], check=True)
    return project


@pytest.mark.usefixtures("no_workers")
def test_agent_that_says_what_it_would_be_compared_with_is_left_out_by_name(committed: Path) -> None:
    with (committed / "agents" / "two.md").open("a") as file:
        file.write("Be brief.\n")
    plan = _plan(committed, {"notebook": "compare", "agents": "agents", "parameters": {"live": False}})

    said: list[str] = []
    estimate = estimate_batch(plan, say=said.append)
    assert said[0] == "nothing to compare, left out: one (says what HEAD says)"
    assert estimate.left_out == ()

    found = _run(plan)
    assert [outcome.end for outcome in found.outcomes] == ["unchanged", "completed"]
    assert found.is_complete
    page = found.index.read_text()
    assert "The agent says what HEAD says" in page
    assert page.index("compare-two") < page.index("Unchanged: 1 notebook")

    done = CliRunner().invoke(main, ["batch", PLANS, "--offline"])
    assert done.exit_code == 0, done.output
    assert "nothing to compare, left out: one (says what HEAD says)" in done.output


@pytest.mark.parametrize("options", [[], ["--estimate"]])
def test_batch_in_which_no_agent_differs_is_refused_in_one_sentence(committed: Path, options: list[str]) -> None:
    (committed / PLANS).write_text(json.dumps({"notebooks": [{"notebook": "compare", "agents": "agents"}]}))

    done = CliRunner().invoke(main, ["batch", PLANS, *options])

    assert done.exit_code == 2
    assert "there is nothing to compare: one, two (says what HEAD says). Edit one" in done.output
    assert not (committed / "outputs").exists()


def test_single_run_on_an_agent_that_does_not_differ_is_refused_before_a_kernel_starts(committed: Path) -> None:
    done = CliRunner().invoke(main, ["run", "compare", "-p", "agent", "agents/one.md", "--out", "out", "--offline"])

    assert done.exit_code == 2
    assert "one.md: says what HEAD says, so there is nothing to compare" in done.output
    assert "--continue" not in done.output
    assert not (committed / "out").exists()


@pytest.mark.parametrize(
    ("parameter", "given", "said"),
    [
        ("leave_out", "zzz", "no line of the prompt"),
        ("tasks", "nope.yaml", "nope.yaml: "),
        ("against", "nope.md", "nope.md: there is no such file to compare with"),
        ("against", "HEAD~7", "HEAD~7"),
        ("variant_file", "nope.md", "nope.md: "),
    ],
)
def test_single_run_whose_parameters_name_what_is_not_there_is_refused_before_a_kernel_starts(
    committed: Path, parameter: str, given: str, said: str
) -> None:
    with (committed / "agents" / "one.md").open("a") as file:
        file.write("Be brief.\n")
    command = ["run", "compare", "-p", "agent", "agents/one.md", "--out", "out", "--offline"]
    done = CliRunner().invoke(main, [*command, "-p", parameter, given])

    assert done.exit_code == 2, done.output
    assert said in done.output
    assert "--continue" not in done.output
    assert not (committed / "out").exists()


@pytest.mark.parametrize("notebook", ["compare", "nightly"])
def test_single_run_on_an_agent_that_nothing_can_be_asked_of_is_refused_before_a_kernel_starts(
    committed: Path, notebook: str
) -> None:
    (committed / "agents" / "one.tasks.yaml").unlink()
    (committed / "agents" / "one.md").write_text("---\nname: one\n---\n\nBe brief.\n")
    done = CliRunner().invoke(main, ["run", notebook, "-p", "agent", "agents/one.md", "--out", "out", "--offline"])

    assert done.exit_code == 2, done.output
    assert "there are no tasks to try it on" in done.output
    assert "--continue" not in done.output
    assert not (committed / "out").exists()


@pytest.mark.parametrize("given", [{"against": "HEAD~7"}, {"leave_out": "You are"}, {"model": "haiku"}])
def test_agent_that_is_compared_otherwise_is_run_whatever_the_last_commit_says(
    committed: Path, given: dict[str, Any]
) -> None:
    plan = _plan(committed, {"notebook": "compare", "agents": "agents", "parameters": given})

    assert [job.unchanged for job in plan.jobs] == [None, None]


def test_tasks_beside_an_agent_are_taken_by_a_single_run_too(project: Path, server: MessagesServer) -> None:
    for name in ("one", "two"):
        (project / f"agents/{name}.tasks.yaml").write_text(f"- id: of-{name}\n  input: Hello\n")
    cells = {"parameters": TASKS, "try": TRY_TASKS, "verdict": "print([task.id for task in run.tasks])"}
    write_notebook(project / "tasks.ipynb", cells)

    run = run_notebook("tasks.ipynb", out="two", parameters={"agent": "agents/two.md"}, progress=False)
    named = {"agent": "agents/two.md", "tasks": "agents/one.tasks.yaml"}
    asked = run_notebook("tasks.ipynb", out="named", parameters=named, progress=False)

    assert (run.verdict, asked.verdict) == ("['of-two']", "['of-one']")


def test_name_is_filled_in_from_the_parameters(project: Path) -> None:
    plan = _plan(
        project,
        {"notebook": "try.ipynb", "name": "{agent} of/{count}", "agents": "agents/t*.md", "parameters": {"count": 3}},
    )

    assert [job.name for job in plan.jobs] == ["two-of-3"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"notebook": "try.ipynb", "grid": {"count": []}}, r"plan.yaml: notebooks\[1\].grid.count: must be a list"),
        ({"notebook": "try.ipynb", "agent": "x"}, r"notebooks\[1\].agent: no such field; there are agents, grid"),
        ({"notebook": "try.ipynb", "agents": "nowhere"}, "no agent file matches 'nowhere'"),
        ({"notebook": "try.ipynb", "name": "{nothing}"}, "cannot be filled in"),
        ({"notebook": "try.ipynb", "name": "same", "grid": {"count": [1, 2]}}, "two jobs are called 'same'"),
        ({}, r"notebooks\[1\].notebook: must be a text"),
    ],
)
def test_wrong_plan_is_refused_with_its_field(project: Path, entry: dict[str, Any], said: str) -> None:
    with pytest.raises(BatchFileError, match=said):
        _plan(project, entry)


@pytest.mark.parametrize("given", [{"repeats": 1}, {"count": "many"}, {"topic": "sk-ant-api03-Zx8Qw2Lm9RtY4uPa7KdF"}])
def test_wrong_parameter_is_refused_before_anything_runs(project: Path, given: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=r"try.ipynb"):
        _plan(project, {"notebook": "try.ipynb", "parameters": given})


@pytest.mark.parametrize(
    "field", [{"at_once": 0}, {"budget_usd": -1}, {"budget_tokens": 1.5}, {"deadline_seconds": "soon"}]
)
def test_wrong_bound_is_refused(project: Path, field: dict[str, Any]) -> None:
    with pytest.raises(BatchFileError, match=next(iter(field))):
        _plan(project, {"notebook": "try.ipynb"}, **field)


@pytest.mark.usefixtures("no_workers")
def test_failing_notebook_does_not_stop_the_rest_and_goes_on_later(project: Path, server: MessagesServer) -> None:
    entries = [
        {"notebook": "try.ipynb", "name": "bad", "parameters": {"fails": True}},
        {"notebook": "try.ipynb", "grid": {"topic": ["a", "b"]}},
    ]
    found = _run(_plan(project, *entries))
    again = _run(_plan(project, {**entries[0], "parameters": {"fails": False, "topic": "c"}}, entries[1]), go_on=True)

    assert [outcome.end for outcome in found.outcomes] == ["failed", "completed", "completed"]
    assert [outcome.verdict for outcome in found.outcomes] == [None, "fine: a", "fine: b"]
    assert "asked to fail" in (found.outcomes[0].error or "")
    assert again.is_complete
    assert set(server.asked().values()) == {1}
    assert len(server.bodies) == 12


@pytest.mark.usefixtures("no_workers")
def test_index_links_every_page_and_shows_text_as_text(project: Path, server: MessagesServer) -> None:
    found = _run(
        _plan(project, {"notebook": "try.ipynb", "grid": {"topic": ["<b>x", "y"]}, "parameters": {"count": 1}})
    )
    page = found.index.read_text()

    assert "fine: &lt;b&gt;x" in page and "<b>x" not in page
    assert "count = 1\ntopic = &lt;b&gt;x</p>" in page
    assert "      topic = <b>x\n" in found.index.with_suffix(".md").read_text()
    assert all((found.index.parent / f"{outcome.job.name}/try.html").is_file() for outcome in found.outcomes)
    assert all(f'href="{outcome.job.name}/try.html"' in page for outcome in found.outcomes)
    assert "/tmp" not in page and str(project) not in page


@pytest.mark.usefixtures("no_workers")
def test_two_equal_batches_leave_equal_files(project: Path, server: MessagesServer) -> None:
    first = _files(_run(_plan(project, {"notebook": "try.ipynb", "agents": "agents"})))
    _run(_plan(project, {"notebook": "try.ipynb", "agents": "agents"}))
    second = _files(_run(_plan(project, {"notebook": "try.ipynb", "agents": "agents"})))

    assert set(first) == set(second)
    assert len(server.bodies) == 8
    assert second == _files(_run(_plan(project, {"notebook": "try.ipynb", "agents": "agents"}), go_on=True))


def test_estimate_of_all_asks_nothing_and_leaves_nothing(project: Path, server: MessagesServer) -> None:
    plan = _plan(project, {"notebook": "try.ipynb", "agents": "agents"})
    take = estimate_batch(plan, say=lambda _: None).totals

    assert (take.trials, take.answered) == (8, 0)
    assert [body for body in server.bodies if "max_tokens" in body] == []  # but tokens were counted
    assert not plan.out.exists()


def test_estimate_keeps_to_the_deadlines_of_the_plan(project: Path) -> None:
    write_notebook(project / "waits.ipynb", {"parameters": "n: int = 0", "waits": "import time\ntime.sleep(60)"})
    plan = _plan(project, {"notebook": "waits.ipynb"}, cell_deadline_seconds=0.5)
    said: list[str] = []
    found = estimate_batch(plan, say=said.append)

    assert [line.partition("ipynb: ")[2] for line in said] == ["the deadline of 0.5 s for the cell passed"]
    assert [name for name, _ in found.left_out] == ["waits"]


def test_estimate_counts_a_trial_once_that_two_notebooks_need(project: Path, server: MessagesServer) -> None:
    plan = _plan(project, {"notebook": "try.ipynb", "grid": {"count": [3, 4]}}, at_once=2)
    said: list[str] = []
    take = estimate_batch(plan, say=said.append).totals
    run = _run(plan, at_once=2)

    assert [line.rpartition(": ")[2] for line in said] == ["3 calls to make", "1 call to make"]
    assert (take.trials, take.answered, take.shared, take.calls) == (7, 0, 3, 4)
    assert "shared by notebooks     3" in str(take)
    assert run.is_complete
    assert len([body for body in server.bodies if "max_tokens" in body]) == 4


def test_one_budget_bounds_all_notebooks_together_and_over_restarts(project: Path, server: MessagesServer) -> None:
    plan = _plan(project, {"notebook": "try.ipynb", "grid": {"topic": ["a", "b"]}}, budget_tokens=750)
    stopped = _run(plan, at_once=2)
    asked = len(server.bodies)
    _run(plan, go_on=True)

    assert not stopped.is_complete
    assert 0 < asked < 8
    assert all("budget" in (outcome.error or "") for outcome in stopped.outcomes if outcome.end != "completed")
    assert len(server.bodies) - asked <= asked


def test_budget_around_a_budget_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_BUDGET_SCOPE", "outer")

    with pytest.raises(BudgetError, match="WORKBENCH_BUDGET_SCOPE"):
        _run(_plan(project, {"notebook": "try.ipynb"}, budget_usd=1))


@pytest.mark.usefixtures("no_workers")
def test_exit_code_says_whether_all_came_to_their_end(project: Path, server: MessagesServer) -> None:
    _plan(project, {"notebook": "try.ipynb", "parameters": {"fails": True}})
    failed = CliRunner().invoke(main, ["batch", PLANS])
    _plan(project, {"notebook": "try.ipynb"})
    completed = CliRunner().invoke(main, ["batch", PLANS])
    refused = CliRunner().invoke(main, ["batch", "nothing.yaml"])

    assert (failed.exit_code, completed.exit_code, refused.exit_code) == (1, 0, 2)
    assert "1 notebook: 1 completed" in completed.output


def test_worker_that_is_killed_costs_no_answered_trial_and_no_notebook(
    project: Path, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DISABLED, "1")  # so that the worker is the parent of its kernel
    kill = (
        "import os, pathlib, signal\n"
        "if not pathlib.Path('killed').exists():\n"
        "    pathlib.Path('killed').touch()\n"
        "    os.kill(os.getppid(), signal.SIGKILL)\n"
        "    signal.pause()"
    )
    write_notebook(
        project / "try.ipynb", {"parameters": PARAMETERS, "try": TRY, "kill": kill, "verdict": "print(topic)"}
    )

    found = _run(_plan(project, {"notebook": "try.ipynb", "grid": {"topic": ["a", "b"]}}))

    assert (project / "killed").exists()
    assert [outcome.verdict for outcome in found.outcomes] == ["a", "b"]
    assert set(server.asked().values()) == {1}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_batch_that_is_ended_begins_no_other_notebook_and_leaves_no_worker(
    project: Path, number: signal.Signals
) -> None:
    begins = "import time\nfrom pathlib import Path\nPath(f'began-{n}').touch()\nwhile True:\n    time.sleep(0.01)"
    write_notebook(project / "waits.ipynb", {"parameters": "n: int = 0", "begins": begins})
    _plan(project, {"notebook": "waits.ipynb", "grid": {"n": [1, 2, 3]}}, at_once=1)
    command = [sys.executable, "-m", "workbench", "batch", PLANS]
    batch = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    workers: list[int] = []
    try:
        _wait_until(lambda: (project / "began-1").exists() or batch.poll() is not None)
        workers = _descendants(batch.pid)
        batch.send_signal(number)

        assert batch.wait(120) == (130 if number == signal.SIGINT else -number)
        _wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    finally:
        for left in (pid for pid in workers or _descendants(batch.pid) if Path(f"/proc/{pid}").exists()):
            os.kill(left, signal.SIGKILL)
        batch.kill()
        batch.wait(60)
    assert sorted(path.name for path in project.glob("began-*")) == ["began-1"]
    assert [path.name for path in (project / "outputs").rglob("*.ipynb")] == ["waits.ipynb"]


def test_what_each_notebook_is_doing_is_read_from_what_it_has_saved(project: Path) -> None:
    plan = _plan(project, {"notebook": "try.ipynb"})
    (job,) = plan.jobs
    before = batch._doing(job)
    (plan.out / job.name).mkdir(parents=True)
    partial = write_notebook(plan.out / job.name / "try.partial.ipynb", {"a": "1", "b": "2", "c": "3"})
    partial.write_text(partial.read_text().replace('"execution_count": null', '"execution_count": 1', 2))

    assert (before, batch._doing(job)) == ("try begins", "try 2 of 3 cells")


def test_dask_workers_share_the_ledger_and_one_budget(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with postgres_server() as ledger, serve() as server:
        monkeypatch.setenv("WORKBENCH_LEDGER", ledger)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        with _cluster() as (address, _):
            entry = {"notebook": "try.ipynb", "grid": {"topic": ["a", "b"]}}
            within = _run(_plan(project, entry, budget_tokens=1_000_000), dask=address)
            beyond = _run(_plan(project, {**entry, "grid": {"topic": ["d", "e"]}}, budget_tokens=750), dask=address)
            asked = len(server.bodies)
            # The worker processes have run two batches with a budget, which is not that of the next.
            after = _run(_plan(project, {**entry, "grid": {"topic": ["d", "e"]}}), dask=address)

    assert within.is_complete and after.is_complete
    assert set(server.asked().values()) == {1}
    assert not beyond.is_complete
    assert 8 <= asked < 16


def test_dask_worker_killed_in_mid_notebook_costs_no_answered_trial(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DISABLED, "1")
    with serve(seconds_a_piece=0.05) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        plan = _plan(project, {"notebook": "try.ipynb", "parameters": {"count": 16}})
        with _cluster() as (address, cluster):
            killed: list[int] = []

            def kill_the_worker(body: dict[str, Any], before: int) -> str:
                if len(server.bodies) == 8 and not killed:
                    busy = [worker.pid for worker in cluster.workers.values() if _has_kernel(worker.pid)]
                    killed.extend(busy)
                    for pid in busy:
                        os.kill(pid, signal.SIGKILL)
                return "ok"

            server.fault = kill_the_worker
            found = _run(plan, dask=address)

    assert killed
    assert found.is_complete, found.outcomes
    assert len(server.asked()) == 16
    assert len(server.bodies) <= 16 + 2  # those that were in flight


class _Dask:
    """A scheduler and its workers as commands start them, each with an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "scheduler.json"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start(
            "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"
        )
        _wait_until(
            lambda: self._file.exists() and self._file.read_text().endswith("}")
        )  # it is written piece by piece
        self.address: str = json.loads(self._file.read_text())["address"]

    def add_worker(self, name: str, **variables: str | None) -> subprocess.Popen[bytes]:
        return self._start(
            "dask_worker", "--host", "127.0.0.1", "--name", name, "--nthreads", "1", "--no-dashboard", "--no-nanny",
            variables=variables,
        )  # fmt: skip

    def wait_for_workers(self, count: int) -> None:
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=120)

    def _start(
        self, command: str, *options: str, variables: Mapping[str, str | None] | None = None
    ) -> subprocess.Popen[bytes]:
        given = {**os.environ, **(variables or {})}
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{command}", "--scheduler-file", str(self._file), *options],
            env={name: value for name, value in given.items() if value is not None},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Dask]:
    if sys.platform != "linux":
        pytest.skip("looks for processes in /proc")
    cluster = _Dask(tmp_path_factory.mktemp("dask"))
    yield cluster
    cluster.close()


def test_worker_that_would_have_the_stand_in_answer_takes_no_job_and_is_named(
    project: Path, dask: _Dask, server: MessagesServer, tmp_path: Path
) -> None:
    broken = tmp_path / "broken/workbench"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('not here')")
    dask.add_worker("without-address", ANTHROPIC_BASE_URL=None)
    dask.add_worker("without-workbench", PYTHONPATH=str(broken.parent))
    dask.add_worker("another-ledger", WORKBENCH_LEDGER=str(tmp_path / "other.sqlite"))
    about = tmp_path / "older/agent_workbench-0.0.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: agent-workbench\nVersion: 0.0.1\n")
    before = os.environ.get("PYTHONPATH")
    dask.add_worker("another-version", PYTHONPATH=os.pathsep.join([str(about.parent), *([before] if before else [])]))
    dask.wait_for_workers(4)
    said: list[str] = []
    plan = _plan(project, {"notebook": "try.ipynb", "grid": {"topic": ["a", "b"]}, "parameters": {"count": 1}})
    without = _run(plan, dask=dask.address, say=said.append)
    asked = len(server.bodies)
    dask.add_worker("fit")
    dask.wait_for_workers(5)
    fit = _run(plan, dask=dask.address, say=said.append)

    assert [outcome.end for outcome in without.outcomes] == ["refused", "refused"]
    assert asked == 0
    assert "can run it; tcp://127.0.0.1:" in (without.outcomes[0].error or "")
    for why in (
        "takes no job: OFFLINE STAND-IN, not a model would answer there, not server at http://127.0.0.1",
        "takes no job: its agent-workbench is another: ImportError",
        "takes no job: it would keep answers in the ledger",
        f"takes no job: it has agent-workbench 0.0.1, not {version('agent-workbench')}",
    ):
        assert [line for line in said if why in line], said
    assert [outcome.end for outcome in fit.outcomes] == ["completed", "completed"]
    assert len([body for body in server.bodies if "max_tokens" in body]) == 2


def test_job_that_a_worker_refuses_when_it_would_begin_goes_to_another(
    project: Path, dask: _Dask, server: MessagesServer, tmp_path: Path
) -> None:
    from distributed import Client

    dask.add_worker("changes")
    dask.wait_for_workers(1)
    said: list[str] = []

    def change_it(line: str) -> None:
        if not said:  # its first notebook has ended, and it was looked at before that
            setting = f"__import__('os').environ.update(WORKBENCH_LEDGER={str(tmp_path / 'other.sqlite')!r})"
            with Client(dask.address, set_as_default=False) as client:
                client.run(eval, setting)
            dask.add_worker("stays")
            dask.wait_for_workers(2)
        said.append(line)

    plan = _plan(project, {"notebook": "try.ipynb", "grid": {"topic": list("abcd")}, "parameters": {"count": 1}})
    found = _run(plan, dask=dask.address, say=change_it)

    assert [outcome.end for outcome in found.outcomes] == ["completed"] * 4
    assert len([line for line in said if "takes no job: it would keep answers in the ledger" in line]) == 1, said
    assert not (tmp_path / "other.sqlite").exists()
    assert len([body for body in server.bodies if "max_tokens" in body]) == 4


def test_notebooks_end_and_the_index_tells_when_the_scheduler_dies_or_the_batch_is_interrupted(
    project: Path, dask: _Dask
) -> None:
    begins = "import os, time\nfrom pathlib import Path\nPath('began').write_text(str(os.getpid()))\ntime.sleep(600)"
    write_notebook(project / "waits.ipynb", {"parameters": "n: int = 0", "first": "print('kept')", "begins": begins})
    _plan(project, {"notebook": "waits.ipynb", "grid": {"n": [1, 2]}})
    dask.add_worker("one")
    command = [sys.executable, "-m", "workbench", "batch", PLANS, "--dask", dask.address]

    def ended_by(end: Callable[[subprocess.Popen[str]], None]) -> tuple[int, str]:
        (project / "began").unlink(missing_ok=True)
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        ) as run:
            _wait_until(lambda: (project / "began").exists() and (project / "began").read_text() != "", seconds=120)
            end(run)
            output, _ = run.communicate(timeout=120)
        kernel = Path("/proc", (project / "began").read_text())
        _wait_until(lambda: not kernel.exists())
        return run.returncode, output

    interrupted = ended_by(lambda run: run.send_signal(signal.SIGINT))
    _wait_until((project / "outputs/batch/waits-1/waits.ipynb").exists)
    about = nbformat.read(project / "outputs/batch/waits-1/waits.ipynb", as_version=4).metadata["workbench"]
    lost = ended_by(lambda _: dask.scheduler.kill())

    assert interrupted[0] == 130
    assert (about["outcome"], about["cell"]) == ("terminated", "begins")
    assert lost[0] == 1
    assert "Traceback" not in interrupted[1] + lost[1]
    index = html.unescape((project / "outputs/batch/index.html").read_text())
    assert f"the scheduler at {dask.address} is gone: the worker ends the notebook, and saves how far it is" in index
    assert f"the scheduler at {dask.address} is gone: it was not begun" in index


def _terms(project: Path, **other: Any) -> Terms:
    return replace(terms_here(_plan(project, {"notebook": "try.ipynb", "agents": "agents"}).jobs, live=None), **other)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({}, ""),
        ({"package": "0.0.1"}, "it has agent-workbench "),
        ({"sources": "another"}, "has other source files"),
        ({"ledger_version": 0}, "its ledger is of version "),
        ({"ledger": "postgresql://db/ledger"}, "it would keep answers in the ledger "),
        ({"files": {"agents/three.md": "0"}}, "it lacks agents/three.md of the project"),
        ({"files": {"try.ipynb": "0"}}, "its try.ipynb is another"),
        (
            {"endpoint": Endpoint(kind="live", base_url="https://api.anthropic.com")},
            "OFFLINE STAND-IN, not a model would",
        ),
        ({"live": True}, "a live run was asked for, but there is no key"),
        (
            {"models": {"ANTHROPIC_DEFAULT_HAIKU_MODEL": "our/model"}},
            "another model may be asked there: ANTHROPIC_DEFAULT_HAIKU_MODEL is not set, and 'our/model' where",
        ),
    ],
)
def test_terms_that_are_not_met_are_told(project: Path, other: dict[str, Any], why: str) -> None:
    found = unmet(_terms(project, **other))

    assert (found == "") if why == "" else (why in found)


def test_worker_without_the_project_is_fit_for_no_job(project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "none"

    assert _look(replace(_terms(project), project=elsewhere)) == f"it lacks the project {elsewhere}"


def test_terms_name_the_files_of_the_jobs_and_hold_no_password(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_LEDGER", "postgresql+psycopg://me:hunter2hunter2@db:5432/ledger")
    terms = _terms(project)

    assert set(terms.files) == {"agents/one.md", "agents/two.md", "try.ipynb"}
    assert terms.ledger == "postgresql+psycopg://db:5432/ledger"
    assert "hunter2" not in repr(terms)


def test_terms_name_the_files_that_a_notebook_takes_by_itself(project: Path) -> None:
    (project / "tasks.csv").write_text("id,input\none,Hi\n")
    write_notebook(project / "own.ipynb", {"parameters": 'agent: str = "agents/two.md"\ntasks: str = "tasks.csv"'})

    assert set(terms_here(_plan(project, {"notebook": "own.ipynb"}).jobs, live=None).files) == {
        "agents/two.md",
        "own.ipynb",
        "tasks.csv",
    }


@pytest.mark.usefixtures("no_workers")
def test_who_answers_a_batch_is_said_on_its_command_line(
    project: Path, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = {
        "parameters": "from typing import Optional\nlive: Optional[bool] = None",
        "try": "import workbench as wb",
        "verdict": "print(live)",
    }
    write_notebook(project / "live.ipynb", live)
    _plan(project, {"notebook": "live.ipynb"})
    offline = CliRunner().invoke(main, ["batch", PLANS, "--offline"])
    asks = CliRunner().invoke(main, ["batch", PLANS, "--live"])
    _plan(project, {"notebook": "try.ipynb"})
    without = CliRunner().invoke(main, ["batch", PLANS, "--offline"])
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    _plan(project, {"notebook": "live.ipynb"})
    keyless = CliRunner().invoke(main, ["batch", PLANS, "--live"])

    assert (offline.exit_code, asks.exit_code, without.exit_code, keyless.exit_code) == (0, 0, 2, 2)
    assert "completed. False" in offline.output and "completed. True" in asks.output
    assert "try.ipynb: has no parameter `live`" in without.output
    assert "a live run was asked for, but there is no key" in keyless.output


def test_second_batch_into_one_folder_is_refused(project: Path) -> None:
    plan = _plan(project, {"notebook": "try.ipynb"})

    with (
        only_writer(plan.out, of="another batch"),
        pytest.raises(FolderInUse, match=r"another batch \(process \d+ on "),
    ):
        _run(plan)


def _has_kernel(pid: int) -> bool:
    """Whether the worker has processes of its own, such as the one that its kernels come from."""
    return bool(_children(pid))


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _descendants(pid: int) -> list[int]:
    return [each for child in _children(pid) for each in (child, *_descendants(child))]


def _wait_until(holds: Callable[[], bool], *, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


@contextmanager
def _cluster() -> Iterator[tuple[str, Any]]:
    """The address of a Dask cluster of two worker processes on 127.0.0.1, and the cluster."""
    import warnings

    from distributed import LocalCluster

    if sys.platform != "linux":
        pytest.skip("looks for processes in /proc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Dask's own, when a worker is gone
        with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
            yield cluster.scheduler_address, cluster


def _plan(project: Path, *entries: dict[str, Any], **fields: Any) -> BatchPlan:
    (project / PLANS).write_text(json.dumps({"out": "outputs/batch", "notebooks": list(entries), **fields}))
    return load_batch(PLANS)


def _run(plan: BatchPlan, **options: Any) -> Batch:
    return run_batch(plan, **{"at_once": 1, "progress": False, "say": lambda _: None} | options)


def _files(found: Batch) -> dict[str, bytes]:
    folder = found.index.parent
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
