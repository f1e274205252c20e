"""What a refusal shows in a notebook: the caller's own lines, and what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CELL = """import workbench as wb
def mine():
    return wb.load_tasks("reviewer.tasks.yaml")

mine()"""


def test_a_cell_shows_its_own_lines_and_the_message_alone(tmp_path: Path) -> None:
    (tmp_path / "reviewer.tasks.yaml").write_text("- {id: a, inptu: Do it.}\n")
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "--quick", "-c", CELL]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    mine, inner, message = done.stdout.strip().split("\n")[:3]
    assert mine.endswith("mine()")
    assert inner.endswith('return wb.load_tasks("reviewer.tasks.yaml")')
    assert message.startswith("TaskFileError: reviewer.tasks.yaml:")
    assert "inptu" in message
    assert "Traceback" not in done.stdout + done.stderr
