"""How graders say what they found: short, on one line, whatever a reply holds."""

from __future__ import annotations

from collections.abc import Sequence


def listed(items: Sequence[str], *, last: str = "and", most: int = 5) -> str:
    """The items as code, the first few of many: "`a`, `b` and 3 more"."""
    shown = [short(item) for item in items[:most]]
    if len(items) > most:
        shown.append(f"{len(items) - most} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {last} {shown[-1]}"


def short(text: str) -> str:
    """The beginning of a text as code, 40 characters at most."""
    return f"`{_clipped(text, 40)}`"


def quoted(text: str) -> str:
    """The beginning of a text in quotation marks, 80 characters at most."""
    return f'"{_clipped(text, 80)}"'


def _clipped(text: str, most: int) -> str:
    # Only the beginning is joined anew: what a pattern matched may be as long as the reply.
    flat = " ".join(text[: 4 * most].split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"
