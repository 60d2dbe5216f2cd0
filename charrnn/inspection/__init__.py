"""What goes on inside a network: gradients through time, memory, single units."""
