"""How runs that ask for the same at the same time share it out, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class Sharing:
    """For how long a run may count on what it has leased, and how often it looks for what another is asking for."""

    lasts: timedelta = timedelta(seconds=60)
    """A lease, from when it was taken or renewed; then others may take what it is on."""
    renewed_every_seconds: float = 20.0
    sure_seconds: float = 40.0
    """So long after it was renewed a run is sure of its lease: well before others may take it, by whatever clock."""
    first_look_seconds: float = 0.5
    """How soon after something came to look for more; then ever more rarely, up to `longest_look_seconds`."""
    longest_look_seconds: float = 5.0


USUAL = Sharing()
