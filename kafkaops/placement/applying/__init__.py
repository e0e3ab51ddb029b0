"""Moves carried out: waves behind a gate, throttles, cancel and the way back."""
