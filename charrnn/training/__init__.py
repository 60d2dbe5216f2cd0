"""Logits become weights."""
