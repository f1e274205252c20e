"""Floor 1: agent files. Knows no model and no notebook."""
