"""What goes on inside a network."""
