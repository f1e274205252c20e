"""What code hosts show at the lines of files: SARIF logs, and the commands of GitHub's runner that annotate."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workbench.definition.header import Severity
from workbench.markup import visible
from workbench.secrets import value_without_secrets, without_secrets

_GITHUB_LEVELS: Mapping[Severity, str] = {"error": "error", "warning": "warning", "note": "notice"}


@dataclass(frozen=True, kw_only=True)
class HostRule:
    """A kind of finding."""

    id: str
    says: str
    help: str


@dataclass(frozen=True, kw_only=True)
class HostFinding:
    """One thing to show at a line of a file."""

    path: Path
    line: int
    """From 1."""
    column: int | None = None
    """From 1; `None`: the whole line."""
    level: Severity
    rule: str
    """The `id` of its rule."""
    message: str
    fingerprint: str
    """What stays the same while lines move."""


def sarif_log(
    tool: str,
    rules: Sequence[HostRule],
    findings: Iterable[HostFinding],
    *,
    unread: Iterable[tuple[Path, str]] = (),
) -> str:
    """One SARIF 2.1.0 log. `rules` hold that of every finding; `unread` are files that could not be read, and why."""
    number = {rule.id: index for index, rule in enumerate(rules)}
    failures = [{"level": "error", "message": {"text": f"{path}: {why}"}} for path, why in unread]
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": tool,
                        "version": metadata.version("agent-workbench"),
                        "rules": [
                            {"id": rule.id, "shortDescription": {"text": rule.says}, "help": {"text": rule.help}}
                            for rule in rules
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, number) for finding in findings],
                "invocations": [{"executionSuccessful": not failures, "toolExecutionNotifications": failures}],
            }
        ],
    }
    return json.dumps(value_without_secrets(log), indent=2)


def github_annotation(
    level: Severity, message: str, *, path: Path, title: str = "", line: int | None = None, column: int | None = None
) -> str:
    """The line that has GitHub's runner show a message at a file."""
    given = {"file": str(path), "line": line, "col": column, "title": title or None}
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in given.items() if value is not None)
    return without_secrets(f"::{_GITHUB_LEVELS[level]} {properties}::{_data(without_secrets(message))}")


def _result(finding: HostFinding, number: Mapping[str, int]) -> dict[str, Any]:
    region = {"startLine": finding.line}
    if finding.column is not None:
        region["startColumn"] = finding.column
    return {
        "ruleId": finding.rule,
        "ruleIndex": number[finding.rule],
        "level": finding.level,
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(finding.path)}, "region": region}}],
        "partialFingerprints": {"workbench/v1": finding.fingerprint},
    }


def _uri(path: Path) -> str:
    written = os.fsencode(path.resolve() if path.is_absolute() else path.as_posix())
    return f"{'file://' if path.is_absolute() else ''}{quote(written)}"


def _data(text: str) -> str:
    # A name of a file may hold bytes that are no UTF-8: `visible` names what cannot be printed.
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
