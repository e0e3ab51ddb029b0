"""Values of flags with their units, and the same values for people: `80MiB/s`, `2TiB`, `7d`.

Invariant: a bare number is refused, because nobody can tell what it means.
"""

from __future__ import annotations

import math
import re

from kafkaops.engine.errors import UsageFault

_NUMBER = re.compile(r"^\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]+)\s*(/s)?\s*$")
_UNCLEAR = re.compile(r"^[KMGTP]i?b$")  # megabits to some, megabytes to others
_DECIMAL = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "pb": 10**15}
_BYTES = _DECIMAL | {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "pib": 2**50}
_BITS = {"kbit": 125, "mbit": 125_000, "gbit": 125_000_000}
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


def size(text: str, flag: str) -> float:
    """Bytes of `2TiB`, `500GB`. UsageFault (KO-UNIT) names the flag."""
    number, unit, per = _split(text, flag, "a size, as 500GiB or 2TiB")
    if per or unit.lower() not in _BYTES:
        raise _fault(text, flag, "a size, as 500GiB or 2TiB")
    return _positive(number * _BYTES[unit.lower()], text, flag)


def rate(text: str, flag: str) -> float:
    """Bytes a second of `80MiB/s`, `100MB/s`, `1Gbit/s`."""
    number, unit, per = _split(text, flag, "a rate, as 80MiB/s or 1Gbit/s")
    known = _BYTES | _BITS
    if not per or unit.lower() not in known:
        raise _fault(text, flag, "a rate, as 80MiB/s or 1Gbit/s")
    return _positive(number * known[unit.lower()], text, flag)


def span(text: str, flag: str) -> float:
    """Seconds of `7d`, `12h`, `90min`."""
    number, unit, per = _split(text, flag, "a time, as 7d or 12h")
    if per or unit.lower() not in _SECONDS:
        raise _fault(text, flag, "a time, as 7d or 12h")
    return _positive(number * _SECONDS[unit.lower()], text, flag)


def _split(text: str, flag: str, what: str) -> tuple[float, str, str]:
    found = _NUMBER.match(text)
    if found is None or _UNCLEAR.match(found[2]):
        raise _fault(text, flag, what)
    return float(found[1]), found[2], found[3] or ""


def _positive(value: float, text: str, flag: str) -> float:
    if value <= 0:
        raise UsageFault("KO-UNIT", f"{flag} {text} is nothing", where=flag, hint="more than 0")
    return value


def _fault(text: str, flag: str, what: str) -> UsageFault:
    return UsageFault("KO-UNIT", f"{flag} {text!r} is not {what}", where=flag, hint=what)


def of_rate(value: float | None) -> str:
    """`83.9 MB/s`; a dash for what is not known."""
    return "-" if value is None else f"{_scaled(value, 10**6)} MB/s"


def of_size(value: float | None) -> str:
    """`1.5 TiB`."""
    if value is None:
        return "-"
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20)):
        if value >= factor:
            return f"{_scaled(value, factor)} {unit}"
    return f"{value:.0f} B"


def of_span(value: float | None) -> str:
    """`2 h 10 min`; the two largest units. A dash for what is not known, or never ends."""
    if value is None or not math.isfinite(value):
        return "-"
    left, words = round(value), []
    for unit, factor in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, factor)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "under 1 s"


def of_share(value: float | None) -> str:
    """`12.5 %`."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{100 * value:.1f} %"


def _scaled(value: float, factor: int) -> str:
    number = value / factor
    if not math.isfinite(number):
        return "any"
    return f"{number:,.1f}".removesuffix(".0") if number < 10_000 else f"{number:,.0f}"
