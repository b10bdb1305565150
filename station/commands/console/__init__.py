"""`station console`: the operator's window on an engine of its own."""
