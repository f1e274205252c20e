"""Notebook files, read and written. Imported first by whoever needs one: then nbformat costs what it must."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from workbench.definition.there import text_in
from workbench.errors import FileError
from workbench.markup import HALF_CHARACTERS
from workbench.shipped.files import NOTEBOOKS, notebook_file


def _import_jsonschema_without_grammar() -> None:
    """Spares jsonschema, which nbformat imports, a grammar of web addresses that it compiles where it finds one.

    0.1 instead of 0.8 s of CPU to import nbformat (benchmark "kernels"). The package comes with JupyterLab; `None` in
    its place has the import fail as it does where it is missing, and jsonschema then checks no format that a notebook
    has. Whoever imports it later finds it.
    """
    grammar = "rfc3987_syntax"
    if "jsonschema" in sys.modules or grammar in sys.modules:
        return
    held_back: Any = None
    sys.modules[grammar] = held_back
    try:
        import_module("jsonschema")
    finally:
        del sys.modules[grammar]


_import_jsonschema_without_grammar()

import nbformat  # noqa: E402
from nbformat import NotebookNode as NotebookNode  # noqa: E402

KERNELSPEC = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
"""The kernel of this Python."""


def load_notebook(path: str | Path) -> NotebookNode:
    """A notebook file, or one of the workbench's own (see `notebook_file`), upgraded to format 4, for a kernel of this
    Python whatever kernel it names.

    Raises:
        FileError: There is no such file, or it is not a notebook.
    """
    document = read_notebook(path, as_version=4)
    document.metadata["kernelspec"] = dict(KERNELSPEC)
    document.metadata["language_info"] = {"name": "python"}
    return document


def read_notebook(path: str | Path, *, as_version: int | None = None) -> NotebookNode:
    """A notebook file as it is, or upgraded to a version of the format.

    Raises:
        FileError: There is no such file, or it is not a notebook.
    """
    try:
        document: NotebookNode = nbformat.from_dict(
            nbformat.reads(text_in(notebook_file(path)), as_version or nbformat.NO_CONVERT)
        )
    except OSError as error:
        come_along = f"; {', '.join(NOTEBOOKS)} come along" if isinstance(error, FileNotFoundError) else ""
        raise FileError(f"cannot be read: {error.strerror}{come_along}", path=path) from error
    except (ValueError, TypeError, KeyError, AttributeError, nbformat.ValidationError) as error:
        raise FileError("is not a Jupyter notebook (.ipynb)", path=path) from error
    return document


def as_text(document: NotebookNode) -> str:
    """The file that a notebook is kept in; the same notebook gives the same text."""
    text: str = nbformat.v4.writes(document)
    return text + "\n"


def write_whole(path: Path, text: str) -> None:
    """Writes a text file so that whoever opens it finds the old one or the new one; through no link, for the folder may
    be in a record, and that from anybody."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)  # of one who was killed
    with unfinished.open("x", encoding="utf-8", errors=HALF_CHARACTERS) as file:
        file.write(text)
    unfinished.replace(path)


def printed_by(document: NotebookNode, *, tag: str) -> str | None:
    """What the first cell with this tag printed or showed as text."""
    for cell in document.cells:
        if tag in cell.metadata.get("tags", []):
            texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
            return "".join(texts).strip() or None
    return None
