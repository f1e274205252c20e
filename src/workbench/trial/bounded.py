"""What a task file asks for without a known end, done within bounds: patterns are searched for, templates filled in,
and diagrams read by a package of compiled code.

Neither Python's `re` nor a template can be interrupted: `(a+)+$` needs longer than the universe has for 40 letters, and
`{{ 'x' * 10**10 }}` all the memory there is. So both happen in a process of their own (`bounded_worker.py`), which the
system ends once it has computed for `SECONDS`: its own time, so a busy machine changes no result. It is started when it
is first needed (12 ms), answers in 0.03 ms, and ends with this process. The patterns mean what they mean in Python.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 1.0
"""How long one search, or the filling in of one text, may compute."""
MOST_BYTES = 2**30
"""How much memory the process may take, where the system can hold it to that."""
MOST_CHARACTERS = 1_000_000
"""How long a text may be when its variables are filled in."""
_PROGRAM = Path(__file__).with_name("bounded_worker.py")


class BeyondBounds(Exception):
    """It was ended, for it took too long, too much memory, or made too much; says which."""


class TemplateFault(Exception):
    """The template is wrong, or a variable of it is; says how."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Where a pattern was found first."""

    start: int
    text: str
    """The beginning of what it matched."""


@dataclass(frozen=True, kw_only=True)
class Uses:
    """The variables that a template takes from outside."""

    as_values: frozenset[str]
    """Put into the text, compared or handed on as one value."""
    as_lists: frozenset[str]
    """Looped over, joined, or asked for one of their items."""


def search(pattern: str, flags: int, text: str) -> Found | None:
    """Where `re.compile(pattern, flags)` is found first in the text.

    Raises:
        BeyondBounds: the search took too long.
    """
    found = _worker.ask("search", pattern, flags, text)
    return None if found is None else Found(start=found[0], text=found[1])


def fill_in(template: str, variables: Mapping[str, Any]) -> str:
    """The template with its variables filled in, in Jinja's sandbox.

    Raises:
        TemplateFault: it is no template, a variable is missing, or stands for a list, a mapping or nothing.
        BeyondBounds: it took too long, too much memory, or makes more than `MOST_CHARACTERS`.
    """
    return str(_worker.ask("fill_in", template, variables, MOST_CHARACTERS, sys.path))


def uses_of(template: str) -> Uses:
    """The variables that a template takes from outside, by how it uses them.

    Raises:
        TemplateFault: it is no template.
        BeyondBounds: it took too long to read.
    """
    as_values, as_lists = _worker.ask("uses_of", template, sys.path)
    return Uses(as_values=frozenset(as_values), as_lists=frozenset(as_lists))


def mermaid_fault(text: str) -> str:
    """What the package `merman`, which must be installed, finds wrong with a Mermaid text; "" where it is valid.

    Raises:
        BeyondBounds: it took too long, too much memory, or the package ended the process.
    """
    return str(_worker.ask("mermaid_fault", text, sys.path))


@dataclass(frozen=True, kw_only=True)
class SchemaFault:
    """What a value has against a JSON Schema, the first of it."""

    place: str
    """Where in the value, as `orders/0/id`; "" for the whole."""
    message: str


def schema_fault(schema: Mapping[str, Any], value: object) -> SchemaFault | None:
    """The first fault of a value by a JSON Schema, which may hold patterns of its own; `None` where there is none.

    Raises:
        TemplateFault: the schema is none, or refers to what is not in it.
        BeyondBounds: it took too long, or too much memory.
    """
    found = _worker.ask("schema_fault", schema, value, sys.path)
    return None if found is None else SchemaFault(place=found[0], message=found[1])


class _Worker:
    """The process in which it happens, started anew where it was ended."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """In a forked process: the other end of the pipes answers its parent."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.communicate()

    def ask(self, what: str, *given: object) -> Any:
        question = json.dumps([what, *given])
        with self._lock:
            process = self._process = self._process or self._started()
            said = self._said(process, question)
            if not said:
                self._process = None
                raise BeyondBounds(_why_it_ended(process))
        kind, answer = json.loads(said)
        if kind == "fault":
            raise TemplateFault(answer)
        if kind == "beyond":
            raise BeyondBounds(answer)
        return answer

    def _started(self) -> subprocess.Popen[str]:
        # Without the site's packages it starts four times as fast, and what sets up the environment leaves it alone.
        command: Sequence[str] = (sys.executable, "-I", "-S", str(_PROGRAM), str(SECONDS), str(MOST_BYTES))
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="ascii",
            start_new_session=True,  # Ctrl-C is not for it
        )

    @staticmethod
    def _said(process: subprocess.Popen[str], question: str) -> str:
        """Its answer; empty where it was ended."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{question}\n")
            process.stdin.flush()
        except BrokenPipeError:
            return ""
        return process.stdout.readline()


def _why_it_ended(process: subprocess.Popen[str]) -> str:
    process.communicate()
    if hasattr(signal, "SIGPROF") and process.returncode == -signal.SIGPROF:
        return f"it took longer than {SECONDS:g} s"
    return f"the process that did it ended with {process.returncode}"


_worker = _Worker()
atexit.register(_worker.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_worker.forget)
