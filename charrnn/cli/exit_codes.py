"""What the command line says by its exit code; imports nothing, for Ctrl-C may come before all else is loaded."""

FAILED, USAGE, GATE, INTERRUPTED = 1, 2, 3, 130
