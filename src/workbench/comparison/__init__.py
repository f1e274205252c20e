"""Floor 4: runs to numbers, tables and pictures."""
