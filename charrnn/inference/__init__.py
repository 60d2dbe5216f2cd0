"""One step after another, without torch."""
