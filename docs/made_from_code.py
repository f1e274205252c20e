"""The parts of the reference that are made from the code, as Markdown.

A page asks for one by a line `<!-- made from the code: NAME -->`; `fill_in` puts it there. What the code does not say
is said in `environment.toml`, `first_agent.yaml` and the examples of the graders, and none of them may know less or
more than the code does.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import yaml

import workbench
from tests.graded_replies import agreements
from workbench import cli, errors
from workbench.definition import resolved
from workbench.grading.catalogue import OWN, example_of, standard
from workbench.grading.checking import TaskFileCheck, check_tasks
from workbench.ledger import schema
from workbench.project.ci import OUTCOMES
from workbench.trial import paid, record, task, trial
from workbench.trial.graded import graders_by_task
from workbench.trial.rubric import RUBRIC_BESIDE

HERE = Path(__file__).parent
SOURCE = Path(workbench.__file__).parent
FIRST_AGENTS_TASKS = HERE.parent / "agents" / "senior-python-architect.tasks.yaml"
_ASKED = re.compile(r"^<!-- made from the code: (?P<name>[\w-]+) -->$", re.MULTILINE)
_VARIABLE = re.compile(r"\bWORKBENCH_[A-Z_]+[A-Z]\b")
_OF_OTHERS = re.compile(r"(ANTHROPIC|OPENAI|CLAUDE)_[A-Z_]+[A-Z]")
_EXIT = re.compile(r"EXIT_\w+$")


def fill_in(page: str) -> str:
    """The page with every part that it asks for."""
    return _ASKED.sub(lambda asked: "\n".join(_PARTS[asked["name"]]()), page)


def commands() -> Iterator[str]:
    """Each command with its usage, what it does, and its options."""
    context = click.Context(cli.main, info_name="workbench")
    for name in cli.main.list_commands(context):
        command = cli.main.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        yield f"\n## workbench {name}\n"
        yield f"```text\n{command.get_usage(inner).removeprefix('Usage: ')}\n```\n"
        yield _prose(inspect.cleandoc(command.help or ""))
        options = [each.get_help_record(inner) for each in command.params if isinstance(each, click.Option)]
        shown = [each for each in options if each is not None]
        if shown:
            yield "\n| option | what it does |\n|---|---|"
            yield from (f"| {_code_cell(option)} | {_cell(text)} |" for option, text in shown)


def names() -> Iterator[str]:
    """Everything that `import workbench as wb` offers, with its signature and docstring."""
    for name in workbench.__all__:
        value = getattr(workbench, name)
        yield f"\n## {name}\n"
        if inspect.ismodule(value):
            yield f"The module of graders: see [](graders.md). {_first_line(value)}"
            continue
        kind = "class " if inspect.isclass(value) else ""
        yield f"```text\n{kind}wb.{name}{_signature(value)}\n```\n"
        yield _prose(inspect.getdoc(value) or "")
        if inspect.isclass(value):
            yield from _members(value)


def _members(value: type) -> Iterator[str]:
    said = _attribute_docs(value)
    if dataclasses.is_dataclass(value):
        yield "\n| field | type | |\n|---|---|---|"
        for each in dataclasses.fields(value):
            if not each.name.startswith("_"):
                yield f"| {_code_cell(each.name)} | {_code_cell(str(each.type))} | {_cell(said.get(each.name, ''))} |"
    members = [
        (name, member)
        for name, member in vars(value).items()
        if not name.startswith("_") and (callable(member) or isinstance(member, property)) and inspect.getdoc(member)
    ]
    if members:
        yield "\n| member | what it does |\n|---|---|"
    for name, member in members:
        shown = name if isinstance(member, property) else f"{name}{_signature(member, longest=10_000)}"
        yield f"| {_code_cell(shown)} | {_cell(_first_paragraph(member))} |"


def graders() -> Iterator[str]:
    """Each grader with its options and a worked example: what a task says, a reply, and what the grader finds."""
    factories = {name: factory for name, factory in standard().items() if name in OWN}
    examples = {name: example_of(name) for name in factories}
    for name, factory in factories.items():
        yield f"\n## {name}\n"
        yield f"Options: `{', '.join(inspect.signature(factory).parameters) or 'none'}`.\n"
        yield _prose(inspect.getdoc(factory) or "")
        options = dict(examples[name].options)
        written = yaml.safe_dump([{name: options}] if options else [name], sort_keys=False, allow_unicode=True)
        yield f"\nIn a task file:\n\n```yaml\ngraders:\n{textwrap.indent(written, '  ').rstrip()}\n```\n"
        held = agreements()[name]
        yield (
            f"\nOf {held.good + held.bad} replies written by hand, {held.good} of which it has to pass, it says what a "
            f"person says of {held.agrees} ({held.accuracy:.0%}).\n"
        )
        yield "\n| reply | score | what the grader says |\n|---|---|---|"
        spec = task.GraderSpec(name=name, promise=name, options=options)
        asked = task.Task(id="example", input="A question.", graders=(spec,))
        grade = graders_by_task([asked], factories)["example"][name]
        measured = trial.Usage(input_tokens=1_000, output_tokens=700)
        for reply in examples[name].replies:
            given = trial.Reply(text=reply, seconds=12.5, usage=measured, model="claude-haiku-4-5")
            found = grade(asked, given)
            value = "none" if found.value is None else f"{found.value:.2f}"
            yield f"| {_code_cell(reply)} | {value} | {_cell(found.explanation)} |"


def first_agent() -> Iterator[str]:
    """Each promise of the agent that comes along, with the graders that hold a reply to it, those of them that words
    alone satisfy, and what a judge is asked beside them."""
    promises = yaml.safe_load((HERE / "first_agent.yaml").read_text(encoding="utf-8"))
    there = {spec.promise for each in task.load_tasks(FIRST_AGENTS_TASKS) for spec in each.graders}
    by_words = {promise for kept in _of_first_agent().by_words.values() for promise in kept}
    yield "| promise | graded as | of these, words alone keep | by a person or a judge |\n|---|---|---|---|"
    for promise, told in promises.items():
        graded = told.get("graders", [])
        _refuse_difference(set(graded) - there, set(), "first_agent.yaml", "graders")
        kept = [label for label in graded if label in by_words]
        beside = f"`{RUBRIC_BESIDE}`" if kept else ""
        asked = _cell(told.get("criterion", beside))
        yield f"| {_cell(promise)} | {_labels(graded)} | {_labels(kept)} | {asked} |"


def _labels(promises: list[str]) -> str:
    return ", ".join(f"`{promise}`" for promise in promises)


_KINDS = {
    "salad": "salad: the right words without a sentence, a trivial code block, `mermaid x`",
    "denial": "denial, in whole sentences",
    "refused": "refused",
    "empty": "empty",
    "fluent": "wrong, in good English",
    "stuffed": "stuffed: every word looked for, in whole sentences about words",
    "platitudes": 'platitudes: every word looked for, in sentences that would fit any task ("plays a pivotal role")',
    "flawed": "flawed: a fair answer that breaks some promises and keeps the others",
}
"""What the kinds of bad replies to the first agent's tasks are, in the order of the page."""


def first_agent_replies() -> Iterator[str]:
    """Of the bad replies to the first agent's tasks, kind by kind: how many, and the promises that score as high as
    those of the good reply."""
    check = _of_first_agent()
    _refuse_difference(set(_KINDS), set(check.as_high), "made_from_code.py", "kinds of replies")
    names = Counter(known.name for each in task.load_tasks(FIRST_AGENTS_TASKS) for known in each.replies)
    yield "| bad replies | how many | promises that score as high as those of the good reply |\n|---|---|---|"
    for kind, what in _KINDS.items():
        share = check.as_high[kind]
        yield f"| {what} | {names[kind]} | {share} ({share.kept / share.asked:.0%}) |"
    share = check.of_words
    made = "a sentence about something else for each word looked for, which `check-tasks` makes"
    yield f"| {made} | {len(check.by_words)} | {share} ({share.kept / share.asked:.0%}) |"


@cache
def _of_first_agent() -> TaskFileCheck:
    return check_tasks(FIRST_AGENTS_TASKS)


def task_fields() -> Iterator[str]:
    """The fields of a task, and of a grader in it."""
    said = _attribute_docs(task.Task)
    yield "| field | what it is |\n|---|---|"
    yield from (f"| `{name}` | {_cell(said.get(name, ''))} |" for name in task.FIELDS)
    yield f"\nThe name of a task file ends in {_listed(task.SUFFIXES)}. {_prose(inspect.getdoc(task.load_tasks) or '')}"


def record_files() -> Iterator[str]:
    """The files of a record, and the fields of what is in them."""
    about, _, files = (inspect.getdoc(record) or "").partition("\n\n")
    listing, _, rest = files.partition("\n\n")
    yield f"{_prose(about)}\n\n```text\n{textwrap.dedent(listing)}\n```\n\n{_prose(rest)}\n"
    yield f"This is format {record.FORMAT}; `run.json` says so.\n"
    for value in (
        trial.Trial,
        trial.Request,
        trial.Reply,
        trial.Usage,
        trial.Failure,
        trial.Score,
        paid.Paid,
        trial.Endpoint,
    ):
        yield f"\n## {value.__name__}\n\n{_prose(inspect.getdoc(value) or '')}"
        yield from _members(value)


def ledger_tables() -> Iterator[str]:
    """The tables of a ledger, with their columns."""
    yield f"This is version {schema.SCHEMA_VERSION} of the schema.\n"
    for table in schema.tables.sorted_tables:
        yield f"\n## {table.name}\n\n| column | type | |\n|---|---|---|"
        for column in table.columns:
            notes = ["key" if column.primary_key else "", "" if column.nullable else "never null"]
            kind = type(column.type).__name__.strip("_")
            yield f"| `{column.name}` | {kind} | {', '.join(note for note in notes if note)} |"


def exit_codes() -> Iterator[str]:
    """The exit codes of the commands."""
    yield "| code | when |\n|---|---|\n| 0 | All that was asked for was done; the gate: no worse than by the margin. |"
    by_code: dict[int, str] = {}
    first = Path(cli.__file__)
    for path in (first, *sorted(set(SOURCE.rglob("*.py")) - {first})):
        for name, code, text in _exits(path):
            if not text:
                raise ValueError(f"{path}: say below {name} when a command exits so")
            by_code[code] = " ".join(filter(None, (by_code.get(code, ""), text)))
    for outcome in OUTCOMES.values():
        of_ci = f"`ci`: {outcome.when[0].lower()}{outcome.when[1:]}"
        if outcome.code:
            by_code[outcome.code] = " ".join(filter(None, (by_code.get(outcome.code, ""), of_ci)))
    for code, text in sorted(by_code.items()):
        yield f"| {code} | {_cell(text)} |"


def environment() -> Iterator[str]:
    """The environment variables, ours first."""
    said = tomllib.loads((HERE / "environment.toml").read_text(encoding="utf-8"))
    ours = {name for path in SOURCE.rglob("*.py") for name in _VARIABLE.findall(path.read_text(encoding="utf-8"))}
    _refuse_difference(set(said["workbench"]), ours, "environment.toml", "variables")
    theirs = {name for path in SOURCE.rglob("*.py") for name in _read_of_others(path)} | set(resolved.VARIABLES)
    _refuse_difference(set(said["theirs"]), theirs, "environment.toml", "variables")
    for heading, group in (("Of the workbench", "workbench"), ("Of the way to a model, and of Claude Code", "theirs")):
        yield f"\n## {heading}\n\n| variable | what it does |\n|---|---|"
        yield from (f"| `{name}` | {_cell(text)} |" for name, text in sorted(said[group].items()))


def _exits(path: Path) -> Iterator[tuple[str, int, str]]:
    """The exit codes that a file declares: name, code, and the text below, empty where there is none."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = _texts_below(tree.body)
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int(code))) if _EXIT.match(name):
                yield name, code, said.get(name, "")


def _read_of_others(path: Path) -> set[str]:
    """The variables of others that a file names as texts, but for those that it sets or takes away for a program that
    it starts."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    handed_on = {id(key) for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys}
    handed_on |= {
        id(node.slice)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load)
    }
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in handed_on
        if _OF_OTHERS.fullmatch(node.value)
    }


def exceptions() -> Iterator[str]:
    """The tree of exceptions."""
    yield "| exception | when |\n|---|---|"
    for value in vars(errors).values():
        if inspect.isclass(value) and issubclass(value, errors.WorkbenchError):
            depth = len(value.__mro__) - len(errors.WorkbenchError.__mro__)
            yield f"| {'&nbsp;&nbsp;' * depth} `{value.__name__}` | {_cell(_first_paragraph(value))} |"


_PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "commands": commands,
    "names": names,
    "graders": graders,
    "first-agent": first_agent,
    "first-agent-replies": first_agent_replies,
    "task-fields": task_fields,
    "record": record_files,
    "ledger": ledger_tables,
    "exit-codes": exit_codes,
    "environment": environment,
    "exceptions": exceptions,
}


def _refuse_difference(described: set[str], there: set[str], file: str, what: str) -> None:
    if described != there:
        lacks, knows = sorted(there - described), sorted(described - there)
        raise ValueError(f"docs/{file} lacks the {what} {lacks}, and describes {knows}, which the code has not")


def _attribute_docs(value: type) -> dict[str, str]:
    """The texts that stand below the fields of a class."""
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(value))).body
    return _texts_below(definition.body) if isinstance(definition, ast.ClassDef) else {}


def _texts_below(body: list[ast.stmt]) -> dict[str, str]:
    found = {}
    for statement, below in itertools.pairwise(body):
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if is_text and isinstance(targets[0], ast.Name):
            found[targets[0].id] = inspect.cleandoc(str(below.value.value))
    return found


def _prose(text: str) -> str:
    """A docstring as Markdown: what is code in it stays code, what it raises is a list, and nothing is markup."""
    about, raises, rest = text.partition("\nRaises:\n")
    shown = "\n\n".join(_paragraph(each) for each in about.split("\n\n"))
    if not raises:
        return shown
    entries = re.split(r"\n(?=\S)", textwrap.dedent(rest))
    return f"{shown}\n\nRaises:\n\n" + "\n".join(f"- {_plain(' '.join(entry.split()))}" for entry in entries if entry)


def _paragraph(text: str) -> str:
    is_listing = all(line.startswith("    ") for line in text.splitlines())
    return f"```text\n{textwrap.dedent(text)}\n```" if is_listing else _plain(text)


def _plain(text: str) -> str:
    """Text in which only code in backticks is marked up."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_\[\]<>#|$])", r"\\\1", part) for part in parts)


def _cell(text: str) -> str:
    return _plain(" ".join(text.split())).replace("\\|", "&#124;")


def _code_cell(text: str) -> str:
    """Code in a table's cell; its line ends are shown, and a bar would end the cell."""
    shown = text.replace("\n", "⏎").replace("|", "\\|")
    return f"`` {shown} ``" if "`" in shown else f"`{shown}`"


def _first_paragraph(value: Any) -> str:
    return (inspect.getdoc(value) or "").split("\n\n")[0]


def _first_line(value: Any) -> str:
    return _plain((inspect.getdoc(value) or "").splitlines()[0])


def _signature(value: Any, *, longest: int = 90) -> str:
    """The signature as one would write it; one that is longer has a line for each parameter."""
    try:
        signature = inspect.signature(value)
    except (ValueError, TypeError):
        return ""
    shown, was_keyword = [], False
    for each in signature.parameters.values():
        if each.name == "self":
            continue
        if each.kind is each.KEYWORD_ONLY and not was_keyword:
            shown.append("*")
            was_keyword = True
        shown.append(_parameter(each))
    gives = (
        "" if signature.return_annotation in (signature.empty, "None", None) else f" -> {signature.return_annotation}"
    )
    line = f"({', '.join(shown)}){gives}"
    return line if len(line) < longest else "(\n" + "".join(f"    {each},\n" for each in shown) + f"){gives}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    kind = "" if parameter.annotation is parameter.empty else f": {parameter.annotation}"
    if parameter.default is parameter.empty:
        return f"{stars}{parameter.name}{kind}"
    default = repr(parameter.default)
    return f"{stars}{parameter.name}{kind} = {default if len(default) < 30 and '<' not in default else '...'}"


def _listed(items: tuple[str, ...]) -> str:
    return ", ".join(f"`{item}`" for item in items)
