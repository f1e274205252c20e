"""The command around routing: is the agent picked, and what does a new description change?"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.definition.project import RECORD_FILE
from workbench.definition.there import is_file_there, text_in
from workbench.errors import EXIT_WORSE
from workbench.markup import plain_table, printed
from workbench.secrets import value_without_secrets, without_secrets

if TYPE_CHECKING:
    from workbench.routing.asking import MainModel
    from workbench.routing.change import RoutingChange
    from workbench.routing.improving import SealedChoice
    from workbench.routing.measured import Routed
    from workbench.routing.modes import Mode
    from workbench.routing.steering import Steered
    from workbench.runs.settings import Asking
    from workbench.trial.task import Task


@click.command("route")
@click.argument("agents", default=".claude/agents", type=click.Path(path_type=Path))
@click.option(
    "--cases",
    type=click.Path(path_type=Path),
    help="Prompts with who should get them: YAML, JSON Lines or CSV. Default: routing.yaml in AGENTS, else the "
    "examples of the descriptions.",
)
@click.option("--model", default="sonnet", show_default=True, help="The main model, which picks.")
@click.option("--effort", help="Its effort. Default: what Claude Code sends for it.")
@click.option(
    "--way",
    type=click.Choice(["request", "program", "approximation"]),
    help="Default: Claude Code's own request where the program is here, else an approximation.",
)
@click.option("--repeats", type=click.IntRange(min=1), default=1, show_default=True, help="Decisions in each order.")
@click.option("--orders", type=click.IntRange(min=1), default=2, show_default=True, help="Orders of the list.")
@click.option("--max-turns", type=click.IntRange(min=1), default=1, show_default=True, help="Of the way program.")
@click.option(
    "--before",
    type=click.Path(path_type=Path),
    help="A folder with the agents as they were: what does the change of descriptions change?",
)
@click.option("--record", type=click.Path(path_type=Path), help="Where to leave a record of the decisions.")
@click.option("--live/--offline", default=None, help="Ask a model or fail; or never ask one.")
@click.option("--batch", is_flag=True, help="As Message Batches; of an approximation only.")
@click.option("--replay", is_flag=True, help="Ask nothing: from the ledger alone.")
@click.option("--budget-usd", type=click.FloatRange(min=0, min_open=True), help="The most that it may spend.")
@click.option("--estimate", is_flag=True, help="Only say what it would take.")
@click.option("--check", is_flag=True, help="Only say what of the cases would mislead, and what they can show.")
@click.option(
    "--draft-cases",
    "drafted_from",
    metavar="FROM",
    help="Only print cases to read, correct and save as routing.yaml: from `transcripts` of this project, a folder of "
    "some, or by a `model`.",
)
@click.option("--steering", is_flag=True, help="Also where the user says to delegate, and where not to.")
@click.option("--improve", metavar="NAME", help="Choose a description for this agent, and measure it on sealed cases.")
@click.option(
    "--candidate",
    "candidates",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file with a description for --improve, or an agent file that has it; several may be given. Without one, a "
    "model proposes some.",
)
@click.option(
    "--seal", type=click.Path(path_type=Path), help="The file of the seal. Default: .workbench/seals/NAME.json."
)
@click.option("--accept", is_flag=True, help="With --improve: put the chosen description into the agent's draft.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON line.")
def route_command(agents: Path, cases: Path | None, before: Path | None, record: Path | None, **options: Any) -> None:
    """Which of AGENTS, a folder of agents or a record of decisions, does the main model pick?

    Controls are asked first; a router that fails them is not asked the rest, and the exit code is 2. With --before,
    it is 3 where the change is shown to do harm. With --improve, half of the cases choose, and the other half, sealed
    until then, says what the choice is worth.
    """
    from workbench.routing.asking import agents_of, cases_for
    from workbench.routing.cases import lint_cases
    from workbench.routing.modes import refuse_unused

    refuse_unused(_mode(agents, options), _given())
    if is_file_there(agents / RECORD_FILE):
        _show_record(agents, options["as_json"])
        return
    if options["drafted_from"]:
        _draft_cases(agents, options)
        return
    asked = cases_for(agents, cases)
    for remark in lint_cases(asked, agents_of(agents)):
        click.echo(_shown(remark), err=not options["check"])
    if options["check"]:
        _show_power(asked)
    elif options["estimate"]:
        _estimate(agents, asked, before, options)
    elif options["improve"]:
        _improve(agents, asked, options)
    elif options["steering"]:
        with _progress_aside(options):
            steered = _steered(agents, asked, options)
        _show(steered, str(steered), as_json=options["as_json"])
    else:
        _route(agents, asked, before=before, record=record, options=options)


def _mode(agents: Path, options: dict[str, Any]) -> Mode:
    if is_file_there(agents / RECORD_FILE):
        return "a record"
    if options["drafted_from"]:
        return "--draft-cases"
    if options["check"]:
        return "--check"
    if options["improve"]:
        return "--improve"
    return "--steering" if options["steering"] else "the plain route"


def _given() -> list[str]:
    """The names of what was said on the command line."""
    context = click.get_current_context()
    return [
        name for name in context.params if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]


def _route(
    agents: Path, cases: Sequence[Task], *, before: Path | None, record: Path | None, options: dict[str, Any]
) -> None:
    if record is not None:
        from workbench.trial.record_files import write_record_folder

        write_record_folder(record)
    change = None
    with _progress_aside(options):
        if before is None:
            routed = _routed(agents, cases, options)
        else:
            change = _changed(before, agents, cases, options)
            routed = change.after
    if record is not None:
        from workbench.trial.record import export_record

        export_record(routed.run if change is None else change.run, record)
    if change is None:
        _show(routed, str(routed), as_json=options["as_json"])
    else:
        _show_change(change, as_json=options["as_json"])


def _estimate(agents: Path, cases: Sequence[Task], before: Path | None, options: dict[str, Any]) -> None:
    from workbench.routing.asking import choose_router
    from workbench.routing.estimating import estimate_routing, plans_of_improving, plans_of_route, plans_of_steering

    router = choose_router(_main(options))
    counts = {"repeats": options["repeats"], "orders": options["orders"]}
    if options["improve"]:
        candidates = [_described(path) for path in options["candidates"]]
        seal = _seal(agents, options)
        plans = plans_of_improving(agents, options["improve"], cases, seal=seal, candidates=candidates, router=router)
    elif options["steering"]:
        plans = plans_of_steering(agents, cases, router=router, **counts)
    else:
        plans = plans_of_route(agents, cases, router=router, before=before, **counts)
    table = estimate_routing(plans, live=options["live"], via="batch" if options["batch"] else "stream")
    click.echo(_shown(plain_table(table)))
    if options["improve"] and not options["candidates"]:
        click.echo("Beside these, one request in which a model proposes descriptions.")
    _show_power(cases)


def _show_power(cases: Sequence[Task]) -> None:
    from workbench.routing.power import power_table

    click.echo(f"\n{_shown(plain_table(power_table(cases)))}")


def _draft_cases(agents: Path, options: dict[str, Any]) -> None:
    from workbench.definition.project import project_folder
    from workbench.routing.asking import agents_of
    from workbench.routing.drafting import cases_from_transcripts, propose_cases
    from workbench.runs.writer import Writer

    found, source = agents_of(agents), options["drafted_from"]
    if source == "model":
        with redirect_stdout(sys.stderr):
            drafted = propose_cases(found, Writer(live=options["live"], budget_usd=options["budget_usd"]))
    else:
        drafted = cases_from_transcripts(
            found, project_folder(agents), folder=None if source == "transcripts" else Path(source)
        )
    for remark in drafted.left_out:
        click.echo(_shown(remark), err=True)
    click.echo(without_secrets(drafted.as_yaml()), nl=False)


def _improve(agents: Path, cases: Sequence[Task], options: dict[str, Any]) -> None:
    """Chooses a description, and says what it is worth. The draft is made only where it is better."""
    from workbench.routing.improving import improve_description, split_cases
    from workbench.runs.writer import Writer

    name, asking, seal = options["improve"], _asking(options, agents), _seal(agents, options)
    writer = Writer(live=options["live"], budget_usd=options["budget_usd"], budget_scope=asking["budget_scope"])
    with _progress_aside(options):
        found = improve_description(
            agents,
            name,
            split_cases(agents, name, cases, seal=seal, model=_main(options), live=options["live"]),
            candidates=[_described(path) for path in options["candidates"]] or writer,
            model=_main(options),
            **asking,
        )
    _show(found, str(found), as_json=options["as_json"])
    if not options["accept"]:
        return
    if found.is_shown_better:
        found.accept()
        click.echo(f"Description {found.chosen} is in the draft of {_shown(name)}; its file is as it was.", err=True)
    else:
        click.echo("Nothing was put into the draft: no description is shown to be better.", err=True)


def _seal(agents: Path, options: dict[str, Any]) -> Path:
    from workbench.routing.improving import seal_of

    named: Path | None = options["seal"]
    return named or seal_of(agents, options["improve"])


def _described(path: Path) -> str:
    """The description in a file: of an agent file that of its header, of any other its text."""
    from workbench.definition.files import load_agent
    from workbench.definition.project import looks_like_agent_file
    from workbench.errors import TaskFileError

    if looks_like_agent_file(path):
        return load_agent(path).description or ""
    try:
        return text_in(path, encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise TaskFileError(f"no description can be read from it: {error}", path=path) from None


def _steered(agents: Path, cases: Sequence[Task], options: dict[str, Any]) -> Steered:
    from workbench.routing.steering import sweep_steering

    return sweep_steering(
        agents,
        cases,
        model=_main(options),
        repeats=options["repeats"],
        orders=options["orders"],
        **_asking(options, agents),
    )


def _main(options: dict[str, Any]) -> MainModel:
    from workbench.routing.asking import MainModel

    return MainModel(
        model=options["model"], effort=options["effort"], way=options["way"], max_turns=options["max_turns"]
    )


def _routed(agents: Path, cases: Sequence[Task], options: dict[str, Any]) -> Routed:
    from workbench.routing.asking import route

    return route(
        agents,
        cases,
        model=_main(options),
        repeats=options["repeats"],
        orders=options["orders"],
        **_asking(options, agents),
    )


def _changed(before: Path, agents: Path, cases: Sequence[Task], options: dict[str, Any]) -> RoutingChange:
    from workbench.routing.sides import route_change

    return route_change(
        before,
        agents,
        cases,
        model=_main(options),
        repeats=options["repeats"],
        orders=options["orders"],
        **_asking(options, agents, before),
    )


def _asking(options: dict[str, Any], *rosters: Path) -> Asking:
    """How it is asked, with one budget for all that one command asks."""
    from workbench.routing.asking import agents_of, budget_scope_of

    has_budget = options["budget_usd"] is not None
    found = [agents_of(each) for each in rosters] if has_budget else []
    scope = budget_scope_of(*found, way=options["way"], model=options["model"]) if has_budget else None
    return {
        "budget_scope": scope,
        "live": options["live"],
        "via": "batch" if options["batch"] else "stream",
        "mode": "replay" if options["replay"] else "top-up",
        "budget_usd": options["budget_usd"],
    }


@contextmanager
def _progress_aside(options: dict[str, Any]) -> Iterator[None]:
    """While this holds, what is printed goes to the error output where the result is JSON, and runs say once who
    answers."""
    from workbench.runs.who_answers import telling_once

    with telling_once(), redirect_stdout(sys.stderr if options["as_json"] else sys.stdout):
        yield


def _show_record(record: Path, as_json: bool) -> None:
    from workbench.routing.measured import measure_routing
    from workbench.routing.record import sides_of
    from workbench.routing.sides import change_between_runs
    from workbench.trial.record import load_run

    before, after = sides_of(load_run(record))
    if before is not None:
        _show_change(change_between_runs(before, after), as_json=as_json)
        return
    routed = measure_routing(after)
    _show(routed, str(routed), as_json=as_json)


def _show_change(change: RoutingChange, *, as_json: bool) -> None:
    _show(change, f"{change.after}\n\n{change}", as_json=as_json)
    if change.harm:
        click.get_current_context().exit(EXIT_WORSE)


def _show(found: Routed | RoutingChange | SealedChoice | Steered, text: str, *, as_json: bool) -> None:
    """Either form is kept and handed on, and what cases ask may hold a key."""
    values = value_without_secrets(found.as_values()) if as_json else None
    click.echo(json.dumps(values, ensure_ascii=False) if as_json else _shown(text))


def _shown(text: str) -> str:
    return without_secrets(printed(text))
