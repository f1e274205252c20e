"""What a page gets of a comparison: its three tables by columns, and one trial or two when they are opened."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

from workbench.comparison.columns import paid_in_words
from workbench.comparison.compared import STAND_IN_NOTE
from workbench.comparison.differences.reply_pair import ReplyPair, words_changed
from workbench.comparison.differences.views import shown_lines, shown_words
from workbench.comparison.flips import THRESHOLD
from workbench.comparison.static_tables import tasks_table, variant_columns
from workbench.comparison.tables import Comparison
from workbench.comparison.trial_table import COLUMNS, FLIP_MARKS, Column, promise_columns, screen_values
from workbench.comparison.verdict import points
from workbench.markup import visible, visible_lines
from workbench.trial.paid import of_the_cache
from workbench.trial.trial import Reply, Trial
from workbench.widgets.frame import sendable

FIRST_PIECE = 20_000
"""Characters of a reply that come at most when it is opened; the rest is asked for."""
LONGEST_ASKED = 20_000
"""Characters of a task's message that are shown."""
_FEW = 256

_DIGITS_OF = {"points": 4, "usd": 7, "seconds": 3}
"""By kind, the decimals that are sent."""
_LEFT_OUT_WHERE_EMPTY = frozenset({"flip", "usd"})


def table_columns(comparison: Comparison) -> dict[str, list[dict[str, Any]]]:
    """The columns of the three tables, each with its name, heading, kind and values in the order of the run.

    Where a column has few different values, they are in `names` and their numbers in `values`.
    """
    return {
        "variants": _variant_columns(comparison),
        "tasks": _task_columns(comparison),
        "trials": _trial_columns(comparison),
    }


def page_data(comparison: Comparison, columns: dict[str, list[dict[str, Any]]]) -> bytes:
    """All that a page begins with, as JSON in UTF-8."""
    run = comparison.run
    data = {
        "size": comparison.size,
        "stand_in": STAND_IN_NOTE if comparison.stand_in else "",
        "passing": 100 * THRESHOLD,
        "baseline": list(run.variants).index(comparison.baseline),
        "variants": [visible(name) for name in run.variants],
        "tasks": [visible(task.id) for task in run.tasks],
        "promises": [visible(label) for label in comparison.columns.promises],
        "counts": {"variants": len(run.variants), "tasks": len(run.tasks), "trials": len(run.trials)},
        "columns": {
            of: [{**column, "name": visible(column["name"])} for column in found] for of, found in columns.items()
        },
    }
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def trial_page(comparison: Comparison, row: int) -> dict[str, Any]:
    """One trial as it is opened, with the beginning of its reply."""
    run = comparison.run
    trial = run.trials[row]
    task = next(task for task in run.tasks if task.id == trial.task_id)
    reply, failure = trial.reply, trial.failure
    text = "" if reply is None else reply.text
    first = _first_piece(text)
    asked, target = task.message, task.target or ""
    more = len(asked) - LONGEST_ASKED
    return {
        "row": row,
        "key": trial.key,
        "task": visible(trial.task_id),
        "variant": visible(trial.variant),
        "repeat": trial.repeat,
        "score": "no score" if trial.score is None else f"{points(trial.score, sign=False)} points",
        "outcome": trial.outcome.replace("_", " "),
        "asked": visible_lines(asked[:LONGEST_ASKED]) + (f"\n({more:,} more characters)" if more > 0 else ""),
        "target": visible_lines(target[:LONGEST_ASKED]),
        "facts": [[name, visible(value)] for name, value in _facts(comparison, row)],
        "scores": [
            [visible(label), _points(score.value), visible_lines(score.explanation[:LONGEST_ASKED])]
            for label, score in trial.scores.items()
        ],
        "failure": "" if failure is None else visible_lines(f"{failure.type}: {failure.message}"[:LONGEST_ASKED]),
        "has_reply": reply is not None,
        "length": len(text),
        "first": first,
        "text": visible_lines(text[:first]),
        "counterpart": _counterpart(comparison, trial),
    }


def reply_piece(comparison: Comparison, row: int, start: int) -> str:
    """The reply of a trial from this character on, as it is shown."""
    return visible_lines(_text(comparison, row)[start:])


def reply_text(comparison: Comparison, row: int) -> str:
    """The reply of a trial as it came, to be copied."""
    return sendable(_text(comparison, row))


def pair_page(pair: ReplyPair) -> dict[str, Any]:
    """Two trials side by side: their scores, the persona diff by lines, the replies by words."""
    scores = pair.scores()
    return {
        "title": visible(scores.title),
        "heads": [visible(heading) for heading in scores.headings],
        "scores": [[visible(cell) for cell in row] for row in scores.rows],
        "persona": {"title": words_changed("Persona", pair.persona), "lines": list(shown_lines(pair.persona_lines))},
        "reply": {"title": words_changed("Reply", pair.words), "words": list(shown_words(pair.words))},
    }


def _variant_columns(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        _texts(
            column.name,
            column.heading,
            "name" if column.name == "variant" else "figure",
            [column.cell(summary) for summary in comparison.summaries],
        )
        for column in variant_columns(comparison)
    ]


def _task_columns(comparison: Comparison) -> list[dict[str, Any]]:
    table = tasks_table(comparison, most=len(comparison.run.tasks))
    columns = [("task", "name"), ("group", "group")]
    columns += [(f"score: {name}", "figure") for name in comparison.names]
    columns += [(f"difference: {name}", "change") for name in comparison.baseline_of]
    found = [
        _texts(name, heading, kind, [row[number] for row in table.rows])
        for number, ((name, kind), heading) in enumerate(zip(columns, table.headings, strict=True))
    ]
    return [column for column in found if column["name"] != "group" or any(column["values"])]


def _trial_columns(comparison: Comparison) -> list[dict[str, Any]]:
    shown = [column for column in (*COLUMNS, *promise_columns(comparison)) if column.is_in("grid")]
    found = [(column, _sent(column, comparison)) for column in shown]
    promises = itertools.count()
    return [
        _column(column.name, column.heading, column.kind, values)
        | ({} if column.promise is None else {"promise": next(promises)})
        for column, values in found
        if not _says_nothing(column, values)
    ]


def _says_nothing(column: Column, values: Sequence[Any]) -> bool:
    if column.kind in _LEFT_OUT_WHERE_EMPTY:
        return not any(values)
    return column.kind == "count" and bool(values) and all(value is None for value in values)


def _sent(column: Column, comparison: Comparison) -> list[Any]:
    """The values as the page gets them."""
    values = screen_values(column, comparison)
    if column.kind == "flip":
        return [FLIP_MARKS[value] for value in values]
    if column.kind == "word":
        return [value if value is None else value.replace("_", " ") for value in values]
    digits = _DIGITS_OF.get(column.kind)
    return values if digits is None else [None if value is None else round(value, digits) for value in values]


def _texts(name: str, heading: str, kind: str, values: Sequence[str]) -> dict[str, Any]:
    return {"name": name, "heading": visible(heading), "kind": kind, "values": [visible(value) for value in values]}


def _column(name: str, heading: str, kind: str, values: Sequence[Any]) -> dict[str, Any]:
    column = {"name": name, "heading": visible(heading), "kind": kind}
    if kind == "text":
        return {**column, "values": values}
    distinct = list(dict.fromkeys(values))
    if len(distinct) > max(_FEW, len(values) // 3):
        return {**column, "values": values}
    number_of = {value: number for number, value in enumerate(distinct)}
    names = [visible(value) if isinstance(value, str) else value for value in distinct]
    return {**column, "names": names, "values": [number_of[value] for value in values]}


def _facts(comparison: Comparison, row: int) -> list[tuple[str, str]]:
    trial = comparison.run.trials[row]
    facts = [("Answered by", trial.endpoint.in_words if trial.endpoint.is_stand_in else _answerer(trial))]
    if trial.reply is not None:
        facts += _reply_facts(trial.reply, float(comparison.columns.usd[row]), is_stand_in=trial.endpoint.is_stand_in)
    if trial.paid is not None and not trial.endpoint.is_stand_in:
        facts.append(("Paid in all", paid_in_words(trial.paid)))
    if trial.failure is not None and trial.failure.request_id is not None:
        facts.append(("Request id", trial.failure.request_id))
    return [*facts, ("Key in the ledger", trial.key)]


def _answerer(trial: Trial) -> str:
    model = trial.request.model if trial.reply is None else trial.reply.model or trial.request.model
    return f"{model}, {trial.endpoint.in_words}"


def _reply_facts(reply: Reply, usd: float, *, is_stand_in: bool) -> list[tuple[str, str]]:
    usage = reply.usage
    cached = of_the_cache(read=usage.cache_read_input_tokens, written=usage.cache_creation_input_tokens)
    counts = {f"in{cached}": usage.all_input_tokens, "out": usage.output_tokens}
    tokens = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count is not None)
    facts = [
        ("Stop reason", reply.stop_reason or "none: the stream ended before the model did"),
        ("Tokens", tokens or "not said"),
        (
            "Cost",
            "none, nothing was asked for" if is_stand_in else "not known" if math.isnan(usd) else f"{usd:.6f} USD",
        ),
    ]
    if reply.oddities:
        facts.append(("Odd in what the server said", "; ".join(reply.oddities)))
    if reply.seconds is not None:
        first = reply.seconds_to_first_token
        facts.append(
            ("Seconds", f"{reply.seconds:.2f}" + ("" if first is None else f", first token after {first:.2f}"))
        )
    if reply.attempts > 1:
        facts.append(("Requests sent", str(reply.attempts)))
    if reply.request_id is not None:
        facts.append(("Request id", reply.request_id))
    return facts if reply.at is None else [*facts, ("At", reply.at)]


def _counterpart(comparison: Comparison, trial: Trial) -> int | None:
    """The row of the trial that one would compare it with: its baseline's, or that of the only variant held
    against it."""
    run = comparison.run
    others = [name for name, base in comparison.baseline_of.items() if base == trial.variant]
    if trial.variant in comparison.baseline_of:
        wanted = comparison.baseline_of[trial.variant]
    elif len(others) == 1:
        wanted = others[0]
    else:
        return None
    return next(
        (
            row
            for row, other in enumerate(run.trials)
            if other.variant == wanted and other.task_id == trial.task_id and other.repeat == trial.repeat
        ),
        None,
    )


def _first_piece(text: str) -> int:
    """How many characters come when a reply is opened: whole lines, where there are any."""
    if len(text) <= FIRST_PIECE:
        return len(text)
    return text.rfind("\n", 0, FIRST_PIECE) + 1 or FIRST_PIECE


def _text(comparison: Comparison, row: int) -> str:
    reply = comparison.run.trials[row].reply
    return "" if reply is None else reply.text


def _points(value: float | None) -> str:
    return "declined" if value is None else points(value, sign=False)
