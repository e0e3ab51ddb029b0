"""What the figures say: medians, what encryption costs, and which flags are worth setting. Pure.

A difference counts only when it is larger than the rounds differ among themselves, for a disk
that is shared with a running broker, or throttled, is never measured exactly.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from kafkaops.model.disk_speed import PLAIN, QUEUES, WAYS, Load, Sample, Way
from kafkaops.volumes.bench.measuring import Samples

LEAST = 0.05
"""A smaller share is no difference, however alike the rounds are."""


@dataclass(frozen=True)
class Figure:
    """Medians over the rounds; `spread` is (largest - smallest) / median of the rate, and
    `ratio` the rate over that of the plain disk."""

    load: Load
    way: Way
    rate: float
    spread: float
    p99: float
    cpu: float
    ratio: float


@dataclass(frozen=True)
class Advice:
    """`flags` for `perf:` in the config; empty where cryptsetup's default is as good. `certain`
    is False where the rounds differ too much for any word."""

    flags: tuple[str, ...]
    why: str
    certain: bool = True


def figures(samples: Samples) -> list[Figure]:
    """In the order of the loads and ways."""
    plain = {load: _rate(taken) for (load, way), taken in samples.items() if way == PLAIN}
    found = []
    for (load, way), taken in samples.items():
        rates = [sample.rate for sample in taken]
        middle = _rate(taken)
        found.append(
            Figure(
                load,
                way,
                middle,
                (max(rates) - min(rates)) / middle if middle else 0.0,
                statistics.median(sample.p99 for sample in taken),
                statistics.median(sample.cpu for sample in taken),
                middle / plain[load] if plain.get(load) else 0.0,
            )
        )
    loads = list(dict.fromkeys(figure.load for figure in found))
    return sorted(found, key=lambda f: (loads.index(f.load), WAYS.index(f.way)))


def advise(found: Sequence[Figure]) -> Advice:
    """The flags that gain somewhere and lose nowhere, the most of them; none where there are
    none."""
    base = {figure.load: figure for figure in found if figure.way == QUEUES}
    noise = max((f.spread for f in found if f.way.encrypted), default=0.0)
    best: tuple[float, Way, str] | None = None
    for way in WAYS:
        if not way.flags:
            continue
        gains = [
            (f.load, f.rate / base[f.load].rate - 1, max(LEAST, f.spread, base[f.load].spread))
            for f in found
            if f.way == way and f.load in base and base[f.load].rate
        ]
        won = [(load, gain) for load, gain, least in gains if gain > least]
        lost = [load for load, gain, least in gains if gain < -least]
        if not won or lost:
            continue
        total = sum(gain for _, gain, _ in gains)
        told = ", ".join(f"{load.name} {gain:+.0%}" for load, gain in won)
        if best is None or total > best[0]:
            best = (total, way, told)
    if best is not None:
        _, way, told = best
        return Advice(way.flags, f"{way.name}: {told} against the default, and nothing is lost")
    if noise > 0.3:
        why = f"the rounds differ by up to {noise:.0%}: measure again when the disk is quiet"
        return Advice((), why, certain=False)
    return Advice((), "no flag gains more than the rounds differ: leave perf empty")


def cost(found: Sequence[Figure]) -> list[tuple[Load, float]]:
    """The share of the plain disk's rate that encryption takes, by load, with the default."""
    return [(f.load, 1 - f.ratio) for f in found if f.way == QUEUES]


def _rate(taken: Sequence[Sample]) -> float:
    return statistics.median(sample.rate for sample in taken)
