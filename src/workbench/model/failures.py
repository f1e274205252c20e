"""What goes wrong on the way to the Messages API, as a `Failure` in which no credential stands."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from workbench.secrets import without_secrets
from workbench.trial.trial import Failure

if TYPE_CHECKING:
    from anthropic import APIStatusError

SPEND_LIMITS = ("enforced_spend_limit_reached", "contract_spend_limit_reached")
"""Error codes that the API sends with 429, though no waiting helps."""

_SECRET_VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_IDENTITY_TOKEN")
_LONGEST_MESSAGE = 500


def status_failure(error: APIStatusError) -> Failure:
    """What a server refused with a status, under the name that the API gives it."""
    return Failure(
        type=error.error_code if error.error_code in SPEND_LIMITS else error.type or f"http_{error.status_code}",
        message=without_credentials(str(error.api_message or error.message))[:_LONGEST_MESSAGE],
        status=error.status_code,
        request_id=error.request_id,
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: `retry-after-ms`, or `retry-after` as seconds or as a date."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        if value.strip()[:1].isdigit():
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def describe_cause(error: BaseException) -> str:
    """What was wrong beneath an error of the SDK, which itself says little more than that there was one."""
    cause = error.__cause__ or error
    return without_credentials(f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__)


def was_never_sent(error: BaseException | None) -> bool:
    """There was no connection to send on. The transport's `ConnectError` does not say it: it means a reset too."""
    import aiohttp

    while error is not None:
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            return True
        error = error.__cause__
    return False


def without_credentials(text: str) -> str:
    """A server may repeat the key that it refuses, however short; failures are stored and shown."""
    for name in _SECRET_VARIABLES:
        if secret := os.environ.get(name, "").strip():
            text = text.replace(secret, f"[{name}]")
    return without_secrets(text)
