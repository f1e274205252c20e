"""The graders a task file can name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from workbench.grading import python_code, text
from workbench.trial.trial import Grader, GraderFactory

_FACTORIES: tuple[Callable[..., Grader], ...] = (
    text.mentions,
    text.omits,
    text.matches,
    text.word_count,
    text.asks_question,
    text.has_diagram,
    text.has_code,
    text.has_section,
    python_code.python_parses,
    python_code.type_hints,
    python_code.docstrings,
    python_code.avoids,
    python_code.modern_python,
)


def standard() -> dict[str, GraderFactory]:
    """The graders of the workbench by name. A new mapping each time: add your own to it.

    A factory called with an option that it does not have raises `TypeError` and names those it has.
    """
    return {factory.__name__: _with_named_options(factory) for factory in _FACTORIES}


def _with_named_options(factory: Callable[..., Grader]) -> GraderFactory:
    parameters = inspect.signature(factory).parameters

    @wraps(factory)
    def make(**given: Any) -> Grader:
        unknown = [name for name in given if name not in parameters]
        missing = [
            name for name, parameter in parameters.items() if parameter.default is parameter.empty and name not in given
        ]
        known = f"its options: {', '.join(parameters)}" if parameters else "it takes no options"
        if unknown:
            raise TypeError(f"{factory.__name__} has no option {', '.join(unknown)}; {known}")
        if missing:
            raise TypeError(f"{factory.__name__} needs the option {', '.join(missing)}; {known}")
        return factory(**given)

    return make
