"""Which endpoint answers, and the way to it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Literal

from workbench.errors import SetupError
from workbench.model.api import Model
from workbench.model.credentials import API_URL, OPENAI_URL, chat_address, has_credentials, own_server
from workbench.trial.catalogue import OFFLINE_BASE_URL
from workbench.trial.trial import Endpoint


def choose_endpoint(live: bool | None = None) -> Endpoint:
    """Where requests will be answered, from the environment.

    `ANTHROPIC_BASE_URL` names a server of the user's own (no key needed if it asks for none);
    `ANTHROPIC_API_KEY`, `ANTHROPIC_AUTH_TOKEN` or a profile means the API; with none of them the offline
    stand-in answers. `live=False` is always the stand-in; `live=True` never is.

    Raises:
        SetupError: a setting cannot work, or `live=True` and nothing is set; says what to set.
    """
    if live is False:
        return Endpoint(kind="offline", base_url=OFFLINE_BASE_URL)
    if (server := own_server()) is not None:
        return Endpoint(kind="server", base_url=server)
    if has_credentials():
        return Endpoint(kind="live", base_url=API_URL)
    if live:
        raise SetupError(
            "a live run was asked for, but there is no key: set ANTHROPIC_API_KEY (or ANTHROPIC_AUTH_TOKEN, or a "
            "profile), or set ANTHROPIC_BASE_URL to a server of your own; or leave live off to use the offline stand-in"
        )
    return Endpoint(kind="offline", base_url=OFFLINE_BASE_URL)


def chat_endpoint(base_url: str = OPENAI_URL) -> Endpoint:
    """A server that speaks the chat completions API, for `Variant(endpoint=...)` or `Judge(endpoint=...)`: OpenAI, or
    the root of another, such as http://127.0.0.1:8080/v1 of llama.cpp.

    The key is taken from `OPENAI_API_KEY` and sent to the address that `OPENAI_BASE_URL` names (OpenAI, where none is
    named) and to no other.

    Raises:
        SetupError: it is no address of a server.
    """
    return Endpoint(kind="chat", base_url=chat_address(base_url))


def endpoint_at(base_url: str) -> Endpoint:
    """The endpoint that a ledger or a record names by its address."""
    kind: Literal["offline", "live", "server"] = "server"
    if base_url in (OFFLINE_BASE_URL, API_URL):
        kind = "offline" if base_url == OFFLINE_BASE_URL else "live"
    return Endpoint(kind=kind, base_url=base_url)


def describe_endpoint(endpoint: Endpoint) -> str:
    """One line for the start of a run: who answers, and how to change that."""
    if endpoint.is_stand_in:
        return (
            "Answered by the OFFLINE STAND-IN, not by a model: no key is used, nothing is spent, and the numbers "
            "say nothing about any model. A model answers where ANTHROPIC_API_KEY is set, and neither --offline nor "
            "live=False is said."
        )
    return (
        f"Answered {'live by the Messages API' if endpoint.kind == 'live' else 'by the server'} at {endpoint.base_url}."
    )


def open_model(endpoint: Endpoint, *, connections: int = 8) -> AbstractAsyncContextManager[Model]:
    """The model at this endpoint, of which so many requests may be in flight at once; closed afterwards.

    Raises:
        SetupError: the credentials cannot be used.
    """
    if endpoint.kind == "chat":
        from workbench.model.chat import open_chat

        return open_chat(endpoint, connections=connections)
    from workbench.model.anthropic import open_anthropic  # a run of which everything is answered asks nobody

    return open_anthropic(endpoint, connections=connections)
