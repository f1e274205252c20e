"""What is named otherwise in the commit that a sitting is held beside (`python -m tests.benchmarks NAME --beside FOLDER`).

The programs that are measured on both sides take these names from here, and all else as it is called today. What no
checkout needs any more that is measured beside goes.
"""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from workbench.trial import trial as values
from workbench.trial.task import GraderSpec

_PROMISE = "promise" if "promise" in {field.name for field in fields(GraderSpec)} else "label"
_ENDPOINT = "endpoint" if hasattr(values, "Endpoint") else "place"


def grader_spec(*, promise: str, **others: Any) -> GraderSpec:
    return GraderSpec(**{_PROMISE: promise}, **others)


def server_at(base_url: str) -> Any:
    kind: Any = getattr(values, _ENDPOINT.capitalize())
    return kind(kind="server", base_url=base_url)


def trial(*, endpoint: Any, **others: Any) -> values.Trial:
    return values.Trial(**{_ENDPOINT: endpoint}, **others)


def run(*, endpoint: Any, **others: Any) -> values.Run:
    return values.Run(**{_ENDPOINT: endpoint}, **others)


def ledger_module(name: str) -> ModuleType:
    """A file of the room of the ledger, which stood in that of the values."""
    return import_module(
        f"workbench.ledger.{name}" if find_spec("workbench.ledger") else f"workbench.trial.ledger.{name}"
    )
