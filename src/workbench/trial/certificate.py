"""`Certificate`: which replies people and a judge have both rated, and of what that is true.

A value; what it is worth is for whoever reads it to find (`comparison.judged`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """That people's labels have shown a judge's word on one criterion to be worth something."""

    rubric: str
    criterion: str
    prompt_sha256: str
    """Of what the judges were given but task and reply, 64 hex digits."""
    models: tuple[str, ...]
    """The model ids of the judges, in their order; `efforts` and `endpoints` have the same order."""
    labels_sha256: str
    """Of people's labels, 64 hex digits."""
    labelled: Mapping[str, tuple[bool, bool]]
    """By `item_id`, (people passed the reply, the judges passed it)."""
    efforts: tuple[str | None, ...] = ()
    """With which effort they were asked, `None` where none was sent. Certificates of before name neither these nor
    `endpoints`, and hold for no judging."""
    endpoints: tuple[str, ...] = ()
    """Where they answered: the kind of the endpoint, and its address."""
    stability: float | None = None
    """Share of the calls of one judge about one reply that agree; `None`: each was asked once."""
    swap_consistency: float | None = None
    """Share of the pairs of replies of which the judge said the same in both orders; `None`: no pairs were judged."""
    doubt: str | None = field(default=None, compare=False)
    """What speaks against it where people's labels were held beside it, "" for nothing; `None`: they were not. No file
    says it, for whoever writes a certificate could write this, too."""


def certificate_as_values(certificate: Certificate) -> dict[str, Any]:
    """What `certificate_from` makes the same certificate of, as JSON can keep it."""
    values = asdict(certificate)
    del values["doubt"]
    return values


def certificate_from(written: Mapping[str, Any]) -> Certificate:
    """The certificate that plain values say.

    Raises:
        KeyError, TypeError, ValueError: they say none.
    """
    labelled = {}
    for item, (people, judge) in written["labelled"].items():
        if not isinstance(people, bool) or not isinstance(judge, bool):
            raise ValueError(f"labelled: {item!r} has no two truth values")
        labelled[str(item)] = (people, judge)
    texts = {name: written[name] for name in ("rubric", "criterion", "prompt_sha256", "labels_sha256")}
    if not all(isinstance(value, str) for value in (*texts.values(), *written["models"])):
        raise ValueError("its names and hashes are texts")
    return Certificate(
        **texts,
        models=tuple(written["models"]),
        efforts=_each(written, "efforts", str | None),
        endpoints=_each(written, "endpoints", str),
        labelled=labelled,
        stability=_share(written, "stability"),
        swap_consistency=_share(written, "swap_consistency"),
    )


def _each(written: Mapping[str, Any], name: str, kind: Any) -> tuple[Any, ...]:
    values = tuple(written.get(name, ()))
    if not all(isinstance(value, kind) for value in values):
        raise ValueError(f"{name}: {values!r} are not all of the kind that a judge has")
    return values


def _share(written: Mapping[str, Any], name: str) -> float | None:
    value = written.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(f"{name}: {value!r} is no share of 0 to 1")
    return float(value)
