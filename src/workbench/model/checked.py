"""What a way to a model gives, checked: somebody else wrote it, and one odd value must not cost the other trials."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from workbench.model.api import Attempt
from workbench.model.stream import details_of
from workbench.trial.trial import Failure, Reply, Usage

_MOST = 2**31 - 1
"""The largest whole number that a column of a ledger holds."""


def checked_attempt(said: object) -> Attempt:
    """The attempt as it can be kept; where it is none, one that failed as "not_an_attempt" and says why."""
    if not isinstance(said, Attempt):
        return _none(f"no Attempt but {type(said).__name__}")
    reply: object = said.reply
    failure: object = said.failure
    if reply is None and failure is None:
        return _none("an Attempt with neither reply nor failure")
    for value, kind, rules in ((reply, Reply, _REPLY), (failure, Failure, _FAILURE)):
        if value is None:
            continue
        if not isinstance(value, kind):
            return _none(f"{type(value).__name__} for a {kind.__name__}")
        for name, is_sound in rules.items():
            if not is_sound(found := getattr(value, name)):
                return _none(f"a {kind.__name__} whose {name} is {found!r:.100}")
    if not _is_seconds(said.retry_after_seconds, endless=True):
        return _none(f"an Attempt whose retry_after_seconds is {said.retry_after_seconds!r:.100}")
    return replace(said, reply=_storable(said.reply), failure=_storable(said.failure))


def _none(what: str) -> Attempt:
    return Attempt(failure=Failure(type="not_an_attempt", message=f"the way to the model gave {what}"))


def _storable(value: Any) -> Any:
    """The same, half characters replaced, which nothing can store, and details that are no JSON left out."""
    if value is None:
        return None
    texts = {
        name: text for name in _TEXTS if isinstance(text := getattr(value, name, None), str) and not _is_whole(text)
    }
    changes: dict[str, Any] = {name: text.encode("utf-8", "replace").decode() for name, text in texts.items()}
    if isinstance(value, Reply) and value.stop_details is not None:
        changes["stop_details"] = details_of(value.stop_details)
    return replace(value, **changes) if changes else value


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _is_seconds(value: object, *, endless: bool = False) -> bool:
    return value is None or (isinstance(value, int | float) and value >= 0 and (endless or math.isfinite(value)))


_REPLY: Mapping[str, Callable[[object], bool]] = {
    "text": _is_text,
    "stop_reason": _is_text_or_none,
    "stop_details": lambda value: value is None or isinstance(value, Mapping),
    "model": _is_text,
    "usage": lambda value: isinstance(value, Usage),
    "request_id": _is_text_or_none,
    "seconds_to_first_token": _is_seconds,
    "seconds": _is_seconds,
    "attempts": _is_number,
    "at": _is_text_or_none,
}
_FAILURE: Mapping[str, Callable[[object], bool]] = {
    "type": _is_text,
    "message": _is_text,
    "status": lambda value: value is None or _is_number(value),
    "request_id": _is_text_or_none,
}
_TEXTS = ("text", "stop_reason", "model", "request_id", "at", "type", "message")
