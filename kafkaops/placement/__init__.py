"""Rack-aware placement of partitions: the fewest moves that reach a goal, applied safely."""
