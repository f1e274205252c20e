"""What the environment says of the server that answers and of the key for it. Only here are credentials looked for; the
SDK itself reads them."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from workbench.errors import SetupError

API_URL = "https://api.anthropic.com"
OPENAI_URL = "https://api.openai.com/v1"

_CREDENTIAL_VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE")
_FEDERATION_VARIABLES = ("ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_ORGANIZATION_ID")


def own_server() -> str | None:
    """The address of the server that `ANTHROPIC_BASE_URL` names; `None`: it names the API, or nothing.

    Raises:
        SetupError: it is no address of a server; says what to set.
    """
    base_url = os.environ.get("ANTHROPIC_BASE_URL", "").strip()
    return _checked_base_url(base_url) if base_url and base_url.rstrip("/") != API_URL else None


def has_credentials() -> bool:
    """Whether anything is set that the SDK would log in with.

    Raises:
        SetupError: the key cannot be one.
    """
    key = os.environ.get("ANTHROPIC_API_KEY", "")
    _refuse_no_key("ANTHROPIC_API_KEY", key)
    return (
        any(os.environ.get(name) for name in _CREDENTIAL_VARIABLES)
        or all(os.environ.get(name) for name in _FEDERATION_VARIABLES)
        or _has_profile()
    )


def chat_key(base_url: str) -> str | None:
    """The key for a server that speaks chat completions: `OPENAI_API_KEY`, which is for the one address that
    `OPENAI_BASE_URL` names, or for OpenAI where none is named; `None`: none is set, or the server is another.

    Raises:
        SetupError: the key cannot be one.
    """
    named = os.environ.get("OPENAI_BASE_URL", "").strip().rstrip("/") or OPENAI_URL
    key = os.environ.get("OPENAI_API_KEY", "")
    if not key or base_url.rstrip("/") != named:
        return None
    _refuse_no_key("OPENAI_API_KEY", key)
    return key


def _refuse_no_key(variable: str, key: str) -> None:
    """A header takes no such key, and what says so quotes it."""
    if not (key.isascii() and key.isprintable()) or any(character in key for character in " '\""):
        raise SetupError(
            f"{variable} holds blanks, quotes, a line break or what is no ASCII among its {len(key)} characters; set "
            "it to the key alone"
        )


def _has_profile() -> bool:
    config = os.environ.get("ANTHROPIC_CONFIG_DIR")
    folder = Path(config) if config else Path.home() / ".config" / "anthropic"
    return any((folder / "configs").glob("*.json"))


def chat_address(base_url: str) -> str:
    """The address of a server that speaks chat completions, such as http://127.0.0.1:8080/v1, as it is kept.

    Raises:
        SetupError: it is none; says what to give.
    """
    parts = urlsplit(base_url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SetupError(f"{base_url!r} is no http or https address; give one such as http://127.0.0.1:8080/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SetupError(
            f"the address for {parts.hostname} carries credentials or a query; put the key into OPENAI_API_KEY, and "
            "the address into OPENAI_BASE_URL too"
        )
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _checked_base_url(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SetupError(
            "ANTHROPIC_BASE_URL is not an http or https address; set it to the root of the server, such as "
            "http://127.0.0.1:11434"
        )
    host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    if parts.username or parts.password or parts.query:
        raise SetupError(
            f"ANTHROPIC_BASE_URL for {host} carries credentials or a query; put the key into ANTHROPIC_API_KEY and "
            "keep only the root address"
        )
    path = parts.path.rstrip("/")
    if path.endswith("/v1"):
        raise SetupError(
            f"ANTHROPIC_BASE_URL ends in /v1, so requests would go to {path}/v1/messages; give the root: "
            f"{urlunsplit((parts.scheme, parts.netloc, path.removesuffix('/v1'), '', ''))}"
        )
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))
