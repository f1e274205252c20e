"""What each way to begin may load: a library more, or a room more, is felt at every start.

Who needs more than is named here imports it where it is used; who needs it at the start adds it here, with what it costs
in `python -m tests.benchmarks start again`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
SLOW_TO_LOAD = {"asyncio", "concurrent", "ctypes", "http", "multiprocessing", "ssl", "unittest", "xml", "zipfile"}
"""Of Python's own: 3 ms and more each."""

_BEGIN = """
import json, sys
there = set(sys.modules)
"""
_END = """
loaded = set(sys.modules) - there
print(json.dumps(sorted(loaded)))
"""
_RUN = """
import workbench as wb
agent = wb.parse_agent("---\\nname: a\\ndescription: b\\n---\\nYou answer.\\n")
tasks = [wb.Task(id="t", input="x"), wb.Task(id="u", input="y")]
plan = wb.plan_trials({"a": agent, "b": agent}, tasks, graders=wb.graders.standard())
run = wb.run_trials(plan, live=False, progress=False)
"""
_READ = """
from workbench.cli import main
try:
    main(["read", "agents/senior-python-architect.md"])
except SystemExit:
    pass
"""
_YAML = {"yaml", "frontmatter"}


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to begin, and the most that it may load."""

    code: str
    rooms: int
    """Modules of the workbench."""
    libraries: set[str] = field(default_factory=set)
    python: set[str] = field(default_factory=set)
    """Of what is `SLOW_TO_LOAD`."""


WAYS = {
    "import workbench": Way(code="import workbench", rooms=1),
    "workbench read one file": Way(code=_READ, rooms=28, libraries=_YAML | {"click"}),
    "a run from the ledger": Way(code=_RUN, rooms=58, libraries=_YAML),
    "... compared and printed": Way(
        code=f'{_RUN}\nstr(wb.compare(run, baseline="a"))',
        rooms=84,
        libraries=_YAML | {"markupsafe", "numpy"},
        python={"ctypes"},  # numpy's
    ),
}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It holds the replies of the run."""
    path = tmp_path_factory.mktemp("start") / "ledger.sqlite"
    _loaded_by(_RUN, path)
    return path


@pytest.mark.parametrize("name", WAYS)
def test_start_loads_no_more_than_it_needs(name: str, ledger: Path) -> None:
    way = WAYS[name]
    loaded = _loaded_by(way.code, ledger)

    ours = [module for module in loaded if module.partition(".")[0] == "workbench"]
    others = {module.partition(".")[0] for module in loaded} - {"workbench"}
    libraries = {top for top in others if not top.startswith("_") and top not in sys.stdlib_module_names}
    assert libraries - {"cython_runtime"} <= way.libraries, "a library more"
    assert others & SLOW_TO_LOAD <= way.python, "a slow part of Python more"
    assert len(ours) <= way.rooms, f"{len(ours)} modules of ours: {ours}"


def _loaded_by(code: str, ledger: Path) -> list[str]:
    """The modules that are there after this code and were not before."""
    environment = os.environ | {"WORKBENCH_LEDGER": str(ledger)}
    program = [sys.executable, "-c", f"{_BEGIN}{code}{_END}"]
    output = subprocess.check_output(program, text=True, env=environment, cwd=REPOSITORY)
    return [str(name) for name in json.loads(output.splitlines()[-1])]
