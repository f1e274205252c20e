"""`workbench compare`: an agent on disk against another version of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.definition.seen import seen_from, seen_from_here
from workbench.definition.there import is_file_there
from workbench.markup import printed, visible
from workbench.secrets import without_secrets

if TYPE_CHECKING:
    from workbench.runs.plan import Plan
    from workbench.runs.versions import Versions

REPEATS = 3


@click.command("compare")
@click.argument("agent", type=click.Path(path_type=Path))
@click.option(
    "--with", "other", metavar="WHAT", help="A revision of git, REVISION:FILE, or an agent file. Default: HEAD."
)
@click.option(
    "--with-model",
    "models",
    multiple=True,
    metavar="MODEL",
    help="Compare models; with --with or --without-lines, old against new under each. May be given more than once.",
)
@click.option("--without-lines", "without", metavar="TEXT", help="Leave out the lines of the prompt that hold TEXT.")
@click.option("--tasks", type=click.Path(path_type=Path), help="A task file. Default: the agent's own tasks.")
@click.option(
    "--repeats", type=click.IntRange(min=1), default=REPEATS, show_default=True, help="Attempts at each task."
)
@click.option("--budget-usd", type=click.FloatRange(min=0, min_open=True), help="Spend at most this.")
@click.option(
    "--live/--offline", default=None, help="Ask a model or fail; or never ask one. Default: as the environment says."
)
@click.option("--estimate", is_flag=True, help="Only say what it would take and what it could show.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Default: outputs/compare-NAME.")
def compare_command(**given: Any) -> None:
    """Compare AGENT on disk with the last commit, or with what --with, --with-model or --without-lines name.

    It is tried on its own tasks, or on the examples of its description. The notebook compare runs, and leaves itself, a
    page and a record in a folder. Exits with 0 when it came to its end, whatever the verdict; with 2, and says what to
    do, where there is nothing to compare or to try it on.
    """
    from workbench.definition.finding import agent_file
    from workbench.definition.project import project_folder
    from workbench.headless.notebook import begin_kernel_for
    from workbench.runs.versions import Against, load_versions

    agent = agent_file(given["agent"])
    against = Against(other=given["other"] or "", models=given["models"], without=given["without"] or "")
    versions = load_versions(agent, against, tasks=given["tasks"])
    if not given["estimate"]:
        begin_kernel_for("compare")
    for note in versions.notes:
        click.echo(without_secrets(printed(visible(note))))
    plan = _plan(versions, given["repeats"])
    click.echo(_estimate(plan, live=given["live"], in_full=given["estimate"]) + "\n")
    if given["estimate"]:
        return
    project = project_folder()
    parameters: dict[str, Any] = {
        "agent": _from_project(agent, project),
        "against": _from_project(Path(against.other), project) if is_file_there(against.other) else against.other,
        "model": ",".join(against.models),
        "leave_out": against.without,
        "repeats": given["repeats"],
    }
    parameters |= {"tasks": _from_project(given["tasks"], project)} if given["tasks"] else {}
    parameters |= {name: given[name] for name in ("live", "budget_usd") if given[name] is not None}
    out = given["out"] or project / "outputs" / f"compare-{agent.stem}"
    _run(parameters, out)
    _say_what_git_sees(project)


def _plan(versions: Versions, repeats: int) -> Plan:
    from workbench.grading.catalogue import standard
    from workbench.runs.plan import plan_trials

    return plan_trials(versions.variants, versions.tasks, repeats=repeats, graders=standard())


def _estimate(plan: Plan, *, live: bool | None, in_full: bool) -> str:
    from workbench.runs.estimate import estimate_plan

    estimate = estimate_plan(plan, live=live)
    return repr(estimate) if in_full else estimate.brief


def _run(parameters: dict[str, Any], out: Path) -> None:
    from workbench.headless.go_on import saying_how_to_go_on
    from workbench.headless.notebook import run_notebook

    with saying_how_to_go_on():
        run = run_notebook("compare", out=out, parameters=parameters)
    if run.verdict:
        click.echo(f"{printed(run.verdict)}\n")
    for name, path in (("page", run.page), ("notebook", run.notebook), ("record", run.record or "none")):
        click.echo(f"{name:<9} {path if isinstance(path, str) else seen_from_here(path)}")


def _say_what_git_sees(project: Path) -> None:
    """An `outputs` that was there before any command of ours made it may be seen by git."""
    from workbench.definition.committed import is_ignored

    ledger = project / "outputs" / "ledger.sqlite"
    if ledger.is_file() and is_ignored(ledger) is False:
        click.echo(
            f"\ngit sees the answers in {seen_from_here(ledger.parent)}: `workbench init` has lines of .gitignore that "
            "keep them out",
            err=True,
        )


def _from_project(path: Path, project: Path) -> str:
    """As the notebook finds it, which works in the project folder."""
    return seen_from(project, path)
