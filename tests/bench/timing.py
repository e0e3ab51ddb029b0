"""Whole processes timed in pairs: A B A B, so that a machine that drifts drifts for both."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Sequence


def seconds(argv: Sequence[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def paired(ours: Sequence[str], theirs: Sequence[str], *, rounds: int = 7) -> tuple[float, float]:
    """Medians of both, in seconds, after one round that is not counted."""
    seconds(ours), seconds(theirs)
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def figure(name: str, value: float, unit: str, baseline: float | None) -> dict[str, object]:
    ratio = None if not baseline else value / baseline
    return {"name": name, "value": value, "unit": unit, "baseline": baseline, "ratio": ratio}
