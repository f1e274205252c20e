"""The workbench under papermill's own commands, and what an executed notebook says of its run."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import papermill
import pytest

from tests.messages_server import MessagesServer
from tests.written_notebooks import outputs_of, printed_by, write_notebook
from workbench.errors import NotebookFailed, ParameterError, SetupError
from workbench.headless.kernels.kernel import HeadlessKernelManager
from workbench.headless.notebook import run_notebook

KEY = "sk-ant-api03-Zx8Qw2Lm9RtY4uPa7KdF"
CELLS = {
    "parameters": 'agent: str = "agents/one.md"\ntasks: str = "agents/one.tasks.yaml"\ncount: int = 2\nfails: bool = False',
    "first": "print('kept')",
    "run": (
        "import workbench as wb\n"
        "plan = wb.plan_trials({'base': wb.load_agent(agent)}, wb.load_tasks(tasks), repeats=count)\n"
        "run = wb.run_trials(plan, progress=False)\n"
        "print([trial.reply.text for trial in run.trials])"
    ),
    "fail": "assert not fails, 'asked to fail'",
    "last": "print('at the end')",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an agent, tasks and a notebook that tries them; the working directory."""
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents/one.md").write_text("---\nname: one\ndescription: D.\n---\nYou are one.\n")
    (tmp_path / "agents/one.tasks.yaml").write_text("- id: one\n  input: Hello\n")
    write_notebook(tmp_path / "try.ipynb", CELLS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_papermill_command_refuses_an_unknown_parameter_with_the_list_of_the_notebook(project: Path) -> None:
    done = _command("papermill", "--engine", "workbench", "try.ipynb", "out.ipynb", "-p", "cuont", "3")

    assert done.returncode == 1
    assert "no parameter 'cuont'; it has" in done.stderr
    assert "  count: int = 2" in done.stderr
    assert not (project / "out.ipynb").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"count": "two"}, "parameter 'count' must be int, not 'two' (str)"),
        ({"fails": "x"}, "parameter 'fails' must be bool"),
        ({"agent": KEY}, "parameter 'agent' looks like a key"),
        ({"agent": "postgresql://me:hunter2@db/x"}, "looks like a key"),
    ],
)
def test_papermill_refuses_wrong_and_secret_values_before_a_kernel_starts(
    project: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str
) -> None:
    def start(*_: object, **__: object) -> None:
        raise AssertionError("a kernel was about to start")

    monkeypatch.setattr(HeadlessKernelManager, "start_kernel", start)

    with pytest.raises(ParameterError) as refusal:
        _papermill(given)

    assert said in str(refusal.value)
    assert KEY not in str(refusal.value)
    assert not (project / "out.ipynb").exists()


def test_notebook_says_what_it_ran_with_and_nothing_of_this_machine(project: Path, server: MessagesServer) -> None:
    _papermill({"count": 1})
    text = (project / "out.ipynb").read_text()
    metadata = json.loads(text)["metadata"]

    def sha256(name: str) -> str:
        return hashlib.sha256((project / name).read_bytes()).hexdigest()

    files = {"agent": "agents/one.md", "tasks": "agents/one.tasks.yaml"}
    about = metadata["workbench"]
    assert metadata["papermill"] == {"parameters": {"count": 1}}
    assert about["files"] == {name: {"file": file, "sha256": sha256(file)} for name, file in files.items()}
    assert about["versions"]["python"] == platform.python_version()
    assert set(about["versions"]) == {"agent-workbench", "anthropic", "python"}
    assert about["outcome"] == "completed"
    names = (socket.gethostname(), getpass.getuser(), str(Path.home()), str(project), str(os.getpid()))
    assert [name for name in names if re.search(rf"\b{re.escape(name)}\b", json.dumps(metadata))] == []
    assert str(project) not in text
    assert not re.search(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", text)
    assert "widgets" not in metadata
    nbformat.validate(nbformat.read(project / "out.ipynb", as_version=4))


def test_papermill_run_twice_from_the_ledger_leaves_the_same_bytes(project: Path, server: MessagesServer) -> None:
    _papermill({})
    first = (project / "out.ipynb").read_bytes()
    _papermill({})

    assert (project / "out.ipynb").read_bytes() == first
    assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("cell", "given", "outcome", "error"),
    [
        ("import time; time.sleep(60)", {"execution_timeout": 1}, "timed out", "the deadline of 1 s for the cell passed"),
        ("import time; time.sleep(60)", {"notebook_timeout": 2}, "timed out", "the deadline of 2 s for the notebook passed"),
        ("import os; os._exit(3)", {}, "kernel died", "the kernel died (exit code 3)"),
        ("raise SystemExit(0)", {}, "stopped", "SystemExit: 0"),
        ("raise SystemExit(3)", {}, "failed", "SystemExit: 3"),
        ("1 / 0", {}, "failed", "ZeroDivisionError: division by zero"),
    ],
)  # fmt: skip
def test_outcome_is_never_called_completed_by_papermill(
    project: Path, cell: str, given: dict[str, Any], outcome: str, error: str | None
) -> None:
    write_notebook(project / "try.ipynb", {"first": "print('kept')", "bad": cell, "last": "print('at the end')"})

    raised = None
    try:
        _papermill({}, **given)
    except Exception as found:  # noqa: BLE001 - papermill raises a different one for each
        raised = found

    document = nbformat.read(project / "out.ipynb", as_version=4)
    about = document.metadata["workbench"]
    assert (raised is None) is (outcome == "stopped" and error == "SystemExit: 0"), raised
    assert (about["outcome"], about.get("error"), about["cell"], about["cells_done"]) == (outcome, error, "bad", 1)
    assert document.metadata["papermill"] == {"parameters": {}}
    assert printed_by(project / "out.ipynb", "first") == "kept\n"
    assert outputs_of(project / "out.ipynb", "last") == []


@pytest.mark.parametrize(
    ("sent", "outcome", "code"), [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)]
)
def test_ctrl_c_and_sigterm_leave_what_ran_and_say_so(
    project: Path, sent: signal.Signals, outcome: str, code: int
) -> None:
    wait = "import os, time\nopen('started', 'w').close()\ntime.sleep(60)"
    write_notebook(project / "try.ipynb", {"first": "print('kept')", "wait": wait})
    os.mkfifo(project / "started")
    program = (
        "import signal, sys, workbench.cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that it is ignored\n"
        "sys.argv[1:] = ['run', 'try.ipynb', '--out', 'out']\n"
        "workbench.cli.main()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as run:
        (project / "started").read_bytes()
        run.send_signal(sent)
        found = run.wait(30)

    about = nbformat.read(project / "out/try.ipynb", as_version=4).metadata["workbench"]
    assert found == code
    assert (about["outcome"], about["cell"]) == (outcome, "wait")
    assert printed_by(project / "out/try.ipynb", "first") == "kept\n"
    assert "This notebook did not come to its end" in (project / "out/try.html").read_text()


@pytest.mark.parametrize(
    ("variable", "whose"), [("WORKBENCH_CELL_DEADLINE", "cell"), ("WORKBENCH_DEADLINE", "notebook")]
)
def test_plain_papermill_takes_its_deadlines_from_the_environment(
    project: Path, monkeypatch: pytest.MonkeyPatch, variable: str, whose: str
) -> None:
    write_notebook(project / "try.ipynb", {"wait": "import time; time.sleep(60)"})
    monkeypatch.setenv(variable, "1.5")

    with pytest.raises(Exception, match=f"the deadline of 1.5 s for the {whose} passed"):
        _papermill({})

    assert nbformat.read(project / "out.ipynb", as_version=4).metadata["workbench"]["outcome"] == "timed out"


@pytest.mark.parametrize("wanted", ["soon", "0", "nan"])
def test_deadline_of_the_environment_must_be_seconds(
    project: Path, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.setenv("WORKBENCH_CELL_DEADLINE", wanted)

    with pytest.raises(SetupError, match=f"WORKBENCH_CELL_DEADLINE={wanted}: set it to a number of seconds above 0"):
        _papermill({})

    assert not (project / "out.ipynb").exists()


def test_failed_run_goes_on_with_its_parameters_and_pays_for_nothing_again(
    project: Path, server: MessagesServer
) -> None:
    with pytest.raises(NotebookFailed, match=r"asked to fail[\s\S]*run it again with go_on=True"):
        run_notebook("try.ipynb", out="out", parameters={"count": 3, "fails": True}, progress=False)
    failed = nbformat.read("out/try.ipynb", as_version=4)
    run = run_notebook("try.ipynb", out="out", parameters={"fails": False}, progress=False, go_on=True)

    assert failed.metadata["workbench"]["outcome"] == "failed"
    assert printed_by(run.notebook, "run").count("what load do you expect?") == 3
    assert nbformat.read(run.notebook, as_version=4).metadata["papermill"]["parameters"] == {"count": 3, "fails": False}
    assert len(server.bodies) == 3


def changes_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What runs said of why they run anew."""
    said = [record.getMessage() for record in caplog.records]
    return [each for each in said if "changed since its last run" in each]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("agents/one.md", "---\nname: one\ndescription: D.\n---\nYou are another.\n"),
        ("agents/one.tasks.yaml", "- id: one\n  input: Goodbye\n"),
    ],
)
def test_finished_run_is_run_anew_where_a_file_changed_and_says_which(
    project: Path, server: MessagesServer, caplog: pytest.LogCaptureFixture, file: str, content: str
) -> None:
    run_notebook("try.ipynb", out="out", progress=False)
    same = run_notebook("try.ipynb", out="out", progress=False, go_on=True)
    (project / file).write_text(content)
    again = run_notebook("try.ipynb", out="out", progress=False, go_on=True)

    assert same.seconds == 0
    assert again.seconds > 0
    assert changes_in(caplog) == [
        f"out: {file} changed since its last run, so it runs anew; what the ledger holds is not asked for again"
    ]
    assert len(server.bodies) == 4  # two repeats of each


def test_finished_run_is_run_anew_where_the_notebook_changed_or_a_file_is_gone(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_notebook(project / "try.ipynb", {"parameters": 'agent: str = "agents/one.md"', "verdict": "print('first')"})
    run_notebook("try.ipynb", out="out", progress=False)
    write_notebook(project / "try.ipynb", {"parameters": 'agent: str = "agents/one.md"', "verdict": "print('second')"})
    (project / "agents/one.md").unlink()
    again = run_notebook("try.ipynb", out="out", progress=False, go_on=True)

    assert again.verdict == "second"
    assert [said.partition(" changed")[0] for said in changes_in(caplog)] == [
        "out: agents/one.md (which is gone)",
        "out: the notebook itself",
    ]


@pytest.mark.parametrize(
    ("declared", "file"),
    [
        ('tasks: str = "tasks.csv"', "tasks.csv"),
        ('tasks: str = "tasks.jsonl"', "tasks.jsonl"),
        ('agents: list = ["agents/one.md", "agents/two.md"]', "agents/two.md"),
        ('variants: dict = {"new": {"file": "agents/two.md"}}', "agents/two.md"),
        ('record: str = "outputs/old/"', "outputs/old/run.json"),
    ],
)
def test_every_file_that_a_parameter_names_is_known_to_have_changed(
    project: Path, caplog: pytest.LogCaptureFixture, declared: str, file: str
) -> None:
    (project / file).parent.mkdir(parents=True, exist_ok=True)
    texts = {".csv": "id,input\none,{}", ".jsonl": '{{"id": "one", "input": "{}"}}'}
    text = texts.get(Path(file).suffix, "{}")
    (project / file).write_text(text.format("before"))
    write_notebook(project / "try.ipynb", {"parameters": declared, "verdict": "print('ran')"})
    run_notebook("try.ipynb", out="out", progress=False)
    same = run_notebook("try.ipynb", out="out", progress=False, go_on=True)
    (project / file).write_text(text.format("after"))
    again = run_notebook("try.ipynb", out="out", progress=False, go_on=True)

    assert (same.seconds == 0, again.seconds > 0) == (True, True)
    assert [said.partition(" changed")[0] for said in changes_in(caplog)] == [f"out: {file}"]


def test_finished_run_is_run_anew_where_somebody_else_would_answer(
    project: Path, server: MessagesServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cells = {"parameters": "from typing import Optional\nlive: Optional[bool] = None", "verdict": "print('ran')"}
    write_notebook(project / "try.ipynb", cells)
    run_notebook("try.ipynb", out="out", progress=False)
    asked = run_notebook("try.ipynb", out="out", progress=False, go_on=True)
    monkeypatch.setenv("CLAUDE_CODE_SUBAGENT_MODEL", "haiku")
    by_another_model = run_notebook("try.ipynb", out="out", progress=False, go_on=True)
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    by_nobody = run_notebook("try.ipynb", out="out", progress=False, go_on=True)

    assert [run.seconds > 0 for run in (asked, by_another_model, by_nobody)] == [False, True, True]
    said = [said.partition(" changed")[0] for said in changes_in(caplog)]
    assert said == ["out: who answers", "out: who answers"]


def test_finished_run_of_an_older_workbench_that_told_no_hash_of_its_cells_stays(project: Path) -> None:
    write_notebook(project / "try.ipynb", {"parameters": "count: int = 1", "verdict": "print(count)"})
    run = run_notebook("try.ipynb", out="out", progress=False)
    document = nbformat.read(run.notebook, as_version=4)
    del document.metadata["workbench"]["notebook"]
    nbformat.write(document, run.notebook)

    assert run_notebook("try.ipynb", out="out", progress=False, go_on=True).seconds == 0


@pytest.mark.parametrize("given", [{"count": np.int64(2)}, {"count": (1, 2)}])
def test_papermill_refuses_a_value_that_it_has_written_as_another(project: Path, given: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=r"give papermill parameters of Python's own types|must be int"):
        _papermill(given)


def _papermill(parameters: dict[str, Any], **options: Any) -> None:
    papermill.execute_notebook(
        "try.ipynb", "out.ipynb", parameters, engine_name="workbench", progress_bar=False, **options
    )


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)
