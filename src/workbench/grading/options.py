"""What graders accept as options. Each function hands back the checked value or says what was found."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

T = TypeVar("T", int, float)


def texts(option: str, value: object) -> tuple[str, ...]:
    """A non-empty list of non-blank texts.

    Raises:
        TypeError: not a list of texts; a lone text is refused too, since it would be read letter by letter.
        ValueError: the list is empty or holds a blank text.
    """
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"`{option}` takes a list of texts, found {value!r}")
    if not value or not all(item.strip() for item in value):
        raise ValueError(f"`{option}` takes at least one text and no blank ones, found {value!r}")
    return tuple(value)


def text(option: str, value: object) -> str:
    """A text that is not blank.

    Raises:
        TypeError: not a text.
        ValueError: the text is blank.
    """
    if not isinstance(value, str):
        raise TypeError(f"`{option}` takes a text, found {value!r}")
    if not value.strip():
        raise ValueError(f"`{option}` is blank")
    return value


def count(option: str, value: object) -> int:
    """A whole number of at least 1.

    Raises:
        TypeError: not a whole number.
        ValueError: below 1.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{option}` takes a whole number, found {value!r}")
    if value < 1:
        raise ValueError(f"`{option}` must be at least 1, found {value}")
    return value


def share(option: str, value: object) -> float:
    """A number above 0 and up to 1.

    Raises:
        TypeError: not a number.
        ValueError: outside (0, 1].
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"`{option}` takes a number above 0 and up to 1, found {value!r}")
    if not 0 < value <= 1:
        raise ValueError(f"`{option}` takes a number above 0 and up to 1, found {value}")
    return float(value)


def switch(option: str, value: object) -> bool:
    """True or false.

    Raises:
        TypeError: anything else.
    """
    if not isinstance(value, bool):
        raise TypeError(f"`{option}` takes true or false, found {value!r}")
    return value


def choices(option: str, value: object, known: Collection[str]) -> tuple[str, ...]:
    """A non-empty list of words out of `known`.

    Raises:
        TypeError: not a list of texts.
        ValueError: a word that is not known, or no word.
    """
    chosen = texts(option, value)
    unknown = [word for word in chosen if word not in known]
    if unknown:
        raise ValueError(f"`{option}` does not know {', '.join(unknown)}; it knows {', '.join(known)}")
    return chosen


def number(option: str, value: object) -> float:
    """A finite number above 0.

    Raises:
        TypeError: not a number.
        ValueError: not above 0, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"`{option}` takes a number above 0, found {value!r}")
    if not 0 < value < float("inf"):
        raise ValueError(f"`{option}` takes a number above 0, found {value}")
    return float(value)


def bounds(grader: str, low: object, high: object, check: Callable[[str, object], T]) -> tuple[T | None, T | None]:
    """`at_least` and `at_most`, each checked where it is given.

    Raises:
        TypeError, ValueError: neither is given, one is wrong, or `at_least` is above `at_most`.
    """
    if low is None and high is None:
        raise ValueError(f"{grader} takes `at_least`, `at_most` or both, found neither")
    least = None if low is None else check("at_least", low)
    most = None if high is None else check("at_most", high)
    if least is not None and most is not None and least > most:
        raise ValueError(f"`at_least` {least} is above `at_most` {most}")
    return least, most


def within(value: float, low: float | None, high: float | None) -> float:
    """1 inside the bounds; outside it falls linearly to 0 at half of `low` and at twice `high`."""
    if low is not None and value < low:
        return max(0.0, (value - low / 2) / (low / 2))
    if high is not None and value > high:
        return max(0.0, (2 * high - value) / high)
    return 1.0


def whole(option: str, value: object) -> int:
    """A whole number of at least 0.

    Raises:
        TypeError: not a whole number.
        ValueError: below 0.
    """
    return 0 if value == 0 and not isinstance(value, bool) else count(option, value)
