"""What must not be written for others: the keys, tokens and passwords of this process, and what has their form.

Two questions are asked of a text. `looks_secret` is for what somebody typed as a setting: it suspects much, because a
refusal costs one more try. `without_secrets` is for everything that is written, shown or logged, whoever wrote it: it
takes out what certainly is a secret, and leaves talk about secrets alone. What is graded, compared and kept for replay
never goes through it: a result must not depend on what is set where it is looked at.

A text is a secret by what it is: of the form that a vendor gives its keys (`key_forms.py`), or the value of a variable
such as `DB_PASSWORD` where nobody would write that value without knowing it. A word such as "postgres" is text.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from workbench.key_covers import has_cover, lines_and_ends, uncovered, with_escapes, without_escapes
from workbench.key_forms import (
    KEY_IN_ADDRESS,
    REMOVED,
    changes_of_kind,
    is_everybodys,
    is_name,
    is_random,
    may_hold_key,
    without_known_forms,
)

_NAME = re.compile(r"key(?!word|board)|token|passw|secret|credential", re.IGNORECASE)
_SECRET_VARIABLE = re.compile(
    r"(?:^|_)(?:(?:API|ACCESS|AUTH|PRIVATE|SECRET|SIGNING|ENCRYPTION)?_?KEY|TOKEN|SECRET|PASSW(?:OR)?D|PASSPHRASE|PWD"
    r"|PASS|CREDENTIALS?|PAT)$|PASSWORD$|^(?:SSHPASS|REDISCLI_AUTH)$",
    re.IGNORECASE,
)
_NAMES_PASSWORD = re.compile(
    r"(?:API|ACCESS|AUTH|PRIVATE|SECRET|SIGNING|ENCRYPTION)_?KEY$|(?:^|_)(?:TOKEN|SECRET|PASSW(?:OR)?D|PASSPHRASE|PWD|PASS|PAT)$"
    r"|PASSWORD$|^(?:SSHPASS|REDISCLI_AUTH)$",
    re.IGNORECASE,
)
"""Those of them that hold one for certain: `CACHE_KEY` does not."""
_HEADERS = "_HEADERS"
"""Variables whose names end so hold a header a line, such as ANTHROPIC_CUSTOM_HEADERS."""
_CONNECTION = "CONNECTION_STRING"
"""Variables whose names end so hold settings with a semicolon after each, some of them a key or a password."""
_SHORTEST = 8
"""Values of variables shorter than this stand in any text by chance, and are known by what stands before them alone."""
_LONG = 12
"""From here on a value of several words that are not everybody's is one that nobody writes by chance."""

_BEARER_FIRST = re.compile(r"\s*+bearer\s+\S", re.IGNORECASE)
_TYPED = re.compile(r"[A-Za-z0-9+/_=-]{20,}+")
_UNBROKEN = re.compile(r"[A-Za-z0-9]{32,}+")
_FILE = re.compile(r"[^\s:]*\.(?:pem|key|crt|cer|p12|pfx|jks|pub|asc|gpg|json|ya?ml|toml|txt|env)", re.IGNORECASE)
_PICTURE = re.compile(r"(data:image/[a-z]++;base64,(?:iVBORw0KGgoAAAANSUhEUg|/9j/|R0lGOD|UklGR)[A-Za-z0-9+/]++={0,2})")
"""A picture within a text, by how PNG, JPEG, GIF and WebP begin. Its letters are no text: in enough of them, the short
forms of a key come up by chance, in one of thirty pictures of 150 kB."""
_CELL_END = re.compile(r"(\n|(?<!\\)\|)")
"""Where a line of Markdown, or a cell of a table, ends."""


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
    if _BEARER_FIRST.match(text) or may_hold_key(text):
        return True
    unbroken = any(not run.isalpha() for run in _UNBROKEN.findall(text))
    return unbroken or any(_is_jumbled(piece) for piece in _TYPED.findall(text))


def _is_jumbled(piece: str) -> bool:
    """Random text changes between letters, digits and capitals at nearly every second place; words hardly do."""
    letters = "".join(c for c in piece if c.isalnum())
    return len(letters) >= 18 and changes_of_kind(letters) / len(letters) > 0.3


def without_secrets(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text with every secret taken out; the same text, and idempotent, where there is none.

    Taken out are the values of variables of the environment (default: of this process) that hold keys, tokens,
    passwords or headers, the passwords in its addresses, all of them also quoted, escaped and in base64, and whatever
    has the form of a known kind of key. A variable's value is replaced by its name in brackets, anything else by
    `REMOVED`. A value that is a word is taken out only where its variable's name stands right before it.
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
    marks = (REMOVED, *dict.fromkeys(name for _, name in secrets))

    def clean(text: str) -> str:
        for secret, name in secrets:
            if secret in text:
                text = text.replace(secret, name)
        return without_known_forms(text)

    def clean_as_shown(text: str) -> str:
        # What is covered first: of a key that is cut in two, the end would have no form of its own.
        return clean(_without_covered(text, clean, marks) if has_cover(text) else text)

    def scrub(text: str) -> str:
        if "data:image/" not in text:
            return clean_as_shown(text)
        # A pattern in brackets: the pictures stand between the texts, at the odd places.
        return "".join(part if place % 2 else clean_as_shown(part) for place, part in enumerate(_PICTURE.split(text)))

    return scrub


def value_without_secrets(value: Any, environment: Mapping[str, str] | None = None) -> Any:
    """A JSON-like value with `without_secrets` applied to each text in it, the names of mappings included.

    Under the name "text/markdown", as outputs of a notebook have it, a key is seen behind Markdown's escapes too:
    `ghp\\_...` has the form of none until a page shows it.
    """
    scrub = scrubber(environment)

    def shown(value: Any) -> Any:
        return _markdown_without_secrets(value, scrub) if isinstance(value, str) else value

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return scrub(value)
        if isinstance(value, Mapping):
            return {
                clean(name): clean(shown(item) if name == "text/markdown" else item) for name, item in value.items()
            }
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
            return [clean(item) for item in value]
        return value

    return clean(value)


def _without_covered(text: str, clean: Callable[[str], str], marks: Sequence[str]) -> str:
    """The text in which each line and cell that shows more of a key than stands in it in one piece, is without it and
    without whatever covered it."""
    parts = []
    for part in lines_and_ends(text):
        plain = uncovered(part)
        shown = plain if plain == part else clean(plain)
        in_pieces = part if shown == plain else uncovered(clean(part))
        has_more = shown != plain and _left(shown, marks) < _left(in_pieces, marks)
        parts.append(shown if has_more else part)
    return "".join(parts)


def _left(text: str, marks: Sequence[str]) -> int:
    """How many characters it has but for those that stand in the place of secrets."""
    for mark in marks:
        text = text.replace(mark, "")
    return len(text)


def _markdown_without_secrets(text: str, scrub: Callable[[str], str]) -> str:
    """Markdown in which each line and cell that would show a key shows what is left of it, without markup."""
    if "\\" not in text:
        return text
    parts = []
    for part in _CELL_END.split(text):
        plain = without_escapes(part)
        clean = scrub(plain)
        parts.append(part if clean == plain else with_escapes(clean))
    return "".join(parts)


# What the environment holds


def secrets_of(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The secrets that an environment holds and what to write instead of each, the longest first."""
    return _secrets_of(tuple((name, value) for name, value in environment.items() if _may_hold_secret(name, value)))


def _may_hold_secret(name: str, value: str) -> bool:
    return _names_secret(name) or name.endswith(_CONNECTION) or ("://" in value and ("@" in value or "?" in value))


@lru_cache(maxsize=4096)
def _names_secret(name: str) -> bool:
    return name.endswith(_HEADERS) or _SECRET_VARIABLE.search(name) is not None


@lru_cache(maxsize=64)
def _secrets_of(variables: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for name, value in variables:
        shown = f"[{name}]"
        for secret in _values_in(name, value.strip()):
            if _is_file(secret) or secret in shown or secret in REMOVED or REMOVED in secret:
                continue  # a variable such as SSL_KEY names a file
            if _is_nobody_elses(secret):
                found.update((form, shown) for form in _forms(secret) if form not in found)
        found.update(_words_in_place(name, value.strip()))
    return tuple(sorted(found.items(), key=lambda item: (-len(item[0]), item)))


def _values_in(name: str, value: str) -> Iterator[str]:
    if "://" in value:
        yield from _keys_in_address(value)
    elif name.endswith(_HEADERS):
        for line in value.splitlines():
            header = line.partition(":")[2].strip()
            yield from (header, header.rpartition(" ")[2])
    elif name.endswith(_CONNECTION):
        parts = (part.partition("=") for part in value.split(";"))
        yield from (setting for key, _, setting in parts if key.casefold().endswith(("key", "password", "pwd")))
    elif _names_secret(name):
        yield value


def _keys_in_address(address: str) -> Iterator[str]:
    """Its password; a user's name that looks like a key; and what stands under the name of one in its query."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return
    yield parts.password or ""
    if parts.username and is_key_like(parts.username):
        yield parts.username
    yield from (found[2] for found in KEY_IN_ADDRESS.compiled.finditer(f"?{parts.query}") if is_random(found[2]))


def _is_file(value: str) -> bool:
    return value.startswith(("/", "./", "../", "~")) or _FILE.fullmatch(value) is not None


def _is_nobody_elses(value: str) -> bool:
    """Whether a variable's value is one that no other text would hold by chance."""
    if len(value) < _SHORTEST or is_everybodys(value) or is_name(value):
        return False
    return len(value) >= _LONG or changes_of_kind(value) >= 3


def _words_in_place(name: str, value: str) -> Iterator[tuple[str, str]]:
    """A value that is a word, behind the variable's name or in the address, as where the environment is shown."""
    if "://" in value:
        before, _, login = value.partition("@")[0].rpartition("://")
        user, _, password = login.partition(":")
        if before and password and password != user and not is_everybodys(password):
            yield f"://{login}@", f"://[{name}]@"
    elif _NAMES_PASSWORD.search(name) and value and not is_everybodys(value) and not _is_file(value):
        for between in ("=", ": ", "': '", '": "', "='", '="'):
            yield f"{name}{between}{value}", f"{name}{between}[{name}]"


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
