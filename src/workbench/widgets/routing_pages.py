"""What a routing panel shows, as HTML without controls: the self-test, the result, descriptions that compete."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from workbench.markup import Table, counted, html, html_table, markdown_table, visible_as_written
from workbench.routing.contenders import Contender
from workbench.routing.deciding import Deciding, DecisionsEstimate
from workbench.routing.measured import CaseDecisions, Routed, shown_label
from workbench.widgets.frame import as_code, as_rows, as_text, sendable

_ESTIMATE = "<details open><summary>{{ brief }}</summary>{{ table }}{{ power }}</details>"
_REMARKS = (
    "<details><summary>{{ brief }}</summary><ul>{% for line in lines %}<li>{{ line }}</li>{% endfor %}</ul></details>"
)
_RESULT = """\
{% if made_up %}<div class="workbench-standin">{{ made_up }}</div>{% endif %}
{% if change %}<section><h4>Before and after: the draft's line against the file's</h4>{{ change }}</section>{% endif %}
<section><h4>{{ heading }}</h4>{{ picture }}{{ matrix }}
<details><summary>By agent</summary>{{ agents }}</details>
{% if after %}<details><summary>Where they went with the draft</summary>{{ after }}</details>{% endif %}
</section>"""
_CHOICE = "<section><h4>The choice of a description</h4>{{ tables }}</section>"
_CONTENDERS = """\
<p class="workbench-prompt">{{ case.prompt }}</p>
<p>Should go to {{ wanted }}; {{ right }}.</p>
<div class="workbench-contenders">
{% for one in found %}
<section class="workbench-contender{% if one.is_wanted %} workbench-wanted{% endif %}">
<h5>{{ one.name }}{% if one.is_wanted %} <span class="workbench-faint">should get it</span>{% endif %}</h5>
<p>picked {{ one.picked }} of {{ one.of }}{% if one.picked_after is not none %}, \
with the draft {{ one.picked_after }} of {{ one.of_after }}{% endif %}</p>
<pre>{{ one.line|lines }}</pre>
{% if one.line_after is not none %}
<p class="workbench-faint">in the draft</p><pre>{{ one.line_after|lines }}</pre>
{% endif %}
</section>
{% endfor %}
</div>"""
_PROGRESS = """\
<div class="workbench-progress"><label>{{ phase }} <progress max="{{ of }}" value="{{ done }}"></progress></label>
<span class="workbench-faint">{{ done }} of {{ of }}{% if details %}: {{ details }}{% endif %}</span></div>"""


def remarks_page(remarks: Sequence[str]) -> Markup:
    """What of agents and cases would mislead; empty where nothing would."""
    if not remarks:
        return Markup()
    brief = f"{counted(len(remarks), 'remark')} on agents and cases"
    return html(_REMARKS, brief=brief, lines=[sendable(line) for line in remarks])


def estimate_page(estimate: DecisionsEstimate) -> Markup:
    """What a run takes, and what its cases could show."""
    return html(_ESTIMATE, brief=estimate.brief, table=html_table(estimate.table()), power=html_table(estimate.power))


def progress_page(deciding: Deciding) -> Markup:
    """How far what is asked for now is."""
    watch = deciding.watch
    return html(_PROGRESS, phase=deciding.phase, done=watch.done, of=max(1, watch.of), details=watch.details)


def self_test_page(deciding: Deciding) -> Markup:
    """How many of the controls went where they should; empty before."""
    rows: list[tuple[str, ...]] = [(of, f"passed: {shares}") for of, shares in deciding.controls.items()]
    return as_rows(rows, ("list", "self-test")) if rows else Markup()


def result_page(deciding: Deciding) -> Markup:
    """Where the cases went, and what the draft changes; empty before there is a result."""
    routed, change = deciding.routed, deciding.change
    if routed is None:
        return Markup()
    from workbench.comparison.pictures.canvas import picture_html  # a panel that is only looked at draws nothing
    from workbench.routing.picture import plot_routing

    return html(
        _RESULT,
        made_up="Answered by the OFFLINE STAND-IN, not by a model: no result." if _is_made_up(routed) else "",
        change="" if change is None else html_table(change.table()),
        after="" if change is None else html_table(change.after.matrix_table()),
        heading="The agents as the files have them",
        picture=picture_html(plot_routing(routed)),
        matrix=html_table(routed.matrix_table()),
        agents=html_table(routed.agents_table()),
    )


def choice_page(deciding: Deciding) -> Markup:
    """Which description was chosen, and its number on the sealed cases; empty before."""
    if deciding.choice is None:
        return Markup()
    return html(_CHOICE, tables=Markup().join(html_table(table) for table in deciding.choice.tables()))


def contenders_page(case: CaseDecisions, found: Sequence[Contender]) -> Markup:
    """The descriptions that compete for a case, side by side."""
    decided = [one for one in case.picked if one is not None]
    right = f"{sum(one in case.accepted for one in decided)} of {counted(len(decided), 'decision')} did"
    wanted = " or ".join(map(shown_label, case.accepted))
    return html(_CONTENDERS, case=case, found=found, wanted=wanted, right=right)


def html_page(deciding: Deciding, *, title: str) -> Markup:
    """The panel as a page without controls."""
    trouble = as_text(deciding.trouble, tag="p") if deciding.trouble else Markup()
    return html(
        "<div>{{ page }}</div>",
        page=Markup().join(
            [as_text(title, tag="p"), trouble, *(html_table(table) for table in _tables(deciding))],
        ),
    )


def markdown_page(deciding: Deciding, *, title: str) -> str:
    """The same as Markdown in which every text stays text."""
    trouble = [as_code(deciding.trouble)] if deciding.trouble else []
    tables = [visible_as_written(markdown_table(table)) for table in _tables(deciding)]
    return "\n\n".join([as_code(title), *trouble, *tables])


def _tables(deciding: Deciding) -> list[Table]:
    """What came of the latest run, as tables."""
    change, routed, choice = deciding.change, deciding.routed, deciding.choice
    return [
        *([change.table()] if change is not None else []),
        *(routed.tables() if routed is not None else ()),
        *(choice.tables() if choice is not None else ()),
    ]


def _is_made_up(routed: Routed) -> bool:
    return any(trial.endpoint.is_stand_in for trial in routed.run.trials)
