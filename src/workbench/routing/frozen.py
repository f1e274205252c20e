"""The decisions of a pane as a notebook that asks for the same: with the agents and cases of that moment beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.definition.agent import Agent
from workbench.markup import HALF_CHARACTERS
from workbench.routing.asking import MainModel
from workbench.routing.cases import accepted_of
from workbench.runs.frozen import as_notebook, cell, check_notebook_name, from_project, write_frozen
from workbench.runs.settings import Mode
from workbench.trial.task import Task

_TITLE = """\
# Decisions as they were clicked

Who is picked, of the agents as they were then. What the ledger holds is not asked for again."""
_ROUTE = """\
import workbench as wb

wb.enter_project()
main = wb.MainModel(model=model, effort=effort, way=way)
asking = {"live": live, "mode": mode, "ledger": ledger, "budget_usd": budget_usd}
routed = wb.route(agents, cases, model=main, repeats=repeats, orders=orders, **asking)
routed"""
_CHANGE = """\
after = wb.route(drafted, cases, model=main, repeats=repeats, orders=orders, **asking)
change = wb.compare_routing(routed, after, changed=changed)
change"""
_IMPROVE = """\
split = wb.split_tasks(wb.load_cases(cases), seal=seal)
choice = wb.improve_description(agents, improve, split, candidates=descriptions, model=main, **asking)
choice"""
_ASK = """\
import workbench as wb

wb.enter_project()
main = wb.MainModel(model=model, effort=effort, way=way)
asking = {"live": live, "mode": mode, "ledger": ledger, "budget_usd": budget_usd}"""


@dataclass(frozen=True, kw_only=True)
class Improving:
    """A choice of a description."""

    name: str
    candidates: tuple[str, ...]
    seal: Path


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What a run of a pane asked for, as it is frozen."""

    agents: Mapping[str, Agent]
    drafted: Mapping[str, Agent] | None
    changed: tuple[str, ...]
    cases: tuple[Task, ...]
    main: MainModel
    repeats: int
    orders: int
    live: bool | None
    budget_usd: float | None
    mode: Mode
    ledger: str | None
    """`None`: the usual one."""
    improving: Improving | None
    """`None`: decisions alone were asked for."""


def write_routing_notebook(decided: Decided, path: str | Path) -> Path:
    """Writes a notebook that asks for the same decisions, or for the same choice of a description, with identical keys.

    Beside it lie the cases and the agents as they were asked.

    Raises:
        FileError: a file cannot be written, is there already, or would hold a key.
    """
    path = Path(path)
    check_notebook_name(path)
    files: dict[Path, bytes] = {}
    agents = _folder_of(decided.agents, path.with_name(f"{path.stem}.agents"), files)
    cases = path.with_name(f"{path.stem}.cases.jsonl")
    rows = "".join(json.dumps(_row(case), ensure_ascii=False) + "\n" for case in decided.cases)
    files[cases] = rows.encode("utf-8", HALF_CHARACTERS)
    lines = [
        "from typing import Optional\n",
        f"agents: str = {agents!r}  # the folder of the agents that were listed",
        f"cases: str = {from_project(cases)!r}",
        f"model: str = {decided.main.model!r}  # the main model, which picks",
        f"effort: Optional[str] = {decided.main.effort!r}  # None: what Claude Code sends for it",
        f"way: Optional[str] = {decided.main.way!r}  # None: Claude Code's own request where the program is here",
        f"repeats: int = {decided.repeats}  # decisions on every prompt in each order of the list",
        f"orders: int = {decided.orders}  # orders of the list",
        f"live: Optional[bool] = {decided.live!r}  # None: a model if a key is set; True: a model or fail; False: none",
        f"budget_usd: Optional[float] = {decided.budget_usd!r}  # None: no limit",
        'mode: str = "top-up"  # or replay: ask nobody; or fresh: ask for all anew, and pay for it once more',
        f"ledger: Optional[str] = {decided.ledger!r}  # None: the usual one",
    ]
    improving = decided.improving
    if improving is not None:
        lines += [
            f"improve: str = {improving.name!r}  # the agent whose description was chosen",
            f"descriptions: list[str] = {list(improving.candidates)!r}  # beside the one that is there",
            f"seal: str = {from_project(improving.seal)!r}  # which cases are sealed, and what they were opened for",
        ]
        asked = [cell("ask", _ASK, tags=[]), cell("improve", _IMPROVE, tags=[])]
    else:
        asked = [cell("route", _ROUTE, tags=[]), cell("picture", "wb.plot_routing(routed)", tags=[])]
        if decided.drafted is not None:
            drafted = _folder_of(decided.drafted, path.with_name(f"{path.stem}.drafted"), files)
            lines += [
                f"drafted: str = {drafted!r}  # the same with the draft",
                f"changed: list[str] = {list(decided.changed)!r}  # whose lines in the list differ",
            ]
            asked.append(cell("change", _CHANGE, tags=[]))
        asked.append(cell("record", 'print(f"The record is in {wb.export_record(routed.run, out)}")', tags=[]))
        lines.append('out: str = "outputs/frozen"  # folder of the record')
    parameters = cell("parameters", "\n".join(lines), tags=["parameters"])
    return write_frozen(path, as_notebook([cell("title", _TITLE), parameters, *asked]), files)


def _folder_of(agents: Mapping[str, Agent], folder: Path, files: dict[Path, bytes]) -> str:
    """Puts the agents into `files`, each under the name of its own file, which may be its name in the list."""
    for number, agent in enumerate(agents.values(), start=1):
        stem = "agent" if agent.path is None else agent.path.stem
        files[folder / f"{number:03}" / f"{stem}.md"] = agent.to_bytes()
    return from_project(folder)


def _row(case: Task) -> dict[str, str | Sequence[str]]:
    row: dict[str, str | Sequence[str]] = {"id": case.id, "prompt": case.input, "expect": list(accepted_of(case))}
    return row if case.group is None else {**row, "group": case.group}
