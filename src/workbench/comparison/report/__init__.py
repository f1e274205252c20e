"""A comparison as files: a page, tables, a summary."""
