"""Floor 5: notebooks without a browser."""
