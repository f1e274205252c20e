"""What must not be written anywhere: the keys, tokens and passwords of this process, and what has their form.

Two questions are asked of a text. `looks_secret` is for what somebody typed as a setting: it suspects much, because a
refusal costs one more try. `without_secrets` is for everything that is written, shown or logged, whoever wrote it: it
takes out what certainly is a secret, and leaves talk about secrets alone.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

REMOVED = "[key removed]"
"""What stands in the place of a secret whose name is not known."""

_NAME = re.compile(r"key(?!word|board)|token|passw|secret|credential", re.IGNORECASE)

_KEY = re.compile(
    r"\bsk-ant-[\w-]{4,}"
    r"|\bsk-(?=[\w-]*\d)[\w-]{20,}"
    r"|\b[Bb]earer\s+(?=\S*\d)[\w.~+/=-]{16,}"
    r"|\b[Aa]uthorization:\s*[Bb]asic\s+[\w+/=-]{8,}"
    r"|\b(?:gh[opsur]_|github_pat_|glpat-|xox[abeprs]-|xapp-|hf_|npm_|pypi-|gsk_|GOCSPX-)(?=[\w-]*\d)[\w-]{16,}"
    r"|\b[rs]k_(?:live|test)_(?=\w*\d)\w{16,}"
    r"|\bya29\.[\w-]{20,}"
    r"|\bSG\.[\w-]{16,}\.[\w-]{16,}"
    r"|\bA[KS]IA[A-Z0-9]{16}\b"
    r"|\bAIza[\w-]{35}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]+)?"
    # The lines of a private key, with line breaks as they are or as JSON spells them; no more where its end is missing.
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"(?:[\w+/=\s\\:,.-]*?-----END [A-Z ]*PRIVATE KEY-----|(?:\s|\\[nr])*(?:[\w+/=]{16,}(?:\s|\\[nr])*)*)"
)
_AWS_SECRET = re.compile(r"(?i)(aws_?secret_?(?:access_?)?key\W{1,6})[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])")
_AZURE_KEY = re.compile(r"\b((?:Account|SharedAccess)Key=)[\w+/=%]{30,}")
_PASSWORD_IN_URL = re.compile(r"(?<=://)(?:[^/\s:@\"'<>]*:[^/\s@\"'<>]+|(?=[a-z]*\d)[\da-z]{32,})(?=@)")
_KEY_IN_URL = re.compile(
    r"(?i)([?&;](?:[a-z-]+[_-])?(?:api_?key|key|token|secret|password|signature|sig)=)"
    r"(?=[^&\s\"'<>#]*\d)[^&\s\"'<>#\\\[\]{}$]{16,}"
)
_MARKS = (
    *("sk-", "earer", "asic", "gho_", "ghp_", "ghs_", "ghu_", "ghr_", "github_pat_", "glpat-", "xox", "hf_", "npm_"),
    *("pypi-", "xapp-", "gsk_", "GOCSPX-", "k_live_", "k_test_", "ya29.", "SG.", "AKIA", "ASIA", "AIza", "eyJ"),
    *("PRIVATE KEY", "aws", "AWS", "Aws", "ountKey=", "cessKey=", "://"),
)
"""A text without any of these holds no key of a known form; most texts do not."""
_BEARER = re.compile(r"\s*bearer\s+\S", re.IGNORECASE)
_LONG = re.compile(r"[A-Za-z0-9+/_=-]{20,}")
_UNBROKEN = re.compile(r"(?=[A-Za-z]*\d)[A-Za-z0-9]{32,}")

_SECRET_VARIABLE = re.compile(
    r"(?:^|_)(?:(?:API|ACCESS|AUTH|PRIVATE|SECRET|SIGNING|ENCRYPTION)?_?KEY|TOKEN|SECRET|PASSW(?:OR)?D|PASSPHRASE|PWD"
    r"|PASS|CREDENTIALS?|PAT)$|PASSWORD$|^(?:SSHPASS|REDISCLI_AUTH)$",
    re.IGNORECASE,
)
_HEADERS = "_HEADERS"
"""Variables whose names end so hold a header a line, such as ANTHROPIC_CUSTOM_HEADERS."""
_CONNECTION = "CONNECTION_STRING"
"""Variables whose names end so hold settings with a semicolon after each, some of them a key or a password."""
_SHORTEST = 8
"""Values of variables shorter than this are words such as "none" or "ollama", found in any text."""


def looks_secret(name: str, value: Any) -> bool:
    """Whether a setting of this name and value may be a key, a token or a password.

    The name decides for texts ("api_key"; `max_tokens=4096` is a number and harmless); otherwise the text does: the
    form of a known kind of key, an address with a password, the value of a secret variable of the environment, or
    twenty characters and more that no word, path or model id looks like. Hashes and UUIDs are taken for keys. Lists
    and mappings are searched through.
    """
    if isinstance(value, Mapping):
        return any(looks_secret(f"{name} {key}", item) for key, item in value.items())
    if isinstance(value, (list, tuple, set)):
        return any(looks_secret(name, item) for item in value)
    if not isinstance(value, str) or not value:
        return False
    return bool(_NAME.search(name)) or is_key_like(value) or without_secrets(value) != value


def is_key_like(text: str) -> bool:
    """Whether a text that somebody typed holds something in the form of a key."""
    forms = (_KEY.search, _BEARER.match, _PASSWORD_IN_URL.search, _UNBROKEN.search)
    return any(is_like(text) for is_like in forms) or any(_is_random(piece) for piece in _LONG.findall(text))


def without_secrets(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text with every secret taken out; the same text, and idempotent, where there is none.

    Taken out are the values of variables of the environment (default: of this process) that hold keys, tokens,
    passwords or headers, the passwords in its addresses, all of them also quoted, escaped and in base64, and whatever
    has the form of a known kind of key. A variable's value is replaced by its name in brackets, anything else by
    `REMOVED`.
    """
    return scrubber(environment)(text)


def bytes_without_secrets(content: bytes, environment: Mapping[str, str] | None = None) -> bytes:
    """The same for the bytes of a text file, whatever else is in them."""
    text = content.decode("utf-8", "surrogateescape")
    clean = without_secrets(text, environment)
    return content if clean == text else clean.encode("utf-8", "surrogateescape")


def scrubber(environment: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """`without_secrets` for many texts: the environment is read once."""
    secrets = secrets_of(os.environ if environment is None else environment)

    def scrub(text: str) -> str:
        for secret, name in secrets:
            if secret in text:
                text = text.replace(secret, name)
        if not any(mark in text for mark in _MARKS):
            return text
        text = _AWS_SECRET.sub(rf"\1{REMOVED}", text)
        if "Key=" in text:
            text = _AZURE_KEY.sub(rf"\1{REMOVED}", text)
        if "://" in text and "=" in text:
            text = _KEY_IN_URL.sub(rf"\1{REMOVED}", text)
        return _PASSWORD_IN_URL.sub(REMOVED, _KEY.sub(REMOVED, text))

    return scrub


def value_without_secrets(value: Any, environment: Mapping[str, str] | None = None) -> Any:
    """A JSON-like value with `without_secrets` applied to each text in it, the names of mappings included."""
    if isinstance(value, str):
        return without_secrets(value, environment)
    if isinstance(value, Mapping):
        return {
            value_without_secrets(name, environment): value_without_secrets(item, environment)
            for name, item in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [value_without_secrets(item, environment) for item in value]
    return value


def secrets_of(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The secrets that an environment holds and what to write instead of each, the longest first."""
    return _secrets_of(tuple((name, value) for name, value in environment.items() if _may_hold_secret(name, value)))


def _may_hold_secret(name: str, value: str) -> bool:
    return len(value) >= _SHORTEST and (
        _names_secret(name) or name.endswith(_CONNECTION) or ("://" in value and ("@" in value or "?" in value))
    )


@lru_cache(maxsize=4096)
def _names_secret(name: str) -> bool:
    return name.endswith(_HEADERS) or _SECRET_VARIABLE.search(name) is not None


@lru_cache(maxsize=64)
def _secrets_of(variables: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for name, value in variables:
        for secret in _values_in(name, value.strip()):
            if len(secret) < _SHORTEST or secret.startswith(("/", "./", "~")) or REMOVED in secret:
                continue  # a variable such as SSL_KEY names a file
            for form in _forms(secret):
                found.setdefault(form, f"[{name}]")
    return tuple(sorted(found.items(), key=lambda item: (-len(item[0]), item)))


def _values_in(name: str, value: str) -> Iterator[str]:
    if name.endswith(_HEADERS):
        for line in value.splitlines():
            header = line.partition(":")[2].strip()
            yield from (header, header.rpartition(" ")[2])
    elif _names_secret(name):
        yield value
    if name.endswith(_CONNECTION):
        parts = (part.partition("=") for part in value.split(";"))
        yield from (setting for key, _, setting in parts if key.casefold().endswith(("key", "password", "pwd")))
    if "://" in value:
        yield from _keys_in_address(value)


def _keys_in_address(address: str) -> Iterator[str]:
    """Its password; a user's name that looks like a key; and what stands under the name of one in its query."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return
    yield parts.password or ""
    if parts.username and is_key_like(parts.username):
        yield parts.username
    yield from (found[0].partition("=")[2] for found in _KEY_IN_URL.finditer(f"?{parts.query}"))


def _forms(secret: str) -> tuple[str, ...]:
    """The secret as it is, as part of an address, of JSON, of Python source and of a page, and in base64."""
    encoded = base64.b64encode(secret.encode("utf-8", "surrogateescape")).decode()
    return tuple(
        dict.fromkeys(
            (
                secret,
                unquote(secret),
                quote(secret, safe="", errors="surrogateescape", encoding="utf-8"),
                quote_plus(secret, errors="surrogateescape", encoding="utf-8"),
                json.dumps(secret)[1:-1],
                json.dumps(secret, ensure_ascii=False)[1:-1],
                repr(secret)[1:-1],
                html.escape(secret),
                html.escape(secret, quote=False),
                html.escape(secret).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),  # as Jinja does
                encoded,
                encoded.rstrip("="),
            )
        )
    )


def _is_random(piece: str) -> bool:
    """Random text changes between letters, digits and capitals at nearly every second place; words hardly do.

    A small letter after a capital is no change, or CamelCase would count.
    """
    kinds = ["upper" if c.isupper() else "lower" if c.islower() else "digit" for c in piece if c.isalnum()]
    changes = sum(pair[0] != pair[1] and pair != ("upper", "lower") for pair in pairwise(kinds))
    return len(kinds) >= 18 and changes / len(kinds) > 0.3
