"""Weights and text become numbers."""
