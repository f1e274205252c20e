"""Floor 2: trying an agent on tasks. Knows no table and no widget."""
