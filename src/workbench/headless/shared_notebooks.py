"""Executed notebooks that are meant to be read by others: whether they may be handed over as they are.

Such a one holds outputs, which a stored one does not; see `stored`. It must hold nothing that is nobody else's business
(a key, where this machine keeps its files), and nothing that only its own kernel could show; and it must open anywhere:
valid JSON of the format, with a kernelspec.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from workbench.definition.project import RECORD_FILE, project_folder
from workbench.headless.notebook_files import NotebookNode, read_notebook
from workbench.headless.published import ABOUT, COMPLETED, ONLY_WITH_A_KERNEL, PIXELS, STOPPED
from workbench.headless.stored import Fault, missing_kernelspec
from workbench.markup import command
from workbench.secrets import without_secrets

_IN_JUPYTERLAB = "open and save it once in JupyterLab"
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""Of a terminal, in tracebacks: in the middle of a key or a folder they would hide it."""
_AGAIN = "leave it anew by `workbench run`, which takes it out"


def is_executed_by_workbench(path: str | Path) -> bool:
    """Whether `workbench run`, a batch or the papermill engine left this notebook, and so it is one to hand over.

    Raises:
        FileError: there is no such file, or it is not a notebook.
    """
    return ABOUT in read_notebook(path).metadata


def check_shared_notebook(path: str | Path) -> tuple[Fault, ...]:
    """What stands against handing an executed notebook over; empty where nothing does.

    Raises:
        FileError: there is no such file, or it is not a notebook.
    """
    document = read_notebook(path)
    return tuple(_faults(document, Path(path)))


def how_to_hand_over(path: Path) -> str:
    """In a line, what somebody does with a notebook that may be handed over."""
    page = path.with_suffix(".html")
    shown = (
        f"{page} for whoever has a browser" if page.is_file() else "the notebook for whoever has Jupyter or a code host"
    )
    record = path.parent if (path.parent / RECORD_FILE).is_file() else None
    folder = (
        ""
        if record is None
        else f"; the folder {record} for whoever reviews (`{command('workbench', 'review', record, 'OTHER')}`)"
    )
    return f"{path}: may be handed over: {shown}{folder}; in git by `git add --force`, or as an artefact of a workflow"


def _faults(document: NotebookNode, path: Path) -> Iterator[Fault]:
    def fault(what: str, how: str, cell: str = "") -> Fault:
        return Fault(path=path, cell=cell, what=what, how=how)

    try:
        nbformat.validate(document)
    except nbformat.ValidationError as error:
        yield fault(f"is not valid: {str(error).splitlines()[0]}", _IN_JUPYTERLAB)
    yield from missing_kernelspec(document, path, how=_IN_JUPYTERLAB)
    for what, how in _private_in(document.metadata):
        yield fault(f"its metadata {what}", how)
    if "widgets" in document.metadata:
        yield fault("holds the state of widgets", _AGAIN)
    about = document.metadata.get(ABOUT)
    outcome = about.get("outcome", COMPLETED) if isinstance(about, dict) else COMPLETED
    if outcome not in (COMPLETED, STOPPED):
        yield fault(f"did not come to its end: {outcome}", "run it again, or `workbench run --continue`")
    elif not any(cell.get("execution_count") for cell in document.cells):
        yield fault("was not executed", "run it, or check it as a stored one, without --shared")
    for number, cell in enumerate(document.cells, start=1):
        name = f"cell {number} ({cell.get('id', 'no id')})"
        for what, how in _private_in(cell):
            yield fault(what, how, cell=name)
        for output in cell.get("outputs", ()):
            if output.get("output_type") == "error" and outcome == COMPLETED and about is None:
                yield fault(f"raised {output.get('ename')}", "mend it and run it again", cell=name)
            data = output.get("data", {})
            if set(data) & set(ONLY_WITH_A_KERNEL) and not set(data) - {*ONLY_WITH_A_KERNEL, "text/plain"}:
                yield fault("shows a widget, which nobody sees without its kernel", _AGAIN, cell=name)


def _private_in(part: NotebookNode) -> Iterator[tuple[str, str]]:
    """What is nobody else's business in any text of a cell or of metadata, and how to be rid of it."""
    text = "\n".join(_COLOURS.sub("", each) for each in _texts_of(json.loads(json.dumps(part))))
    if without_secrets(text) != text:
        yield "holds a key", "take it out, and revoke it if anybody has seen it"
    for folder in _own_folders():
        if re.search(rf"(?<![\w-]){re.escape(folder)}(?![\w-])", text):
            yield f"names a folder of this machine, {folder}", _AGAIN
            return


def _texts_of(value: Any) -> Iterator[str]:
    """All texts, names of values included; pictures are none. Of a list of texts, which may be the lines of one, also
    the whole."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if not (key.startswith(PIXELS) and isinstance(inner, str) and _BASE64.fullmatch(inner)):
                yield from _texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_of(inner)
        if all(isinstance(inner, str) for inner in value):
            yield "".join(value)


def _own_folders() -> tuple[str, ...]:
    return tuple(folder for folder in dict.fromkeys((str(project_folder()), str(Path.home()))) if folder != "/")
