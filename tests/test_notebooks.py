"""The notebooks of the project: stored clean, and run without a browser."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

import workbench
from tests.pages import assert_only_our_script
from workbench.definition.project import project_folder
from workbench.headless.left_behind import NotebookRun
from workbench.headless.notebook import run_notebook
from workbench.headless.parameters import declared_parameters

NOTEBOOKS = sorted((project_folder(__file__) / "notebooks").glob("*.ipynb"))
AUTHOR, COMPARE, REVIEW = (
    project_folder(__file__) / "notebooks" / f"{name}.ipynb" for name in ("author", "compare", "review")
)
TASKS = Path(__file__).parent / "fixtures" / "two.tasks.yaml"

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> NotebookRun:
    folder = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("ANTHROPIC_API_KEY", raising=False)
        return run_notebook(
            COMPARE,
            out=folder / "record",
            parameters={
                "tasks": str(TASKS),
                "leave_out": "clarifying question",
                "repeats": 1,
                "live": False,
                "ledger": str(folder / "ledger.sqlite"),
            },
            progress=False,
        )


@pytest.fixture(scope="module")
def reviewed(compared: NotebookRun, tmp_path_factory: pytest.TempPathFactory) -> NotebookRun:
    out = tmp_path_factory.mktemp("reviewed")
    return run_notebook(REVIEW, out=out, parameters={"record": str(compared.record)}, progress=False)


def printed_by(path: Path, cell_id: str) -> str:
    document = nbformat.read(path, as_version=4)
    cell = next(cell for cell in document.cells if cell.id == cell_id)
    return "".join(output.get("text", "") for output in cell.outputs)


def shown_kinds(path: Path, cell_id: str) -> set[str]:
    document = nbformat.read(path, as_version=4)
    cell = next(cell for cell in document.cells if cell.id == cell_id)
    return {kind for output in cell.outputs for kind in output.get("data", {})}


def test_all_notebooks_are_there() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["author", "compare", "nightly", "review", "routing"]


def test_author_has_a_cell_for_each_panel_and_no_other_code() -> None:
    code = [cell.id for cell in nbformat.read(AUTHOR, as_version=4).cells if cell.cell_type == "code"]

    assert code == ["parameters", "edit", "try", "picked"]


def texts_of_code(path: Path) -> Iterator[str]:
    """The texts in a file of Python that somebody may get to read when it runs; docstrings are for who reads the code."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value


def test_nobody_is_sent_to_a_page_that_the_wheel_does_not_hold() -> None:
    texts = [(path.name, cell.source) for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells]
    for path in Path(workbench.__file__).parent.rglob("*.py"):
        texts += [(path.name, text) for text in texts_of_code(path)]

    page = re.compile(r"(?<![\w/.-])docs/[\w/.-]+\.md\b")
    assert [(name, found) for name, text in texts for found in page.findall(text)] == []


@each_notebook
def test_notebook_names_no_agent_that_a_project_may_not_have(path: Path) -> None:
    declared = declared_parameters(nbformat.read(path, as_version=4))

    assert {name: declared[name].literal for name in ("agent", "tasks") if name in declared} in (
        {"agent": "", "tasks": ""},
        {},
    )


@each_notebook
def test_notebook_is_stored_without_outputs_and_state(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nbformat.validate(document := nbformat.read(path, as_version=4))
    code = [cell for cell in document.cells if cell.cell_type == "code"]

    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert set(document.metadata) <= {"kernelspec", "language_info"}
    assert all(set(cell.metadata) <= {"tags"} for cell in document.cells)


@each_notebook
def test_cells_have_speaking_ids_that_differ(path: Path) -> None:
    ids = [cell["id"] for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", cell_id) for cell_id in ids)


@each_notebook
def test_every_parameter_is_annotated(path: Path) -> None:
    document = nbformat.read(path, as_version=4)
    tagged = [cell for cell in document.cells if "parameters" in cell.metadata.get("tags", [])]

    assert len(tagged) == 1
    declared = declared_parameters(document)
    assert declared
    assert "None" not in {parameter.type for parameter in declared.values()}


@each_notebook
def test_notebook_holds_arrangement_not_functions(path: Path) -> None:
    document = nbformat.read(path, as_version=4)
    code = "\n".join(cell.source for cell in document.cells if cell.cell_type == "code")

    assert not re.search(r"^\s*(?:async def|def|class)\b|\blambda\b", code, re.MULTILINE)


def test_compare_leaves_notebook_page_and_record(compared: NotebookRun) -> None:
    assert compared.notebook.is_file()
    assert compared.page.is_file()
    assert compared.record is not None
    assert (compared.record / "trials.jsonl").read_text(encoding="utf-8").count("\n") == 4


def test_compare_ends_in_a_verdict_that_cannot_be_taken_for_a_models(compared: NotebookRun) -> None:
    assert compared.verdict is not None
    assert "OFFLINE STAND-IN" in printed_by(compared.notebook, "run") + compared.verdict
    assert "OFFLINE STAND-IN" in compared.page.read_text(encoding="utf-8")


def test_tables_show_without_a_kernel(compared: NotebookRun) -> None:
    assert {"text/html", "text/markdown", "text/plain"} <= shown_kinds(compared.notebook, "tables")


def test_page_of_a_comparison_loads_nothing(compared: NotebookRun) -> None:
    page = compared.page.read_text(encoding="utf-8")

    assert not re.findall(r"<(?:link|iframe)\b", page)
    assert_only_our_script(page)
    assert not re.findall(r"""<[^>]*\s(?:src|srcset|data)\s*=\s*["'](?!data:)[^>]*>""", page)
    assert page.count('src="data:image/png;base64,') == 2


def test_review_needs_only_the_record_and_comes_to_the_same_verdict(
    compared: NotebookRun, reviewed: NotebookRun
) -> None:
    assert reviewed.verdict == compared.verdict
    assert "clarifying" in printed_by(reviewed.notebook, "diff")
    assert "OFFLINE STAND-IN" in printed_by(reviewed.notebook, "open")


def test_page_of_a_review_begins_with_the_record_as_the_page_of_its_notebook_does(
    compared: NotebookRun, reviewed: NotebookRun
) -> None:
    pages = [BeautifulSoup(each.page.read_text(encoding="utf-8"), "html.parser") for each in (compared, reviewed)]
    heads = [[page.select_one(f"header > {part}").get_text() for part in ("h1", "p.verdict")] for page in pages]

    assert heads[0] == heads[1]
    assert heads[1][0] == "senior-python-architect"
    assert pages[1].select_one("main > header").find_next("section", id="notebook") is not None
    assert (reviewed.tried, reviewed.record) == (None, None), "it is not the run that paid for the replies"


def test_review_shows_what_was_asked_and_what_each_variant_replied(reviewed: NotebookRun) -> None:
    text = printed_by(reviewed.notebook, "reply")

    assert "base" in text
    assert "variant" in text
    assert any(line in text for line in ("Design a REST API", "Write a function"))


def test_plain_papermill_runs_the_same_notebook(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "papermill", str(COMPARE), str(tmp_path / "out.ipynb")]
    parameters = {
        "tasks": TASKS,
        "leave_out": "clarifying question",
        "repeats": 1,
        "live": False,
        "ledger": tmp_path / "ledger.sqlite",
        "out": tmp_path / "record",
    }
    for name, value in parameters.items():
        command += ["-p", name, str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=project_folder(__file__))

    assert done.returncode == 0, done.stderr
    assert "unknown parameter" not in done.stderr
    assert (tmp_path / "record" / "run.json").is_file()
