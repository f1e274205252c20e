"""Notebooks without a browser: what is refused, what is run, what is left."""

from __future__ import annotations

import datetime
import re
import socket
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from click.testing import CliRunner

from tests.written_notebooks import outputs_of, write_notebook
from workbench.cli import main
from workbench.definition.project import project_folder
from workbench.errors import FileError, NotebookFailed, ParameterError
from workbench.headless import run
from workbench.headless.left_behind import NotebookRun
from workbench.headless.notebook import run_notebook
from workbench.headless.notebook_files import load_notebook
from workbench.headless.one_writer import LOCK_FILE, only_writer
from workbench.headless.page import html_page
from workbench.headless.parameters import check_parameters, declared_parameters, parameters_from_text
from workbench.headless.published import names_of_folders, published
from workbench.headless.stopping import stop_notebook_in
from workbench.secrets import is_key_like, looks_secret, without_secrets

pytestmark = pytest.mark.machine

QUICK = Path(__file__).parent / "fixtures" / "quick.ipynb"
CASES = Path(__file__).parents[2] / "shared" / "cases"

KEYS = [
    "sk-ant-api03-Zx8Qw2Lm9RtY4uPa7KdF",
    "Bearer abcdefgh",
    "prefix Bearer 9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "AKIAIOSFODNN7EXAMPLE",
    "k8Fq3/zRt7Yp2WxLm9+Vb4Nc6Hs1Jd5Ga0TuEoQi",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "Q7f2Vx9KpL4sT8wZ1bN6",
    "postgresql://me:hunter2@127.0.0.1/ledger",
]

NOT_KEYS = [
    "",
    "good",
    "agents/senior-python-architect.tasks.yaml",
    "outputs/2026-11-23T10-15-00/architect-draft",
    "claude-sonnet-4-5-20250929",
    "us.anthropic.claude-opus-4-6-20260205-v1:0",
    "http://localhost:11434/v1/messages",
    "postgresql://me@127.0.0.1/ledger",
    "the clarifying question about OAuth and Bearer tokens",
    "SeniorPythonArchitectWithAVeryLongName",
    "risk-averse-architecture-review-2026",
]


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> NotebookRun:
    out = tmp_path_factory.mktemp("quick") / "here"
    return run_notebook(QUICK, out=out, parameters={"word": "ha", "count": 2}, progress=False)


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a kernel was about to start")

    monkeypatch.setattr(run, "_execute", refuse)


@pytest.mark.parametrize("text", KEYS)
def test_text_in_the_form_of_a_key_is_taken_for_one(text: str) -> None:
    assert is_key_like(text)


@pytest.mark.parametrize("text", NOT_KEYS)
def test_paths_models_and_words_are_not_taken_for_keys(text: str) -> None:
    assert not is_key_like(text)


def test_name_of_a_parameter_makes_its_text_a_secret_but_not_its_number() -> None:
    assert looks_secret("api_key", "short")
    assert looks_secret("options", {"password": "short"})
    assert looks_secret("names", ["fine", KEYS[0]])
    assert not looks_secret("max_tokens", 4096)
    assert not looks_secret("keyword", "short")


def test_talk_about_keys_is_not_removed_from_outputs() -> None:
    text = "Use Bearer tokens; run npm_config_registry or sk-learn-contrib-extras."

    assert without_secrets(text) == text
    assert without_secrets(f"ANTHROPIC_API_KEY={KEYS[0]}") == "ANTHROPIC_API_KEY=[key removed]"


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize("value", [*KEYS, [KEYS[0]], {"a": KEYS[0]}])
def test_key_as_parameter_is_refused_before_a_kernel_starts_and_never_repeated(tmp_path: Path, value: Any) -> None:
    with pytest.raises(ParameterError, match="looks like a key") as refusal:
        run_notebook(QUICK, out=tmp_path / "out", parameters={"word": value})

    assert all(key not in str(refusal.value) for key in KEYS)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_kernel")
def test_unknown_parameter_is_refused_and_the_known_ones_are_listed(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="no parameter 'cuont'") as refusal:
        run_notebook(QUICK, out=tmp_path, parameters={"cuont": 2})

    assert "count: int = 3  # how often" in str(refusal.value)


@pytest.mark.usefixtures("no_kernel")
def test_parameter_for_a_notebook_without_parameters_cell_is_refused(tmp_path: Path) -> None:
    bare = write_notebook(tmp_path / "bare.ipynb", {"one": "x = 1"})

    with pytest.raises(ParameterError, match="it has no cell tagged `parameters`"):
        run_notebook(bare, out=tmp_path / "out", parameters={"x": 2})


@pytest.mark.usefixtures("no_kernel")
def test_key_as_the_default_of_a_notebook_is_refused(tmp_path: Path) -> None:
    careless = write_notebook(tmp_path / "careless.ipynb", {"parameters": f'word: str = "{KEYS[0]}"'})

    with pytest.raises(ParameterError, match="own default of 'word' looks like a key"):
        run_notebook(careless, out=tmp_path / "out")


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", "2"),
        ("count", True),
        ("count", 2.5),
        ("word", 3),
        ("live", "yes"),
        ("names", "a"),
        ("word", None),
    ],
)
def test_value_of_the_wrong_type_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=f"parameter '{name}' must be"):
        run_notebook(QUICK, out=tmp_path, parameters={name: value})


@pytest.mark.usefixtures("no_kernel")
def test_folder_is_given_once(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="give the folder as `out`"):
        run_notebook(QUICK, out=tmp_path, parameters={"out": "elsewhere"})


def test_number_or_array_of_numpy_is_given_as_what_it_is_in_python() -> None:
    declared = declared_parameters(load_notebook(QUICK))
    given = {"count": np.int64(3), "share": np.float32(0.5), "fail": np.bool_(True), "names": np.array(["a", "b"])}

    found = check_parameters(declared, given | {"word": np.str_("x")}, notebook=QUICK)

    assert found == {"count": 3, "share": 0.5, "fail": True, "names": ["a", "b"], "word": "x"}
    assert [type(found[name]) for name in ("count", "share", "fail", "names", "word")] == [int, float, bool, list, str]


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Decimal("1.5"), "a value of type Decimal"),
        (datetime.date(2026, 11, 29), "a value of type date"),
        ({1, 2}, "a value of type set"),
        (np.array([1j]), "a value of type complex"),
        (float("nan"), "nan"),
        ([np.float64("inf")], "inf"),
        ({1: "a"}, "a mapping in which a name is of type int"),
    ],
)
def test_value_that_no_notebook_holds_is_refused_by_name(tmp_path: Path, value: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(f"parameter 'names' cannot be {said}: a notebook holds")):
        run_notebook(QUICK, out=tmp_path / "out", parameters={"names": value})

    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not CASES.exists(), reason=f"{CASES} is not here")
def test_numpy_parameter_reaches_the_notebook_as_a_number(tmp_path: Path) -> None:
    run = run_notebook(
        CASES / "parameter-numpy.ipynb",
        out=tmp_path,
        parameters={"n": np.int64(3), "s": np.array([1.5])},
        progress=False,
    )

    [printed] = [cell.outputs[0].text for cell in nbformat.read(run.notebook, as_version=4).cells if cell.outputs]
    assert printed == "'a' str 3 [1.5]\n"


def test_texts_are_read_as_the_notebook_declares_them() -> None:
    texts = {
        "word": "3",
        "count": "3",
        "share": "1",
        "live": "none",
        "fail": "True",
        "names": '["a"]',
        "x": "y",
    }

    assert parameters_from_text(declared_parameters(load_notebook(QUICK)), texts) == {
        "word": "3",
        "count": 3,
        "share": 1,
        "live": None,
        "fail": True,
        "names": ["a"],
        "x": "y",
    }


def test_text_that_cannot_be_read_is_left_to_the_type_check() -> None:
    declared = declared_parameters(load_notebook(QUICK))

    assert parameters_from_text(declared, {"count": "three", "fail": "perhaps"}) == {
        "count": "three",
        "fail": "perhaps",
    }


@pytest.mark.parametrize("content", [None, "", "{}", "[1]", '{"cells": 3, "nbformat": 4, "nbformat_minor": 5}'])
def test_file_that_is_no_notebook_is_refused_with_its_place(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "broken.ipynb"
    if content is not None:
        path.write_text(content, encoding="utf-8")

    with pytest.raises(FileError, match=re.escape(str(path))):
        run_notebook(path, out=tmp_path / "out")


def test_run_leaves_notebook_page_and_what_the_notebook_wrote(quick_run: NotebookRun) -> None:
    folder = quick_run.notebook.parent

    assert sorted(path.name for path in folder.iterdir()) == ["quick.html", "quick.ipynb", "written.txt"]
    assert quick_run.verdict == "haha"
    assert quick_run.record is None
    assert "haha" in quick_run.page.read_text(encoding="utf-8")


def test_kernel_is_this_python_in_the_project_folder_and_knows_it_is_headless(
    quick_run: NotebookRun,
) -> None:
    (stream,) = outputs_of(quick_run.notebook, "place")

    assert stream.text.splitlines()[0] == "headless: 1, this Python: True, in the project: True"


def test_overwritten_progress_is_left_as_a_terminal_would_end(quick_run: NotebookRun) -> None:
    (stream,) = outputs_of(quick_run.notebook, "place")

    assert stream.text.splitlines()[1:] == ["100 %"]


def test_widget_views_are_gone_and_their_static_form_stays(quick_run: NotebookRun) -> None:
    document = nbformat.read(quick_run.notebook, as_version=4)

    assert set(outputs_of(quick_run.notebook, "views")[0].data) == {"text/html", "text/plain"}
    assert "widgets" not in document.metadata
    assert "<b>static</b>" in quick_run.page.read_text(encoding="utf-8")


def test_no_folder_of_this_machine_and_no_time_is_left(quick_run: NotebookRun) -> None:
    text = quick_run.notebook.read_text(encoding="utf-8") + quick_run.page.read_text(encoding="utf-8")

    assert str(quick_run.notebook.parent.resolve()) not in text
    assert str(project_folder()) not in text
    assert str(Path.home()) not in text.replace("~", "")
    assert "input_path" not in text
    assert "start_time" not in text


def test_page_needs_no_network_and_runs_no_script(quick_run: NotebookRun) -> None:
    page = quick_run.page.read_text(encoding="utf-8")

    loaded = re.findall(r"""<[^>]*\s(?:src|srcset|data)\s*=\s*["'](?!data:)[^>]*>""", page)

    assert not re.findall(r"<(?:script|link|iframe|object|embed)\b", page)
    assert loaded == []
    assert not re.findall(r"url\(\s*[\"']?https?:|@import", page)
    assert "default-src 'none'" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize(
    "shown", ["print(text)", "display(HTML('<p title=\"' + text + '\">' + text + '</p>'))", "raise ValueError(text)"]
)
def test_page_names_what_turns_a_line_and_typesets_nothing(tmp_path: Path, shown: str) -> None:
    turned = "$5 a month or $50 \u202e\u2066 evil\u200f"
    telling = write_notebook(
        tmp_path / "telling.ipynb",
        {"one": f"from IPython.display import HTML\ntext = {turned!r}", "raises-exception": shown},
    )
    page = run_notebook(telling, out=tmp_path / "out", progress=False).page.read_text(encoding="utf-8")

    assert not re.search("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", page)
    assert "$5 a month or $50 &lt;U+202E&gt;&lt;U+2066&gt; evil&lt;U+200F&gt;" in page
    assert re.search(r'<main class="mathjax_ignore tex2jax_ignore">', page)


def test_page_names_what_turns_a_line_in_code_and_markdown() -> None:
    cells = [nbformat.v4.new_code_cell("x = '\u202e'"), nbformat.v4.new_markdown_cell("a \u2067 b\n\n    c\td")]
    page = html_page(nbformat.v4.new_notebook(cells=cells), title="\u202e")

    assert not re.search("[\u202e\u2067]", page)
    assert "a &lt;U+2067&gt; b" in page and "c\td" in page


def test_two_runs_leave_the_same_notebook(quick_run: NotebookRun, tmp_path: Path) -> None:
    again = run_notebook(QUICK, out=tmp_path / "here", parameters={"word": "ha", "count": 2}, progress=False)

    assert again.notebook.read_bytes() == quick_run.notebook.read_bytes()
    assert again.page.read_bytes() == quick_run.page.read_bytes()


def test_failing_cell_is_an_error_after_what_ran_is_saved(tmp_path: Path) -> None:
    with pytest.raises(NotebookFailed, match=r"In \[\d\] raised RuntimeError: asked to fail"):
        run_notebook(QUICK, out=tmp_path, parameters={"fail": True}, progress=False)

    assert outputs_of(tmp_path / "quick.ipynb", "verdict")[0].text == "goodgoodgood\n"
    assert outputs_of(tmp_path / "quick.ipynb", "failing")[0].ename == "RuntimeError"
    assert "asked to fail" in (tmp_path / "quick.html").read_text(encoding="utf-8")
    assert not (tmp_path / "written.txt").exists()
    assert not (tmp_path / "quick.partial.ipynb").exists()


def test_cell_that_is_tagged_as_meant_to_raise_fails_no_notebook(tmp_path: Path) -> None:
    meant = write_notebook(tmp_path / "meant.ipynb", {"raises-exception": "1 / 0", "verdict": "print('went on')"})

    run = run_notebook(meant, out=tmp_path / "out", progress=False)

    assert run.verdict == "went on"
    assert outputs_of(run.notebook, "raises-exception")[0].ename == "ZeroDivisionError"
    assert "did not come to its end" not in run.page.read_text(encoding="utf-8")


@pytest.mark.parametrize("leaves", ["sys.exit(0)", "sys.exit()", "raise SystemExit", "exit()", "quit()"])
def test_notebook_that_ends_itself_before_its_record_failed_and_says_what_did_not_run(
    tmp_path: Path, leaves: str
) -> None:
    cells = {"one": "print('kept')", "leave": f"import sys\n{leaves}", "two": "1", "three": "2"}
    ending = write_notebook(tmp_path / "ending.ipynb", cells)

    with pytest.raises(NotebookFailed) as failure:
        run_notebook(ending, out=tmp_path / "out", progress=False)

    assert "its cell 'leave' ended the notebook" in str(failure.value)
    assert "2 cells of code after it did not run, and it left no record of a run" in str(failure.value)
    assert outputs_of(tmp_path / "out/ending.ipynb", "one")[0].text == "kept\n"
    assert "This notebook did not come to its end. It ended itself in the cell &#x27;leave&#x27;" in (
        tmp_path / "out/ending.html"
    ).read_text(encoding="utf-8")


@pytest.mark.skipif(not CASES.exists(), reason=f"{CASES} is not here")
def test_command_fails_for_a_notebook_that_ends_itself(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["run", str(CASES / "sys-exit-0.ipynb"), "--out", str(tmp_path / "out")])

    assert done.exit_code == 1
    assert "1 cell of code after it did not run, and it left no record of a run" in done.output


def test_notebook_that_ends_itself_after_its_record_has_done_its_work(tmp_path: Path) -> None:
    cells = {
        "parameters": 'out: str = "x"',
        "record": "import pathlib, sys\npathlib.Path(out, 'run.json').write_text('{}')\nprint('kept')",
        "leave": "sys.exit(0)",
        "rest": "1",
    }
    ending = write_notebook(tmp_path / "ending.ipynb", cells)

    run = run_notebook(ending, out=tmp_path / "out", progress=False)
    assert run.record == tmp_path / "out"

    write_notebook(tmp_path / "ending.ipynb", cells | {"record": "import sys", "leave": ""})
    assert run_notebook(ending, out=tmp_path / "out", progress=False).record is None
    write_notebook(tmp_path / "ending.ipynb", cells | {"record": "import sys"})
    with pytest.raises(NotebookFailed, match="it left no record"):  # that of the run before is not its own
        run_notebook(ending, out=tmp_path / "out", progress=False)


def test_second_run_into_one_folder_is_refused_by_name_while_the_first_writes(tmp_path: Path) -> None:
    waits = (
        "import pathlib, time\npathlib.Path('began').touch()\nwhile pathlib.Path('began').exists(): time.sleep(0.01)"
    )
    (tmp_path / "agents").mkdir()
    first = write_notebook(tmp_path / "first.ipynb", {"wait": waits})
    other = write_notebook(tmp_path / "other.ipynb", {"one": "print('not me')"})
    command = [sys.executable, "-m", "workbench", "run", str(first), "--out", "out"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as running:
        until = time.monotonic() + 60
        while not (tmp_path / "began").exists():
            assert running.poll() is None and time.monotonic() < until
            time.sleep(0.02)
        for notebook in (first, other):
            done = CliRunner().invoke(main, ["run", str(notebook), "--out", str(tmp_path / "out")])
            assert done.exit_code == 2
            assert f"first.ipynb (process {running.pid} on {socket.gethostname()}) writes to this folder" in done.output
        (tmp_path / "began").unlink()
        assert running.wait(60) == 0

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["first.html", "first.ipynb"]


def test_notebook_in_a_thread_is_told_to_end_and_saves_what_ran(tmp_path: Path) -> None:
    wait = "import pathlib, time\npathlib.Path('began').touch()\ntime.sleep(600)"
    (tmp_path / "agents").mkdir()
    waiting = write_notebook(
        tmp_path / "waiting.ipynb", {"one": "print('kept')", "wait": f"import os\nos.chdir({str(tmp_path)!r})\n{wait}"}
    )
    ended: list[BaseException] = []

    def run_it() -> None:
        try:
            run_notebook(waiting, out=tmp_path / "out", progress=False)
        except SystemExit as end:
            ended.append(end)

    thread = threading.Thread(target=run_it)
    thread.start()
    assert thread.ident is not None
    until = time.monotonic() + 60
    while not (tmp_path / "began").exists():
        assert thread.is_alive() and time.monotonic() < until
        time.sleep(0.02)
    told = stop_notebook_in(thread.ident)
    thread.join(30)

    assert told and [end.code for end in ended if isinstance(end, SystemExit)] == [143]
    assert not stop_notebook_in(thread.ident)
    assert load_notebook(tmp_path / "out/waiting.ipynb").metadata["workbench"]["outcome"] == "terminated"
    assert outputs_of(tmp_path / "out/waiting.ipynb", "one")[0].text == "kept\n"


def test_folder_of_a_run_that_was_killed_is_free(tmp_path: Path) -> None:
    hold = (
        "import os, sys, pathlib, signal\nfrom workbench.headless.one_writer import only_writer\n"
        "with only_writer(pathlib.Path('out'), of='x'):\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", hold], cwd=tmp_path, check=False)
    left = [path.name for path in (tmp_path / "out").iterdir()]
    with only_writer(tmp_path / "out", of="y"):
        pass

    assert left == [LOCK_FILE]
    assert list((tmp_path / "out").iterdir()) == []


def test_magic_that_is_wrong_fails_the_notebook_though_ipython_only_prints_it(tmp_path: Path) -> None:
    wrong = write_notebook(tmp_path / "wrong.ipynb", {"one": "%nosuchmagic", "two": "print('went on')"})

    with pytest.raises(
        NotebookFailed, match=r"In \[1\] raised UsageError: Line magic function `%nosuchmagic` not found"
    ):
        run_notebook(wrong, out=tmp_path / "out", progress=False)

    assert outputs_of(tmp_path / "out/wrong.ipynb", "two") == []
    assert "did not come to its end" in (tmp_path / "out/wrong.html").read_text(encoding="utf-8")


def test_output_that_no_notebook_may_hold_becomes_text(tmp_path: Path) -> None:
    shows = (
        "shown = display({'application/x-own': {'a': [1]}, 'text/plain': 5, 'application/json': {'b': 2}},"
        " raw=True, display_id=True)\nshown.update({'application/x-own': [2], 'text/plain': 'x'}, raw=True)"
    )
    notebook = write_notebook(tmp_path / "odd.ipynb", {"first": shows.partition("\n")[0], "second": shows})
    run = run_notebook(notebook, out=tmp_path / "out", progress=False)

    nbformat.validate(nbformat.read(run.notebook, as_version=nbformat.NO_CONVERT))
    assert outputs_of(run.notebook, "first")[0].data == {
        "application/x-own": '{"a": [1]}',
        "text/plain": "5",
        "application/json": {"b": 2},
    }
    assert outputs_of(run.notebook, "second")[0].data == {"application/x-own": "[2]", "text/plain": "x"}


def test_kernel_that_dies_is_an_error_after_what_ran_is_saved(tmp_path: Path) -> None:
    dying = write_notebook(tmp_path / "dying.ipynb", {"one": "print('alive')", "two": "import os; os._exit(3)"})

    with pytest.raises(NotebookFailed, match=r"the kernel died \(exit code 3\)\n"):
        run_notebook(dying, out=tmp_path / "out", progress=False)

    assert outputs_of(tmp_path / "out" / "dying.ipynb", "one")[0].text == "alive\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_crash_is_told_with_its_signal(tmp_path: Path) -> None:
    crash = "import os, resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nos.abort()"
    crashing = write_notebook(tmp_path / "crashing.ipynb", {"crash": crash})

    with pytest.raises(NotebookFailed, match=r"the kernel died \(signal 6: Aborted\)\n"):
        run_notebook(crashing, out=tmp_path / "out", progress=False)

    about = load_notebook(tmp_path / "out/crashing.ipynb").metadata["workbench"]
    assert (about["outcome"], about["error"]) == ("kernel died", "the kernel died (signal 6: Aborted)")


def test_page_is_of_what_was_executed_in_the_end(tmp_path: Path, quick_run: NotebookRun) -> None:
    failing = write_notebook(tmp_path / "failing.ipynb", {"one": "print('kept')", "two": "1 / 0"})

    with pytest.raises(NotebookFailed):
        run_notebook(failing, out=tmp_path / "out", progress=False)

    for notebook in (quick_run.notebook, tmp_path / "out/failing.ipynb"):
        page = html_page(nbformat.read(notebook, as_version=4), title=notebook.stem)
        assert notebook.with_suffix(".html").read_text(encoding="utf-8") == page


def test_key_that_a_cell_prints_is_left_in_no_file(tmp_path: Path) -> None:
    telling = write_notebook(
        tmp_path / "telling.ipynb",
        {"one": "key = 'sk-ant-' + 'api03-Zx8Qw2Lm9RtY4uPa7KdF'; print(key); raise ValueError(key)"},
    )

    with pytest.raises(NotebookFailed) as failure:
        run_notebook(telling, out=tmp_path / "out", progress=False)

    left = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "out").iterdir())
    assert "[key removed]" in left
    assert KEYS[0] not in left + str(failure.value)


def test_folder_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")

    with pytest.raises(FileError, match="cannot be written"):
        run_notebook(QUICK, out=tmp_path / "file", progress=False)


def test_a_kept_notebook_says_in_words_where_paths_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    output = nbformat.v4.new_output("stream", text=str(FileError("is missing", path="no.md")))
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("load()", outputs=[output])])

    kept = published(document, {}, names_of_folders(tmp_path, tmp_path))

    assert kept.cells[0].outputs[0].text == "no.md: is missing (paths start at the folder of the project)"
