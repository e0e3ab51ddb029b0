"""Frozen values that pass between rooms. Standard library only."""
