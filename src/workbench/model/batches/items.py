"""Trials as the items of Message Batches, and the results of items as trials."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.errors import PlanError
from workbench.ledger.budget.limits import NOTHING, Spent
from workbench.ledger.budget.worst_case import taken_in_batch
from workbench.model.anthropic import request_body
from workbench.model.failures import shown, type_of_server
from workbench.model.stream import PartialReply, name_of
from workbench.trial.catalogue import find_price
from workbench.trial.trial import Failure, Reply, Trial

_UNBILLED = {"batch_errored", "batch_expired", "batch_canceled"}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that one batch may hold, and how long sending it may take."""

    requests: int = 100_000
    bytes: int = 256_000_000
    create_seconds: float = 300.0
    settling_seconds: float = 60.0
    """How long after that a batch may turn up in the API's list; if it has not, it was never created."""


LIMITS = Limits()
_ENVELOPE_BYTES = len('{"requests":[]}')


def split_trials(trials: Sequence[Trial], limits: Limits = LIMITS) -> list[list[Trial]]:
    """The trials in as few parts as fit, in their order.

    Raises:
        PlanError: one of them is too large for any batch.
    """
    parts: list[list[Trial]] = []
    room = 0
    for trial in trials:
        size = len(json.dumps(item_of(trial), ensure_ascii=False, separators=(",", ":")).encode()) + len(",")
        if size + _ENVELOPE_BYTES > limits.bytes:
            raise PlanError(
                f"the request of task {trial.task_id!r} has {size:,} bytes; a batch may have {limits.bytes:,} in all"
            )
        if not parts or size > room or len(parts[-1]) >= limits.requests:
            parts.append([])
            room = limits.bytes - _ENVELOPE_BYTES
        parts[-1].append(trial)
        room -= size
    return parts


def item_of(trial: Trial) -> dict[str, Any]:
    """A request as it stands in a batch: its custom id is its key in the ledger."""
    request = trial.request
    if request.cache is not None:
        # The requests of a batch may be an hour apart.
        request = replace(request, cache="1h")
    return {
        "custom_id": trial.key,
        "params": {name: value for name, value in request_body(request).items() if name != "stream"},
    }


def settled_by(trial: Trial, result: Any) -> Trial:
    """The trial with what its line among the results says."""
    try:
        kind = result["type"]
        if kind == "succeeded":
            return _succeeded(trial, result["message"])
        return trial.replace(failure=_failure(kind, result))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        message = f"the result cannot be read: {type(error).__name__}: {error}"
        return trial.replace(failure=Failure(type="batch_malformed", message=message))


def _failure(kind: str, result: Mapping[str, Any]) -> Failure:
    if kind == "errored":
        answer = result["error"]
        error = answer["error"]
        return Failure(
            type="batch_errored",
            message=shown(f"{error['type']}: {error['message']}"),
            request_id=name_of(answer.get("request_id")),
        )
    messages = {
        "expired": "the batch expired before this request was answered",
        "canceled": "the batch was canceled before this request was answered",
    }
    said = type_of_server(kind)
    if said is None:
        raise TypeError("no type that a result can have")
    return Failure(type=f"batch_{said}", message=messages.get(said, f"the API says {said!r} of this request"))


def _succeeded(trial: Trial, message: Any) -> Trial:
    if not isinstance(message, dict):
        raise TypeError(f"{type(message).__name__} where a message should be")
    so_far = PartialReply(in_batch=True)
    so_far.take_message(message)
    attempt = so_far.ended()
    if attempt.failure is not None:
        return trial.replace(failure=replace(attempt.failure, type="batch_malformed"))
    return trial.replace(reply=attempt.reply)


def taken_of_result(settled: Trial) -> Spent | None:
    """What the result of a trial took; `None` where that is not known."""
    if settled.failure is not None:
        return NOTHING if settled.failure.type in _UNBILLED else None
    return None if settled.reply is None else taken_in_batch(settled.request.model, settled.reply.usage)


def billed_of(found: Mapping[str, Reply], key: str) -> Spent | None:
    """The same of a reply that was found in the ledger; `None` too where it was streamed, beside the batch."""
    reply = found[key]
    if reply.usage.service_tier != "batch" or find_price(reply.model) is None:
        return None
    return taken_in_batch(reply.model, reply.usage)
