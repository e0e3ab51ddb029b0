"""Figures that ship with the package, each file with its sources and the day they were read."""
