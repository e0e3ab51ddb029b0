"""How replicas of one partition spread over racks, and replicas over brokers: exact shares.

Water-filling with exact fractions: a share that is a whole number is met exactly, never rounded
away by a float. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

Number = int | Fraction


def over_racks(replicas: int, brokers: Sequence[int]) -> tuple[list[int], list[int]]:
    """Fewest and most replicas of a partition in each rack, `brokers` being how many each rack
    has: floor and ceil of the even share, and where a rack is too small for that, as even as can
    be. The most sum to less than `replicas` only where there are not enough brokers."""
    level = 0
    while sum(min(level, n) for n in brokers) < replicas and level < max(brokers, default=0):
        level += 1
    most = [min(level, n) for n in brokers]
    least = [min(level - 1, n) for n in brokers] if sum(most) > replicas else list(most)
    return [max(0, n) for n in least], most


@dataclass(frozen=True)
class Taker:
    """One broker: its weight, and the least and the most that it can hold."""

    weight: Fraction
    least: int
    most: int
    rack: int


def level(takers: Sequence[Taker], total: Number) -> Fraction:
    """The height a at which the sum of clamp(a * weight, least, most) is `total`; the lowest such,
    or an end of the range where `total` is out of reach."""
    if not takers:
        return Fraction(0)
    rises = sorted({Fraction(t.least) / t.weight for t in takers})
    stops = sorted({Fraction(t.most) / t.weight for t in takers})
    points = sorted({Fraction(0), *rises, *stops})
    low, high = 0, len(points) - 1
    if _held(takers, points[high]) <= total:
        return points[high]
    if _held(takers, points[0]) >= total:
        return points[0]
    while high - low > 1:  # the segment of the piecewise linear sum that reaches the total
        middle = (low + high) // 2
        if _held(takers, points[middle]) < total:
            low = middle
        else:
            high = middle
    below, above = _held(takers, points[low]), _held(takers, points[high])
    if above == below:
        return points[low]
    return points[low] + (points[high] - points[low]) * (total - below) / (above - below)


def _held(takers: Sequence[Taker], height: Fraction) -> Fraction:
    """The sum at this height; the integer parts apart, as they are many and cheap."""
    whole, part = 0, Fraction(0)
    weights: dict[Fraction, int] = {}
    for t in takers:
        share = height * t.weight
        if share <= t.least:
            whole += t.least
        elif share >= t.most:
            whole += t.most
        else:
            weights[t.weight] = weights.get(t.weight, 0) + 1
    for weight, count in weights.items():
        part += height * weight * count
    return whole + part


def shares(takers: Sequence[Taker], total: int, racks: Sequence[tuple[int, int]]) -> list[Fraction]:
    """The even share of every broker in `total` replicas, `racks` being the fewest and the most
    that each rack can hold together; brokers of rack -1 are bound by none."""
    edges: list[tuple[Fraction, Fraction] | None] = []
    for rack, (least, most) in enumerate(racks):
        of_rack = [t for t in takers if t.rack == rack]
        edges.append((level(of_rack, least), level(of_rack, most)) if of_rack else None)
    bent = []
    for t in takers:
        edge = edges[t.rack] if t.rack >= 0 else None
        if edge is None:
            bent.append((t, Fraction(t.least), Fraction(t.most)))
            continue
        low, high = (min(max(e * t.weight, Fraction(t.least)), Fraction(t.most)) for e in edge)
        bent.append((t, low, max(low, high)))
    height = _level_between(bent, total)
    return [min(max(height * t.weight, low), high) for t, low, high in bent]


def _level_between(bent: Sequence[tuple[Taker, Fraction, Fraction]], total: int) -> Fraction:
    scaled = [_Bent(t.weight, low, high) for t, low, high in bent]
    return level(scaled, total)  # type: ignore[arg-type]  # the same fields, fractions for ends


@dataclass(frozen=True)
class _Bent:
    weight: Fraction
    least: Fraction
    most: Fraction


def around(share: Fraction, tolerance: Fraction) -> tuple[int, int]:
    """Fewest and most for a share: floor and ceil, widened by this part of it."""
    return floor(share * (1 - tolerance)), ceil(share * (1 + tolerance))
