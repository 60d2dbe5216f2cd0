"""What is kept in files: atomic writes, checkpoints, runs."""
