"""Characters become integers."""
