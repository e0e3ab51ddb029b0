"""What a moment or a window of a load looked like: gaps, and what was not yet committed.

Pure, as the judge is. Times that callers give are seconds since the epoch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from kafkaops.lab.load.ledger import (
    FOREIGN,
    Commit,
    ConsumerLedger,
    Delivery,
    Ledger,
    ProducerLedger,
)

NS = 1_000_000_000

Identity = tuple[str, int, str, int]
"""Topic, partition, producer, number: what makes a record the same one on every cluster."""


class Gap(NamedTuple):
    """The longest time between two events; `at` is its beginning in UTC."""

    seconds: float = 0.0
    at: str = ""


def longest_gap(times: Sequence[int], breaks: Sequence[int] = ()) -> Gap:
    """The longest gap between neighbouring times (ns since the epoch, in any order) that no
    time in `breaks` falls into."""
    ordered = sorted(times)
    cuts = sorted(breaks)
    widest = max(
        (
            (b - a, a)
            for a, b in pairwise(ordered)
            if bisect_right(cuts, a) == bisect_right(cuts, b)
        ),
        default=(0, 0),
    )
    if widest[0] == 0:
        return Gap()
    begin = datetime.fromtimestamp(widest[1] / NS, UTC).isoformat(timespec="milliseconds")
    return Gap(round(widest[0] / NS, 3), begin)


def pauses_between(ledger: Ledger, since: float, until: float) -> dict[str, Gap]:
    """The longest gap of each producer and each group that reaches into a window (seconds
    since the epoch): what one move cost, whatever else happened to the load."""
    low, high = int(since * NS), int(until * NS)
    times = {p.name: producer_times(p, ledger.until) for p in ledger.producers}
    times |= {g: [d.at for d in deliveries_of(ledger.members(g))] for g in ledger.groups()}
    found = {}
    for name, events in times.items():
        ordered = sorted(events)
        first = max(0, bisect_right(ordered, low) - 1)
        last = bisect_right(ordered, high) + 1
        found[name] = longest_gap(ordered[first:last], ledger.starts)
    return found


def producer_times(client: ProducerLedger, until: int) -> list[int]:
    """When it was answered; and its end, as one that never came back pauses until then."""
    times = [a.at for a in client.acks]
    if times:
        last = client.ends[-1] if client.ends and client.ends[-1] > times[-1] else until
        times.append(max(last, times[-1]))
    return times


def uncommitted_at(ledger: Ledger, group: str, t: float, *, landed: bool = False) -> int:
    """Records that the group had received but not committed at `t` (seconds since the epoch).

    Only confirmed commits count. A commit that was on its way may have landed all the same:
    `landed` counts what had been asked for, too. The truth lies between the two.

    Each commit settles what was delivered below its position in that partition, in the order
    in which things happened, so offsets of two clusters never mix. Auto-commit writes no
    commits down: there, this counts everything received.
    """
    until = int(t * NS)
    members = ledger.members(group)
    pending: dict[tuple[str, int], dict[Identity, int]] = {}
    events: list[tuple[int, int, Delivery | Commit]] = [
        (d.at, 0, d) for m in members for d in m.deliveries
    ]
    events += [(c.at, 1, c) for m in members for c in m.commits]
    if landed:
        events += [(c.at, 1, c) for m in members for c in m.asked]
    for at, _, event in sorted(events, key=lambda e: e[:2]):
        if at > until:
            break
        if isinstance(event, Delivery):
            place = pending.setdefault((event.topic, event.partition), {})
            place[identity_of(event)] = event.offset
            continue
        for topic, partition, position in event.positions:
            place = pending.get((topic, partition), {})
            pending[topic, partition] = {i: o for i, o in place.items() if o >= position}
    return sum(len(place) for place in pending.values())


def replayed_between(ledger: Ledger, group: str, since: float, until: float) -> int:
    """Deliveries beyond the first within a window (seconds since the epoch)."""
    seen: set[Identity] = set()
    replayed = 0
    for delivery in deliveries_of(ledger.members(group)):
        if delivery.producer == FOREIGN:
            continue
        identity = identity_of(delivery)
        if identity in seen and since <= delivery.at / NS <= until:
            replayed += 1
        seen.add(identity)
    return replayed


def deliveries_of(members: Iterable[ConsumerLedger]) -> list[Delivery]:
    """All members' deliveries in order of time; a batch keeps its own order."""
    return sorted((d for m in members for d in m.deliveries), key=lambda d: d.at)


def identity_of(delivery: Delivery) -> Identity:
    return delivery.topic, delivery.partition, delivery.producer, delivery.seq
