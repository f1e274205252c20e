"""A report as JUnit XML, as CI servers read it: a suite for each variant, a case for each task.

The baseline is no test where there is another variant, which would else be red for what it mended: the suites of the
others have its score as a property.

A case passes where more than half of its scored repeats score `THRESHOLD` or more, as in `what_flipped`, and fails
otherwise; it is an error where no repeat has a score, and skipped where no repeat was made at all, or its task names no
grader. The elements and
attributes are those that the schemas of Ant and of Jenkins' plug-in have in common.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import indent
from urllib.parse import urlsplit
from xml.etree import ElementTree

from workbench.comparison.columns import explanation, score_in_words
from workbench.comparison.flips import THRESHOLD
from workbench.comparison.provenance import Provenance
from workbench.comparison.tables import Comparison
from workbench.comparison.verdict import points
from workbench.markup import counted, visible, visible_lines
from workbench.secrets import bytes_without_secrets
from workbench.trial.task import Task
from workbench.trial.trial import Trial

_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONGEST_TEXT = 2_000


def write_junit(comparison: Comparison, found: Provenance, folder: Path) -> list[Path]:
    """`junit.xml`."""
    trials: dict[tuple[str, str], list[Trial]] = {}
    for trial in comparison.run.trials:
        trials.setdefault((trial.variant, trial.task_id), []).append(trial)
    root = ElementTree.Element("testsuites")
    for name in list(comparison.baseline_of) or [comparison.baseline]:
        cases = [_case(name, task, trials.get((name, task.id), [])) for task in comparison.run.tasks]
        root.append(_suite(name, cases, comparison, found))
    ElementTree.indent(root)
    path = folder / "junit.xml"
    path.write_bytes(bytes_without_secrets(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n")
    return [path]


def _suite(
    name: str, cases: Sequence[ElementTree.Element], comparison: Comparison, found: Provenance
) -> ElementTree.Element:
    counts = {kind: sum(case.find(kind) is not None for case in cases) for kind in ("failure", "error", "skipped")}
    suite = ElementTree.Element(
        "testsuite",
        name=_xml(visible(name)),
        tests=str(len(cases)),
        failures=str(counts["failure"]),
        errors=str(counts["error"]),
        skipped=str(counts["skipped"]),
        time=f"{math.fsum(float(case.get('time', 0)) for case in cases):.3f}",
        hostname=urlsplit(found.base_url).hostname or found.base_url,
    )
    if found.first_answer is not None:
        suite.set("timestamp", found.first_answer[:19])
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in (
        ("agent_sha256", found.agents[name]),
        ("task_files_sha256", " ".join(found.task_files)),
        ("models", " ".join(found.models[name])),
        ("endpoint", found.endpoint),
        ("prices", "; ".join(found.prices[model] for model in found.models[name])),
        *found.versions.items(),
        ("reported_with", found.reported_with),
        *(
            _baseline_properties(comparison, found, comparison.baseline_of[name])
            if name in comparison.baseline_of
            else ()
        ),
    ):
        ElementTree.SubElement(properties, "property", name=_xml(visible(key)), value=_xml(visible(value)))
    suite.extend(cases)
    ElementTree.SubElement(suite, "system-out")
    ElementTree.SubElement(suite, "system-err")
    return suite


def _baseline_properties(comparison: Comparison, found: Provenance, baseline: str) -> Iterator[tuple[str, str]]:
    """What a variant is held against, and its mean score in 0..1, where any task has one."""
    yield "baseline", baseline
    yield "baseline_agent_sha256", found.agents[baseline]
    [score] = [summary.score for summary in comparison.summaries if summary.name == baseline]
    if not math.isnan(score):
        yield "baseline_score", f"{score:.4f}"


def _case(variant: str, task: Task, trials: Sequence[Trial]) -> ElementTree.Element:
    seconds = math.fsum(trial.reply.seconds or 0.0 for trial in trials if trial.reply is not None)
    case = ElementTree.Element(
        "testcase", name=_xml(visible(task.id)), classname=_xml(visible(variant)), time=f"{seconds:.3f}"
    )
    scores = [trial.score for trial in trials if trial.score is not None]
    passed = sum(score >= THRESHOLD for score in scores)
    if not trials:
        ElementTree.SubElement(case, "skipped").text = "no repeat was made"
        return case
    if not task.graders and all(trial.outcome == "answered" and not trial.scores for trial in trials):
        ElementTree.SubElement(case, "skipped").text = "the task names no grader"
        return case
    if 2 * passed > len(scores):
        return case
    kind, what, message = "failure", "score", f"{passed} of {counted(len(scores), 'repeat')} passed"
    if scores:
        message += f", mean score {points(math.fsum(scores) / len(scores), sign=False)} points"
    else:
        kind, what, message = "error", "no score", f"none of {counted(len(trials), 'repeat')} has a score"
    ended = ElementTree.SubElement(case, kind, type=what, message=message)
    ended.text = _xml("\n".join(_trial_lines(trial) for trial in trials))
    return case


def _trial_lines(trial: Trial) -> str:
    heading = f"repeat {trial.repeat}: {trial.outcome.replace('_', ' ')}, {score_in_words(trial)}, key {trial.key}"
    return f"{heading}\n{indent(_cut(explanation(trial)), '  ')}"


def _cut(text: str) -> str:
    shown = visible_lines(text)
    return shown if len(shown) <= _LONGEST_TEXT else f"{shown[:_LONGEST_TEXT]}..."


def _xml(text: str) -> str:
    """The text without what XML cannot hold; `visible` has named all but a few of these."""
    return _NOT_XML.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)
