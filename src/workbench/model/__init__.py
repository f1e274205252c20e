"""The ways to a model, and how it is asked."""
