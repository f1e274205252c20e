"""Graders that let a program read the Python of a reply: ruff and mypy. Neither executes it.

They run in a folder of their own, within limits of time and memory, without the environment of this process, without
settings of the project that they stand in, and decline where the program is not installed.
"""

from __future__ import annotations

import atexit
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from workbench.grading import options
from workbench.grading.files import files_of
from workbench.grading.wording import listed
from workbench.trial import limited
from workbench.trial.task import Task
from workbench.trial.trial import Grader, Reply, Score

MOST_CHARACTERS = 200_000
"""A reply with more Python is not handed to a program."""
RUFF_RULES = ("E4", "E7", "E9", "F", "B")
"""What ruff looks for where no rules are named: faults, not style."""
_RULE = re.compile(r"[A-Z]{1,4}[0-9]{0,4}|ALL")
_VERSION = re.compile(r"3\.\d{1,2}")
_MYPY_LINE = re.compile(r"^[^:\n]++:\d++: error: (?P<message>.++)", re.MULTILINE)
_LOOKS_AWAY = re.compile(r"#[ \t]*+(?:type:[ \t]*+ignore|mypy:)")
"""What tells mypy to look away: a reply does not say itself what is held against it. ruff has an option for that."""
_MODULE = "reply.py"
"""The file of the blocks that the reply gives no name."""


def ruff(*, select: Sequence[str] = RUFF_RULES, at_most: int = 0, version: str = "3.12") -> Grader:
    """A grader that is 1 where ruff finds at most so many faults in the Python blocks, else 0.

    `select` are rules or their beginnings ("F", "S608", "ALL"), `version` the Python that the code is for. Blocks
    without a file name are one file, in their order, and a `# noqa` counts for nothing. It declines without Python,
    where ruff is not installed (the extra `graders`), and where it takes too long.

    Raises:
        TypeError, ValueError: `select` is not a list of rules, `at_most` not a whole number, `version` no version.
    """
    rules = options.texts("select", select)
    for rule in rules:
        if not _RULE.fullmatch(rule):
            raise ValueError(f"`select` takes rules such as F or S608, found {rule!r}")
    most, target = options.whole("at_most", at_most), _checked_version(version)

    def grade(task: Task, reply: Reply) -> Score:
        given = (
            "check",
            "--isolated",
            "--no-cache",
            "--output-format=json",
            f"--target-version=py{target.replace('.', '')}",
        )
        ended = _run("ruff", (*given, f"--select={','.join(rules)}", "--ignore-noqa", "."), reply.text)
        if isinstance(ended, str):
            return Score(value=None, explanation=ended)
        try:
            found = json.loads(ended.output or "[]")
        except ValueError:
            return Score(value=None, explanation=f"ruff could not read it: {ended.output[:120]}")
        told = [f"{each['code'] or 'syntax'} {each['message']}" for each in found]
        return _scored("ruff", told, most)

    return grade


def mypy(*, strict: bool = True, at_most: int = 0, version: str = "3.12") -> Grader:
    """A grader that is 1 where mypy finds at most so many errors in the Python blocks, else 0; `strict` as its option.

    Packages that the code imports are not read: what comes from them has any type, and a class of theirs may be
    subclassed. A `# type: ignore` counts for nothing. Blocks without a file name are one file, in their order. It
    declines without Python, where mypy is not installed (the extra `graders`), and where it takes too long.

    Raises:
        TypeError, ValueError: `strict` is not true or false, `at_most` not a whole number, `version` no version.
    """
    is_strict, most, target = (
        options.switch("strict", strict),
        options.whole("at_most", at_most),
        _checked_version(version),
    )

    def grade(task: Task, reply: Reply) -> Score:
        given = [
            f"--python-version={target}",
            "--no-site-packages",
            "--ignore-missing-imports",
            f"--config-file={_NOWHERE}",
        ]
        given += ["--no-error-summary", "--hide-error-context", "--no-color-output", "--no-pretty"]
        given += ["--explicit-package-bases", "--namespace-packages", f"--cache-dir={_cache_folder()}"]
        given += [
            "--strict",
            "--allow-subclassing-any",
            "--allow-untyped-decorators",
            "--no-warn-return-any",
        ] * is_strict
        ended = _run("mypy", (*given, "."), _LOOKS_AWAY.sub("#", reply.text))
        if isinstance(ended, str):
            return Score(value=None, explanation=ended)
        told = [found["message"] for found in _MYPY_LINE.finditer(ended.output)]
        if ended.code not in (0, 1) and not told:
            return Score(value=None, explanation=f"mypy could not read it: {ended.output[-120:]}")
        return _scored("mypy", told, most)

    return grade


_NOWHERE = "nul" if sys.platform == "win32" else "/dev/null"


@cache
def _cache_folder() -> str:
    """Where mypy keeps what it knows of the standard library, which it reads anew otherwise: 0.6 s a reply instead of
    3.3. It goes with this process."""
    folder = tempfile.mkdtemp(prefix="workbench-mypy-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _scored(program: str, told: Sequence[str], most: int) -> Score:
    if not told:
        return Score(value=1.0, explanation=f"{program} finds nothing")
    counted = "1 fault" if len(told) == 1 else f"{len(told)} faults"
    return Score(value=float(len(told) <= most), explanation=f"{program} finds {counted}: {listed(told, most=3)}")


def _checked_version(value: object) -> str:
    written = options.text("version", value)
    if not _VERSION.fullmatch(written):
        raise ValueError(f'`version` takes a version of Python 3 in quotes, such as "3.12", found {value!r}')
    return written


# A record is graded again when it is looked at, and a program takes a second.
@lru_cache(maxsize=1_000)
def _run(program: str, arguments: tuple[str, ...], text: str) -> limited.Ended | str:
    """How the program ended over the Python of the reply; in words, why it did not run."""
    files = _python_files(text)
    if not files:
        return "no Python block"
    if sum(len(content) for content in files.values()) > MOST_CHARACTERS:
        return f"more than {MOST_CHARACTERS:,} characters of Python"
    command = _command(program)
    if command is None:
        return f"{program} is not installed: pip install 'agent-workbench[graders]'"
    with tempfile.TemporaryDirectory(prefix="workbench-grader-") as name:
        outside = Path(name)
        folder = outside / "reply"
        folder.mkdir()
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8", errors="replace")
        try:
            return limited.run_limited((*command, *arguments), folder)
        except limited.TookTooLong as fault:
            return f"{program} was ended: {fault}"
        except OSError as error:
            return f"{program} cannot be started: {error.strerror}"


def _command(program: str) -> tuple[str, ...] | None:
    if find_spec(program) is not None:
        return (sys.executable, "-I", "-m", program)
    found = shutil.which(program)
    return None if found is None else (str(Path(found).resolve()),)


def _python_files(text: str) -> dict[str, str]:
    """By a path within the folder, the Python of the reply: one file for each name, and one for all without."""
    found: dict[str, list[str]] = {}
    for file in files_of(text):
        if file.language == "python" and file.text.strip():
            found.setdefault(_safe(file.name), []).append(file.text)
    return {path: "\n\n".join(parts) + "\n" for path, parts in found.items()}


def _safe(name: str) -> str:
    """The path that a reply names, as far as it stays in the folder and is Python; else that of what has no name."""
    parts = PurePosixPath(name).parts
    is_plain = all(part not in ("..", "/", "") and re.fullmatch(r"\w[\w.-]*", part) for part in parts)
    stays = is_plain and 0 < len(parts) <= 8 and len(name) <= 200 and name.endswith(".py")
    shadows = parts[-1:] and parts[-1][:-3] in sys.stdlib_module_names and len(parts) == 1
    return name if stays and not shadows else _MODULE
