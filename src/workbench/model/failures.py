"""What goes wrong on the way to the Messages API, as a `Failure` in which no credential stands."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from workbench.key_forms import is_everybodys, is_name
from workbench.secrets import without_secrets
from workbench.trial.trial import Failure

if TYPE_CHECKING:
    from anthropic import APIStatusError

SPEND_LIMITS = ("enforced_spend_limit_reached", "contract_spend_limit_reached", "insufficient_quota")
"""Error codes that come with 429, though no waiting helps; the last is OpenAI's."""

DEADLINE = "deadline"
"""The type of the failure of a request that took longer than it may."""
MALFORMED_REPLY = "malformed_reply"
"""The type of the failure of a reply that came to its end, and so is paid, but whose text cannot be told."""
NOT_SET_UP = "not_set_up"
"""The type of the failure of a way to a model that cannot work with what is set."""

_SECRET_VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_IDENTITY_TOKEN", "OPENAI_API_KEY")
_SHORTEST_ANYWHERE = 6
"""Characters; a shorter key may be part of a word or a number."""
_LONGEST_MESSAGE = 500
_MOST_LINES = 8
_LONGEST_READ = 4 * _LONGEST_MESSAGE
"""So much of what a server says is looked through for credentials, which takes time."""

_OURS = frozenset(
    {"unreachable", "connection", "timeout", DEADLINE, "broken_stream", "malformed_stream", "not_a_stream", "stopped"}
    | {
        MALFORMED_REPLY,
        "too_large",
        "redirected",
        "not_decodable",
        "raised",
        "not_an_attempt",
        "another_host",
        NOT_SET_UP,
    }
)
_TYPE = re.compile(r"(?!batch_)[a-z][a-z0-9_]{0,59}")


def type_of_server(said: Any) -> str | None:
    """The type that a server gives its error; `None`: it gives none, or one of those that are ours to give: only we can
    say, for one, that a request was never sent, and so costs nothing."""
    return said if isinstance(said, str) and _TYPE.fullmatch(said) and said not in _OURS else None


def status_failure(error: APIStatusError) -> Failure:
    """What a server refused with a status, under the name that the API gives it."""
    code = error.error_code
    if 300 <= error.status_code < 400:
        where = error.response.headers.get("location", "another address")
        return Failure(
            type="redirected",
            message=f"the server sends on to {shown(where)}, and no prompt is sent after it: set ANTHROPIC_BASE_URL to "
            "the address that answers",
            status=error.status_code,
        )
    return Failure(
        type=code if code in SPEND_LIMITS else type_of_server(error.type) or f"http_{error.status_code}",
        message=shown(str(error.api_message or error.message)),
        status=error.status_code,
        request_id=error.request_id,
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: `retry-after-ms`, or `retry-after` as seconds or as a date. They may be
    infinite. `None`: it does not ask, or not in a way that can be understood."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        if value.strip()[:1].isdigit():
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def shown(text: str) -> str:
    """What a server says, as it may be stored and shown: its beginning, without credentials."""
    return without_credentials(text[:_LONGEST_READ])[:_LONGEST_MESSAGE]


def first_lines(trouble: bytes) -> str:
    """What a program said before it ended: its first lines, without credentials. The last ones might begin in the midst
    of a credential, of which what is left looks like none."""
    lines = trouble[:_LONGEST_READ].decode("utf-8", "replace").strip().splitlines()
    return shown("\n".join(lines[:_MOST_LINES])) or "nothing"


def describe_cause(error: BaseException) -> str:
    """What was wrong beneath an error of the SDK, which itself says little more than that there was one."""
    cause = error.__cause__ or error
    said = _without_transports_note(str(cause))
    return shown(f"{type(cause).__name__}: {said}" if said else type(cause).__name__)


def _without_transports_note(said: str) -> str:
    """As aiohttp tells why there was no connection, without a note of its own before it, which means nothing to a
    reader: `... ssl:default [why]`."""
    where, _, rest = said.partition(" ssl:")
    note, bracket, why = rest.partition(" [")
    return f"{where}: {why[:-1]}" if bracket and " " not in note and why.endswith("]") else said


def kind_of(error: BaseException | None, otherwise: str) -> str:
    """The type of failure that an error names itself (see `wire.Refused`), else the other."""
    while error is not None:
        if isinstance(kind := getattr(error, "kind", None), str):
            return kind
        error = error.__cause__
    return otherwise


def was_never_sent(error: BaseException | None) -> bool:
    """There was no connection to send on. The transport's `ConnectError` does not say it: it means a reset too."""
    import aiohttp

    while error is not None:
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            return True
        error = error.__cause__
    return False


def without_credentials(text: str) -> str:
    """The text without the keys of this process, for a server may repeat the one that it refuses.

    A key that looks like one goes wherever it is; one that is a word, or shorter than `_SHORTEST_ANYWHERE`, where it
    stands alone as a value does: in quotes or brackets, or behind a colon, an equals sign or the name of a scheme.
    "ollama", as many set it for a server that wants no key, is a name in most of what such a server says.
    """
    for name in _SECRET_VARIABLES:
        if secret := os.environ.get(name, "").strip():
            text = _where_it_is_one(secret).sub(f"[{name}]", text)
    return without_secrets(text)


@lru_cache(maxsize=16)
def _where_it_is_one(secret: str) -> re.Pattern[str]:
    if len(secret) >= _SHORTEST_ANYWHERE and not is_everybodys(secret) and not is_name(secret):
        return re.compile(re.escape(secret))
    return re.compile(
        rf"""(?:(?<=["'`(<\[:=])|(?<=[:=]\s)|(?<=\b[Bb]earer\s)|(?<=\b[Kk]ey\s)){re.escape(secret)}"""
        r"""(?=["'`)>\],;]|[.!?]*(?:\s|\Z))"""
    )
