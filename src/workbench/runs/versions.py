"""What an agent file is compared with: an earlier commit, another file, another model, itself without some lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from workbench.definition.agent import Agent, without_lines
from workbench.definition.committed import HEAD, find_committed
from workbench.definition.fields import FIELDS
from workbench.definition.files import load_agent
from workbench.definition.lint import check_agent
from workbench.definition.there import is_file_there
from workbench.errors import AgentFileError, NothingToCompare, PlanError
from workbench.markup import command, counted
from workbench.runs.plan import make_request
from workbench.trial.description_tasks import OF_EXAMPLE, OF_PROSE, load_tasks_for
from workbench.trial.task import Task, load_tasks
from workbench.trial.task_files import no_tasks_for, task_file_of
from workbench.trial.trial import Variant

BASE, VARIANT = "base", "variant"
_OF_MODELS = ("unknown-model", "retired-model", "not-an-alias")
"""Rules that doubt whether there is such a model."""
_INSTEAD = (
    "Or compare it with another file, another model, or itself without some lines: `workbench compare --help` has the "
    "options, and compare.ipynb the same as parameters"
)


@dataclass(frozen=True, kw_only=True)
class Against:
    """What an agent on disk is compared with; without anything, with the last commit.

    At most one of `other` and `without`. With models and one of them, it is the old agent against the new under each of
    the models; with models alone, the agent under its own model against the same under each of these.
    """

    other: str = ""
    """An agent file, a revision of git, or `REVISION:FILE`."""
    models: tuple[str, ...] = ()
    effort: str = ""
    """Asked with this effort, as with a model."""
    without: str = ""
    """The lines of the prompt that hold this text are left out of the variant."""


@dataclass(frozen=True, kw_only=True)
class Versions:
    """What is compared, loaded."""

    agent: Agent = field(repr=False)
    """As it is on disk."""
    variants: Mapping[str, Variant] = field(repr=False)
    """By name, the baseline of each pair before its variant."""
    pairs: tuple[tuple[str, str], ...]
    """(baseline, variant), as `compare_pairs` takes them."""
    tasks: tuple[Task, ...] = field(repr=False)
    notes: tuple[str, ...]
    """A sentence for each variant that says what it is, and for what has to be known before anything is asked."""


def load_versions(agent: str | Path, against: Against | None = None, *, tasks: str | Path | None = None) -> Versions:
    """An agent file and what it is compared with, on the tasks of a file, or on its own (`load_tasks_for`).

    Raises:
        AgentFileError: a file or a revision cannot be read, or says the same as the other; says what to do.
        NothingToCompare: nothing that a trial sends differs.
        PlanError: what to compare with is named twice.
        TaskFileError: there are no tasks; says where they would be, or what is wrong with them.
        WorkbenchError: no line holds the text that is to be left out.
    """
    path = Path(agent)
    disk, variants, pairs, notes = _compared(path, against or Against())
    found = load_tasks(tasks) if tasks else load_tasks_for(disk)
    if not found:
        raise no_tasks_for(path)
    if not tasks and task_file_of(path) is None:
        notes = [*notes, _of_description(found, path)]
    return Versions(agent=disk, variants=variants, pairs=pairs, tasks=found, notes=tuple(notes))


def nothing_differs(agent: str | Path, against: Against) -> NothingToCompare | None:
    """Why there is nothing to compare an agent file with; `None`: there is something.

    Raises:
        WorkbenchError: as `load_versions`, but for tasks.
    """
    try:
        _compared(Path(agent), against)
    except NothingToCompare as error:
        return error
    return None


def _compared(path: Path, chosen: Against) -> tuple[Agent, dict[str, Variant], tuple[tuple[str, str], ...], list[str]]:
    """The agent on disk, the variants, their pairs, and what is to be said of them."""
    if chosen.other and chosen.without:
        raise PlanError(
            f"{path}: is to be compared with {chosen.other!r} and without lines; one number cannot say which of the "
            "two it was: name one of them"
        )
    disk = load_agent(path)
    old, new, notes = _two_agents(path, disk, chosen)
    variants, pairs = _crossed(old, new, chosen, has_two=new is not old)
    if chosen.models or chosen.effort:
        notes = _with_models(notes, variants, has_two=new is not old)
    alike = {name: _sent(variant) for name, variant in variants.items()}
    for base, variant in pairs:
        if alike[base] == alike[variant]:
            raise _nothing_differs(path, variants[base], variants[variant], chosen)
        if alike[base][0] != alike[variant][0] and alike[base][1:] != alike[variant][1:]:
            notes.append(
                f"{variant} differs from {base} in its prompt and in model or effort: no number will say which of the "
                "two it was"
            )
    return disk, variants, pairs, [*notes, *_doubtful_models(disk, chosen)]


def _doubtful_models(agent: Agent, chosen: Against) -> Iterator[str]:
    """What lint would say of a model that is named for the comparison, were it in the agent file."""
    for model in chosen.models:
        for problem in check_agent(replace(agent, model=model)):
            if problem.rule in _OF_MODELS:
                yield f"{problem.message} {problem.fix or ''}".rstrip()


def _two_agents(path: Path, disk: Agent, chosen: Against) -> tuple[Agent, Agent, list[str]]:
    """The old agent, the new one, and what each is; the same twice where only models are to differ."""
    if chosen.without:
        left_out = without_lines(disk, chosen.without)
        return disk, left_out, [f"{BASE}: {path} on disk", f"{VARIANT}: the same without lines with {chosen.without!r}"]
    if not chosen.other and (chosen.models or chosen.effort):
        return disk, disk, [f"{BASE}: {path} on disk"]
    other = chosen.other or HEAD
    if is_file_there(other):
        return load_agent(other), disk, [f"{BASE}: {other}", f"{VARIANT}: {path}"]
    if other.endswith(".md") and ":" not in other:
        raise AgentFileError("there is no such file to compare with", path=other)
    try:
        found = find_committed(path, other)
    except AgentFileError as error:
        if chosen.other:
            raise
        raise AgentFileError(f"{error}. {_INSTEAD}") from None
    return (
        found.agent,
        disk,
        [f"{BASE}: {found.file} as in {found.revision} ({found.commit})", f"{VARIANT}: {path} on disk"],
    )


def _crossed(
    old: Agent, new: Agent, chosen: Against, *, has_two: bool
) -> tuple[dict[str, Variant], tuple[tuple[str, str], ...]]:
    effort = chosen.effort or None
    models: tuple[str | None, ...] = chosen.models or (None,)
    if not has_two:  # a verdict names the model, so that no "worse" is taken for one of the agent
        names = [f"{VARIANT} {model}" for model in models] if chosen.models else [VARIANT]
        others = {
            name: Variant(agent=new, model=model, effort=effort) for name, model in zip(names, models, strict=True)
        }
        return {BASE: Variant(agent=old), **others}, tuple((BASE, name) for name in others)
    variants, pairs = {}, []
    for model in models:
        base, variant = (name if len(models) == 1 else f"{name} {model}" for name in (BASE, VARIANT))
        variants[base] = Variant(agent=old, model=model, effort=effort)
        variants[variant] = Variant(agent=new, model=model, effort=effort)
        pairs.append((base, variant))
    return variants, tuple(pairs)


def _with_models(notes: list[str], variants: Mapping[str, Variant], *, has_two: bool) -> list[str]:
    """What each variant is, and of which model it is asked."""
    asked = {name: _asked(variant) for name, variant in variants.items()}
    if has_two:
        return [*notes, f"both are asked of {', then of '.join(dict.fromkeys(asked.values()))}"]
    others = [f"{name}: the same, asked of {said}" for name, said in asked.items() if name != BASE]
    return [f"{notes[0]}, asked of {asked[BASE]}", *others]


def _asked(variant: Variant) -> str:
    _, model, effort = _sent(variant)
    return model + (f" with effort {effort}" if effort else "")


def _sent(variant: Variant) -> tuple[str, str, str | None]:
    request = make_request(variant.agent, "", model=variant.model, effort=variant.effort)
    return request.system, request.model, request.effort


def _nothing_differs(path: Path, base: Variant, variant: Variant, chosen: Against) -> NothingToCompare:
    other = chosen.other or HEAD
    if chosen.without:
        return NothingToCompare(
            path, f"what is sent is the same without the lines with {chosen.without!r}", "; name others"
        )
    if not chosen.other and (chosen.models or chosen.effort):
        return NothingToCompare(
            path, f"is asked with {_sent(base)[1]} and this effort anyway", "; name another model or effort"
        )
    differing = [name for name in FIELDS if getattr(base.agent, name) != getattr(variant.agent, name)]
    if differing:
        return NothingToCompare(
            path,
            f"differs from {other} in {', '.join(differing)} alone, which no trial sends",
            ": replies would differ by chance. Whether the agent is picked is what `workbench route` measures",
        )
    return NothingToCompare(
        path,
        f"says what {other} says",
        ", so there is nothing to compare. Edit it and come back; or compare it with an earlier commit "
        f"(`{command('git', 'log', '--oneline', '--', path)}` lists them), another file, another model, or itself "
        "without some lines: `workbench compare --help`",
    )


def _of_description(tasks: Sequence[Task], path: Path) -> str:
    """What tasks are that nobody wrote down."""
    counts = Counter(task.group for task in tasks)
    kinds = (
        (OF_EXAMPLE, "example", " of the description"),
        (OF_PROSE, "draft", " made of the words of the description"),
    )
    said = " and ".join(f"{counted(counts[group], name)}{of}" for group, name, of in kinds if counts[group])
    return (
        f"tasks: {said}, for there is no task file; "
        f"`{command('workbench', 'tasks', path, '--from', 'description', '--write')}` puts them in one, to be edited"
    )
