"""Stored notebooks: whether they are clean enough for version control, and made so.

A clean one differs from its last version only where somebody changed it: it holds no outputs, no counts, no state of
widgets or of an editor, ids that stay, and one cell of parameters that says of which type each is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import FileError
from workbench.headless.notebook_files import KERNELSPEC, NotebookNode, as_text, read_notebook, write_whole
from workbench.headless.parameters import declared_parameters
from workbench.markup import counted
from workbench.secrets import is_key_like, without_secrets

_METADATA = {"kernelspec", "language_info"}
_CELL_METADATA = {"tags"}
_DRAWN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=.*\d)[0-9a-f]{8}")
"""What editors draw by chance for each new cell."""
_ANNOTATED = {str: "str", int: "int", float: "float", bool: "bool", list: "list", dict: "dict"}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way in which a stored notebook is not clean."""

    path: Path
    cell: str
    """Its number in the notebook and its id; empty for the notebook as a whole."""
    what: str
    how: str
    """What mends it; `--fix` does so if it says that."""

    def __str__(self) -> str:
        return f"{self.path}: {f'{self.cell}: ' if self.cell else ''}{self.what}; {self.how}"


_FIX = "workbench check-notebooks --fix"


def check_notebook(path: str | Path) -> tuple[Fault, ...]:
    """What is not clean in a stored notebook, in the order of its cells; empty for a clean one.

    Raises:
        FileError: there is no such file, or it is not a notebook.
    """
    return _faults(_load(path), Path(path))


def write_clean_notebook(path: str | Path) -> tuple[Fault, ...]:
    """Mends what can be mended without knowing what was meant, and returns what is left.

    A file that is clean already is not written.

    Raises:
        FileError: it cannot be read or written.
    """
    path = Path(path)
    document = _load(path)
    if any(fault.how == _FIX for fault in _faults(document, path)):
        _clean(document)
        try:
            write_whole(path, as_text(document))
        except OSError as error:
            raise FileError(f"cannot be written: {error.strerror}", path=path) from error
    return _faults(document, path)


def _load(path: str | Path) -> NotebookNode:
    document = read_notebook(path)
    if document.get("nbformat") != 4:
        raise FileError(
            f"is of format {document.get('nbformat')}; open and save it once in JupyterLab to bring it to format 4",
            path=path,
        )
    return document


def _faults(document: NotebookNode, path: Path) -> tuple[Fault, ...]:
    faults: list[Fault] = []

    def fault(what: str, how: str = _FIX, cell: str = "") -> None:
        faults.append(Fault(path=path, cell=cell, what=what, how=how))

    if document.nbformat_minor < 5:
        fault(f"is of format 4.{document.nbformat_minor}, in which cells have no ids")
    if extra := sorted(set(document.metadata) - _METADATA):
        fault(f"its metadata holds {', '.join(map(repr, extra))}")
    if extra := sorted(set(document.metadata.get("language_info", {})) - {"name"}):
        fault(f"its language_info holds what a kernel said of itself: {', '.join(extra)}")
    faults.extend(missing_kernelspec(document, path))
    ids = Counter(cell.get("id") for cell in document.cells)
    for number, cell in enumerate(document.cells, start=1):
        name = f"cell {number} ({cell.get('id', 'no id')})"
        if cell.cell_type == "code" and cell.get("outputs"):
            fault("holds outputs", cell=name)
        if cell.cell_type == "code" and cell.get("execution_count") is not None:
            fault("holds an execution count", cell=name)
        if extra := sorted(set(cell.metadata) - _CELL_METADATA):
            fault(f"its metadata holds {', '.join(map(repr, extra))}", cell=name)
        if document.nbformat_minor >= 5 and not _is_stable(cell.get("id")):
            fault("its id was drawn by chance", cell=name)
        elif ids[cell.get("id")] > 1 and cell.get("id"):
            fault("another cell has its id", cell=name)
        if without_secrets(cell.source) != cell.source:
            fault("holds a key", "take it out, and revoke it if it was ever committed", cell=name)
    faults.extend(_faults_of_parameters(document, path))
    return tuple(faults)


def missing_kernelspec(document: NotebookNode, path: Path, *, how: str = _FIX) -> tuple[Fault, ...]:
    """The fault of a notebook that names no kernel, which Jupyter asks about and papermill refuses."""
    kernelspec = document.metadata.get("kernelspec")
    if isinstance(kernelspec, dict) and kernelspec.get("name"):
        return ()
    return (Fault(path=path, cell="", what="names no kernel (`kernelspec`)", how=how),)


def _faults_of_parameters(document: NotebookNode, path: Path) -> list[Fault]:
    tagged = [cell for cell in document.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        return [
            Fault(
                path=path,
                cell="",
                what=f"has {counted(len(tagged), 'cell') if tagged else 'no cells'} tagged `parameters`",
                how="give the one cell that sets what a run may change the tag `parameters`",
            )
        ]
    cell = f"cell {document.cells.index(tagged[0]) + 1} ({tagged[0].get('id', 'no id')})"
    faults = []
    for parameter in declared_parameters(document).values():
        if parameter.type == "None":
            known = type(parameter.literal) in _ANNOTATED
            how = _FIX if known else f"write {parameter.name}: <type> = {parameter.default}"
            faults.append(
                Fault(path=path, cell=cell, what=f"parameter {parameter.name!r} does not say its type", how=how)
            )
        if is_key_like(parameter.default):
            what = f"the default of {parameter.name!r} looks like a key"
            faults.append(Fault(path=path, cell=cell, what=what, how="take it out and read it from the environment"))
    return faults


def _is_stable(cell_id: str | None) -> bool:
    return bool(cell_id) and _DRAWN.fullmatch(cell_id or "") is None


def _clean(document: NotebookNode) -> None:
    document.nbformat_minor = max(5, document.nbformat_minor)
    for name in set(document.metadata) - _METADATA:
        del document.metadata[name]
    if missing_kernelspec(document, Path()):
        document.metadata["kernelspec"] = dict(KERNELSPEC)
    if "language_info" in document.metadata:
        document.metadata["language_info"] = {"name": document.metadata["language_info"].get("name", "python")}
    taken: set[str] = set()
    for number, cell in enumerate(document.cells, start=1):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        for name in set(cell.metadata) - _CELL_METADATA:
            del cell.metadata[name]
        if not _is_stable(cell.get("id")) or cell.id in taken:
            cell["id"] = _speaking_id(cell, number, taken | {other.get("id", "") for other in document.cells})
        taken.add(cell.id)
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = _annotated(cell.source, document)


def _speaking_id(cell: NotebookNode, number: int, taken: Sequence[str] | set[str]) -> str:
    """From the cell's heading or tag, else from its number."""
    tags = cell.metadata.get("tags", [])
    heading = re.search(r"^#+\s*(.+)$", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else None
    words = re.findall(r"[a-z]+", (heading[1] if heading else tags[0] if tags else "").lower())
    name = "-".join(words)[:50].strip("-") or f"cell-{number}"
    candidate, suffix = name, 2
    while candidate in taken:
        candidate, suffix = f"{name}-{suffix}", suffix + 1
    return candidate


def _annotated(source: str, document: NotebookNode) -> str:
    for parameter in declared_parameters(document).values():
        kind = _ANNOTATED.get(type(parameter.literal))
        if parameter.type == "None" and kind:
            source = re.sub(rf"(?m)^{re.escape(parameter.name)}(?=\s*=)", f"{parameter.name}: {kind}", source, count=1)
    return source
