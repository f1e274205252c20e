"""Kernels that are forked from a ready interpreter: as apart from each other as fresh ones, and never needed."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.written_notebooks import outputs_of, printed_by, write_notebook
from workbench.errors import FileError, NotebookFailed
from workbench.headless import notebook, run
from workbench.headless.job import Job
from workbench.headless.kernels import ready
from workbench.headless.kernels.kernel import _said
from workbench.headless.notebook import run_notebook
from workbench.headless.notebook_files import load_notebook

pytestmark = [
    pytest.mark.machine,
    pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only"),
]

ALL_MODULES = ready.READY_MODULES

FACTS = """
import gc, json, os, pathlib, random, secrets, signal, sys, tempfile, threading, time, uuid
import numpy
mine = pathlib.Path(tempfile.mkdtemp())
drawn = {
    "process": os.getpid(), "random": random.random(), "numpy": float(numpy.random.random()),
    "generator": float(numpy.random.default_rng().random()), "secret": secrets.token_hex(4), "uuid": str(uuid.uuid4()),
    "file": mine.name,
}
same = {
    "hash": hash("text"), "cwd": os.getcwd(), "argv": sys.argv[0].endswith("ipykernel_launcher.py"), "path": sys.path,
    "stdin": os.read(0, 1).decode(), "environment": {**os.environ, "JPY_PARENT_PID": "", "TMPDIR": ""},
    "interrupt": signal.getsignal(signal.SIGINT).__name__, "children": int(signal.getsignal(signal.SIGCHLD)),
    "main": sys.modules["__main__"].__name__, "mask": os.umask(0o22), "zone": time.tzname, "flags": str(sys.flags),
    "collector": [gc.isenabled(), *gc.get_threshold()], "leader": os.getpgid(0) == os.getpid() == os.getsid(0),
}
print(json.dumps({"drawn": drawn, "same": same, "place": mine.parent.parent.name, "parent": os.getppid()}))
"""
CELLS = {
    "parameters": "number: int = 0",
    "facts": FACTS,
    "memory": "print(getattr(json, 'left_behind', 'nothing'), os.environ.get('LEFT_BEHIND'))\njson.left_behind = 1\nos.environ['LEFT_BEHIND'] = '1'",
    "numbers": "import numpy as np\nprint(round(float(np.linalg.det(np.eye(400) * 1.001)), 3))",
}


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """What a notebook printed of its kernel."""

    drawn: dict[str, Any]
    same: dict[str, Any]
    place: str
    parent: int
    memory: str
    numbers: str


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a notebook, in which kernels start with a variable and a time zone of their own."""
    folder = tmp_path_factory.mktemp("kernels")
    (folder / "agents").mkdir()
    write_notebook(folder / "facts.ipynb", CELLS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("TZ", "Asia/Tokyo")
        patch.delenv(ready.DISABLED, raising=False)
        patch.setattr(ready, "READY_MODULES", ("ipykernel.debugger", "numpy"))
        ready.end_ready_interpreter()
        yield folder
        ready.end_ready_interpreter()


@pytest.fixture(scope="module")
def forked(folder: Path) -> tuple[Kernel, Kernel]:
    return _kernel(folder / "first"), _kernel(folder / "second")


@pytest.fixture(scope="module")
def ordinary(folder: Path, forked: tuple[Kernel, Kernel]) -> Kernel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ready.DISABLED, "1")
        return _kernel(folder / "ordinary")


def test_forked_kernels_are_processes_of_their_own_from_one_parent(
    forked: tuple[Kernel, Kernel], ordinary: Kernel
) -> None:
    assert len({kernel.drawn["process"] for kernel in (*forked, ordinary)}) == 3
    assert forked[0].parent == forked[1].parent != os.getpid()
    assert ordinary.parent == os.getpid()


def test_nothing_that_one_kernel_leaves_in_memory_is_seen_by_the_next(forked: tuple[Kernel, Kernel]) -> None:
    assert [kernel.memory for kernel in forked] == ["nothing None\n"] * 2


@pytest.mark.parametrize("source", ["random", "numpy", "generator", "secret", "uuid", "file"])
def test_forked_kernels_draw_other_numbers_as_fresh_ones_do(
    forked: tuple[Kernel, Kernel], ordinary: Kernel, source: str
) -> None:
    assert len({kernel.drawn[source] for kernel in (*forked, ordinary)}) == 3


def test_forked_kernel_starts_as_an_ordinary_one_does(forked: tuple[Kernel, Kernel], ordinary: Kernel) -> None:
    assert forked[0].same == ordinary.same | {"environment": forked[0].same["environment"]}
    assert forked[1].same == forked[0].same
    assert ordinary.same["zone"] == ["JST", "JST"]


def test_environment_of_a_forked_kernel_is_that_of_an_ordinary_one(
    forked: tuple[Kernel, Kernel], ordinary: Kernel
) -> None:
    kernel, fresh = dict(forked[0].same["environment"]), dict(ordinary.same["environment"])

    assert fresh.pop(ready.DISABLED) == "1"
    assert kernel == fresh


def test_temporary_folder_is_private_and_goes_with_the_kernel(forked: tuple[Kernel, Kernel], ordinary: Kernel) -> None:
    places = [kernel.place for kernel in (*forked, ordinary)]

    assert len(set(places)) == 3
    assert not any(Path(tempfile.gettempdir(), place).exists() for place in places)


def test_linear_algebra_works_in_a_forked_kernel(forked: tuple[Kernel, Kernel], ordinary: Kernel) -> None:
    assert forked[0].numbers == ordinary.numbers


def test_nothing_of_all_that_is_imported_stands_in_the_way_of_a_fork(folder: Path) -> None:
    environment = ready.kernel_environment(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ready, "READY_MODULES", ALL_MODULES)
        interpreter = ready.ReadyInterpreter(environment)

    kernel = interpreter.fork(["x", "--version"], cwd=str(folder), environment=environment)
    status = kernel.wait(timeout=60)
    interpreter.close()

    assert status == 0


def test_deadline_interrupts_a_forked_kernel_and_shows_where_it_was(folder: Path) -> None:
    slow = write_notebook(folder / "slow.ipynb", {"wait": "import time\ntime.sleep(60)", "after": "print('not me')"})

    with pytest.raises(NotebookFailed, match="the deadline of 0.5 s for the cell passed"):
        run_notebook(slow, out=folder / "slow", progress=False, cell_deadline_seconds=0.5)

    (error,) = outputs_of(folder / "slow/slow.ipynb", "wait")
    about = load_notebook(folder / "slow/slow.ipynb").metadata["workbench"]
    assert error.ename == "KeyboardInterrupt"
    assert "time.sleep(" in "".join(error.traceback)
    assert (about["outcome"], about["cell"], about["cells_done"]) == ("timed out", "wait", 0)


def test_cell_that_will_not_be_interrupted_is_killed_at_its_deadline(folder: Path) -> None:
    stubborn = "import os, signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
    slow = write_notebook(folder / "stubborn.ipynb", {"wait": stubborn})

    with pytest.raises(NotebookFailed, match="the deadline of 1.5 s for the notebook passed"):
        run_notebook(slow, out=folder / "stubborn", progress=False, deadline_seconds=1.5)

    pid = printed_by(folder / "stubborn/stubborn.ipynb", "wait").strip()
    assert not pid or not Path("/proc", pid).exists()


def test_deadline_that_is_named_is_the_one_that_passed_with_what_used_it_up(folder: Path) -> None:
    # Interrupting it takes until the other deadline has passed as well.
    stubborn = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)"
    slow = write_notebook(folder / "both.ipynb", {"first": "import time; time.sleep(0.3)", "wait": stubborn})

    with pytest.raises(NotebookFailed) as of_cell:
        run_notebook(slow, out=folder / "both", progress=False, deadline_seconds=4, cell_deadline_seconds=2)
    with pytest.raises(NotebookFailed) as of_notebook:
        run_notebook(slow, out=folder / "both", progress=False, deadline_seconds=2, cell_deadline_seconds=4)

    assert re.search(
        r"the deadline of 2 s for the cell passed\nit went by with 2\.\d s in the cell 'wait'\n", str(of_cell.value)
    )
    assert re.search(
        r"the deadline of 2 s for the notebook passed\nit went by with \d\.\d s until the kernel was ready, "
        r"0\.[34] s in the cells before it and \d\.\d s in the cell 'wait'\n",
        str(of_notebook.value),
    )


def test_deadline_that_passes_while_the_kernel_starts_is_named_as_it_was_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ready.DISABLED, "1")
    quick = write_notebook(folder / "late.ipynb", {"one": "1"})

    with pytest.raises(
        NotebookFailed, match=r"the deadline of 0.01 s for the notebook passed\n0\.\d s went by and its"
    ):
        run_notebook(quick, out=folder / "late", progress=False, deadline_seconds=0.01)


def test_nothing_outlives_an_owner_that_is_killed_but_what_ran(folder: Path) -> None:
    tell = (
        "import os, pathlib, time\n"
        "while '\"cells_done\": 1' not in pathlib.Path('orphan/orphan.partial.ipynb').read_text():\n    time.sleep(0.01)\n"
        "pathlib.Path('place').write_text(os.environ['TMPDIR'])\n"
        "print(os.getpid(), os.getppid(), file=open('pids', 'w'))\ntime.sleep(60)"
    )
    write_notebook(folder / "orphan.ipynb", {"first": "print('kept')", "tell": tell})
    command = "from workbench.headless.notebook import run_notebook; run_notebook('orphan.ipynb', out='orphan')"
    os.mkfifo(folder / "pids")
    with subprocess.Popen([sys.executable, "-c", command], cwd=folder, stderr=subprocess.DEVNULL) as owner:
        processes = [os.pidfd_open(int(pid)) for pid in (folder / "pids").read_text().split()]
        owner.kill()

    for process in processes:
        assert select.select([process], [], [], 30)[0], "it still runs"
        os.close(process)
    assert printed_by(folder / "orphan/orphan.partial.ipynb", "first") == "kept\n"
    assert not Path((folder / "place").read_text()).parent.exists()


@pytest.mark.parametrize("door", ["notebook", "kernels.worker"])
def test_ready_interpreter_starts_before_what_takes_long_is_imported(door: str) -> None:
    late = ("jsonschema", "nbformat", "papermill", "nbclient", "jupyter_client", "nbconvert", "pandas")
    code = f"import sys, workbench.headless.{door}; print([name for name in {late} if name in sys.modules])"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.skipif(find_spec("rfc3987_syntax") is None, reason="jsonschema has no grammar to compile here")
@pytest.mark.parametrize("door", ["batch", "stored", "run"])
def test_no_grammar_of_addresses_is_compiled_for_a_notebook(door: str) -> None:
    load = "workbench.headless.notebook_files, " if door == "run" else ""
    code = f"import sys, {load}workbench.headless.{door}; print('rfc3987_syntax' in sys.modules, 'nbformat' in sys.modules)"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "True"]


@pytest.mark.parametrize(
    ("source", "uses", "uses_not"),
    [
        ("print(1)", [], ["numpy", "pandas", "anthropic", "workbench.runs.runner"]),
        (
            "import workbench as wb\nwb.run_trials(plan)",
            ["workbench.runs.runner", "sqlite3"],
            ["pandas", "scipy.stats"],
        ),
        ("wb.compare(run)", ["pandas", "scipy.stats", "workbench.comparison.tables"], ["matplotlib.figure"]),
        ("import workbench\ncomparison.plot('tasks')", ["matplotlib.figure"], ["anthropic"]),
        ("import anthropic", ["anthropic.resources.messages"], ["pandas"]),
    ],
)
def test_interpreter_for_one_notebook_imports_what_its_source_uses_and_a_kernel_anyway(
    source: str, uses: list[str], uses_not: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ready, "READY_MODULES", ALL_MODULES)
        found = ready.modules_for(source)

    assert found[: len(ready.KERNEL_MODULES)] == ready.KERNEL_MODULES
    assert set(uses) <= set(found) and not set(uses_not) & set(found)
    assert set(found) <= set(ALL_MODULES)


def test_imports_of_a_ready_interpreter_are_those_that_it_is_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []

    def start(command: list[str], **_: object) -> None:
        started.append(command)
        raise OSError("only looked at")

    monkeypatch.setattr(ready.subprocess, "Popen", start)
    ready.end_ready_interpreter()
    ready.start_ready_interpreter({}, imports=("numpy",))
    ready.start_ready_interpreter({})

    assert [command[4:] for command in started] == [["numpy"], ["ipykernel.debugger", "numpy"]]


def test_one_notebook_has_an_interpreter_for_its_source_and_a_job_of_many_one_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = write_notebook(tmp_path / "plain.ipynb", {"cell": "print(1)"})
    started: list[Sequence[str] | None] = []
    monkeypatch.setattr(ready, "READY_MODULES", ALL_MODULES)
    monkeypatch.setattr(notebook, "start_ready_interpreter", lambda _, *, imports=None: started.append(imports))
    monkeypatch.setattr(run, "run_document", lambda *_, **__: None)

    notebook.run_job(Job(notebook=plain, out=tmp_path / "out"))
    assert started == [None]

    run_notebook(plain, out=tmp_path / "out")
    assert started[1] == ready.KERNEL_MODULES, "the first to start it decides"

    notebook.begin_kernel_for("compare")
    assert {"pandas", "workbench.comparison.tables", "workbench.runs.runner"} <= set(started[-1] or ())

    count = len(started)
    with pytest.raises(FileError):
        run_notebook(tmp_path / "none.ipynb", out=tmp_path / "out")
    assert started[count:] == [None], "which is said by whoever loads it"


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_nothing_is_forked_where_libraries_do_not_survive_it(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", platform)
        found = ready.start_ready_interpreter({})

    assert found is None


def test_system_that_starts_no_more_processes_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    ready.end_ready_interpreter()
    monkeypatch.setattr(ready.subprocess, "Popen", refuse)

    assert ready.start_ready_interpreter(os.environ) is None
    assert "Kernels start in the ordinary way: no ready interpreter can be started: no more processes" in caplog.text


def test_library_that_starts_threads_is_named_and_the_kernel_starts_in_the_ordinary_way(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    ready.end_ready_interpreter()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    _said.clear()

    kernel = _kernel(folder / "threads")
    ready.end_ready_interpreter()

    assert kernel.parent == os.getpid()
    assert "a library that it imported has started threads" in caplog.text


def test_system_that_has_no_process_left_costs_neither_the_notebook_nor_the_kernels_that_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import errno, os\ndef refuse():\n    raise BlockingIOError(errno.EAGAIN, 'no process left')\nos.fork = refuse\n"
    )
    ready.end_ready_interpreter()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    _said.clear()

    kernel = _kernel(folder / "no-process")
    left = ready.start_ready_interpreter(ready.kernel_environment(os.environ))
    is_alive = left is not None and left.is_alive()
    ready.end_ready_interpreter()

    assert kernel.parent == os.getpid()
    assert is_alive
    assert "it cannot be forked: no process left" in caplog.text


def test_ready_interpreter_that_died_is_replaced(folder: Path) -> None:
    before = ready.start_ready_interpreter(ready.kernel_environment(os.environ))
    assert before is not None
    before._process.kill()
    before._process.wait()

    assert _kernel(folder / "replaced").parent not in (before.pid, os.getpid())


def test_kernel_that_is_lost_with_the_ready_interpreter_says_so_and_the_next_notebook_runs(folder: Path) -> None:
    end = "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)"
    ending = write_notebook(folder / "ending.ipynb", {"end": end})
    ready.end_ready_interpreter()

    with pytest.raises(NotebookFailed, match=r"the kernel died \(the interpreter that it was forked from is gone\)"):
        run_notebook(ending, out=folder / "ending", progress=False)

    assert _kernel(folder / "after").parent != os.getpid()


def test_ready_interpreter_that_dies_while_it_is_asked_costs_no_notebook(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dying = ready.start_ready_interpreter(ready.kernel_environment(os.environ))
    assert dying is not None
    dying._process.kill()
    dying._process.wait()
    monkeypatch.setattr(ready.ReadyInterpreter, "is_alive", lambda _: True)
    _said.clear()

    kernel = _kernel(folder / "dying")
    ready.end_ready_interpreter()

    assert kernel.parent == os.getpid()
    assert "Kernels start in the ordinary way" in caplog.text


def test_kernel_that_dies_while_it_starts_is_replaced_by_an_ordinary_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fork = ready.ReadyInterpreter.fork
    monkeypatch.setattr(
        ready.ReadyInterpreter, "fork", lambda self, argv, **options: fork(self, ["x", "--no-such"], **options)
    )

    assert _kernel(folder / "died").parent == os.getpid()
    assert "Another kernel is started: the kernel died while it started (exit code " in caplog.text
    assert "no-such" in caplog.text.partition("its last words:")[2]


def test_variable_that_an_interpreter_reads_at_its_start_is_not_ignored(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ready.start_ready_interpreter(ready.kernel_environment(os.environ))
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    _said.clear()

    kernel = _kernel(folder / "seed")

    assert kernel.parent == os.getpid()
    assert "another PYTHONHASHSEED" in caplog.text


def _kernel(out: Path) -> Kernel:
    run = run_notebook(out.parent / "facts.ipynb", out=out, progress=False)
    return Kernel(
        **json.loads(printed_by(run.notebook, "facts")),
        memory=printed_by(run.notebook, "memory"),
        numbers=printed_by(run.notebook, "numbers"),
    )
