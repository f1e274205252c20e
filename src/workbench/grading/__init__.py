"""Floor 3: replies to scores."""
