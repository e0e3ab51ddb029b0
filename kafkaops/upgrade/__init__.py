"""Upgrades: planners and steps, one package a strategy."""
