"""Numbers in, numbers out: nothing here knows a run, a table or a file."""
