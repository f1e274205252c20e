"""The Python that the offline stand-in writes: one small module about a thing, in better or worse style."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

DocstringStyle = Literal["plain", "google", "numpy", "sphinx"]


@dataclass(frozen=True, kw_only=True)
class _Module:
    """A module that is to be written: about what, and how."""

    noun: str
    traits: Set[str]
    style: DocstringStyle
    is_async: bool

    @property
    def typed(self) -> bool:
        return "type_hints" in self.traits

    @property
    def thing(self) -> str:
        """The noun as the name of a class."""
        return _class_name(self.noun)

    @property
    def record(self) -> str:
        """The annotation of one that is found."""
        if "models" in self.traits:
            return self.thing
        return "dict[str, str]" if "modern" in self.traits else "Dict[str, str]"

    @property
    def record_or_none(self) -> str:
        return _or_none(self.record, self.traits)


def write_module(
    noun: str, functions: tuple[str, ...], *, traits: Set[str], style: DocstringStyle, is_async: bool
) -> str:
    """The source of a module that finds a thing in a store; parses under Python 3.11.

    `noun` and `functions` must be identifiers. `traits` are names of behaviours: `type_hints`, `docstrings`,
    `modern`, `models`, `comments`, `separation`, `error_handling`, `observability`.
    """
    module = _Module(noun=noun, traits=traits, style=style, is_async=is_async)
    thing = module.thing
    parts = [
        f'"""What is done with one {noun}, apart from transport and storage."""\n' if "docstrings" in traits else "",
        _imports(module),
        "logger = logging.getLogger(__name__)\n" if "observability" in traits else "",
    ]
    blocks = ["\n".join(part for part in parts if part).rstrip("\n")]
    if "error_handling" in traits:
        blocks += [
            _class(f"{thing}Error(Exception)", f"Root of what can go wrong with the {noun}.", traits),
            _class(f"{thing}NotFound({thing}Error)", f"No {noun} has this id.", traits),
        ]
    if "models" in traits:
        blocks.append(_model(module))
    if "separation" in traits:
        blocks.append(_port(module))
    blocks += [_function(name, module) for name in functions]
    return "\n\n\n".join(block for block in blocks if block)


def write_tests(noun: str, function: str, *, traits: Set[str], is_async: bool) -> str:
    """The source of pytest tests for a module of `write_module`; parses under Python 3.11."""
    typed = "type_hints" in traits
    thing = _class_name(noun)
    returns = " -> None" if typed else ""
    takes = "missing_id: str" if typed else "missing_id"
    call = f"{function}({{}}, missing_id)"
    call = f"asyncio.run({call})" if is_async else call
    expects = (
        f"    with pytest.raises({thing}NotFound):\n        {call}"
        if "error_handling" in traits
        else f"    assert {call} is None"
    )
    imports = ["import asyncio"] if is_async else []
    imports += ["import pytest"] if "error_handling" in traits else []
    head = "\n".join([*imports, "from hypothesis import given", "from hypothesis import strategies as st"])
    test = f"@given(st.text(min_size=1))\ndef test_unknown_{noun}_is_reported({takes}){returns}:\n{expects}"
    return f"{head}\n\n\n{test}"


def _class_name(noun: str) -> str:
    return noun.title().replace("_", "")


def _imports(module: _Module) -> str:
    traits, typed = module.traits, module.typed
    lines: list[str] = []
    if "observability" in traits:
        lines.append("import logging")
    if "models" in traits and typed:
        lines.append("from dataclasses import dataclass")
    names = ["Protocol"] if "separation" in traits else []
    if typed and "modern" not in traits:
        names += ["Dict", "Optional"]
    if names:
        lines.append(f"from typing import {', '.join(sorted(names))}")
    return "\n".join(lines) + "\n" if lines else ""


def _or_none(annotation: str, traits: Set[str]) -> str:
    return f"{annotation} | None" if "modern" in traits else f"Optional[{annotation}]"


def _class(header: str, docstring: str, traits: Set[str]) -> str:
    return f'class {header}:\n    """{docstring}"""' if "docstrings" in traits else f"class {header}:\n    pass"


def _model(module: _Module) -> str:
    noun, thing, traits = module.noun, module.thing, module.traits
    docstring = (
        [f'    """One {noun} as the domain sees it; never half filled."""', ""] if "docstrings" in traits else []
    )
    if module.typed:
        lines = ["@dataclass(frozen=True, slots=True)", f"class {thing}:", *docstring, "    id: str"]
        lines.append(f"    owner: {_or_none('str', traits)} = None")
    else:
        lines = [f"class {thing}:", *docstring, "    def __init__(self, id, owner=None):"]
        lines += ["        self.id = id", "        self.owner = owner"]
    return "\n".join(lines)


def _port(module: _Module) -> str:
    noun, traits = module.noun, module.traits
    docstring = [f'    """Port: where {noun} data is kept is an adapter\'s business."""', ""]
    start = "async def" if module.is_async else "def"
    signature = f"(self, {noun}_id: str) -> {module.record_or_none}" if module.typed else f"(self, {noun}_id)"
    lines = [f"class {module.thing}Store(Protocol):", *(docstring if "docstrings" in traits else [])]
    lines.append(f"    {start} get{signature}:" + ("" if "docstrings" in traits else " ..."))
    if "docstrings" in traits:
        lines.append(f'        """The {noun}, or nothing when there is none."""')
    return "\n".join(lines)


def _function(name: str, module: _Module) -> str:
    noun, thing, traits, typed = module.noun, module.thing, module.traits, module.typed
    raises = "error_handling" in traits
    store = f"{thing}Store" if "separation" in traits else _mapping_of(module)
    arguments = f"store: {store}, {noun}_id: str" if typed else f"store, {noun}_id"
    returns = f" -> {module.record if raises else module.record_or_none}" if typed else ""
    wait = "await " if module.is_async and "separation" in traits else ""
    lines = [f"{'async def' if module.is_async else 'def'} {name}({arguments}){returns}:"]
    if "docstrings" in traits:
        lines += _docstring(noun, thing if raises else None, module.style)
    if "comments" in traits:
        lines.append("    # One lookup on purpose: asking first and reading after would race with a delete.")
    lines += [f"    found = {wait}store.get({noun}_id)", "    if found is None:"]
    if "observability" in traits:
        lines.append(f'        logger.warning("{noun}_not_found", extra={{"{noun}_id": {noun}_id}})')
    else:
        lines.append(f'        print("not found", {noun}_id)')
    lines.append(f"        raise {thing}NotFound({noun}_id)" if raises else "        return None")
    lines.append("    return found")
    return "\n".join(lines)


def _mapping_of(module: _Module) -> str:
    return f"dict[str, {module.record}]" if "modern" in module.traits else f"Dict[str, {module.record}]"


def _docstring(noun: str, thing: str | None, style: DocstringStyle) -> list[str]:
    why = f"Finds one {noun}; an unknown id is reported here, because callers forget to check."
    arguments = {"store": f"Where each {noun} is kept.", f"{noun}_id": f"Which {noun} is meant."}
    result = f"The {noun} with this id."
    error = (f"{thing}NotFound", f"No {noun} has this id.") if thing else None
    lines = [f'"""{why}']
    if style == "google":
        lines += ["", "Args:", *(f"    {name}: {text}" for name, text in arguments.items())]
        lines += ["", "Returns:", f"    {result}"]
        lines += ["", "Raises:", f"    {error[0]}: {error[1]}"] if error else []
    elif style == "numpy":
        lines += ["", "Parameters", "----------"]
        for name, text in arguments.items():
            lines += [name, f"    {text}"]
        lines += ["", "Returns", "-------", f"    {result}"]
        lines += ["", "Raises", "------", error[0], f"    {error[1]}"] if error else []
    elif style == "sphinx":
        lines += ["", *(f":param {name}: {text}" for name, text in arguments.items()), f":returns: {result}"]
        lines += [f":raises {error[0]}: {error[1]}"] if error else []
    else:
        return [f'    """{why}"""']
    return [f"    {line}".rstrip() for line in [*lines, '"""']]
