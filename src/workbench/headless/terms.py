"""What a batch decides once, for all its notebooks and every machine: who answers, and with what they are run.

Sent along with each job, and checked where it is to run: a worker that would do otherwise takes none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from workbench.definition.project import project_folder
from workbench.definition.resolved import deciding_variables
from workbench.definition.there import bytes_in
from workbench.errors import SetupError
from workbench.headless.job import Job
from workbench.headless.notebook_files import load_notebook
from workbench.headless.parameters import declared_parameters, files_named
from workbench.ledger.file import SCHEMA_VERSION, ledger_address
from workbench.model.endpoint import choose_endpoint
from workbench.trial.trial import Endpoint

PACKAGE = "agent-workbench"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What holds for every notebook of a batch."""

    project: Path
    live: bool | None
    """As `choose_endpoint` takes it."""
    endpoint: Endpoint
    """Who answers."""
    models: Mapping[str, str]
    """The variables that decide which model is asked; see `deciding_variables`."""
    package: str
    """The version of the workbench."""
    sources: str
    """The hash of its files: two installations from a repository may both call themselves by one version."""
    ledger: str
    """Where answers are kept, without the password."""
    ledger_version: int
    files: Mapping[str, str]
    """The notebooks and the files that their parameters name, seen from the project; each with its sha256."""


def terms_here(jobs: Iterable[Job], *, live: bool | None) -> Terms:
    """The terms of these jobs where a batch of them is started.

    Raises:
        SetupError: no endpoint can be chosen; says what to set.
    """
    project, named = project_folder(), set()
    declared = cache(lambda notebook: declared_parameters(load_notebook(project / notebook)))
    for job in jobs:
        named |= {str(job.notebook), *files_named(declared(job.notebook), job.parameters, project=project).values()}
    return Terms(
        project=project,
        live=live,
        endpoint=choose_endpoint(live),
        models=deciding_variables(),
        package=metadata.version(PACKAGE),
        sources=sources_here(),
        ledger=_ledger_here(),
        ledger_version=SCHEMA_VERSION,
        files={name: sha256 for name in sorted(named) if (sha256 := _sha256(project / name)) is not None},
    )


def unmet(terms: Terms) -> str:
    """Why a notebook of the batch would not be run here as where it was started; empty where it would be.

    The working directory has to be the project folder.
    """
    package = metadata.version(PACKAGE)
    if package != terms.package:
        return f"it has {PACKAGE} {package}, not {terms.package}"
    if sources_here() != terms.sources:
        return f"its {PACKAGE} {package} has other source files"
    if terms.ledger_version != SCHEMA_VERSION:
        return f"its ledger is of version {SCHEMA_VERSION}, not {terms.ledger_version}"
    if _ledger_here() != terms.ledger:
        return (
            f"it would keep answers in the ledger {_ledger_here()}, not in {terms.ledger}: set WORKBENCH_LEDGER there"
        )
    for name, sha256 in terms.files.items():
        if (found := _sha256(terms.project / name)) != sha256:
            return f"it lacks {name} of the project" if found is None else f"its {name} is another"
    models = deciding_variables()
    for name in sorted(models.keys() | terms.models.keys()):
        if models.get(name) != terms.models.get(name):
            here, there = (repr(found[name]) if name in found else "not set" for found in (models, terms.models))
            return f"another model may be asked there: {name} is {here}, and {there} where the batch was started"
    try:
        endpoint = choose_endpoint(terms.live)
    except SetupError as error:
        return str(error)
    if endpoint != terms.endpoint:
        return (
            f"{endpoint.in_words} would answer there, not {terms.endpoint.in_words}: set the key or the address there"
        )
    return ""


@cache
def sources_here() -> str:
    """The hash of the workbench's own source files, as they are installed for this process."""
    found = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        found.update(f"{path.relative_to(package).as_posix()}\n".encode() + path.read_bytes())
    return found.hexdigest()


def _sha256(path: Path) -> str | None:
    return hashlib.sha256(bytes_in(path)).hexdigest() if path.is_file() else None


def _ledger_here() -> str:
    address = ledger_address()
    if isinstance(address, Path):
        return str(address)
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
