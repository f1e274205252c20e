"""What graders accept as options. Each function hands back the checked value or says what was found."""

from __future__ import annotations

from collections.abc import Collection


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
