"""How faithfully real agent files are read and written, and how fast."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.files import load_agent, save_agent

FIELDS = {
    "listed": "listed",
    "name": "name",
    "description": "description",
    "tools": "tools",
    "model": "model",
    "system": "prompt",
}


def main() -> None:
    here = Path(__file__).parents[2]
    corpus = Path(os.environ.get("WORKBENCH_CORPUS") or here.parent / "shared" / "corpus")
    readings = corpus / "claude_code_reading.jsonl"
    if not readings.is_file():
        print(f"the corpus is not at {corpus}; name its folder in WORKBENCH_CORPUS")
        return
    lines = [json.loads(line) for line in readings.read_text(encoding="utf-8").split("\n") if line]
    identical, agreeing, appended_to = 0, dict.fromkeys(FIELDS, 0), 0
    began = time.perf_counter()
    for line in lines:
        agent = load_agent(corpus / line["file"])
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "agent.md"
            copy.write_bytes((corpus / line["file"]).read_bytes())
            save_agent(load_agent(copy))
            identical += copy.read_bytes() == (corpus / line["file"]).read_bytes()
        reading = read_as_claude_code(agent)
        appended_to += bool(reading.prompt) and line.get("system", "").startswith(reading.prompt + "\n\n# ")
        for theirs, ours in FIELDS.items():
            agreeing[theirs] += theirs not in line or getattr(reading, ours) == line[theirs]
    seconds = time.perf_counter() - began
    print(f"load, save, load, read: {1000 * seconds / len(lines):.1f} ms a file")
    print(f"byte-identical after load and save: {identical} of {len(lines)}")
    for field, count in agreeing.items():
        print(f"agrees with Claude Code on {field}: {count} of {len(lines)}")
    print(f"system is our prompt with text of Claude Code's own behind it (`memory`): {appended_to}")
