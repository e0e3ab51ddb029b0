"""How long clients were held back, and by which part of the cut. Pure.

Invariant: a part that was not measured is absent, not zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Parts = tuple[tuple[str, tuple[str, ...], str], ...]

PARTS: Parts = (
    ("fence", ("fence.closed",), "held, then closed, on every host"),
    ("drain", ("stands-still",), "transactions ended, end offsets stand still"),
    ("proof", ("proven",), "every record compared up to the fence"),
    (
        "commit",
        ("committed", "mirror.stopped"),
        "positions committed, the mirror stopped and fenced",
    ),
    ("open", ("opened",), "timers disarmed, the target opened"),
)
"""The parts of the pause, from `fence.fired` on, each to the latest of its stamps; what happens."""

OUTAGE: Parts = (
    ("hooks-stop", ("hooks.stopped",), "hooks stopped every client"),
    ("still", ("stands-still",), "nobody wrote any more, no group had members"),
    *PARTS[2:4],
    ("names", ("opened",), "the names moved, and no resolver or cache held the old answer"),
    ("hooks-start", ("hooks.started",), "hooks started every client"),
)
"""The same of a planned outage, from `hooks.stopping` on."""


@dataclass(frozen=True)
class Part:
    """One part of the pause, in seconds."""

    name: str
    seconds: float
    text: str = ""


@dataclass(frozen=True)
class Pause:
    """`kind` is `pause`, from the fence to the opened target, or `outage`, from the first stop hook
    to the last start hook. `budget` is what a pause may take, and what an outage was expected to.
    `client_return` is what came after it, until every client was seen; `skew` is the greatest
    difference between hosts. All in seconds."""

    parts: tuple[Part, ...]
    total: float
    budget: float
    skew: float | None = None
    client_return: float | None = None
    kind: str = "pause"


def pause_of(own: Mapping[str, Any], budget: float) -> Pause | None:
    """The pause or the outage that the facts of one direction tell of; `budget` is
    `max_write_pause`."""
    if "time.fence.fired" in own:
        return _measured(own, budget, "fence.fired", "opened", PARTS, "pause")
    if "time.opened" not in own or "outage" not in own:
        return None
    expected = float(own["outage"]["expected"])
    return _measured(own, expected, "hooks.stopping", "hooks.started", OUTAGE, "outage")


def _measured(
    own: Mapping[str, Any], budget: float, start: str, end: str, known: Parts, kind: str
) -> Pause | None:
    total = _between(own, start, end)
    if total is None:
        return None
    begun, parts = start, []
    for name, ends, text in known:
        there = [stamp for stamp in ends if f"time.{stamp}" in own]
        if there:
            last = max(there, key=lambda e: _between(own, begun, e) or 0.0)
            parts.append(Part(name, _between(own, start, last) or 0.0, text))
            start = last
    return Pause(
        parts=tuple(parts),
        total=total,
        budget=budget,
        skew=(own.get("fence") or {}).get("skew"),
        client_return=_between(own, end, "clients.seen"),
        kind=kind,
    )


def _between(own: Mapping[str, Any], start: str, end: str) -> float | None:
    """Seconds between two stamps: by the monotonic clock, which no jump of the wall clock moves,
    or by the wall clock where the monotonic one went back (another boot went on)."""
    first, last = own.get(f"time.{start}"), own.get(f"time.{end}")
    if first is None or last is None:
        return None
    steady = float(last["monotonic"]) - float(first["monotonic"])
    wall = float(last["wall"]) - float(first["wall"])
    return steady if steady >= 0 else max(0.0, wall)
