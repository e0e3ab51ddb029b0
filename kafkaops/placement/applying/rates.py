"""Rates and sizes as people write them, with their unit: `80MiB/s`, `10GiB`. Pure.

Invariant: a number without a unit is refused; kafka-reassign-partitions takes bytes where many
meant megabytes.
"""

from __future__ import annotations

import re

from kafkaops.engine.errors import UsageFault

UNITS: dict[str, int] = {
    "B": 1,
    **{f"{letter}iB": 1 << 10 * n for n, letter in enumerate("KMGT", 1)},
    **{f"{letter}B": 1000**n for n, letter in enumerate(("k", "M", "G", "T"), 1)},
}
_VALUE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)(/s)?\s*$")


def rate(text: str) -> int:
    """Bytes a second of `80MiB/s`. UsageFault KO-RATE."""
    found = _bytes(text, per_second=True)
    if found is None or found <= 0:
        raise UsageFault(
            "KO-RATE",
            f"{text!r} is not a rate with its unit",
            hint=f"as 80MiB/s; units: {', '.join(UNITS)}, each with /s",
        )
    return found


def size(text: str) -> int:
    """Bytes of `10GiB`. UsageFault KO-SIZE."""
    found = _bytes(text, per_second=False)
    if found is None:
        raise UsageFault(
            "KO-SIZE",
            f"{text!r} is not a size with its unit",
            hint=f"as 10GiB; units: {', '.join(UNITS)}",
        )
    return found


def _bytes(text: str, *, per_second: bool) -> int | None:
    found = _VALUE.match(text)
    if found is None or found[2] not in UNITS or bool(found[3]) is not per_second:
        return None
    return int(float(found[1]) * UNITS[found[2]])


def words(count: float, *, per_second: bool = False) -> str:
    """Bytes for people, in the largest binary unit that leaves a number above 1."""
    unit = max(
        (u for u in ("B", "KiB", "MiB", "GiB", "TiB") if UNITS[u] <= max(1.0, abs(count))),
        key=UNITS.__getitem__,
    )
    text = f"{count / UNITS[unit]:.1f}".rstrip("0").rstrip(".")
    return f"{text} {unit}{'/s' if per_second else ''}"


def lasting(seconds: float) -> str:
    """A duration for people: `45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
