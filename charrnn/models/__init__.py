"""Integers become logits."""
