"""Recognising what must not be written into a notebook: keys, tokens, passwords."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

_NAME = re.compile(r"key(?!word|board)|token|passw|secret|credential", re.IGNORECASE)

_KEY = re.compile(
    r"\bsk-ant-[\w-]{4,}"
    r"|\bsk-(?=[\w-]*\d)[\w-]{20,}"
    r"|\b[Bb]earer\s+(?=\S*\d)[\w.~+/=-]{16,}"
    r"|\b(?:gh[opsu]_|github_pat_|glpat-|xox[abprs]-|hf_|npm_)(?=[\w-]*\d)[\w-]{16,}"
    r"|\bA[KS]IA[A-Z0-9]{16}\b"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_BEARER = re.compile(r"\s*bearer\s+\S", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
_LONG = re.compile(r"[A-Za-z0-9+/_=-]{20,}")
_UNBROKEN = re.compile(r"(?=[A-Za-z]*\d)[A-Za-z0-9]{32,}")


def looks_secret(name: str, value: Any) -> bool:
    """Whether a parameter of this name and value may be a key, a token or a password.

    The name decides for texts ("api_key"; `max_tokens=4096` is a number and harmless); otherwise the text does: the
    form of a known kind of key, an address with a password, or twenty characters and more that no word, path or
    model id looks like. Hashes and UUIDs are taken for keys. Lists and mappings are searched through.
    """
    if isinstance(value, Mapping):
        return any(looks_secret(f"{name} {key}", item) for key, item in value.items())
    if isinstance(value, (list, tuple, set)):
        return any(looks_secret(name, item) for item in value)
    if not isinstance(value, str) or not value:
        return False
    return bool(_NAME.search(name)) or is_key_like(value)


def is_key_like(text: str) -> bool:
    """Whether a text that somebody typed holds something in the form of a key."""
    forms = (_KEY.search, _BEARER.match, _PASSWORD_IN_URL.search, _UNBROKEN.search)
    return any(is_like(text) for is_like in forms) or any(_is_random(piece) for piece in _LONG.findall(text))


def without_keys(text: str) -> str:
    """The text with keys of a known kind taken out; anybody may have written it, so never on suspicion."""
    return _KEY.sub("[key removed]", text)


def _is_random(piece: str) -> bool:
    """Random text changes between letters, digits and capitals at nearly every second place; words hardly do.

    A small letter after a capital is no change, or CamelCase would count.
    """
    kinds = ["upper" if c.isupper() else "lower" if c.islower() else "digit" for c in piece if c.isalnum()]
    changes = sum(pair[0] != pair[1] and pair != ("upper", "lower") for pair in pairwise(kinds))
    return len(kinds) >= 18 and changes / len(kinds) > 0.3
