"""Where the numbers of a run come from: files by their hash, who answered, with what, when, at whose prices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.definition.origin import Origin
from workbench.markup import Table, counted
from workbench.trial.catalogue import find_price
from workbench.trial.record import installed_versions
from workbench.trial.trial import Run

NOT_RECORDED = "not recorded"


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What every number of a report rests on; the keys of the single attempts are with the trials."""

    endpoint: str
    """Who answered, in words; of several, each with its variants."""
    base_url: str
    """Where that was; several addresses are parted by commas."""
    agents: Mapping[str, str]
    """By variant, the SHA-256 of the agent's file."""
    task_files: Mapping[str, int]
    """By SHA-256 of the task file, how many tasks were read from it; under "not recorded" those of no file."""
    models: Mapping[str, Mapping[str, int]]
    """By variant, the model ids that say they answered, and how many replies each gave."""
    asked: Mapping[str, tuple[str, ...]]
    """By variant, the model ids that were asked."""
    prices: Mapping[str, str]
    """By model id that answered, whose prices its costs are by, and of which day."""
    versions: Mapping[str, str]
    """Of the workbench and the SDK that made the run."""
    reported_with: str
    """The version of the workbench that made this report."""
    first_answer: str | None
    """When the oldest reply had come, ISO 8601 in UTC; `None`: not recorded."""
    last_answer: str | None
    undated: int
    """Replies for which that is not recorded."""
    remarks: tuple[str, ...] = ()
    """What has to be known of the record that the run was loaded from."""
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """By variant, the file and the commit that its agent comes from; empty where nobody has looked."""


def provenance(run: Run, *, origins: Mapping[str, Origin] | None = None) -> Provenance:
    """Where the numbers of this run come from; `origins` as `find_origins` finds them.

    Raises:
        PriceFileError: the file named in WORKBENCH_PRICES is missing or wrong.
    """
    models: dict[str, Counter[str]] = {name: Counter() for name in run.variants}
    asked: dict[str, dict[str, None]] = {name: {} for name in run.variants}
    days = []
    undated = 0
    for trial in run.trials:
        asked[trial.variant][trial.request.model] = None
        if trial.reply is None:
            continue
        models[trial.variant][trial.reply.model or NOT_RECORDED] += 1
        if trial.reply.at is None:
            undated += 1
        else:
            days.append(trial.reply.at)
    answering = dict.fromkeys(model for counts in models.values() for model in counts)
    return Provenance(
        endpoint=_endpoints_in_words(run),
        base_url=", ".join(dict.fromkeys(endpoint.base_url for endpoint in run.endpoints)),
        agents={name: agent.digest for name, agent in run.variants.items()},
        task_files=dict(Counter(task.file_sha256 or NOT_RECORDED for task in run.tasks)),
        models={name: dict(counts) for name, counts in models.items()},
        asked={name: tuple(found) for name, found in asked.items()},
        prices={
            model: "nothing was paid" if all(endpoint.is_stand_in for endpoint in run.endpoints) else _price(model)
            for model in answering
        },
        versions=run.versions or installed_versions(),
        reported_with=installed_versions()["agent-workbench"],
        first_answer=min(days, default=None),
        last_answer=max(days, default=None),
        undated=undated,
        remarks=run.remarks,
        origins=dict(origins or {}),
    )


def provenance_table(found: Provenance) -> Table:
    """The same for people: what, and where it is from."""
    rows = [
        (
            "Answered by",
            found.endpoint
            if all(address in found.endpoint for address in found.base_url.split(", "))
            else f"{found.endpoint} ({found.base_url})",
        )
    ]
    for name, digest in found.agents.items():
        where = f"{found.origins[name]}; " if name in found.origins else ""
        rows.append((f"Agent file of {name}", f"{where}sha256 {digest}"))
        rows.append((f"Model of {name}", _model_in_words(found.asked[name], found.models[name])))
    for digest, count in found.task_files.items():
        rows.append(
            ("Task file", f"{digest if digest == NOT_RECORDED else f'sha256 {digest}'} ({counted(count, 'task')})")
        )
    rows += [("Record", remark) for remark in found.remarks]
    rows.append(("Answered between", _days(found)))
    rows += [(f"Prices of {model}", price) for model, price in found.prices.items()]
    rows.append(("Run made with", ", ".join(f"{name} {version}" for name, version in found.versions.items())))
    rows.append(("Report made with", f"agent-workbench {found.reported_with}"))
    return Table(
        title="Where the numbers come from",
        headings=("What", "From"),
        rows=tuple(rows),
        note="The key of each trial in the ledger is with the trial.",
    )


def _endpoints_in_words(run: Run) -> str:
    if len(run.endpoints) == 1:
        return run.endpoints[0].in_words
    variants: dict[str, dict[str, None]] = {}
    for trial in run.trials:
        variants.setdefault(trial.endpoint.in_words, {})[trial.variant] = None
    return "; ".join(f"{', '.join(names)}: {label}" for label, names in variants.items())


def _price(model: str) -> str:
    price = find_price(model)
    return "no price is known" if price is None else str(price)


def _model_in_words(asked: tuple[str, ...], answered: Mapping[str, int]) -> str:
    replies = ", ".join(f"{model} ({count} repl{'y' if count == 1 else 'ies'})" for model, count in answered.items())
    return f"asked {', '.join(asked) or 'none'}; answered {replies or 'none'}"


def _days(found: Provenance) -> str:
    if found.first_answer is None or found.last_answer is None:
        return NOT_RECORDED
    undated = f", {found.undated} replies {NOT_RECORDED}" if found.undated else ""
    return f"{_minute(found.first_answer)} and {_minute(found.last_answer)} UTC{undated}"


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")
