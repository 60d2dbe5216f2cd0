"""Weights and a text become numbers."""
