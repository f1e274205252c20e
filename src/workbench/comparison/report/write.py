"""`write_report`: a comparison as files for people, spreadsheets, programs, CI servers and pull requests."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from workbench.comparison.provenance import Provenance, provenance
from workbench.comparison.report.data import write_csv, write_json, write_jsonl, write_parquet
from workbench.comparison.report.junit import write_junit
from workbench.comparison.report.page import write_page
from workbench.comparison.report.summary import write_summary
from workbench.comparison.tables import Comparison, compare
from workbench.definition.origin import find_origins
from workbench.definition.project import RECORD_FILE, write_folder
from workbench.errors import ComparisonError, FileError
from workbench.trial.trial import Run

_FORMS: Mapping[str, Callable[[Comparison, Provenance, Path], list[Path]]] = {
    "html": write_page,
    "csv": write_csv,
    "parquet": write_parquet,
    "json": write_json,
    "jsonl": write_jsonl,
    "junit": write_junit,
    "md": write_summary,
}
FORMATS = tuple(_FORMS)
_PART = ".report-part-"
"""How the folder is called in which files are written, until each takes its place."""


def write_report(
    run: Run | Comparison,
    folder: str | Path,
    *,
    formats: Iterable[str] = FORMATS,
    baseline: str | None = None,
    project: str | Path | None = None,
    files: Iterable[str] = (),
) -> tuple[Path, ...]:
    """Writes the report into this folder, which is made if it is not there, and returns its files.

    "html" is one page that needs nothing else (`report.html`); "csv" and "parquet" are `trials`, `tasks`,
    `variants`, `promises` and `measures`; "json" has verdicts, promises and measures as values; "jsonl" has all of
    every trial; "junit" is `junit.xml`; "md" is `summary.md`, for a pull request. Files of these names are overwritten.
    The same run gives the same bytes, as long as prices and versions are the same.

    Args:
        baseline: the variant of a run that the others are compared with; unless given, each is held against the one
            that its plan says, which is the first where it says nothing.
        project: the folder in which the agents' files and their commits are looked for; nowhere unless given.
        files: where they are in it, or were, as far as that is known; others are found by what the agents are called.

    Raises:
        ComparisonError: a format or the baseline is unknown, or the run cannot be compared.
        FileError: the folder cannot be written, or is a link in the folder of a record, which may be from anybody.
    """
    chosen = tuple(dict.fromkeys(formats))
    unknown = [name for name in chosen if name not in _FORMS]
    if unknown or not chosen:
        wrong = repr(unknown[0]) if unknown else "nothing"
        raise ComparisonError(f"{wrong} is no format of a report; there are {', '.join(FORMATS)}")
    comparison = run if isinstance(run, Comparison) else compared(run, baseline)
    agents = comparison.run.variants
    origins = find_origins(agents, files=files, project=Path(project)) if project else None
    found = provenance(comparison.run, origins=origins)
    folder = Path(folder)
    try:
        _refuse_link(folder)
        write_folder(folder)
        # Through no link in the place of one: the folder may be in a record, and that from anybody.
        with tempfile.TemporaryDirectory(prefix=_PART, dir=folder) as part:
            written = [path for name in chosen for path in _FORMS[name](comparison, found, Path(part))]
            return tuple(path.replace(folder / path.name) for path in written)
    except OSError as error:
        raise FileError(f"cannot be written: {error.strerror}", path=_meant(error, folder)) from error


def _meant(error: OSError, folder: Path) -> Path:
    """The file or folder that could not be written, without the folder that it was written in first."""
    named = Path(error.filename2 or error.filename or folder)
    if named.name.startswith(_PART):
        return folder
    return folder / named.name if named.parent.name.startswith(_PART) else named


def _refuse_link(folder: Path) -> None:
    if folder.is_symlink() and (folder.parent / RECORD_FILE).exists():
        raise FileError(
            "is a link in the folder of a record, and no report is written through it; remove it, or name another "
            "folder",
            path=folder,
        )


def compared(run: Run, baseline: str | None) -> Comparison:
    """The run compared with this variant, or as it was planned (`compare`)."""
    return compare(run, baseline=baseline)
