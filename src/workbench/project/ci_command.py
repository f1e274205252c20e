"""The command `workbench ci`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from workbench.definition.seen import seen_from_here
from workbench.markup import HALF_CHARACTERS, printed, visible
from workbench.secrets import without_secrets

OUT = Path("outputs", "ci")


@click.command("ci")
@click.option("--base", metavar="COMMIT", help="What the change goes to. Default: the base of the pull request in CI.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=OUT,
    show_default=True,
    help="Where records, reports and the comment are left.",
)
@click.option(
    "--margin",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="The loss that is put up with, in 0..1.",
)
@click.option(
    "--guard",
    "guards",
    multiple=True,
    metavar="PROMISE[:MARGIN]",
    help="A promise that may not get worse, of each agent whose tasks have it; may be given more than once.",
)
@click.option(
    "--routing-margin",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="The loss of routing cases that is put up with where descriptions changed, in 0..1.",
)
@click.option("--routing-model", default="sonnet", show_default=True, help="The main model that picks, where they did.")
@click.option("--repeats", type=click.IntRange(min=1), default=4, show_default=True, help="Attempts at each task.")
@click.option("--model", metavar="MODEL", help="Try all with this model. Default: each with its own.")
@click.option(
    "--budget-usd",
    type=click.FloatRange(min=0, min_open=True),
    help="For all agents and pushes of the change together.",
)
@click.option("--offline", is_flag=True, help="Let the offline stand-in answer, to see what is left; never passes.")
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    metavar="OUTCOME",
    help="Pass in spite of it; may be given more than once: undecided, no-tasks, gone, fork.",
)
@click.option("--pages/--no-pages", default=True, help="Leave a page for each agent, which takes some seconds.")
@click.option(
    "--nights",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder of records, such as outputs/nightly: ci.json then holds the trend of each agent. Decides nothing.",
)
@click.option(
    "--link",
    default="",
    help="Where pages and records can be found. Default: the run of the workflow, or the job on GitLab.",
)
def ci_command(
    base: str | None,
    out: Path,
    margin: float,
    guards: tuple[str, ...],
    routing_margin: float,
    routing_model: str,
    repeats: int,
    model: str | None,
    budget_usd: float | None,
    offline: bool,
    allowed: tuple[str, ...],
    pages: bool,
    nights: Path | None,
    link: str,
) -> None:
    """Hold every agent that a change touches against what it was; exit with one code for all of them.

    Which agents changed is asked of git, since the commit at which the change began. Each is tried on the tasks that
    it had, and where the change edits these, on the new ones too. Where the main model is shown another list of agents
    than before and routing cases stand beside them, that is held by who gets picked. Leaves pages and records,
    `comment.md`, `ci.json`, `junit.xml` and `sarif.json` in the folder; on GitHub also the step's summary, and
    annotations at the lines that changed.

    Exits with 0 only where every changed agent is shown to be no worse. 3: one is worse. 1: not tried to the end. 2: it
    cannot be tried. 5: made up by the stand-in. 7: no key. 8: a fork. 9: an agent is gone. 10: one has no tasks, or had
    none before. 4: not enough data to say. Of several the first of this list.
    """
    from workbench.comparison.history import load_history
    from workbench.definition.project import project_folder
    from workbench.errors import ChangeError, ComparisonError
    from workbench.grading.catalogue import standard
    from workbench.project.ci import Settings, base_of, check_change, refuse_what_cannot_be_allowed
    from workbench.project.ci_report import (
        LONGEST_SUMMARY,
        annotation_lines,
        beside_lines,
        comment,
        heading,
        not_committed_lines,
        not_routed_lines,
        refuse_links,
        remove_files,
        write_files,
        write_refusal,
    )

    since = base or base_of(os.environ)
    if since is None:
        raise ChangeError("this is no pull request of a workflow; say what the change goes to, such as --base main")
    settings = Settings(
        margin=margin,
        guards=guards,
        routing_margin=routing_margin,
        routing_model=routing_model,
        repeats=repeats,
        model=model,
        live=not offline,
        budget_usd=budget_usd,
        allow=frozenset(allowed),
        pages=pages,
    )
    history = None if nights is None else load_history(nights, graders=standard())
    project = project_folder()
    refuse_what_cannot_be_allowed(settings.allow)
    refuse_links(out, project)
    remove_files(out)
    link = link or _workflow_run()
    try:
        checked = check_change(since, out, settings, project=project)
    except (ChangeError, ComparisonError) as error:
        text = write_refusal(str(error), since, out, link=link)
        _add_to_summary(text)
        raise
    files = write_files(checked, out, link=link, history=history)
    _add_to_summary(comment(checked, link=link, longest=LONGEST_SUMMARY))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in annotation_lines(checked):
            click.echo(line)
    for held in checked.held:
        click.echo(without_secrets(printed(f"{visible(held.name)} ({held.kind}): {held.outcome}. {held.text}")))
        for note in held.notes:
            click.echo(without_secrets(printed(f"  {visible(note)}")))
    click.echo(without_secrets(printed(heading(checked))))
    for line in (*not_committed_lines(checked), *beside_lines(checked), *not_routed_lines(checked)):
        click.echo(without_secrets(printed(line)))
    click.echo("\n".join(str(seen_from_here(file)) for file in files))
    sys.exit(checked.exit_code)


def _add_to_summary(text: str) -> None:
    """To that of the workflow's step, on GitHub."""
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8", errors=HALF_CHARACTERS) as file:
            file.write(text)


def _workflow_run() -> str:
    """The address of the workflow's run on GitHub, or of the job on GitLab, with what it keeps; empty elsewhere."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (os.environ.get(name, "") for name in names)
    job = os.environ.get("CI_JOB_URL", "")
    on_gitlab = f"{job}/artifacts/browse" if job else ""
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else on_gitlab
