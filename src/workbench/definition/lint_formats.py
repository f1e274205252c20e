"""What lint found, as people, programs and code hosts read it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from workbench.definition.code_hosts import HostFinding, HostRule, github_annotation, sarif_log
from workbench.definition.lint import Rule, rules
from workbench.definition.linting import LintReport
from workbench.markup import counted, printed, visible
from workbench.secrets import scrubber


def as_text(report: LintReport) -> Iterator[str]:
    """A line a finding, as compilers write it, then what there was in all."""
    said = scrubber()  # a message quotes what stands in the file
    for finding in report.findings:
        yield said(printed(visible(f"{finding.path}:{finding.problem}")))
    for path, why in report.unreadable:
        yield said(printed(visible(f"{path}: {why}")))
    counts = ", ".join(counted(report.count(each), each) for each in ("error", "warning", "note"))
    skipped = f"; {counted(len(report.skipped), 'file')} skipped, no agents" if report.skipped else ""
    yield f"{counted(report.files, 'agent')}: {counts}{skipped}."


def as_json(report: LintReport) -> Iterator[str]:
    """One JSON object a finding, each on a line of its own; then one for each file that could not be read."""
    said = scrubber()
    for finding in report.findings:
        problem = finding.problem
        yield json.dumps(
            {
                "file": said(str(finding.path)),
                "line": problem.line,
                "column": problem.column,
                "severity": problem.severity,
                "rule": problem.rule,
                "field": problem.field,
                "message": said(problem.message),
                "fix": None if problem.fix is None else said(problem.fix),
                "replacement": None if problem.replacement is None else said(problem.replacement),
                "fingerprint": finding.fingerprint,
            }
        )
    for path, why in report.unreadable:
        yield json.dumps({"file": said(str(path)), "severity": "error", "rule": None, "message": said(why)})


def as_github(report: LintReport) -> Iterator[str]:
    """Annotations for a workflow of GitHub Actions."""
    for finding in report.findings:
        problem = finding.problem
        yield github_annotation(
            problem.severity,
            f"{problem.message} {problem.fix or ''}".strip(),
            path=finding.path,
            line=problem.line,
            column=problem.column,
            title=problem.rule,
        )
    for path, why in report.unreadable:
        yield github_annotation("error", why, path=path)


def as_sarif(report: LintReport) -> Iterator[str]:
    """One SARIF 2.1.0 log, with the rules that were found."""
    used = [rules()[rule] for rule in sorted({finding.problem.rule for finding in report.findings})]
    yield sarif_log(
        "workbench lint",
        [
            HostRule(
                id=rule.id,
                says=rule.says,
                help=f"Source: {rule.source}; seen {rule.date}, versions {rule.versions}",
            )
            for rule in used
        ],
        [
            HostFinding(
                path=finding.path,
                line=finding.problem.line,
                column=finding.problem.column,
                level=finding.problem.severity,
                rule=finding.problem.rule,
                message=f"{finding.problem.message} {finding.problem.fix or ''}".strip(),
                fingerprint=finding.fingerprint,
            )
            for finding in report.findings
        ],
        unread=report.unreadable,
    )


def explain(rule: Rule) -> str:
    """What a rule says, where that is from, and since when it holds."""
    asked = "\n  Looked at only where a project asks for it, with `on`." if rule.is_asked_for else ""
    return f"{rule.id}\n  {rule.says}.{asked}\n  Source: {rule.source}\n  Seen {rule.date}, versions {rule.versions}"


def read_baseline(text: str) -> tuple[str, ...]:
    """The fingerprints of the findings in what `--format json` wrote.

    Raises:
        ValueError: it is something else.
    """
    found = []
    for line in text.splitlines():
        value: Any = json.loads(line)
        if not isinstance(value, dict):
            raise ValueError("a line of it is no JSON object")
        if (fingerprint := value.get("fingerprint")) is not None:
            found.append(str(fingerprint))
    return tuple(found)


def lines_in(report: LintReport, form: str) -> Iterable[str]:
    """The report as "text", "json", "github" or "sarif"."""
    return {"text": as_text, "json": as_json, "github": as_github, "sarif": as_sarif}[form](report)
