"""`workbench check-notebooks`: a stored notebook is clean, an executed one fit to be handed over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner, Result
from nbformat import NotebookNode

from workbench.cli import main
from workbench.headless.published import ABOUT

KEY = "sk-ant-api03-" + "Zq7Lk2Pw9Xt4Vb8N" * 5 + "AA"
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def executed() -> NotebookNode:
    """As `workbench run` leaves one."""
    output = nbformat.v4.new_output("execute_result", data={"text/plain": "no worse"}, execution_count=1)
    cell = nbformat.v4.new_code_cell("repeats: int = 3", execution_count=1, outputs=[output], id="parameters")
    cell.metadata["tags"] = ["parameters"]
    document: NotebookNode = nbformat.v4.new_notebook(cells=[cell])
    document.metadata = nbformat.from_dict(
        {"kernelspec": {"name": "python3", "display_name": "Python 3"}, ABOUT: {"outcome": "completed"}}
    )
    return document


def check(path: Path, document: NotebookNode, *arguments: str) -> Result:
    path.write_text(json.dumps(document))
    return CliRunner().invoke(main, ["check-notebooks", str(path), *arguments])


def test_one_that_a_run_left_is_sound_and_how_to_hand_it_over_is_said(tmp_path: Path, executed: NotebookNode) -> None:
    path = tmp_path / "compare.ipynb"
    (tmp_path / "compare.html").write_text("page")
    (tmp_path / "run.json").write_text("{}")

    done = check(path, executed)

    assert done.exit_code == 0, done.output
    assert f"{tmp_path / 'compare.html'} for whoever has a browser" in done.output
    assert f"workbench review {tmp_path} OTHER" in done.output


def test_one_that_was_executed_by_hand_is_to_be_clean_unless_it_is_said_to_be_shared(
    tmp_path: Path, executed: NotebookNode
) -> None:
    del executed.metadata[ABOUT]

    stored, shared = (check(tmp_path / "a.ipynb", executed, *more) for more in ((), ("--shared",)))

    assert (stored.exit_code, shared.exit_code) == (1, 0), shared.output
    assert "holds outputs" in stored.output


def test_fixing_leaves_the_outputs_of_one_that_a_run_left(tmp_path: Path, executed: NotebookNode) -> None:
    path = tmp_path / "a.ipynb"
    check(path, executed)
    before = path.read_bytes()

    assert CliRunner().invoke(main, ["check-notebooks", "--fix", str(path)]).exit_code == 0
    assert path.read_bytes() == before


def with_output(document: NotebookNode, **data: object) -> None:
    document.cells[0].outputs[0].data.update(data)


def leaves(document: NotebookNode, kind: str, **output: object) -> None:
    document.cells[0].outputs.append(nbformat.v4.new_output(kind, **output))


BAD: dict[str, tuple[Callable[[NotebookNode], object], str]] = {
    "a key": (lambda it: with_output(it, **{"text/html": f"<p>{KEY}</p>"}), "holds a key"),
    "a key in a source": (lambda it: it.cells[0].update(source=f"key = '{KEY}'"), "holds a key"),
    "a folder": (lambda it: with_output(it, **{"text/plain": f"{Path.home()}/agents/x.md"}), "names a folder of this"),
    "a key in the metadata": (lambda it: it.metadata.update(mine={"token": KEY}), "its metadata holds a key"),
    "a folder in the metadata": (
        lambda it: it.metadata.update(papermill={"cwd": str(Path.home())}),
        "its metadata names a folder of this machine",
    ),
    "a key as a name": (lambda it: it.metadata.update({KEY: 1}), "its metadata holds a key"),
    "a key in the metadata of a cell": (lambda it: it.cells[0].metadata.update(note=[KEY]), "holds a key"),
    "a key in an attachment": (
        lambda it: it.cells.append(
            nbformat.v4.new_markdown_cell("![x](attachment:x)", attachments={"x": {"text/plain": KEY}}, id="attached")
        ),
        "cell 2 (attached): holds a key",
    ),
    "a key in the metadata of an output": (lambda it: it.cells[0].outputs[0].metadata.update(by=KEY), "holds a key"),
    "a key in JSON": (lambda it: with_output(it, **{"application/json": {"a": [{"b": KEY}]}}), "holds a key"),
    "a key in a drawing": (
        lambda it: with_output(it, **{"image/svg+xml": f"<svg><text>{KEY}</text></svg>"}),
        "holds a key",
    ),
    "a key for a picture": (lambda it: with_output(it, **{"image/png": KEY}), "holds a key"),
    "a key in a mime type of somebody": (
        lambda it: with_output(it, **{"application/x-own": [KEY[:30], KEY[30:]]}),
        "holds a key",
    ),
    "a key in an error stream": (lambda it: leaves(it, "stream", name="stderr", text=f"401 {KEY}\n"), "holds a key"),
    "a key in a traceback": (
        lambda it: leaves(it, "error", ename="E", evalue="", traceback=[f"{KEY[:20]}\x1b[0;31m{KEY[20:]}\x1b[0m"]),
        "holds a key",
    ),
    "a folder in a traceback": (
        lambda it: leaves(it, "error", ename="E", evalue="", traceback=[f"File \x1b[32m{Path.home()}\x1b[0m"]),
        "names a folder of this",
    ),
    "a folder in an error stream": (
        lambda it: leaves(it, "stream", name="stderr", text=f"in {Path.home()}: no\n"),
        "names a folder of this",
    ),
    "a widget": (lambda it: with_output(it, **{WIDGET: "{}"}), "shows a widget"),
    "state": (lambda it: it.metadata.update(widgets={"x": 1}), "holds the state of widgets"),
    "no kernel": (lambda it: it.metadata.pop("kernelspec"), "names no kernel"),
    "failed": (lambda it: it.metadata[ABOUT].update(outcome="failed"), "did not come to its end: failed"),
    "not run": (lambda it: it.cells[0].update(execution_count=None), "was not executed"),
    "not valid": (lambda it: it.cells[0].update(outputs=[{"output_type": "stream"}]), "is not valid"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_stands_against_handing_it_over_is_said(tmp_path: Path, executed: NotebookNode, what: str) -> None:
    spoil, says = BAD[what]
    spoil(executed)

    done = check(tmp_path / "a.ipynb", executed)

    assert (done.exit_code, says in done.output) == (1, True), done.output
    assert KEY not in done.output
    assert "may be handed over" not in done.output


def test_a_picture_and_a_folder_of_another_name_stand_against_nothing(tmp_path: Path, executed: NotebookNode) -> None:
    with_output(
        executed, **{"image/png": "iVBORw0KGgo" * 40, "text/plain": f"{Path.home()}-elsewhere and x{Path.home()}"}
    )

    assert check(tmp_path / "a.ipynb", executed).exit_code == 0


def test_a_stored_one_that_names_no_kernel_is_found_and_mended(tmp_path: Path, executed: NotebookNode) -> None:
    path = tmp_path / "a.ipynb"
    del executed.metadata[ABOUT], executed.metadata["kernelspec"]
    executed.cells[0].update(outputs=[], execution_count=None)

    found = check(path, executed)
    mended = CliRunner().invoke(main, ["check-notebooks", "--fix", str(path)])

    assert (found.exit_code, "names no kernel" in found.output, mended.exit_code) == (1, True, 0)
    assert nbformat.read(path, as_version=4).metadata.kernelspec.name == "python3"
