"""The process of `bounded.py`, run as a file by itself: a question a line in, an answer a line out, both JSON.

It sets a timer that the system keeps and that ends this very process: nothing that happens in here can stop it. A
system without such timers (Windows) sets no bound on time.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

SHOWN = 400
"""So many characters of what matched are handed back."""
LIST_FILTERS = frozenset(
    """batch count dictsort first groupby items join last length list map max min random reject rejectattr reverse
    select selectattr slice sort sum tojson unique""".split()  # noqa: SIM905
)
"""Jinja's filters that take a list."""


def search(pattern: str, flags: int, text: str) -> list[Any] | None:
    found = re.compile(pattern, flags).search(text)
    return None if found is None else [found.start(), found.group()[:SHOWN]]


def fill_in(template: str, variables: dict[str, Any], most_characters: int, path: list[str]) -> str:
    pieces, length = [], 0
    for piece in _environment(tuple(path)).from_string(template).generate(variables):
        pieces.append(piece)
        length += len(piece)
        if length > most_characters:
            raise MemoryError
    return "".join(pieces)


def uses_of(template: str, path: list[str]) -> tuple[list[str], list[str]]:
    tree = _environment(tuple(path)).parse(template)
    from jinja2 import meta, nodes

    from_outside = meta.find_undeclared_variables(tree)
    as_lists = [loop.iter for loop in tree.find_all(nodes.For)]
    as_lists += [item.node for item in tree.find_all(nodes.Getitem)]
    as_lists += [used.node for used in tree.find_all(nodes.Filter) if used.name in LIST_FILTERS]
    as_lists += [side.expr for side in tree.find_all(nodes.Operand) if side.op in ("in", "notin")]
    listed = {id(node) for node in as_lists}
    names = [name for name in tree.find_all(nodes.Name) if name.ctx == "load" and name.name in from_outside]
    return (
        sorted({name.name for name in names if id(name) not in listed}),
        sorted({name.name for name in names if id(name) in listed}),
    )


def mermaid_fault(text: str, path: list[str]) -> str:
    found = _merman(tuple(path)).validate(text, None)
    return "" if found.valid else " ".join(str(found.error or found.code_name).split())[:SHOWN]


@lru_cache(maxsize=1)
def _merman(path: tuple[str, ...]) -> Any:
    sys.path[:] = path
    from merman import Merman

    return Merman()


def schema_fault(schema: dict[str, Any], value: Any, path: list[str]) -> list[str] | None:
    validators, registry = _jsonschema(tuple(path))
    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    kind.check_schema(schema)
    fault = next(kind(schema, registry=registry).iter_errors(value), None)
    if fault is None:
        return None
    return ["/".join(str(part) for part in fault.absolute_path), str(fault.message)[:SHOWN]]


@lru_cache(maxsize=1)
def _jsonschema(path: tuple[str, ...]) -> tuple[Any, Any]:
    sys.path[:] = path
    from jsonschema import validators
    from referencing import Registry

    return validators, Registry()  # an empty one: nothing is fetched


@lru_cache(maxsize=1)
def _environment(path: tuple[str, ...]) -> Any:
    sys.path[:] = path  # this process starts without the packages of its parent
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, finalize=_as_text)
    # Jinja's other names, such as `dict` and `lipsum`, would stand for a variable that is missing.
    made.globals = {name: made.globals[name] for name in ("range", "namespace")}
    return made


def _as_text(value: Any) -> Any:
    """What has a text of its own. Python's spelling of a list or of nothing is no part of a question."""
    if isinstance(value, list | tuple):
        raise TypeError("it puts a whole list into the text; say how, such as `{{ names | join(', ') }}`")
    if isinstance(value, dict):
        raise TypeError("it puts a whole mapping into the text; name what of it is meant, such as `{{ user.name }}`")
    if value is None:
        raise TypeError("it puts a variable into the text that has no value; give it one")
    if isinstance(value, type) or type(value).__name__ in ("function", "method", "Macro"):
        raise TypeError("it puts a function into the text; call it, or name a variable")
    return value


_WORKS: dict[str, Callable[..., Any]] = {
    "search": search,
    "fill_in": fill_in,
    "uses_of": uses_of,
    "mermaid_fault": mermaid_fault,
    "schema_fault": schema_fault,
}
_MADE_READY: dict[str, Callable[[tuple[str, ...]], Any]] = {
    "fill_in": _environment,
    "uses_of": _environment,
    "mermaid_fault": _merman,
    "schema_fault": _jsonschema,
}
"""What a work takes from packages, loaded before its time runs: the import is not the task's."""


def _answered(what: str, given: list[Any]) -> tuple[str, Any]:
    try:
        return "answer", _WORKS[what](*given)
    except (MemoryError, OverflowError):
        fill = "it makes more text than a question may have"
        return "beyond", fill if what == "fill_in" else "it takes more memory than it may"
    except RecursionError:
        return "fault", "it calls itself without an end, or is nested too deeply"
    except Exception as error:  # noqa: BLE001 - a template may raise anything, and it comes back as a message
        return "fault", str(getattr(error, "message", None) or error) or type(error).__name__


def main(seconds: float, most_bytes: int) -> None:
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    timer = getattr(signal, "setitimer", lambda *_: None)
    which = getattr(signal, "ITIMER_PROF", 0)
    for line in sys.stdin:
        what, *given = json.loads(line)
        if what in _MADE_READY:
            _MADE_READY[what](tuple(given[-1]))
        timer(which, seconds)
        kind, answer = _answered(what, given)
        timer(which, 0)
        sys.stdout.write(f"{json.dumps((kind, answer))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
