"""The same plan through Message Batches."""
