"""An executed notebook in the form in which it is kept: for others, without a kernel, and the same at every replay.

No secret, no widget state, nothing that needs a script; no folder of this machine, no time, no process number.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from workbench.definition.resolved import deciding_variables
from workbench.definition.there import bytes_in
from workbench.errors import SetupError, paths_start_at
from workbench.headless.parameters import Parameter, files_named
from workbench.model.endpoint import choose_endpoint
from workbench.secrets import scrubber

ABOUT = "workbench"
"""The name in a notebook's metadata under which it says what it ran with and what became of it."""

COMPLETED = "completed"
RUNNING = "running"
STOPPED = "stopped"
"""A cell ended the notebook, without an error."""

KEEP_OUTPUT = "keep-output"
"""The tag of a cell whose output belongs to the moment at which it first ran, such as an estimate: a run that goes on
keeps it."""

_LIVE = "live"
"""The parameter of a notebook that decides who answers it."""

_PASSING = "passing"
"""Marks an output, in its metadata under `ABOUT`, that is of no use once the notebook is at its end."""

ONLY_WITH_A_KERNEL = ("application/vnd.jupyter.widget-view+json", "application/javascript")
PIXELS = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""Kinds whose text is no text: in enough of it, any short name comes up by chance."""
_CELL_FILE = re.compile(r"(?<![^\s\"'<>|:])[^\s\"'<>|:]*[/\\]ipykernel_\d+[/\\](\d+\.py)")
_ERROR_MARK = "papermill-error-cell-tag"


def about_notebook(
    document: NotebookNode, declared: Mapping[str, Parameter], parameters: Mapping[str, Any], *, project: Path
) -> dict[str, Any]:
    """What a notebook runs with: the versions, and the hashes of its cells and of the files that its parameters name;
    see `files_named`."""
    files = {
        name: {"file": file, "sha256": hashlib.sha256(bytes_in(project / file)).hexdigest()}
        for name, file in files_named(declared, parameters, project=project).items()
    }
    versions = {name: metadata.version(name) for name in ("agent-workbench", "anthropic")}
    about = {
        "files": files,
        "notebook": _digest(document),
        "versions": versions | {"python": platform.python_version()},
    }
    if _LIVE in declared:
        about["answers"] = _who_answers({_LIVE: declared[_LIVE].literal, **parameters}[_LIVE])
    return about


def _who_answers(live: Any) -> dict[str, str]:
    """Who answers a notebook with this value of its parameter `live`, and what decides the model that is asked."""
    try:
        endpoint = choose_endpoint(live).in_words
    except SetupError as error:
        endpoint = str(error)
    return {"endpoint": endpoint, **deciding_variables()}


def changes_between(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """What another run would be made of than the one that said `before` of itself: a name for each that differs, such
    as a file, or who answers.

    What only one of the two says is no change: older runs do not tell the hash of their cells, or who answered.
    """
    was, files = before.get("files", {}), now["files"]
    changed = [
        files[name]["file"] for name in was.keys() & files.keys() if was[name]["sha256"] != files[name]["sha256"]
    ]
    gone = [was[name]["file"] for name in was.keys() - files.keys()]
    cells = ["the notebook itself"] if before.get("notebook", now["notebook"]) != now["notebook"] else []
    answers = ["who answers"] if before.get("answers", now.get("answers")) != now.get("answers") else []
    return (*sorted(changed), *(f"{file} (which is gone)" for file in sorted(gone)), *cells, *answers)


def _digest(document: NotebookNode) -> str:
    """Of what is run, whatever its parameters."""
    cells = [
        [cell.cell_type, cell.source]
        for cell in document.cells
        if "injected-parameters" not in cell.metadata.get("tags", [])
    ]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def published(document: NotebookNode, about: Mapping[str, Any], names_of_folders: Mapping[str, str]) -> NotebookNode:
    """A copy of a notebook that is running or has run, in the form in which it is kept."""
    kept = {name: document.metadata[name] for name in ("kernelspec", "language_info") if name in document.metadata}
    parameters = document.metadata.get("papermill", {}).get("parameters", {})
    clean: dict[str, Any] = {
        "cells": [_cell(cell, at_end=about.get("outcome") == COMPLETED) for cell in document.cells],
        "metadata": {**kept, "papermill": {"parameters": parameters}, ABOUT: dict(about)},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    cleaned: NotebookNode = nbformat.from_dict(_in_texts(clean, names_of_folders, scrubber()))
    return cleaned


def without_papermills_marks(document: NotebookNode) -> NotebookNode:
    """The same without the red cells that papermill puts before one that raised: the kept notebook says it itself."""
    document.cells = [cell for cell in document.cells if _ERROR_MARK not in cell.metadata.get("tags", [])]
    return document


def names_of_folders(folder: Path, project: Path, *others: tuple[Path, str]) -> dict[str, str]:
    """What to call the folders of this machine, the innermost first; a root keeps its name."""
    folders = {
        **dict(others),
        folder.resolve(): seen_from(project, folder, otherwise=folder.name),
        project: ".",
        Path.home(): "~",
    }
    names = {str(path): name for path, name in folders.items() if path != Path(path.anchor)}
    return {paths_start_at(project): paths_start_at("the folder of the project"), **names}


def seen_from(project: Path, folder: Path, *, otherwise: str | None = None) -> str:
    """A folder's path from the project; where it is not in the project, `otherwise` or its whole path."""
    absolute = folder.resolve()
    if absolute.is_relative_to(project):
        return absolute.relative_to(project).as_posix()
    return str(absolute) if otherwise is None else otherwise


def _cell(cell: NotebookNode, *, at_end: bool) -> dict[str, Any]:
    clean = {name: value for name, value in cell.items() if name not in ("metadata", "outputs")}
    clean["metadata"] = {
        name: value
        for name, value in cell.metadata.items()
        if name not in ("papermill", "execution") and (name != "tags" or value)
    }
    if "injected-parameters" in cell.metadata.get("tags", []):
        clean["id"] = "injected-parameters"  # papermill draws another at every run
    if "outputs" in cell:
        clean["outputs"] = _outputs(
            [output for output in cell.outputs if not (at_end and output.get("metadata", {}).get(ABOUT) == _PASSING)]
        )
    return clean


def _outputs(outputs: Sequence[NotebookNode]) -> list[dict[str, Any]]:
    """What a cell left, with its streams joined: into how many pieces they come is a matter of timing."""
    clean: list[dict[str, Any]] = []
    streams: dict[str, dict[str, Any]] = {}
    for output in outputs:
        kept = dict(output)
        if output.output_type == "stream":
            if output.name in streams:
                streams[output.name]["text"] += output.text
                continue
            streams[output.name] = kept
            if output.name == "stdout" and clean and clean[-1] is streams.get("stderr"):
                clean.insert(-1, kept)
                continue
        else:
            streams = {}
        if "data" in output:
            kept["data"] = {kind: data for kind, data in output.data.items() if kind not in ONLY_WITH_A_KERNEL}
            if not kept["data"]:
                continue
        clean.append(kept)
    for kept in clean:
        if kept["output_type"] == "stream":
            kept["text"] = _as_a_terminal_ends(kept["text"])
    return clean


def _as_a_terminal_ends(text: str) -> str:
    """The text as it stands on a terminal in the end: what a carriage return went back over is gone."""
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))


def _in_texts(value: Any, names: Mapping[str, str], scrub: Callable[[str], str]) -> Any:
    """The same value, with secrets taken out of every text and the folders of this machine given other names."""
    if isinstance(value, Mapping):
        return {
            _in_texts(key, names, scrub): item
            if key.startswith(PIXELS) and isinstance(item, str)
            else _in_texts(item, names, scrub)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_in_texts(item, names, scrub) for item in value]
    if not isinstance(value, str):
        return value
    for folder, name in names.items():
        if folder in value:
            value = re.sub(rf"{re.escape(folder)}(?![\w-])", name.replace("\\", r"\\"), value)
    if "ipykernel_" in value:
        value = _CELL_FILE.sub(r"ipykernel/\1", value)
    return scrub(value)
