"""From logits to text: options, processors, sequences, the loop."""
