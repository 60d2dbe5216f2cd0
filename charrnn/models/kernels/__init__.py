"""Whole windows through a cell, forward and back, in few large operations."""
