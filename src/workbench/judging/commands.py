"""The commands around judges: rubrics, judging a record, and what people's labels make of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.definition.seen import seen_from_here
from workbench.errors import CertificateRefused, ComparisonError, PlanError
from workbench.markup import counted, plain_table, printed, visible
from workbench.secrets import value_without_secrets, without_secrets

if TYPE_CHECKING:
    from workbench.judging.labels import Labels
    from workbench.runs.settings import Asking
    from workbench.statistics.intervals import Interval
    from workbench.trial.rubric import Rubric
    from workbench.trial.trial import Judged, Run

EXIT_NOT_CERTIFIED = 1
"""`certify`: a criterion is refused."""


@click.command("rubrics")
@click.argument("rubric", required=False)
@click.option("--yaml", "as_file", is_flag=True, help="Print RUBRIC as a file, with its replies, to adapt.")
def rubrics_command(rubric: str | None, as_file: bool) -> None:
    """List the rubrics that come along; or show RUBRIC, one of them or a file, and what in it invites errors."""
    from workbench.judging.rubric_lint import lint_rubric
    from workbench.trial.rubric import load_rubric, rubric_text, shipped_rubrics

    if as_file:
        if rubric is None:
            raise click.UsageError("--yaml takes a RUBRIC")
        load_rubric(rubric)
        click.echo(without_secrets(printed(rubric_text(rubric))), nl=False)
        return
    if rubric is None:
        for name in shipped_rubrics():
            click.echo(f"{name:<18}{load_rubric(name).about}")
        return
    found = load_rubric(rubric)
    click.echo(_shown(f"{found.name}: {found.about}"))
    for criterion in found.criteria:
        click.echo(_shown(f"  {criterion.name}: {criterion.asks} ({' < '.join(criterion.levels)})"))
    for problem in lint_rubric(found):
        click.echo(_shown(f"  note: {problem}"))


@click.command("judge")
@click.argument("record", required=False, type=click.Path(path_type=Path))
@click.option("--rubric", required=True, help="A rubric file, or one that comes along: `workbench rubrics`.")
@click.option(
    "--model",
    "judges",
    multiple=True,
    default=("sonnet",),
    show_default=True,
    help="A model; of several, more than half.",
)
@click.option(
    "--repeats", type=click.IntRange(min=1), default=1, show_default=True, help="Calls of each judge a reply."
)
@click.option("--live/--offline", default=None, help="Ask a model or fail; or never ask one.")
@click.option("--batch", is_flag=True, help="As Message Batches: half the price, within a day.")
@click.option("--budget-usd", type=click.FloatRange(min=0, min_open=True), help="The most that it may spend.")
@click.option("--estimate", is_flag=True, help="Only say what it would take.")
@click.option(
    "--pairs", "in_pairs", is_flag=True, help="Two replies side by side, blind, in both orders: which is better?"
)
@click.option("--variant", "variants", multiple=True, help="With --pairs: of these variants alone; give two or more.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="With --pairs: write the judgements, JSON Lines."
)
@click.option(
    "--sheet",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Ask no judge: write the replies of RECORD as CSV, for people to label in a spreadsheet.",
)
@click.option("--labeller", default="me", show_default=True, help="With --sheet: who will fill it in.")
def judge_command(
    record: Path | None,
    rubric: str,
    judges: tuple[str, ...],
    repeats: int,
    in_pairs: bool,
    variants: tuple[str, ...],
    out: Path | None,
    sheet: Path | None,
    labeller: str,
    **asking: bool | float | None,
) -> None:
    """Let judges score the replies of RECORD by a rubric; the record then holds what they said.

    Without RECORD, the good and bad replies that stand in the rubric are judged: does the judge tell them apart?

    With --pairs it is said which variant wins, how often both orders agree and how often the place decided; of more
    than two a ranking by Bradley and Terry. That stands in the file of --out, not in the record; one that is
    there already with something else in it stays as it is.

    With --sheet nobody is asked: the file has a row for each reply and criterion, blind and in random order, with an
    empty column `level`; filled in, `certify --labels` takes it.
    """
    from workbench.judging.check import replies_as_run
    from workbench.judging.judge import judge, plan_judging
    from workbench.runs.estimate import estimate_plan
    from workbench.trial.record import export_record, load_run, record_folder
    from workbench.trial.record_files import write_record_folder
    from workbench.trial.rubric import load_rubric

    if not in_pairs and (variants or out is not None):
        raise click.UsageError("--variant and --out are for --pairs")
    asked = load_rubric(rubric)
    if sheet is not None:
        if record is None or in_pairs or asking["estimate"]:
            raise click.UsageError("--sheet takes a RECORD, and neither --pairs nor --estimate")
        _write_sheet(load_run(record), asked, sheet, labeller)
        return
    live = None if asking["live"] is None else bool(asking["live"])
    run = replies_as_run(asked) if record is None else load_run(record)
    settings: Asking = {
        "live": live,
        "via": "batch" if asking["batch"] else "stream",
        "budget_usd": asking["budget_usd"],
    }
    if in_pairs:
        if record is None or repeats != 1 or (out is not None and len(judges) > 1):
            raise click.UsageError("--pairs takes a RECORD, no --repeats, and with --out one judge")
        if settings["budget_usd"] is not None:  # one for all the judges, which are asked one after the other
            settings["budget_scope"] = f"pairs {uuid.uuid4().hex}"
        compared = tuple(dict.fromkeys(variants or run.variants))
        if asking["estimate"]:
            _estimate_pairs(run, asked, judges, compared, settings)
        else:
            _pairs(run, asked, judges, compared, settings, out)
        return
    if asking["estimate"]:
        plan = plan_judging(run, asked, model=judges, repeats=repeats)
        click.echo(str(estimate_plan(plan, live=live, via="batch" if asking["batch"] else "stream")))
        return
    if record is None:
        if settings["budget_usd"] is not None:  # one for all the judges, which are asked one after the other
            settings["budget_scope"] = f"check {uuid.uuid4().hex}"
        _check(asked, judges, repeats, settings)
        return
    folder = record_folder(record)
    write_record_folder(folder)
    run = judge(run, asked, model=judges, repeats=repeats, **settings)
    export_record(run, folder)
    _show(run, run.judged[-1])
    click.echo(_shown(f"the record {seen_from_here(folder)} now holds what the judges said"), err=True)


@click.command("certify")
@click.argument("record", type=click.Path(path_type=Path))
@click.option("--labels", type=click.Path(path_type=Path), required=True, help="People's labels, JSON Lines or CSV.")
@click.option("--rubric", help="The rubric, where the record was judged by several.")
@click.option(
    "--pairs",
    "pairs_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What `judge --pairs --out` wrote: the certificate then says how often both orders agree.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="A new file for the certificates; default: one beside the labels."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line a criterion.")
@click.pass_context
def certify_command(
    ctx: click.Context,
    record: Path,
    labels: Path,
    rubric: str | None,
    pairs_file: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Hold the judges of RECORD to people's LABELS, criterion by criterion, and write certificates for those that hold,
    into a file of their own and into the record.

    The file stands beside LABELS, and one of before is moved aside; a file of --out must not be there yet. Each line of
    --json has how judges and people agree, and how each two of the people do. The exit code is 0 when every criterion
    is certified, 1 when one is refused.
    """
    from workbench.judging.agreement import agreement_as_values, agreement_of
    from workbench.judging.certificate import (
        certify,
        export_certificates,
        labelled_items,
        save_beside_labels,
        variant_to_label_next,
        with_certificates,
    )
    from workbench.judging.labels import load_labels
    from workbench.judging.pairs import load_judgements
    from workbench.statistics.judge import judge_agreement
    from workbench.trial.certificate import certificate_as_values
    from workbench.trial.record import export_record, load_run, record_folder

    run = load_run(record)
    judged = _judging_of(run, rubric)
    given = load_labels(labels, judged.rubric, must_exist=True)
    for remark in given.remarks:
        click.echo(_shown(remark), err=True)
    pairs = () if pairs_file is None else load_judgements(pairs_file)
    people = agreement_of(given, judged.rubric)
    certificates, refused, to_label = [], 0, []
    for criterion in judged.rubric.criteria:
        following = variant_to_label_next(run, judged, given, criterion.name)
        hint = f" Label replies of {following!r} next." if following is not None else ""
        if following is not None and following not in to_label:
            to_label.append(following)
        rated = labelled_items(run, judged, given, criterion.name).values()
        agreement = judge_agreement([passed for passed, _ in rated], [said for _, said in rated])
        beside = {
            "agreement": agreement_as_values(agreement),
            "people": [agreement_as_values(each) for each in people if each.criterion == criterion.name],
            "label_next": following,
        }
        try:
            found = certify(run, judged, given, criterion.name, pairs=pairs)
        except CertificateRefused as error:
            refused += 1
            said = {"criterion": criterion.name, "certified": False, "why": f"{error}{hint}", **beside}
            click.echo(_json_line(said) if as_json else _shown(f"{criterion.name}: {error}{hint}"))
            continue
        certificates.append(found)
        line = (
            f"{criterion.name}: certified by {agreement.labels} labels, "
            f"kappa {_with_interval(agreement.kappa, agreement.kappa_interval)}, "
            f"AC1 {_with_interval(agreement.ac1, agreement.ac1_interval)}, "
            f"TPR {_with_interval(agreement.tpr, agreement.tpr_interval)}, "
            f"TNR {_with_interval(agreement.tnr, agreement.tnr_interval)}, over repeats "
            + ("not known: asked once" if found.stability is None else f"{100 * found.stability:.0f} % alike")
            + ("" if found.swap_consistency is None else f", both orders agree on {100 * found.swap_consistency:.0f} %")
        )
        said = {"certified": True, **certificate_as_values(found), **beside}
        more = f". To narrow the interval: {hint.strip()}" if hint else ""
        click.echo(_json_line(said) if as_json else _shown(f"{line}{more}"))
    if not as_json and labels.suffix.lower() != ".csv":  # a panel goes on in a file of JSON Lines
        for variant in to_label:
            click.echo(_shown(f"in a notebook: {_panel_for(variant, run, judged, given, record, labels)}"))
    for each in people:
        if not as_json:
            one, other = each.labellers
            click.echo(
                _shown(
                    f"{each.criterion}: {one} and {other} agree on {100 * each.share:.0f} % of {each.items} replies, "
                    f"kappa {_with_interval(each.kappa, each.kappa_interval)}, "
                    f"AC1 {_with_interval(each.ac1, each.ac1_interval)}"
                )
            )
    if certificates:
        moved = None
        if out is None:
            path, moved = save_beside_labels(certificates, labels)
        else:
            path = export_certificates(certificates, out)
        if moved is not None:
            click.echo(_shown(f"the certificates of before are now in {moved}"), err=True)
        run = with_certificates(run, certificates)
        export_record(run, record_folder(record))
        if not as_json:
            click.echo(_shown(f"wrote {seen_from_here(path)}, and into the record"))
            _show(run, _judging_of(run, judged.rubric.name))
    if refused:
        ctx.exit(EXIT_NOT_CERTIFIED)


def _write_sheet(run: Run, rubric: Rubric, sheet: Path, labeller: str) -> None:
    from workbench.judging.labels import export_label_sheet, items_to_label

    path = export_label_sheet(run, rubric, sheet, labeller=labeller)
    replies = counted(len(items_to_label(run)), "reply", "replies")
    click.echo(_shown(f"wrote {path}: {replies}, to be labelled in this order, as many as you like, and saved as CSV"))


def _estimate_pairs(run: Run, rubric: Rubric, judges: Sequence[str], variants: Sequence[str], settings: Asking) -> None:
    from workbench.judging.pairs import plan_pairs
    from workbench.runs.estimate import estimate_plan

    for name in judges:
        plan = plan_pairs(run, rubric, model=name, variants=variants)
        click.echo(str(estimate_plan(plan, live=settings["live"], via=settings["via"])))


def _pairs(
    run: Run, rubric: Rubric, judges: Sequence[str], variants: Sequence[str], settings: Asking, out: Path | None
) -> None:
    from workbench.judging.pairs import export_judgements, judge_pairs, refuse_other_file
    from workbench.statistics.pairwise import compare_pairwise, rank_variants

    if out is not None:
        refuse_other_file(out)  # before anybody is asked
    for name in judges:
        found = judge_pairs(run, rubric, model=name, variants=variants, **settings)
        made_up = any(call.endpoint.is_stand_in for call in found.calls)
        replies = any(trial.endpoint.is_stand_in for trial in run.trials if trial.variant in variants)
        label = ", OFFLINE STAND-IN, not a model" if made_up else ""
        label += ", of replies of the OFFLINE STAND-IN" if replies else ""
        click.echo(_shown(f"{name}{label}:"))
        for one, other in combinations(variants, 2):
            try:
                click.echo(_shown(f"  {compare_pairwise(found.judgements, variant=other, baseline=one)}"))
            except ComparisonError as error:
                click.echo(_shown(f"  {error}"))
        if len(variants) > 2:
            try:
                click.echo(without_secrets(printed(plain_table(rank_variants(found.judgements).table()))))
            except ComparisonError as error:
                click.echo(_shown(f"  no ranking: {error}"))
        outcomes = {outcome.replace("_", " "): count for outcome, count in found.outcomes.items()}
        outcomes["equal replies, not asked"] = sum(not each.is_asked for each in found.judgements)
        click.echo("  " + ", ".join(f"{outcome} {count}" for outcome, count in outcomes.items()))
        if out is not None:
            click.echo(_shown(f"wrote {seen_from_here(export_judgements(found.judgements, out))}"))


def _check(rubric: Rubric, judges: Sequence[str], repeats: int, settings: Asking) -> None:
    from workbench.judging.check import check_judge

    wrong = 0
    for name in judges:
        checked, judged = check_judge(rubric, model=name, repeats=repeats, **settings)
        click.echo(_shown(f"{name}{', OFFLINE STAND-IN, not a model' if judged.is_stand_in else ''}:"))
        for each in checked:
            kind = "good" if each.is_good else "bad"
            told = {True: "told", False: "NOT TOLD", None: "no score"}[each.is_told]
            values = ", ".join(f"{promise} {_value(score.value)}" for promise, score in each.scores.items())
            said = without_secrets(each.reply.split("\n")[0])  # of a key that is cut nobody knows that it is one
            click.echo(_shown(f"  {told:<9} {kind:<5} {said[:60]!r}: {values}"))
            wrong += each.is_told is not True
    if wrong:
        click.get_current_context().exit(EXIT_NOT_CERTIFIED)


def _shown(text: str) -> str:
    """On one line, as it may be printed, set in as it is: names and replies of a record are anybody's."""
    return " " * (len(text) - len(text.lstrip(" "))) + without_secrets(printed(visible(text.lstrip(" "))))


def _json_line(said: Mapping[str, Any]) -> str:
    return json.dumps(value_without_secrets(said))


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _with_interval(share: float, interval: Interval | None) -> str:
    return f"{share:.2f}" + ("" if interval is None else f" [{interval.low:.2f}, {interval.high:.2f}]")


def _panel_for(variant: str, run: Run, judged: Judged, given: Labels, record: Path, labels: Path) -> str:
    """Python that shows the panel in which this variant's replies come first."""
    who = next(iter(given.labellers), "me")
    number = run.judged.index(judged)
    return (
        f"import workbench as wb; run = wb.load_run({str(record)!r}); wb.LabelPanel(run, run.judged[{number}].rubric, "
        f"path={str(labels)!r}, labeller={who!r}, next_of={variant!r})"
    )


def _judging_of(run: Run, rubric: str | None) -> Judged:
    names = [each.rubric.name for each in run.judged]
    found = [each for each in run.judged if rubric is None or each.rubric.name == rubric]
    if len(found) != 1:
        known = (
            f"it has those by {', '.join(names)}; name one with --rubric" if names else "judge it with workbench judge"
        )
        raise PlanError(f"the record has {len(found)} judgings{f' by {rubric}' if rubric else ''}; {known}")
    return found[0]


def _show(run: Run, judged: Judged) -> None:
    from workbench.comparison.judged import criterion_rows, judged_table, outcome_counts

    rows = [row for base, part in run.by_baseline.items() for row in criterion_rows(part, judged, baseline=base)]
    click.echo(without_secrets(printed(plain_table(judged_table(rows, judged)))))
    counts = outcome_counts(run, judged)
    ended = ", ".join(f"{outcome.replace('_', ' ')} {count}" for outcome, count in sorted(counts.items()))
    click.echo(f"{counted(sum(counts.values()), 'word')} of judges on a criterion: {ended}")
