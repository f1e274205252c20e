"""Notebooks that tests write, and what they find in executed ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat


def write_notebook(path: Path, cells: Mapping[str, str]) -> Path:
    """A notebook of code cells, each tagged with its id."""
    made = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": name,
            "metadata": {"tags": [name]},
            "outputs": [],
            "source": source,
        }
        for name, source in cells.items()
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def outputs_of(notebook: Path, cell_id: str) -> list[Any]:
    document = nbformat.read(notebook, as_version=4)
    found: list[Any] = next(cell.outputs for cell in document.cells if cell.id == cell_id)
    return found


def printed_by(notebook: Path, cell_id: str) -> str:
    return "".join(output.get("text", "") for output in outputs_of(notebook, cell_id))
