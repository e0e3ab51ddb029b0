"""Figures, as ratios in one run. `make bench` prints a table and writes build/bench.json."""
