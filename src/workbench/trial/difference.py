"""What the nearest recorded attempt has that a request has not, for whoever replays and misses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from workbench.trial.trial import DRAWS_EACH, Trial

_LONGEST_QUOTE = 60
_QUOTED_BEFORE = 20


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """An attempt as the ledger holds it."""

    variant: str
    task_id: str
    repeat: int
    draw: int
    endpoint: str
    """The base URL that was asked."""
    at: str
    """When it was written, ISO 8601 in UTC."""
    body: Mapping[str, Any]
    """The JSON body without `system`."""
    system_sha256: str
    """Of the system prompt, 64 hex digits."""
    failure_type: str | None
    """`None`: it was answered to the end."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a request that differs, with both sides in short."""

    name: str
    """"model", "effort", "max_tokens", "system", "messages", "endpoint", "repeat", or another name of the body."""
    recorded: str
    wanted: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The recorded attempt that comes nearest to a trial, and what of its request differs."""

    variant: str
    task_id: str
    repeat: int
    at: str
    """When it was recorded, ISO 8601 in UTC."""
    failure_type: str | None
    """Why it was not answered to the end; `None`: it was."""
    parts: tuple[Part, ...]
    """Empty where this very request was sent, but never answered to the end."""

    def __str__(self) -> str:
        what = f"task {self.task_id!r}, variant {self.variant!r}, repeat {self.repeat}, of {self.at[:19]}"
        if not self.parts:
            return f"this very request is recorded ({what}), but it was not answered: {self.failure_type}"
        parts = "; ".join(f"{part.name} (recorded {part.recorded}, now {part.wanted})" for part in self.parts)
        return f"the nearest recorded attempt ({what}) differs in {parts}"


def names_of_parts(recorded: Recorded, trial: Trial, system_sha256: str) -> tuple[str, ...]:
    """The parts in which a trial's request differs; `system_sha256` is that of its own system prompt."""
    then, now = _values(recorded.body), _values(trial.request.canonical())
    names = [name for name in dict.fromkeys((*now, *then)) if then.get(name) != now.get(name)]
    if recorded.system_sha256 != system_sha256:
        names.append("system")
    if recorded.endpoint != trial.endpoint.base_url:
        names.append("endpoint")
    if recorded.draw != trial.draw:
        names.append("repeat")
    return tuple(names)


def nearness(recorded: Recorded, trial: Trial, system_sha256: str) -> tuple[int, ...]:
    """Sorts attempts by how near they come to a trial: same task, same variant, fewest parts, same repeat, answered."""
    return (
        recorded.task_id == trial.task_id,
        recorded.variant == trial.variant,
        -len(names_of_parts(recorded, trial, system_sha256)),
        recorded.repeat == trial.repeat,
        recorded.failure_type is None,
    )


def difference_between(recorded: Recorded, recorded_system: str, trial: Trial, names: Iterable[str]) -> Difference:
    """The difference in the parts of these names."""
    then, now = _values(recorded.body), _values(trial.request.canonical())
    sides = {
        "system": (recorded_system, trial.request.system),
        "endpoint": (recorded.endpoint, trial.endpoint.base_url),
        "repeat": (_repeat(recorded.draw), _repeat(trial.draw)),
    }
    return Difference(
        variant=recorded.variant,
        task_id=recorded.task_id,
        repeat=recorded.repeat,
        at=recorded.at,
        failure_type=recorded.failure_type,
        parts=tuple(_part(name, *sides.get(name, (then.get(name), now.get(name)))) for name in names),
    )


def _repeat(draw: int) -> Any:
    """Which attempt at the same request, in words where another variant sends it too."""
    twin, repeat = divmod(draw, DRAWS_EACH)
    return repeat if not twin else f"{repeat}, of variant number {twin + 1} with this very request"


def _values(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body by part. How a reply is carried (streamed or not) and cached does not make it another one."""
    values = {name: value for name, value in body.items() if name not in ("system", "stream", "output_config")}
    settings = body.get("output_config", {})
    return values | {name: value for name, value in settings.items() if value is not None}


def _part(name: str, recorded: Any, wanted: Any) -> Part:
    if name in ("system", "messages"):
        lines = enumerate(zip_longest(_lines(recorded), _lines(wanted)), start=1)
        for number, (then, now) in lines:
            if then != now:
                then, now = _around_difference(then, now)
                return Part(name=name, recorded=f"{then} in line {number}", wanted=now)
    return Part(name=name, recorded=_shown(recorded), wanted=_shown(wanted))


def _lines(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split("\n")
    return [line for message in value for line in f"{message['role']}: {_content(message['content'])}".split("\n")]


def _content(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _around_difference(then: str | None, now: str | None) -> tuple[str, str]:
    """Both lines, from shortly before the character in which they part."""
    pairs = enumerate(zip(then or "", now or "", strict=False))
    common = next((position for position, (one, other) in pairs if one != other), min(len(then or ""), len(now or "")))
    start = max(0, common - _QUOTED_BEFORE) if common + _QUOTED_BEFORE > _LONGEST_QUOTE else 0
    cut = "…" if start else ""
    before, after = (None if line is None else _shown(cut + line[start:]) for line in (then, now))
    return before or "no text", after or "no text"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) > _LONGEST_QUOTE:
        text = text[:_LONGEST_QUOTE] + "…"
    return repr(text) if isinstance(value, str) else text
