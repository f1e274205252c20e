"""The tables of the offline stand-in, read from `behaviour.toml`, which explains itself."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """Something that a persona may ask of every reply."""

    name: str
    asked_by: re.Pattern[str] | None = None
    """`None`: shown whatever the persona says."""
    asked: Mapping[str, float]
    """Probability by kind of request, and by "any"."""
    unasked: Mapping[str, float] = field(default_factory=dict)
    heading: str = ""
    says: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Topic:
    """Something to know, brought up when a request touches it; surer when the persona claims to know it."""

    name: str
    about: re.Pattern[str]
    asked_by: re.Pattern[str]
    under: str = "approach"
    says: tuple[str, ...]


def _pattern(alternatives: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE | re.DOTALL)


def _read(row: Mapping[str, Any]) -> dict[str, Any]:
    patterns = {name: _pattern(row[name]) for name in ("about", "asked_by") if name in row}
    return {**row, **patterns, "says": tuple(row.get("says", ()))}


_TABLES = tomllib.loads(Path(__file__).with_name("behaviour.toml").read_text("utf-8"))

VAGUE_BELOW_WORDS: int = _TABLES["vague_below_words"]
TOPIC_ASKED: float = _TABLES["topic_asked"]
TOPIC_UNASKED: float = _TABLES["topic_unasked"]
PLAIN_WORDS: frozenset[str] = frozenset(_TABLES["plain_words"].split())
KINDS = {name: _pattern(alternatives) for name, alternatives in _TABLES["kinds"].items()}
"""The most telling kind first; "vague" is told by other means."""

SECTIONS = tuple(Behaviour(**_read(row)) for row in _TABLES["sections"])
"""In the order in which they stand in a reply."""
CODE = tuple(Behaviour(**_read(row)) for row in _TABLES["code"])
BEHAVIOURS = (*(Behaviour(**_read(row)) for row in _TABLES["style"]), *SECTIONS, *CODE)
TOPICS = tuple(Topic(**_read(row)) for row in _TABLES["topics"])
