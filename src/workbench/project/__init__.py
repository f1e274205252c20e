"""A user's own project: which agents it has, what it needs to begin, and the pinned versions to run it with."""
