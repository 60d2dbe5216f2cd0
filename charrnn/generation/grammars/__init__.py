"""Languages that no regular expression holds: what may follow a beginning, so that it can still be ended."""
