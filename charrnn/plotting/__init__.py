"""Pictures and pages, drawn for whoever asks."""
