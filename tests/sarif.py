"""What a code host asks of a SARIF 2.1.0 log before it takes it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

LEVELS = {"error", "warning", "note"}


def assert_sarif(log: dict[str, Any]) -> None:
    """Every result names a rule of its run, a level, a message, a place in a file, and a fingerprint of its own."""
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    [run] = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"].startswith("workbench ") and driver["version"]
    for rule in driver["rules"]:
        assert rule["id"] and rule["shortDescription"]["text"] and rule["help"]["text"]
    assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in LEVELS
        assert result["message"]["text"]
        [location] = result["locations"]
        place = location["physicalLocation"]
        uri = place["artifactLocation"]["uri"]
        assert re.fullmatch(r"[\w./%~-]+", uri) and unquote(uri)
        assert all(type(number) is int and number >= 1 for number in place["region"].values())
        assert place["region"].keys() <= {"startLine", "startColumn"} and "startLine" in place["region"]
        [fingerprint] = result["partialFingerprints"].values()
        assert re.fullmatch(r"[0-9a-f]{16}", fingerprint)
    [invocation] = run["invocations"]
    assert invocation["executionSuccessful"] == (not invocation["toolExecutionNotifications"])
