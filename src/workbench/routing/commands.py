"""The command around routing: is the agent picked, and what does a new description change?"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.definition.project import RECORD_FILE
from workbench.definition.there import is_file_there
from workbench.markup import printed
from workbench.secrets import value_without_secrets, without_secrets

if TYPE_CHECKING:
    from workbench.routing.asking import MainModel
    from workbench.routing.change import RoutingChange
    from workbench.routing.measured import Routed

EXIT_WORSE = 3
"""`route`, as the gate: a changed description is shown to lose its own cases, or to take cases of others or of none."""


@click.command("route")
@click.argument("agents", default=".claude/agents", type=click.Path(path_type=Path))
@click.option(
    "--cases",
    type=click.Path(path_type=Path),
    help="Prompts with who should get them: YAML, JSON Lines or CSV. Default: routing.yaml in AGENTS, else the "
    "examples of the descriptions.",
)
@click.option("--by", "model", default="sonnet", show_default=True, help="The main model, which picks.")
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
@click.option("--check", is_flag=True, help="Only say what of the cases would mislead.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON line.")
def route_command(agents: Path, cases: Path | None, before: Path | None, record: Path | None, **options: Any) -> None:
    """Which of AGENTS, a folder of agents or a record of decisions, does the main model pick?

    Controls are asked first; a router that fails them is not asked the rest, and the exit code is 2. With --before,
    it is 3 where the change is shown to do harm.
    """
    from workbench.routing.cases import lint_cases

    if is_file_there(agents / RECORD_FILE):
        _show_record(agents, options["as_json"])
        return
    from workbench.routing.asking import agents_of, cases_for, choose_router, plan_controls, plan_routing
    from workbench.runs.estimate import estimate_plan

    found = agents_of(agents)
    asked = cases_for(agents, cases)
    for remark in lint_cases(asked, found):
        click.echo(_shown(remark), err=not options["check"])
    if options["check"]:
        return
    main = _main(options)
    if options["estimate"]:
        router = choose_router(main)
        plans = {
            "controls": plan_controls(found, router=router),
            "decisions": plan_routing(
                found, asked, router=router, repeats=options["repeats"], orders=options["orders"]
            ),
        }
        for name, plan in plans.items():
            click.echo(_shown(f"{name}, {router.way}:\n{estimate_plan(plan, live=options['live'])}\n"))
        return
    if record is not None:
        from workbench.trial.record_files import write_record_folder

        write_record_folder(record)
    with redirect_stdout(sys.stderr if options["as_json"] else sys.stdout):
        routed = _routed(agents, asked, main, options)
        earlier = None if before is None else _routed(before, asked, main, options)
    if record is not None:
        from workbench.trial.record import export_record

        export_record(routed.run, record)
    if earlier is None:
        _show(routed, str(routed), as_json=options["as_json"])
        return
    _show_change(earlier, routed, as_json=options["as_json"])


def _main(options: dict[str, Any]) -> MainModel:
    from workbench.routing.asking import MainModel

    return MainModel(
        model=options["model"], effort=options["effort"], way=options["way"], max_turns=options["max_turns"]
    )


def _routed(agents: Path, cases: Any, main: MainModel, options: dict[str, Any]) -> Routed:
    from workbench.routing.asking import route

    return route(
        agents,
        cases,
        by=main,
        repeats=options["repeats"],
        orders=options["orders"],
        live=options["live"],
        via="batch" if options["batch"] else "stream",
        mode="replay" if options["replay"] else "top-up",
        budget_usd=options["budget_usd"],
    )


def _show_record(record: Path, as_json: bool) -> None:
    from workbench.routing.measured import measure_routing
    from workbench.trial.record import load_run

    routed = measure_routing(load_run(record))
    _show(routed, str(routed), as_json=as_json)


def _show_change(before: Routed, after: Routed, *, as_json: bool) -> None:
    from workbench.routing.change import compare_routing

    change = compare_routing(before, after)
    _show(change, f"{after}\n\n{change}", as_json=as_json)
    if change.harm:
        click.get_current_context().exit(EXIT_WORSE)


def _show(found: Routed | RoutingChange, text: str, *, as_json: bool) -> None:
    """Either form is kept and handed on, and what cases ask may hold a key."""
    values = value_without_secrets(found.as_values()) if as_json else None
    click.echo(json.dumps(values, ensure_ascii=False) if as_json else _shown(text))


def _shown(text: str) -> str:
    return without_secrets(printed(text))
