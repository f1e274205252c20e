"""The project's notebooks run again from what is on disk: not one byte of what they leave is another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.definition.project import project_folder
from workbench.headless.kernels import ready
from workbench.headless.notebook import run_notebook

NOTEBOOKS = project_folder(__file__) / "notebooks"
TASKS = Path(__file__).parent / "fixtures" / "two.tasks.yaml"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project whose ledger holds every reply that `compare.ipynb` asks for; the working directory."""
    folder = tmp_path_factory.mktemp("replay")
    shutil.copytree(NOTEBOOKS.parent / "agents", folder / "agents")
    shutil.copy(TASKS, folder / "two.tasks.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ANTHROPIC_API_KEY", raising=False)
        patch.delenv(ready.DISABLED, raising=False)
        patch.chdir(folder)
        _compared(folder)
        yield folder


def test_notebook_page_and_record_from_the_ledger_are_the_same_in_a_forked_and_an_ordinary_kernel(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked = _compared(project)
    monkeypatch.setenv(ready.DISABLED, "1")
    ordinary = _compared(project)

    assert forked == ordinary
    assert {"compare.ipynb", "compare.html", "run.json", "trials.jsonl", "tasks.jsonl"} <= set(forked)


def test_notebook_and_page_from_a_record_are_the_same(project: Path) -> None:
    first, second = (_left(project, "review", record="compared", before="compared/compare.ipynb") for _ in range(2))

    assert first == second
    assert set(first) == {"review.ipynb", "review.html"}


def _compared(project: Path) -> dict[str, bytes]:
    shutil.rmtree(project / "compared", ignore_errors=True)
    settings = {"tasks": "two.tasks.yaml", "leave_out": "clarifying question", "repeats": 1, "live": False}
    return _left(project, "compare", out="compared", ledger="l.sqlite", **settings)


def _left(project: Path, name: str, *, out: str = "reviewed", **parameters: object) -> dict[str, bytes]:
    run_notebook(NOTEBOOKS / f"{name}.ipynb", out=out, parameters=parameters, progress=False)
    folder = project / out
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
