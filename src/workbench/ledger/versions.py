"""The versions of an agent that were ever tried: the ledger keeps the text of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from workbench.definition.agent import Agent, parse_agent
from workbench.ledger.schema import attempts, texts
from workbench.ledger.store import Ledger

LONGEST_LIST = 200


@dataclass(frozen=True, kw_only=True)
class TriedVersion:
    """One text of an agent, and how it was tried."""

    agent: Agent
    sha256: str
    """Of its bytes: `Agent.digest`."""
    first_at: str
    """When it was first tried, ISO 8601 in UTC."""
    last_at: str
    trials: int
    variants: tuple[str, ...]
    """What it was called in comparisons."""


def find_versions(ledger: Ledger, names: Collection[str]) -> tuple[TriedVersion, ...]:
    """The versions of the agents of these names that the ledger holds, the latest tried first, 200 at most.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    tried = (
        sa.select(
            attempts.c.agent_sha256,
            sa.func.min(attempts.c.at).label("first_at"),
            sa.func.max(attempts.c.at).label("last_at"),
            sa.func.count().label("trials"),
            sa.func.max(attempts.c.id).label("newest"),
        )
        .group_by(attempts.c.agent_sha256)
        .order_by(sa.func.max(attempts.c.id).desc())
        .limit(LONGEST_LIST)
        .subquery()
    )
    listed = (
        sa.select(tried.c.agent_sha256, tried.c.first_at, tried.c.last_at, tried.c.trials, texts.c.body)
        .join(texts, texts.c.sha256 == tried.c.agent_sha256)
        .order_by(tried.c.newest.desc())
    )
    named = sa.select(attempts.c.agent_sha256, attempts.c.variant).distinct()

    def work(connection: sa.Connection) -> tuple[Sequence[Any], Sequence[Any]]:
        rows = connection.execute(listed).all()
        return rows, connection.execute(named.where(attempts.c.agent_sha256.in_([row[0] for row in rows]))).all()

    rows, labels = ledger.read(work)
    variants: dict[str, list[str]] = {}
    for sha256, variant in labels:
        variants.setdefault(sha256, []).append(variant)
    found = []
    for sha256, first_at, last_at, trials, body in rows:
        agent = parse_agent(body)
        if agent.name in names:
            found.append(
                TriedVersion(
                    agent=agent,
                    sha256=sha256,
                    first_at=first_at,
                    last_at=last_at,
                    trials=trials,
                    variants=tuple(sorted(variants[sha256])),
                )
            )
    return tuple(found)
