"""The benchmark `kills` with two runs at once, each in a namespace of processes of its own, as in two containers."""

from __future__ import annotations

import sys

from tests.benchmarks.kills import IN_NAMESPACES, report, why_not_unshared


def main() -> None:
    """Where namespaces cannot be made, says why."""
    if why_not := why_not_unshared():
        sys.exit(why_not)
    report(IN_NAMESPACES)
