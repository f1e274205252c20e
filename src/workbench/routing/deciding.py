"""Decisions on a list of agents, asked for now, while one watches: what is chosen, what it takes, what comes of it.

begun -> the way to a decision -> self-test -> decisions on the list as the files have it
                                            -> self-test, decisions on the list with the draft's line
                                            -> done | refused | stopped | failed
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, Unpack

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.draft import Draft
from workbench.definition.finding import agents_folder_of
from workbench.definition.roster import load_roster
from workbench.errors import EstimateOnly, PlanError, RoutingRefused, RunStopped, WorkbenchError
from workbench.ledger.budget.limits import Limit, limits_from_environment
from workbench.ledger.store import Ledger
from workbench.markup import Table, counted
from workbench.model.endpoint import choose_endpoint
from workbench.routing.asking import (
    Agents,
    Cases,
    MainModel,
    Router,
    Way,
    agents_of,
    ask_controls,
    ask_router,
    cases_for,
    choose_router,
    plan_controls,
    plan_routing,
    with_one_budget,
)
from workbench.routing.cases import FILE_NAMES, lint_cases
from workbench.routing.change import RoutingChange, compare_routing
from workbench.routing.controls import ControlShares, check_controls, control_cases
from workbench.routing.frozen import Decided, Improving, write_routing_notebook
from workbench.routing.improving import SealedChoice, improve_description, seal_of, split_cases
from workbench.routing.listing import entries_of
from workbench.routing.measured import Routed, measure_routing
from workbench.routing.picked import LISTED_BY, Mark, marks_of
from workbench.routing.power import power_table
from workbench.runs.estimate import Estimate, estimate_plan
from workbench.runs.estimate_only import is_estimate_only
from workbench.runs.plan import Plan
from workbench.runs.progress import RunWatch
from workbench.runs.settings import Asking, Mode
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint


class DecisionSettings(TypedDict, total=False):
    """How decisions are asked for; what is left out is as `MainModel` and `route` have it."""

    model: str
    effort: str | None
    way: Way | None
    repeats: int
    orders: int
    budget_usd: float | None
    mode: Mode


@dataclass(frozen=True, kw_only=True)
class Listed:
    """The agents that are listed together at one moment."""

    agents: Mapping[str, Agent]
    """As the files have them."""
    drafted: Mapping[str, Agent] | None
    """The same with the draft in the place of its file; `None`: it would stand in the list as the file does."""
    name: str | None
    """By which the edited agent is listed; `None`: none is edited, or its file is not listed."""
    remark: str = ""
    """What one should know of the draft; empty where there is nothing."""

    @property
    def changed(self) -> tuple[str, ...]:
        """The agents whose lines differ between both."""
        if self.drafted is None:
            return ()
        before, after = ({entry.name: entry for entry in entries_of(each)} for each in (self.agents, self.drafted))
        return tuple(name for name in {**before, **after} if before.get(name) != after.get(name))


_NANOSECONDS_OF_A_CLOCK = 2_000_000_000
"""A file that was written so shortly before it was read may be written again with the same time."""


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Agents and cases of one moment."""

    seen: tuple[tuple[Mark, ...], object]
    """What they were made from."""
    read_at: int
    """In nanoseconds since 1970."""
    listed: Listed
    cases: tuple[Task, ...]
    remarks: tuple[str, ...]
    """What of them would mislead."""

    @property
    def may_be_stale(self) -> bool:
        """Whether a file may say something else though its mark is the same."""
        marks, _ = self.seen
        return any(written + _NANOSECONDS_OF_A_CLOCK > self.read_at for _, written, _ in marks)


@dataclass(frozen=True, kw_only=True)
class DecisionsAsked:
    """What a run asks for."""

    listed: Listed = field(repr=False)
    cases: tuple[Task, ...] = field(repr=False)
    main: MainModel
    repeats: int
    orders: int
    budget_usd: float | None
    mode: Mode
    endpoint: Endpoint

    @property
    def live(self) -> bool | None:
        """As `run_trials` takes it: what the stand-in answered is never asked of a model."""
        return False if self.endpoint.is_stand_in else None


@dataclass(frozen=True, kw_only=True)
class DecisionsEstimate:
    """What a run would take, before anything is spent."""

    way: Way
    plans: Mapping[str, Estimate]
    """By what is asked, in the order in which it is."""
    power: Table

    @property
    def brief(self) -> str:
        """In a line: calls, money, and in which way."""
        return f"{counted(sum(each.calls for each in self.plans.values()), 'call')}, {self.way}: {self.usd}"

    @property
    def usd(self) -> str:
        if all(each.is_stand_in for each in self.plans.values()):
            return "nothing, the offline stand-in is no model"
        prices = [each.usd for each in self.plans.values()]
        most = [each.most_usd for each in self.plans.values()]
        if None in prices or None in most:
            return "no price is known"
        return f"about {sum(filter(None, prices)):.2f} USD, at most {sum(filter(None, most)):.2f}"

    def table(self) -> Table:
        rows = [
            (name, f"{each.calls:,}", f"{each.answered:,}", f"{each.input_tokens:,}", f"{each.output_tokens:,}")
            for name, each in self.plans.items()
        ]
        headings = ("what is asked", "calls", "in the ledger", "input tokens", "output tokens")
        return Table(title=f"What it takes: {self.brief}", headings=headings, rows=tuple(rows))


class Deciding:
    """Decisions on the agents of a folder, or on those around an edited agent, without and with its draft. Each `run`
    takes the place of the one before."""

    def __init__(self, source: Draft | Agents, cases: Cases = None, **asking: Unpack[Asking]) -> None:
        """`asking`: how each run is asked for, beside what is chosen for it."""
        self._source, self._cases = source, cases
        self._asking = asking
        self._lock = threading.RLock()
        self._on_change: Callable[[], None] = lambda: None
        self._texts: Texts | None = None
        self._is_running = False
        self._thread: threading.Thread | None = None
        """In which the latest run is, or was until whoever watches had been told of its end."""
        self.watch = RunWatch()
        """How far what is asked for now is."""
        self.phase = ""
        """What is asked for now, or what became of the latest run; empty before the first."""
        self.trouble = ""
        """Why the latest run came to no result; empty where it did, or goes on."""
        self.asked: DecisionsAsked | None = None
        """What the latest run asked for."""
        self.controls: dict[str, ControlShares] = {}
        """How the self-tests of the latest run went, by list: "the files", "the draft"."""
        self.routed: Routed | None = None
        """The decisions of the latest run on the list as the files have it."""
        self.change: RoutingChange | None = None
        """What the draft's line changes; `None`: no draft was asked for, or not yet."""
        self.improving: Improving | None = None
        """What `improve` was asked for; `None`: the latest run asked for decisions alone."""
        self.choice: SealedChoice | None = None
        """What `improve` chose, and its number on the sealed cases."""

    @property
    def folder(self) -> Path | None:
        """The folder of the agents; `None`: they were given as values."""
        if isinstance(self._source, Draft):
            path = self._source.saved.path
            return None if path is None else agents_folder_of(path) or path.parent
        return Path(self._source) if isinstance(self._source, str | Path) else None

    @property
    def endpoint(self) -> Endpoint:
        """Where the main model answers.

        Raises:
            SetupError: the environment's settings cannot work.
        """
        return choose_endpoint(self._asking.get("live"))

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The budget that the environment sets for what a model is asked.

        Raises:
            SetupError, BudgetError: the environment's settings cannot work.
        """
        return () if self.endpoint.is_stand_in else limits_from_environment()

    @property
    def budget_usd(self) -> float | None:
        """The most that a run may spend that names no other budget; `None`: no limit."""
        return self._asking.get("budget_usd")

    @property
    def is_running(self) -> bool:
        """True until the latest run has come to its end."""
        return self._is_running

    def observe(self, on_change: Callable[[], None]) -> None:
        """Has this called from now on whenever something is another, in the thread in which that happens."""
        self._on_change = on_change

    def listed(self) -> Listed:
        """The agents as they are listed now.

        Raises:
            PlanError: none is listed.
            AgentFileError: the folder or a file in it cannot be read.
        """
        if not isinstance(self._source, Draft):
            return Listed(agents=agents_of(self._source), drafted=None, name=None)
        self._source.catch_up()
        disk, draft = self._source.on_disk, self._source.agent
        folder = self.folder
        around = dict(load_roster(folder).agents) if folder is not None else {}
        others = {name: agent for name, agent in around.items() if not _is_same_file(agent, self._source.saved)}
        on_disk = {} if disk is None else {(read_as_claude_code(disk).name or ""): disk}
        agents = {name: agent for name, agent in {**others, **on_disk}.items() if name}
        name = next((name for name in on_disk if name), None)
        new_name = read_as_claude_code(draft).name
        if new_name is None:
            return Listed(agents=agents_of(agents), drafted=None, name=name, remark="The draft would not be listed.")
        if new_name in others:
            why = f"Another file defines an agent {new_name!r}: the draft is not tried."
            return Listed(agents=agents_of(agents), drafted=None, name=name, remark=why)
        drafted = {**others, new_name: draft}
        if not agents:
            return Listed(agents=drafted, drafted=None, name=new_name)
        is_same = entries_of(agents) == entries_of(drafted)
        return Listed(agents=agents_of(agents), drafted=None if is_same else drafted, name=name or new_name)

    def cases(self) -> tuple[Task, ...]:
        """The cases that a run would ask now.

        Raises:
            PlanError: there are none.
            TaskFileError: their file is wrong.
        """
        if self._cases is not None:
            return cases_for((), self._cases)
        return cases_for(self.folder if self.folder is not None else self.listed().agents)

    def texts(self) -> Texts:
        """Agents, cases and what of them would mislead, of this moment. Files that were not written since they were
        read are not read again: to read and check sixty takes a good part of a second, and a page asks at each click.

        Raises:
            WorkbenchError: as `listed` and `cases`.
        """
        if isinstance(self._source, Draft):
            self._source.catch_up()
        kept, seen = self._texts, self.seen()
        if kept is not None and kept.seen == seen and not kept.may_be_stale:
            return kept
        read_at = time.time_ns()
        listed, cases = self.listed(), self.cases()
        self._texts = Texts(
            seen=seen,
            read_at=read_at,
            listed=listed,
            cases=cases,
            remarks=tuple(filter(None, (listed.remark, *lint_cases(cases, listed.agents)))),
        )
        return self._texts

    def seen(self) -> tuple[tuple[Mark, ...], object]:
        """What agents and cases are made from, without reading them: another where a file or the draft changed."""
        folder = self.folder
        files = [] if folder is None else [*sorted(folder.rglob("*.md")), *(folder / name for name in FILE_NAMES)]
        if isinstance(self._cases, str | Path):
            files.append(Path(self._cases))
        draft = self._source.agent if isinstance(self._source, Draft) else None
        return marks_of(files), tuple(getattr(draft, name) for name in LISTED_BY) if draft is not None else None

    def has_moved_on(self, now: DecisionsAsked) -> bool:
        """Whether agents, draft or cases are others by now than the latest run asked for."""
        return self.asked is not None and _texts(self.asked) != _texts(now)

    def choose(self, **settings: Unpack[DecisionSettings]) -> DecisionsAsked:
        """What is to be asked, as one value, with the texts of this moment.

        Raises:
            PlanError: there is no agent, or no case.
            WorkbenchError: agents or cases cannot be read.
        """
        texts = self.texts()
        return DecisionsAsked(
            listed=texts.listed,
            cases=texts.cases,
            main=MainModel(
                model=settings.get("model") or MainModel.model,
                effort=settings.get("effort"),
                way=settings.get("way"),
            ),
            repeats=settings.get("repeats", 1),
            orders=settings.get("orders", 2),
            budget_usd=settings.get("budget_usd") or self.budget_usd,
            mode=settings.get("mode", "top-up"),
            endpoint=self.endpoint,
        )

    def announce(self, asked: DecisionsAsked) -> str:
        """What `run` would ask for, in words: how many agents, cases and decisions, and whether with the draft. Asks
        nobody, and does not look for the Claude Code program."""
        agents, cases = counted(len(asked.listed.agents), "agent"), counted(len(asked.cases), "case")
        lists = 1 if asked.listed.drafted is None else 2
        orders = 1 if len(asked.listed.agents) == 1 else asked.orders
        decisions = counted(len(asked.cases) * orders * asked.repeats * lists, "decision")
        controls = counted(len(control_cases(list(asked.listed.agents))) * 2 * lists, "control")
        twice = ", on the list as the files have it and with the draft's line" if lists == 2 else ""
        within = "" if asked.budget_usd is None else f", for {asked.budget_usd:g} USD at most"
        return (
            f"{agents}, {cases}. Run asks {asked.main.model} for {decisions}{twice}{within}, after {controls} that a "
            "router has to pass; what the ledger holds is not asked for again."
        )

    def estimate(self, asked: DecisionsAsked) -> DecisionsEstimate:
        """What `run` takes, and what the cases could show. Spends nothing; where a model would answer, the server is
        asked to count the input tokens, and the Claude Code program is looked for.

        Raises:
            PlanError, SetupError, LedgerError, PriceFileError: as `choose_router` and `estimate_plan`.
        """
        router = choose_router(asked.main)
        plans = {}
        for of, agents in _lists(asked):
            plans[f"self-test, {of}"] = plan_controls(agents, router=router)
            plans[f"decisions, {of}"] = _plan(agents, asked, router)
        ledger = self._asking.get("ledger")
        estimates = {
            name: estimate_plan(plan, live=asked.live, ledger=ledger, mode=asked.mode) for name, plan in plans.items()
        }
        return DecisionsEstimate(way=router.way, plans=estimates, power=power_table(asked.cases))

    def run(self, asked: DecisionsAsked) -> None:
        """Asks for controls and decisions on the list of the files, then for both with the draft's line, and returns at
        once. What comes of it is in `routed` and `change`, or why nothing does in `trouble`.

        Raises:
            PlanError: a run is under way.
            EstimateOnly: only an estimate is wanted.
        """
        self._begin(asked, lambda: self._decide(asked), None)

    def improve(self, asked: DecisionsAsked, candidates: Sequence[str] = (), *, seal: str | Path | None = None) -> None:
        """Chooses between the description on disk and others, by default the draft's, on half of the cases, and
        measures the chosen one on the other, sealed half; returns at once. What comes of it is in `choice`.

        `seal`: the file of the seal; by default `.workbench/seals/NAME.json` of the project.

        Raises:
            PlanError: a run is under way, no agent is edited, or there is no other description.
            EstimateOnly: only an estimate is wanted.
        """
        name = asked.listed.name
        if name is None or name not in asked.listed.agents:
            raise PlanError("no agent whose file is listed is edited here; open one as wb.RoutingPanel(editor)")
        tried = [text for text in candidates if text.strip()]
        if not tried and asked.listed.drafted is not None:
            tried = [read_as_claude_code(agent).description or "" for agent in _edited(asked.listed)]
        if not tried:
            raise PlanError("there is no other description to choose from: edit the draft's, or write some here")
        path = Path(seal) if seal is not None else seal_of(self.folder, name)
        improving = Improving(name=name, candidates=tuple(tried), seal=path)
        self._begin(asked, lambda: self._improve(asked, improving), improving)

    def accept(self) -> None:
        """Puts the chosen description into the draft; the file stays as it is.

        Raises:
            PlanError: nothing was chosen, or nothing is shown to be better.
        """
        if self.choice is None or not self.choice.is_shown_better:
            raise PlanError("no description is shown to be better, so that none is put into the draft")
        self.choice.accept()

    def freeze(self, path: str | Path) -> Path:
        """Writes a notebook that asks for what the latest run asked for, with identical keys; beside it lie the agents
        and the cases as they were.

        Raises:
            PlanError: nothing was asked for yet.
            FileError: it cannot be written, is there already, or would hold a key.
        """
        asked, ledger = self.asked, self._asking.get("ledger")
        if asked is None:
            raise PlanError("nothing was asked for yet, so there is nothing to freeze; run it first")
        return write_routing_notebook(
            Decided(
                agents=asked.listed.agents,
                drafted=asked.listed.drafted,
                changed=asked.listed.changed,
                cases=asked.cases,
                main=asked.main,
                repeats=asked.repeats,
                orders=asked.orders,
                live=asked.live,
                budget_usd=asked.budget_usd,
                mode=asked.mode,
                ledger=None if ledger is None else ledger.name if isinstance(ledger, Ledger) else str(ledger),
                improving=self.improving,
            ),
            path,
        )

    def stop(self) -> None:
        """Ends what is being asked; what was answered is in the ledger."""
        self.watch.stop()

    def wait(self) -> None:
        """Waits until the latest run has come to its end, and whoever watches it has been told."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _begin(self, asked: DecisionsAsked, work: Callable[[], str], improving: Improving | None) -> None:
        if is_estimate_only():
            raise EstimateOnly("only an estimate was asked for: nothing was sent")
        with self._lock:
            if self.is_running:
                raise PlanError("decisions are being asked for; stop that, or wait for its end")
            self.watch = RunWatch(self._changed)
            self.asked, self.improving = asked, improving
            self.phase, self.trouble = "looking for the way to a decision", ""
            self.controls, self.routed, self.change, self.choice = {}, None, None, None
            self._is_running = True
            self._thread = threading.Thread(target=self._work, args=(work,), name="workbench-deciding", daemon=True)
            self._thread.start()

    def _work(self, work: Callable[[], str]) -> None:
        self._changed()
        try:
            self.phase = work()
        except RunStopped as error:
            self._end("stopped", str(error))
        except RoutingRefused as error:
            self._end("refused", str(error))
        except WorkbenchError as error:
            self._end("failed", str(error))
        except (
            Exception
        ) as error:  # a fault of ours: the page would wait for ever, and nobody reads a thread's traceback
            self._end("failed", f"{type(error).__name__}: {error}")
            self._finish()
            raise
        self._finish()

    def _end(self, phase: str, why: str) -> None:
        self.phase, self.trouble = phase, f"{phase.capitalize()}: {why}"

    def _finish(self) -> None:
        self._is_running = False
        self._changed()

    def _decide(self, asked: DecisionsAsked) -> str:
        router = choose_router(asked.main)
        asking = self._asked_with(asked, router)
        found: list[Routed] = []
        for of, agents in _lists(asked):
            self._go_on(f"self-test, {of}")
            controls = ask_controls(agents, router=router, asking=asking)
            self.controls = {**self.controls, of: check_controls(controls)}
            self._go_on(f"decisions, {of}")
            run = ask_router(agents, _plan(agents, asked, router), router=router, asking=asking)
            found.append(measure_routing(run, controls=controls))
            self.routed = found[0]
        if len(found) == 2:
            self.change = compare_routing(found[0], found[1], changed=asked.listed.changed)
        return "done"

    def _improve(self, asked: DecisionsAsked, improving: Improving) -> str:
        router = choose_router(asked.main)
        self._go_on("choosing a description, then measuring it on the sealed cases")
        split = split_cases(
            asked.listed.agents, improving.name, asked.cases, seal=improving.seal, model=asked.main, live=asked.live
        )
        asking = self._asked_with(asked, router)
        self.choice = improve_description(
            asked.listed.agents, improving.name, split, candidates=improving.candidates, model=asked.main, **asking
        )
        return "done"

    def _asked_with(self, asked: DecisionsAsked, router: Router) -> Asking:
        asking: Asking = {
            **self._asking,
            "live": asked.live,
            "budget_usd": asked.budget_usd,
            "mode": asked.mode,
            "progress": False,
            "watch": self.watch,
        }
        return with_one_budget(asking, agents=asked.listed.agents, router=router)

    def _go_on(self, phase: str) -> None:
        self.watch.check()
        self.phase = phase
        self._changed()

    def _changed(self) -> None:
        self._on_change()


def _edited(listed: Listed) -> list[Agent]:
    """The draft, where its line is another."""
    drafted = listed.drafted or {}
    return [agent for name, agent in drafted.items() if listed.agents.get(name) is not agent]


def _texts(asked: DecisionsAsked) -> object:
    return [entries_of(agents) for _, agents in _lists(asked)], asked.cases


def _lists(asked: DecisionsAsked) -> list[tuple[str, Mapping[str, Agent]]]:
    drafted = asked.listed.drafted
    return [("the files", asked.listed.agents), *([("the draft", drafted)] if drafted is not None else [])]


def _plan(agents: Mapping[str, Agent], asked: DecisionsAsked, router: Router) -> Plan:
    return plan_routing(agents, asked.cases, router=router, repeats=asked.repeats, orders=asked.orders)


def _is_same_file(agent: Agent, saved: Agent) -> bool:
    return agent.path is not None and saved.path is not None and agent.path.resolve() == saved.path.resolve()
