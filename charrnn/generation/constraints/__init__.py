"""Patterns that a whole text must match: a regular expression, its automaton, and the mask that keeps a text in it."""
