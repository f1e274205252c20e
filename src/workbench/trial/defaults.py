"""What holds unless a call or a command says otherwise. A file of its own: commands name it in their help, and load
nothing for that."""

from __future__ import annotations

FEWEST_TASKS = 10
"""On fewer no variant passes the gate, so that as many are drafted of a description."""
CONVERSATIONS_A_DAY = 20
DAYS_COUNTED = 30
"""So far back transcripts are counted."""
LONGEST_DESCRIPTION = 1_000
"""Characters of a description beyond which few agents have more to say of when to pick them (the vendor's own advice is
200 to 1,000)."""
LAST_VERSIONS = 10
"""Versions of an agent that are looked at, the latest tried."""
