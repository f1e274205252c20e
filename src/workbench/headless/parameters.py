"""The parameters of a notebook: what it declares, and whether given values fit."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from papermill.translators import PythonTranslator

from workbench.definition.finding import agent_file
from workbench.definition.project import RECORD_FILE
from workbench.definition.there import is_file_there
from workbench.errors import ParameterError
from workbench.secrets import is_key_like, looks_secret, without_secrets
from workbench.trial.task_files import task_file_of
from workbench.trial.task_rows import SUFFIXES

_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}
_READ = (".md", *SUFFIXES, ".json", ".toml", ".ipynb")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One assignment of a notebook's cell tagged `parameters`."""

    name: str
    type: str
    """As annotated: "int", "Optional[bool]"; "None" where it is not."""
    default: str
    """Its source text."""
    help: str = ""
    """The comment behind it."""

    @property
    def optional(self) -> bool:
        return self.type.startswith("Optional[")

    @property
    def base(self) -> str:
        """The annotation's outermost type, `Optional` looked through: "bool", "list"."""
        inner = self.type.removeprefix("Optional[").removesuffix("]") if self.optional else self.type
        return re.split(r"\[", inner, maxsplit=1)[0].strip()

    @property
    def literal(self) -> Any:
        """The default as a value; `None` where its source is more than a literal."""
        try:
            return ast.literal_eval(self.default)
        except (ValueError, SyntaxError, TypeError, MemoryError):
            return None

    def __str__(self) -> str:
        return f"{self.name}: {self.type} = {self.default}" + (f"  # {self.help}" if self.help else "")


def declared_parameters(document: NotebookNode) -> dict[str, Parameter]:
    """What the notebook's cell tagged `parameters` declares, by name; empty without such a cell."""
    for cell in document.cells:
        if "parameters" in cell.metadata.get("tags", []):
            return {
                found.name: Parameter(
                    name=found.name, type=found.inferred_type_name, default=found.default, help=found.help
                )
                for found in PythonTranslator.inspect(cell)
            }
    return {}


def check_parameters(declared: Mapping[str, Parameter], given: Mapping[str, Any], *, notebook: Path) -> dict[str, Any]:
    """The given values: all known to the notebook, of the declared type, and none in the form of a key.

    A number or array of numpy is given as what it is in Python, a tuple as a list: a notebook file holds nothing else.

    Raises:
        ParameterError: Otherwise; the message never repeats a value that may be a key.
    """
    values = {}
    for name, each in given.items():
        try:
            values[name] = value = _as_a_notebook_holds_it(each)
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"{notebook}: parameter {name!r} cannot be {error}: a notebook holds text, finite numbers, true, "
                "false, none, and lists and mappings of them"
            ) from None
        if looks_secret(name, value):
            raise ParameterError(
                f"{notebook}: the value of parameter {name!r} looks like a key. It would be saved in the "
                "notebook and on the page; set it in the environment instead (export ANTHROPIC_API_KEY=...)"
            )
        if name not in declared:
            raise ParameterError(
                f"{notebook}: no parameter {name!r}; "
                + (f"it has\n{_listing(declared)}" if declared else "it has no cell tagged `parameters`")
            )
        if not _fits(declared[name], value):
            raise ParameterError(
                f"{notebook}: parameter {name!r} must be {declared[name].type}, not {value!r} "
                f"({type(value).__name__}); it has\n{_listing(declared)}"
            )
    for parameter in declared.values():
        if parameter.name not in given and is_key_like(parameter.default):
            raise ParameterError(
                f"{notebook}: the notebook's own default of {parameter.name!r} looks like a key; take it out "
                "of the file and set it in the environment instead"
            )
    return values


def with_own_tasks(
    declared: Mapping[str, Parameter], given: Mapping[str, Any], *, project: Path, notebook: Path
) -> dict[str, Any]:
    """The checked values, with the agent's file and its task file (see `task_file_of`) where they name neither.

    Where a notebook has no agent of its own, its parameter `agent` being empty, it is for the project's only agent, or
    for one that is named as Claude Code calls it. A notebook's own tasks are those of its own agent: no other is tried
    on them unless somebody says so.

    Raises:
        ParameterError: the agent has no task file, and the notebook would take another agent's.
        FileError: there is no such agent, or none is named and the project has several; says which it has.
    """
    if "agent" in declared and declared["agent"].literal == "" and not _is_file(project, given.get("agent", "")):
        found = agent_file(given.get("agent", ""), project=project).resolve()
        given = {**given, "agent": (found.relative_to(project) if found.is_relative_to(project) else found).as_posix()}
    agent = given.get("agent")
    if not isinstance(agent, str) or "tasks" in given or "tasks" not in declared:
        return dict(given)
    own = task_file_of(project / agent)
    if own is not None:
        return {**given, "tasks": (own.relative_to(project) if own.is_relative_to(project) else own).as_posix()}
    beside = Path(agent).with_suffix(".tasks.yaml")
    others = declared["tasks"].literal
    if others and agent != declared["agent"].literal:
        raise ParameterError(
            f"{notebook}: {agent} has no tasks beside it ({beside}), and {others} are another agent's: write its own, "
            "or name a file as the parameter `tasks`"
        )
    return dict(given)


def files_named(declared: Mapping[str, Parameter], given: Mapping[str, Any], *, project: Path) -> dict[str, str]:
    """The files that a notebook reads as far as its parameters name them, seen from the project; by the parameter.

    Texts, also those in a list or mapping, that name a file of agents, tasks or data, or the folder of a record: its
    `run.json` has the hashes of all the rest. What the notebook declares holds where nothing is given. `out` is what it
    writes.
    """
    values = {name: parameter.literal for name, parameter in declared.items()} | dict(given)
    found = {}
    for name, text in _texts(values):
        record = f"{text.rstrip('/')}/{RECORD_FILE}"
        if text.endswith(_READ) and is_file_there(project / text):
            found[name] = text
        elif text and name != "out" and is_file_there(project / record):
            found[name] = record
    return found


def _is_file(project: Path, named: object) -> bool:
    return isinstance(named, str) and bool(named) and is_file_there(project / named)


def parameters_from_text(declared: Mapping[str, Parameter], texts: Mapping[str, str]) -> dict[str, Any]:
    """Values for texts from a command line, read as the notebook declares them.

    A text stays a text where the notebook wants a `str` or has no such parameter, and where it cannot be
    read as the type that is wanted: `check_parameters` then says so.
    """
    return {name: _read(declared[name], text) if name in declared else text for name, text in texts.items()}


def _texts(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, Mapping):
            yield from _texts({f"{name}.{key}": each for key, each in value.items()})
        elif isinstance(value, list | tuple):
            yield from _texts({f"{name}[{number}]": each for number, each in enumerate(value)})


def _as_a_notebook_holds_it(value: Any) -> Any:
    """The same in the types of JSON; those of numpy are known without importing it.

    Raises:
        TypeError, ValueError: it has no such form; says what it is.
    """
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value!r}")
        return float(value)
    if isinstance(value, (list, tuple)):
        return [_as_a_notebook_holds_it(item) for item in value]
    if isinstance(value, Mapping):
        return {_name_in_a_notebook(name): _as_a_notebook_holds_it(item) for name, item in value.items()}
    raise TypeError(f"a value of type {type(value).__name__}")


def _name_in_a_notebook(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a mapping in which a name is of type {type(name).__name__}")
    return str.__str__(name)


def _listing(declared: Mapping[str, Parameter]) -> str:
    return without_secrets("\n".join(f"  {parameter}" for parameter in declared.values()))


def _fits(parameter: Parameter, value: Any) -> bool:
    if value is None:
        return parameter.optional or parameter.type == "None"
    if parameter.base not in _TYPES:
        return True
    if isinstance(value, bool) and parameter.base != "bool":
        return False
    return isinstance(value, _TYPES[parameter.base])


def _read(parameter: Parameter, text: str) -> Any:
    if parameter.optional and text.casefold() in ("", "none", "null"):
        return None
    if parameter.base == "bool":
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            text.casefold(), text
        )
    if parameter.base in ("int", "float", "list", "dict"):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text
