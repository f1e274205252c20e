"""The durable store of every attempt."""
