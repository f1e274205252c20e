"""Trying an agent's variants on tasks, now, while one watches: what is chosen, what it takes, what comes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

from workbench.definition.agent import Agent
from workbench.definition.sending import sending_as_subagent
from workbench.errors import PlanError
from workbench.grading.catalogue import standard
from workbench.ledger.budget.limits import Limit, Spent, limits_from_environment
from workbench.ledger.budget.worst_case import in_usd
from workbench.ledger.store import Ledger
from workbench.markup import counted
from workbench.model.endpoint import choose_endpoint
from workbench.model.loop import Started
from workbench.runs.estimate import Estimate, estimate_trials, without_graders_in_brief
from workbench.runs.frozen import Answer, Asked, Tried, calls_of, write_notebook
from workbench.runs.plan import Plan, plan_trials
from workbench.runs.runner import known_trials
from workbench.runs.settings import Mode, RunSettings
from workbench.runs.start import start_planned
from workbench.runs.variant_run import VariantRun
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, GraderFactory, Run, Trial

Tasks = Task | str | Iterable[Task | str]
"""A task, a question as text, or several of both."""
Models = str | Sequence[str] | None
"""A model for all variants, or several; `None` or none: what each agent says."""


class Settings(TypedDict, total=False):
    """How variants are tried; what is left out is as each agent says, and once."""

    model: Models
    effort: str | None
    repeats: int


class Trying:
    """Variants put to tasks side by side. Each `run` takes the place of the one before."""

    def __init__(
        self,
        variants: Callable[[], Mapping[str, Agent]],
        *,
        version: Callable[[str], Agent] | None = None,
        graders: Mapping[str, GraderFactory] | None = None,
        endpoint: Endpoint | None = None,
        ledger: Ledger | None = None,
        start: Callable[..., Started[Trial]] = start_planned,
    ) -> None:
        """`variants` gives what can be tried at that moment; `version` what else can be named, such as an earlier
        version by its digest, and raises a `WorkbenchError` where there is none."""
        self._variants = variants
        self._version = version
        self._graders = standard() if graders is None else graders
        self._endpoint = endpoint
        self._ledger = ledger
        self._start = start
        self._lock = threading.RLock()
        self._on_begin: Callable[[tuple[VariantRun, ...]], None] = lambda _runs: None
        self._on_turn: Callable[[], None] = lambda: None
        self.asked: Asked | None = None
        """What the latest run asked for."""
        self.runs: tuple[VariantRun, ...] = ()
        """Of the latest run, one for each variant."""
        self._before: list[Tried] = []

    @property
    def variants(self) -> dict[str, Agent]:
        """What a run would try now."""
        return dict(self._variants())

    @property
    def endpoint(self) -> Endpoint:
        """Where requests are answered.

        Raises:
            SetupError: the environment's settings cannot work.
        """
        return self._endpoint or choose_endpoint()

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The budget that the environment sets for what a model is asked.

        Raises:
            SetupError, BudgetError: the environment's settings cannot work.
        """
        return () if self.endpoint.is_stand_in else limits_from_environment()

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials of the latest run that have ended, variant by variant, each in the order they were asked."""
        return tuple(trial for run in self.runs for trial in tuple(run.ended))

    @property
    def is_running(self) -> bool:
        """True until the last reply of the latest run has ended."""
        return not all(run.is_done for run in self.runs)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """What was said to replies of the latest run, variant by variant, each in the order in which it was said."""
        return tuple(answer for run in self.runs for answer in tuple(run.answers))

    @property
    def finished(self) -> Run | None:
        """The latest run as far as it can be compared: its tasks that all of its variants, at least two, came to the
        end of. What was said to replies is not in it; `None` where there is no such task."""
        asked, runs = self.asked, self.runs
        if asked is None or len(runs) < 2:
            return None
        # Follow-ups stand behind the planned trials of their variant, and answer another request.
        ended = {
            (trial.task_id, trial.variant, trial.repeat): trial
            for run in runs
            for trial in tuple(run.ended)
            if len(trial.request.messages) == 1
        }
        wanted = {
            task.id: [
                (trial.task_id, trial.variant, trial.repeat)
                for run in runs
                for trial in run.planned
                if trial.task_id == task.id
            ]
            for task in asked.tasks
        }
        tasks = tuple(task for task in asked.tasks if all(trial in ended for trial in wanted[task.id]))
        if not tasks:
            return None
        return Run(
            variants=asked.variants,
            tasks=tasks,
            repeats=asked.repeats,
            endpoint=asked.endpoint,
            trials=tuple(ended[trial] for task in tasks for trial in wanted[task.id]),
        )

    @property
    def calls(self) -> str:
        """The public calls that do what the latest run did, as Python; empty before the first run."""
        return "" if self.asked is None else calls_of(self.asked, self.answers)

    @property
    def tried(self) -> tuple[Tried, ...]:
        """All runs so far, the first first; a run that was only repeated, with nothing said to its replies, is one."""
        if self.asked is None:
            return ()
        latest = Tried(asked=self.asked, answers=self.answers)
        repeated = Tried(asked=self.asked)
        return (*(tried for tried in self._before if tried not in (latest, repeated)), latest)

    def watch(self, *, on_begin: Callable[[tuple[VariantRun, ...]], None], on_turn: Callable[[], None]) -> None:
        """Has these called from now on: `on_begin` with the runs that are about to begin, `on_turn` when one is done or
        goes on, in the thread in which that happens."""
        with self._lock:
            self._on_begin, self._on_turn = on_begin, on_turn

    def choose(self, tasks: Tasks, variants: Iterable[str] | None = None, **settings: Unpack[Settings]) -> Asked:
        """What is to be tried, as one value, with the texts of this moment.

        A variant is one of `variants`, or what `version` knows. Several models make a variant with each of them of
        every variant, called such as "draft on haiku".

        Raises:
            PlanError: there is nothing to try.
            WorkbenchError: there is no such version.
        """
        models = settings.get("model")
        models = [models] if isinstance(models, str) else list(dict.fromkeys(models or ()))
        chosen = self._chosen(variants)
        if len(models) > 1:
            chosen = {
                f"{name} on {each}": agent.replace(model=each) for name, agent in chosen.items() for each in models
            }
        return Asked(
            variants=chosen,
            tasks=_as_tasks(tasks),
            model=models[0] if len(models) == 1 else None,
            effort=settings.get("effort"),
            repeats=settings.get("repeats", 1),
            graders=self._graders,
            endpoint=self.endpoint,
            ledger=None if self._ledger is None else self._ledger.name,
        )

    def plan(self, asked: Asked) -> Plan:
        """The plan of what is to be tried; asks nothing.

        Raises:
            PlanError: a setting is out of range.
            UnknownGrader: a task names a grader that does not exist.
        """
        return plan_trials(
            asked.variants,
            asked.tasks,
            repeats=asked.repeats,
            graders=asked.graders,
            model=asked.model,
            effort=asked.effort,
        )

    def estimate(self, asked: Asked, *, mode: Mode = "top-up") -> Estimate:
        """What `run` with the same mode takes, and the smallest difference it could show. Spends nothing.

        What the ledger holds serves the spread and the length of the replies. Where a model would answer, the server is
        asked to count the input tokens.

        Raises:
            PlanError, UnknownGrader: as `plan`.
            SetupError, LedgerError, PriceFileError: as `estimate_plan`.
        """
        plan = self.plan(asked)
        return estimate_trials(plan, plan.trials(asked.endpoint), self._settings(mode, plan))

    def run(self, asked: Asked, *, mode: Mode = "top-up") -> None:
        """Asks each variant each task so many times, and returns at once.

        What the ledger holds is shown and not asked for, and what another run is asking for is waited for: it is paid
        once. With the mode "fresh" all is asked anew, what is said to the replies too, and is paid once more.
        Variants are asked at the same time, the trials of each one after the other.

        Raises:
            PlanError: a run is under way, or a setting is out of range.
            UnknownGrader: a task names a grader that does not exist.
        """
        with self._lock:
            self._refuse_while_running()
            plan = self.plan(asked)
            planned, settings = plan.trials(asked.endpoint), self._settings(mode, plan)
            self._before = list(self.tried)  # which the next lines change
            self.asked = asked
            self.runs = tuple(
                VariantRun(
                    plan,
                    [trial for trial in planned if trial.variant == name],
                    start=self._start,
                    settings=settings,
                    on_turn=self._turned,
                )
                for name in plan.variants
            )
            # Whoever watches gets the runs before the first of them says anything ...
            self._on_begin(self.runs)
            for run in self.runs:
                run.begin()
        # ... and may run, stop or answer from within the call: no lock is held.
        self._on_turn()

    def reply_to(self, variant: str, text: str) -> None:
        """Answers the latest reply of a variant and returns at once: the request carries all that was said before.

        Raises:
            PlanError: a run is under way, there is no such reply, or the answer is empty.
        """
        with self._lock:
            self._refuse_while_running()
            run = next((run for run in self.runs if run.variant == variant), None)
            if run is None:
                raise PlanError(f"no reply of {variant!r} is there to be answered; run it first")
            run.reply_to(text)

    def freeze(self, path: str | Path) -> Path:
        """Writes a notebook that asks what all runs and the answers to their replies asked, with identical keys.

        Beside it lie the texts as they were tried: tasks, agents, and what was said to which reply. Not in it, and
        named there, are graders that were defined in no module.

        Raises:
            PlanError: nothing was run yet.
            FileError: it cannot be written, is there already, or would hold a key.
        """
        if not self.tried:
            raise PlanError("nothing was run yet, so there is nothing to freeze; run it first")
        return write_notebook(self.tried, path)

    def stop(self) -> None:
        """Ends the replies that are still coming; what has come is kept."""
        for run in self.runs:
            run.stop()

    def wait(self) -> tuple[Trial, ...]:
        """Waits until every reply has ended; gives the trials."""
        for run in self.runs:
            run.wait()
        return self.trials

    def remark(self, wanted: int) -> str:
        """What one should know before one compares the replies of the latest run, of which so many variants were
        wanted; empty where there is nothing."""
        if len(self.runs) < wanted and "disk" not in self.variants:
            return "The file is gone from the disk, or cannot be read, so only the draft was tried."
        if len(self.runs) < wanted:
            return "The draft is what the file says, so only the file was tried. Edit the agent first."
        requests = [[trial.request for trial in run.planned] for run in self.runs]
        if len(requests) > 1 and all(request == requests[0] for request in requests):
            return (
                "All variants send the same request: of an agent, only prompt, model and effort reach the "
                "model. What differs below is chance."
            )
        asked = {run.variant: run.planned[0].request for run in self.runs}
        if len({(request.model, request.effort) for request in asked.values()}) > 1 and (
            len({request.system for request in asked.values()}) > 1
        ):
            return (
                "The variants differ in more than one thing: in the prompt, and in the model or the effort they are "
                "asked at. What differs below may come from either; name one model for all to see the prompt alone."
            )
        return ""

    def announce(self, asked: Asked, *, mode: Mode = "top-up") -> str:
        """What `run` with the same mode would ask for now, in words: how often, of which model, with what, and how
        much of it the ledger holds already, the budget of the environment, and what no reply of it will show. Reads the
        ledger, and asks nobody.

        Raises:
            PlanError, UnknownGrader: as `plan`.
            BudgetError: the environment names half a budget.
            LedgerError: the ledger cannot be read.
        """
        plan = self.plan(asked)
        trials = plan.trials(asked.endpoint)
        names: dict[str, list[str]] = {}
        for name, prompt in plan.prompts.items():
            names.setdefault(prompt.model, []).append(name)
        whom = "; ".join(f"{' and '.join(variants)} of {model}" for model, variants in names.items())
        on = counted(len(plan.tasks), "task") + ("" if plan.repeats == 1 else f", {plan.repeats} times each")
        held = 0
        if mode == "top-up":
            held = sum(trial.reply is not None for trial in known_trials(trials, self._ledger))
        if held == len(trials):
            return (
                f"The next Run asks nobody: the ledger holds {'it' if held == 1 else f'all {held:,} replies'} ({on})."
                f"{_not_shown(plan, asked)}"
            )
        kept = f" The ledger holds {held:,} of {len(trials):,} already, which cost nothing." if held else ""
        anew = " All is asked anew, also what the ledger holds." if mode == "fresh" else ""
        within = "".join(f" It asks no more than {_named(limit)} covers." for limit in self.limits)
        asks = f"The next Run asks {counted(len(trials) - held, 'time')}: {whom}, on {on}."
        return f"{asks}{kept}{anew}{within}{_not_shown(plan, asked)}"

    def _settings(self, mode: Mode, plan: Plan) -> RunSettings:
        return RunSettings(ledger=self._ledger, mode=mode, concurrency=len(plan.variants))

    def _chosen(self, variants: Iterable[str] | None) -> dict[str, Agent]:
        known = self.variants
        wanted = list(known if variants is None else variants)
        chosen = {name: agent for name, agent in known.items() if name in wanted}
        if self._version is not None:
            # "disk" and "draft" may be ticked although the draft is what the file says: then one of them is no variant.
            of_editor = {"disk", "draft"}
            chosen |= {name: self._version(name) for name in wanted if name not in known.keys() | of_editor}
        if not chosen:
            raise PlanError("there is nothing to try: tick a variant; a draft without edits is what the file says")
        return chosen

    def _refuse_while_running(self) -> None:
        if self.is_running:
            raise PlanError("a trial is under way; stop it, or wait for its end")

    def _turned(self) -> None:
        self._on_turn()


def _not_shown(plan: Plan, asked: Asked) -> str:
    """What the replies will not show, in sentences with a blank before each; empty where there is nothing to say."""
    said = []
    if not any(plan.graders[task.id] for task in plan.tasks):
        brief = without_graders_in_brief(variants=len(plan.variants), tasks=len(plan.tasks))
        said.append(f"{brief[0].upper()}{brief[1:]}.")
    sent = [sending_as_subagent(agent) for agent in asked.variants.values()]
    if any(each is not None and (each.tools or each.searched) for each in sent):
        said.append("The agent is asked without its tools: it sees no file of yours.")
    return "".join(f" {sentence}" for sentence in said)


def _named(limit: Limit) -> str:
    usd = "" if limit.picousd is None else in_usd(Spent(picousd=limit.picousd).usd)
    tokens = "" if limit.tokens is None else f"{limit.tokens:,} tokens"
    return f"the budget {limit.scope!r} of {' and '.join(filter(None, (usd, tokens)))}"


def _as_tasks(tasks: Tasks) -> tuple[Task, ...]:
    """The tasks, those that are typed with an id: "typed", "typed-2" and so on."""
    listed = [tasks] if isinstance(tasks, Task | str) else list(tasks)
    typed = [task for task in listed if isinstance(task, str)]
    names = {text: "typed" if number == 1 else f"typed-{number}" for number, text in enumerate(typed, start=1)}
    found = tuple(Task(id=names[task], input=task) if isinstance(task, str) else task for task in listed)
    if not found or not all(task.message.strip() for task in found):
        raise PlanError("there is no question; pick a task, or type one")
    return found
