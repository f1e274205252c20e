"""The command that goes on where a notebook failed, as it can be pasted into a shell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from workbench.errors import NotebookFailed
from workbench.markup import command


@contextmanager
def saying_how_to_go_on(*more: str, note: str = "") -> Iterator[None]:
    """Where a notebook fails, the message ends with the command that is running, `more` behind it, and with a note."""
    try:
        yield
    except NotebookFailed as error:
        again = command_again(click.get_current_context(), *more)
        raise NotebookFailed(error.why, saved=error.saved, to_go_on=f"To go on: {again}{note}") from None


def command_again(ctx: click.Context, *more: str) -> str:
    """The command of this context with all that was given to it and is not so anyway, and `more` where it is not yet.

    What was given is taken from its values: a command that another one calls has no line of its own.
    """
    words: list[str | Path] = []
    for parameter in ctx.command.params:
        value = ctx.params.get(parameter.name or "")
        if value is not None and (isinstance(parameter, click.Argument) or value != parameter.get_default(ctx)):
            words += _words_of(parameter, value)
    words += [word for word in more if word not in words]
    return command("workbench", ctx.command.name or "", *words)


def _words_of(parameter: click.Parameter, value: Any) -> list[str | Path]:
    each = (
        list(value)
        if parameter.multiple or (isinstance(parameter, click.Argument) and parameter.nargs == -1)
        else [value]
    )
    if isinstance(parameter, click.Argument):
        return [_word(one) for one in each]
    if isinstance(value, bool):
        return [parameter.opts[-1] if value else parameter.secondary_opts[-1]]
    name = parameter.opts[-1]
    return [word for one in each for word in (name, *(map(_word, one) if isinstance(one, tuple) else [_word(one)]))]


def _word(value: Any) -> str | Path:
    return value if isinstance(value, Path) else str(value)
