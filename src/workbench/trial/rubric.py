"""Rubrics: what a judge is asked of a reply, criterion by criterion, and how they are read from YAML files.

name: code-review
about: A review of a change, for whoever wrote it.
criteria:
  - name: names-the-place
    asks: For each fault that the reply reports, it names the file or the function in which it stands.
    levels: [for none, for some, for all]     # worst first; without them "not met" and "met"
replies:                                      # may be left out: what `workbench judge --rubric FILE` puts a judge to
  good: [...]
  bad: [...]
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench.definition.there import bytes_in
from workbench.errors import RubricError

MOST_BYTES = 1_000_000
"""Of a rubric file."""
MOST_CRITERIA = 20
CANNOT_TELL = "cannot tell"
"""What a judge may say of any criterion."""
RUBRIC_BESIDE = "to-the-point"
"""The rubric that comes along for what words alone keep: it asks of any reply what no word shows."""
MET = ("not met", "met")
"""The levels of a criterion that names none, worst first."""

_SHIPPED = Path(__file__).parents[1] / "shipped" / "rubrics"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FIELDS = ("name", "about", "criteria", "replies")
_CRITERION_FIELDS = ("name", "asks", "levels")


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One thing that a reply is judged by.

    Raises:
        ValueError: the name is none, nothing is asked, or the levels are fewer than two or not told apart.
    """

    name: str
    """The promise under which its scores stand: small letters, digits and single hyphens."""
    asks: str
    """What a reply does that meets it, as a sentence."""
    levels: tuple[str, ...] = MET
    """What a judge may find, worst first; they are worth 0 to 1 in equal steps."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name: {self.name!r} is none; it has small letters, digits and single hyphens")
        if not self.asks.strip():
            raise ValueError("asks: is empty; say in a sentence what a reply does that meets the criterion")
        if len(self.levels) < 2 or len(set(self.levels)) < len(self.levels) or not all(map(str.strip, self.levels)):
            raise ValueError("levels: it takes two or more different texts, worst first")
        if CANNOT_TELL in self.levels:
            raise ValueError(f"levels: {CANNOT_TELL!r} is what a judge may always say, and is no level")

    def value_of(self, level: str) -> float:
        """What this level is worth, 0 for the worst and 1 for the best.

        Raises:
            ValueError: it is no level of the criterion.
        """
        return self.levels.index(level) / (len(self.levels) - 1)


@dataclass(frozen=True, kw_only=True)
class Rubric:
    """What a judge is asked of each reply.

    Raises:
        ValueError: there is no criterion, too many, or two of one name.
    """

    name: str
    criteria: tuple[Criterion, ...]
    about: str = ""
    """What kind of reply it is for, and for whom; shown to the judge."""
    good: tuple[str, ...] = ()
    """Replies that meet every criterion, by a person's word."""
    bad: tuple[str, ...] = ()
    """Replies that fail at least one, by a person's word."""

    def __post_init__(self) -> None:
        names = [criterion.name for criterion in self.criteria]
        if not 1 <= len(names) <= MOST_CRITERIA:
            raise ValueError(f"criteria: there are {len(names)}; a rubric has 1 to {MOST_CRITERIA}")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"criteria: two have the name {twice[0]!r}; names must differ")

    @property
    def sha256(self) -> str:
        """Of what a judge is asked, 64 hex digits; the replies that come with it are not part of that."""
        asked = {"about": self.about, "criteria": [asdict(criterion) for criterion in self.criteria]}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def shipped_rubrics() -> tuple[str, ...]:
    """The names of the rubrics that come along, each for a common role; `load_rubric` takes them."""
    return tuple(sorted(file.stem for file in _SHIPPED.glob("*.yaml")))


def load_rubric(source: str | Path) -> Rubric:
    """The rubric of a YAML file, or one that comes along, by its name.

    Raises:
        RubricError: there is none, or the file is wrong; the message gives file, line and field.
    """
    if isinstance(source, str) and source in shipped_rubrics():
        return parse_rubric(rubric_text(source), path=Path(f"{source}.yaml"))
    return parse_rubric(rubric_text(source), path=Path(source))


def rubric_text(source: str | Path) -> str:
    """The text of a rubric file, or of one that comes along, whatever it holds: to be written to a file and adapted.

    Raises:
        RubricError: there is none, or it is too large or not UTF-8.
    """
    if isinstance(source, str) and source in shipped_rubrics():
        return (_SHIPPED / f"{source}.yaml").read_text(encoding="utf-8")
    path = Path(source)
    try:
        content = bytes_in(path)
    except FileNotFoundError:
        raise RubricError(
            f"there is no such rubric file, nor does one of this name come along; {', '.join(shipped_rubrics())} do",
            path=path,
        ) from None
    except OSError as error:
        raise RubricError(f"cannot be read: {error.strerror}", path=path) from error
    if len(content) > MOST_BYTES:
        raise RubricError(f"has {len(content):,} bytes; a rubric has at most {MOST_BYTES:,}", path=path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RubricError(f"is not UTF-8 (byte {error.start}); save it as UTF-8", path=path) from None


def parse_rubric(text: str, *, path: Path) -> Rubric:
    """The rubric that this YAML text holds; `path` is for messages.

    Raises:
        RubricError: it holds none.
    """
    import yaml

    try:
        if (
            alias := next((event for event in yaml.parse(text) if isinstance(event, yaml.AliasEvent)), None)
        ) is not None:
            line = None if alias.start_mark is None else alias.start_mark.line + 1
            raise RubricError(f"has an alias, *{alias.anchor}; write out what it stands for", path=path, line=line)
        written = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise RubricError(
            f"is not valid YAML: {error.problem}", path=path, line=mark.line + 1 if mark else None
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise RubricError(f"is not valid YAML: {error}", path=path) from None
    except RecursionError:
        raise RubricError("is nested too deeply to be a rubric", path=path) from None
    try:
        return rubric_from(written)
    except ValueError as error:
        raise RubricError(str(error), path=path) from None


def rubric_from(written: Any) -> Rubric:
    """The rubric that plain values say, as they stand in a file or a record.

    Raises:
        ValueError: they say none.
    """
    fields = _mapping(written, _FIELDS, "a rubric")
    replies = _mapping(fields.get("replies") or {}, ("good", "bad"), "replies")
    return Rubric(
        name=_text(fields.get("name"), "name"),
        about=_text(fields.get("about") or "", "about"),
        criteria=tuple(_criterion(each, number) for number, each in enumerate(_list(fields, "criteria"), start=1)),
        good=tuple(_text(reply, "replies: good") for reply in _list(replies, "good")),
        bad=tuple(_text(reply, "replies: bad") for reply in _list(replies, "bad")),
    )


def rubric_as_values(rubric: Rubric) -> dict[str, Any]:
    """What `rubric_from` makes the same rubric of, as JSON can keep it."""
    return {
        "name": rubric.name,
        "about": rubric.about,
        "criteria": [{**asdict(criterion), "levels": list(criterion.levels)} for criterion in rubric.criteria],
        "replies": {"good": list(rubric.good), "bad": list(rubric.bad)},
    }


def _criterion(written: Any, number: int) -> Criterion:
    try:
        fields = _mapping(written, _CRITERION_FIELDS, "a criterion")
        levels = tuple(_text(level, "levels") for level in _list(fields, "levels")) or MET
        return Criterion(name=_text(fields.get("name"), "name"), asks=_text(fields.get("asks"), "asks"), levels=levels)
    except ValueError as error:
        raise ValueError(f"criterion {number}: {error}") from None


def _mapping(value: Any, known: tuple[str, ...], what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is a mapping with {', '.join(known)}")
    unknown = [name for name in value if name not in known]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no field of {what}; those are {', '.join(known)}")
    return value


def _list(fields: Mapping[str, Any], name: str) -> list[Any]:
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{name}: must be a list")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(
            f"{name}: must be text, found {value!r}; put it in quotes" if value is not None else f"{name}: is missing"
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name}: holds half a character (a surrogate), which no model can be asked") from None
    return value.strip()
