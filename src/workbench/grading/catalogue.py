"""The graders a task file can name: the workbench's own, and those of packages that are installed beside it.

A package offers graders as entry points of the group `workbench.graders`: the name is the grader's, the object a
function `(task, reply)`, or one that makes such a function from options.
"""

from __future__ import annotations

import difflib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.trial.trial import Grader, GraderFactory

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "workbench.graders"
"""The group of entry points in which packages offer graders."""

_FILES: Mapping[str, tuple[str, ...]] = {
    "text": (
        "mentions",
        "omits",
        "contains",
        "equals",
        "matches",
        "word_count",
        "has_sentences",
        "readability",
        "language",
        "code_share",
        "asks_question",
    ),
    "structure": (
        "has_diagram",
        "has_code",
        "has_section",
        "headings",
        "has_table",
        "has_list",
        "is_json",
        "has_files",
    ),
    "python_code": (
        "python_parses",
        "type_hints",
        "docstrings",
        "avoids",
        "modern_python",
        "defines",
        "uses",
        "has_tests",
        "safe_sql",
        "no_secrets",
    ),
    "python_tools": ("ruff", "mypy"),
    "measured": ("latency", "tokens", "cost"),
    "combining": ("all_of", "any_of", "at_least"),
}
"""The graders by the file of this room that makes them. It is loaded when a task names one of them."""

OWN = tuple(name for names in _FILES.values() for name in names)
"""The names of the workbench's own graders."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A worked example of a grader."""

    options: Mapping[str, Any]
    replies: tuple[str, ...]


def example_of(name: str) -> Example:
    """The worked example of one of the workbench's own graders.

    Raises:
        KeyError: there is none of that name.
    """
    found = _examples()[name]
    return Example(options=found.get("options") or {}, replies=tuple(found["replies"]))


@cache
def _examples() -> dict[str, Any]:
    import yaml

    text = Path(__file__).with_name("examples.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def standard() -> dict[str, GraderFactory]:
    """The graders of the workbench by name, and then those of installed packages. A new mapping each time: add your own
    to it.

    A factory called with an option that it does not have raises `TypeError` and names those it has. A package's grader
    that has a name of ours, or of an earlier package's, is called `package/name`; one that cannot be loaded raises
    `TypeError`, which says why, when it is made.
    """
    own: dict[str, GraderFactory] = {name: _Own(file, name) for file, names in _FILES.items() for name in names}
    for package, point in _offered():
        name = point.name if point.name not in own else f"{package}/{point.name}"
        own[name] = _loaded(package, point)
    return own


def _offered() -> tuple[tuple[str, EntryPoint], ...]:
    """The packages that offer graders, in the order of their names."""
    if not _is_offered():
        return ()
    from importlib import metadata

    points = metadata.entry_points(group=GROUP)
    return tuple(
        sorted(((point.dist.name if point.dist else "?", point) for point in points), key=lambda each: each[0])
    )


def _is_offered() -> bool:
    """Whether any installed package names the group. To look for it in their files takes 3 ms beside 235 packages,
    `importlib.metadata` to read all that they offer 16, and to be imported another 20 (benchmark `again`). It is asked
    where packages may be in no folder."""
    if any(finder is not PathFinder and hasattr(finder, "find_distributions") for finder in sys.meta_path):
        return True
    for folder in sys.path:
        try:
            files = [entry.path for entry in os.scandir(folder or ".") if entry.name.endswith(_SAYS_WHAT_IS_OFFERED)]
        except FileNotFoundError:
            continue
        except OSError:  # an archive, say
            return True
        if any(_names_group(Path(file, "entry_points.txt")) for file in files):
            return True
    return False


_SAYS_WHAT_IS_OFFERED = (".dist-info", ".egg-info", "EGG-INFO")


def _names_group(file: Path) -> bool:
    try:
        return GROUP.encode() in file.read_bytes()
    except OSError:  # most packages offer nothing, and have no such file
        return False


def _loaded(package: str, point: EntryPoint) -> GraderFactory:
    try:
        found = point.load()
    except Exception as error:  # noqa: BLE001 - whatever somebody's package raises, the other graders are there
        return _broken(f"the grader of {package} ({point.value}) cannot be loaded: {type(error).__name__}: {error}")
    if not callable(found):
        return _broken(f"the grader of {package} ({point.value}) is no function, but a {type(found).__name__}")
    factory: GraderFactory = found
    return factory


def _broken(why: str) -> GraderFactory:
    def make(**options: Any) -> Grader:
        raise TypeError(why)

    make.__doc__ = f"Not there: {why}."
    return make


class _Own:
    """A grader of ours, as a factory that can be asked for its name, its options and what it is for."""

    def __init__(self, file: str, name: str) -> None:
        self.__module__, self.__name__, self.__qualname__ = f"{__package__}.{file}", name, name

    @cached_property
    def __wrapped__(self) -> Callable[..., Grader]:
        """The function itself, from which `inspect` takes the options."""
        made: Callable[..., Grader] = getattr(import_module(self.__module__), self.__name__)
        return made

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self.__wrapped__.__doc__

    @property
    def combines(self) -> bool:
        """Whether it is handed other graders made: see `graded.PARTS`."""
        return getattr(self.__wrapped__, "combines", False)

    def __call__(self, **given: Any) -> Grader:
        parameters = inspect.signature(self.__wrapped__).parameters
        unknown = [name for name in given if name not in parameters]
        missing = [
            name for name, parameter in parameters.items() if parameter.default is parameter.empty and name not in given
        ]
        known = f"its options: {', '.join(parameters)}" if parameters else "it takes no options"
        if unknown:
            near = difflib.get_close_matches(unknown[0], list(parameters), n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise TypeError(f"{self.__name__} has no option {', '.join(unknown)}; {hint}{known}")
        if missing:
            raise TypeError(f"{self.__name__} needs the option {', '.join(missing)}; {known}")
        return self.__wrapped__(**given)
