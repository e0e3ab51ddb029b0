"""In which order moves are made, and how many at once. Pure.

A wave is one request, and the next one begins when all of it is there. Invariants, for the cluster
after any number of waves and while one is on its way: no partition is in two waves, so each keeps
all that it had until what it gets is in sync; no broker is given more than its room, counting what
it will be rid of only once that wave is over; racks are no worse than at the start, for what
improves them comes before what does not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from kafkaops.engine.errors import GuardRefused
from kafkaops.model.partition import TopicPartition
from kafkaops.model.requests import MOST, parts
from kafkaops.placement.applying import rates
from kafkaops.placement.moves import DirMove, Move


class Kind(Enum):
    DROP = "drop"  # replicas go, none comes
    COPY = "copy"
    DIRS = "dirs"  # between directories of one broker
    ORDER = "order"  # the same replicas in another order: nothing is copied


@dataclass(frozen=True)
class Limits:
    """`inbound` and `outbound` are replicas that one broker receives and sends at once;
    `partitions` how many end together, as the controller and every client hear of each; `rate` the
    throttle of each broker and direction in bytes/s, None where there is none."""

    inbound: int = 10
    outbound: int = 10
    partitions: int = 1_000
    rate: float | None = None

    def __post_init__(self) -> None:
        if min(self.inbound, self.outbound, self.partitions) < 1 or self.partitions > MOST:
            raise ValueError(f"{self}: each limit is at least 1, and {MOST} partitions the most")


@dataclass(frozen=True)
class Setting:
    """What is true of the cluster: `room` bytes that each broker may still be given (one that is
    missing has no limit), the `racks` of brokers, the `incoming` bytes/s that clients write to a
    partition, who `leads` it (else the first replica does), and who is out of sync (`lagging`)."""

    room: Mapping[int, int] = field(default_factory=dict)
    racks: Mapping[int, str | None] = field(default_factory=dict)
    incoming: Mapping[TopicPartition, float] = field(default_factory=dict)
    leads: Mapping[TopicPartition, int] = field(default_factory=dict)
    lagging: Mapping[TopicPartition, Collection[int]] = field(default_factory=dict)

    def source(self, move: Move) -> int:
        """Who every new replica copies from."""
        return self.leads.get(move.tp, move.before[0])


@dataclass(frozen=True)
class Wave:
    """`seconds` is how long it takes at the least, None where there is no throttle to go by."""

    kind: Kind
    moves: tuple[Move, ...] = ()
    dirs: tuple[DirMove, ...] = ()
    seconds: float | None = None

    @property
    def copied(self) -> int:
        return sum(m.copied for m in self.moves) + sum(d.bytes for d in self.dirs)


def schedule(
    moves: Iterable[Move],
    dirs: Iterable[DirMove] = (),
    limits: Limits | None = None,
    setting: Setting | None = None,
) -> tuple[Wave, ...]:
    """Every move in one wave. GuardRefused KO-PLACEMENT-NO-ROOM where no order keeps every broker
    within its room, KO-PLACEMENT-NEVER-ENDS where clients write faster than the throttle lets
    replicas copy."""
    limits, setting = limits or Limits(), setting or Setting()
    todo = [m for m in moves if m.before != m.after]
    worse = {m.tp: _worse(m, setting.racks) for m in todo}
    room = dict(setting.room)
    waves: list[Wave] = []
    for bad in (False, True):
        mine = [m for m in todo if (worse[m.tp] > 0) is bad]
        drops = sorted(
            (m for m in mine if m.removing and not m.adding),
            key=lambda m: (not _all_lag(m, setting), -m.bytes, m.tp),
        )
        waves += _dropped(drops, limits, setting, room)
        copies = sorted((m for m in mine if m.adding), key=lambda m: (worse[m.tp], -m.bytes, m.tp))
        waves += _copied(copies, limits, setting, room)
    waves += _between_dirs(dirs, limits)
    orders = sorted((m for m in todo if not m.adding and not m.removing), key=lambda m: m.tp)
    waves += [Wave(Kind.ORDER, part, seconds=0.0) for part in parts(orders)]
    return tuple(waves)


def seconds(waves: Iterable[Wave]) -> float | None:
    """How long all of it takes at the least, as a schedule tells it; None where it cannot."""
    times = [w.seconds for w in waves]
    known = [t for t in times if t is not None]
    return sum(known) if len(known) == len(times) else None


def loads(wave: Wave, setting: Setting) -> dict[tuple[int, str], tuple[int, float]]:
    """By broker and direction (`in`, `out`): the bytes to copy, and the bytes/s that clients write
    to these partitions meanwhile, which the same throttle has to let through."""
    found: dict[tuple[int, str], tuple[int, float]] = {}

    def add(key: tuple[int, str], count: int, written: float) -> None:
        old = found.get(key, (0, 0.0))
        found[key] = (old[0] + count, old[1] + written)

    for move in wave.moves:
        written = setting.incoming.get(move.tp, 0.0)
        for broker in move.adding:
            add((broker, "in"), move.bytes, written)
            add((setting.source(move), "out"), move.bytes, written)
    return found


def _copied(
    copies: Sequence[Move], limits: Limits, setting: Setting, room: dict[int, int]
) -> Iterator[Wave]:
    left = list(copies)
    while left:
        taken: list[Move] = []
        later: list[Move] = []
        given: dict[int, int] = {}
        ins: dict[int, int] = {}
        outs: dict[int, int] = {}
        for move in left:
            source = setting.source(move)
            fits = (
                len(taken) < limits.partitions
                and _slot(outs, source, len(move.adding), limits.outbound)
                and all(_slot(ins, b, 1, limits.inbound) for b in move.adding)
                and all(given.get(b, 0) + move.bytes <= room.get(b, 1 << 80) for b in move.adding)
            )
            if not fits:
                later.append(move)
                continue
            taken.append(move)
            outs[source] = outs.get(source, 0) + len(move.adding)
            for broker in move.adding:
                ins[broker] = ins.get(broker, 0) + 1
                given[broker] = given.get(broker, 0) + move.bytes
        if not taken:
            raise _no_room(left, room)
        for broker, count in given.items():
            if broker in room:
                room[broker] -= count
        _freed(taken, room)
        wave = Wave(Kind.COPY, tuple(taken))
        yield Wave(Kind.COPY, wave.moves, seconds=_time(wave, limits, setting))
        left = later


def _slot(used: Mapping[int, int], broker: int, count: int, limit: int) -> bool:
    """One that needs more than there are slots goes when nothing else does."""
    now = used.get(broker, 0)
    return now == 0 or now + count <= limit


def _dropped(
    drops: Sequence[Move], limits: Limits, setting: Setting, room: dict[int, int]
) -> Iterator[Wave]:
    for lag in (True, False):  # what is out of sync goes first, in waves of its own
        mine = [m for m in drops if _all_lag(m, setting) is lag]
        for part in parts(mine, limits.partitions):
            yield Wave(Kind.DROP, part, seconds=0.0)
        _freed(mine, room)


def _between_dirs(dirs: Iterable[DirMove], limits: Limits) -> Iterator[Wave]:
    left = sorted(dirs, key=lambda d: (-d.bytes, d.tp, d.broker))
    while left:
        taken: list[DirMove] = []
        later: list[DirMove] = []
        count: dict[int, int] = {}
        for one in left:
            if count.get(one.broker, 0) < limits.inbound and len(taken) < limits.partitions:
                taken.append(one)
                count[one.broker] = count.get(one.broker, 0) + 1
            else:
                later.append(one)
        per: dict[int, int] = {}
        for one in taken:
            per[one.broker] = per.get(one.broker, 0) + one.bytes
        time = None if limits.rate is None else max(per.values()) / limits.rate
        yield Wave(Kind.DIRS, dirs=tuple(taken), seconds=time)
        left = later


def _time(wave: Wave, limits: Limits, setting: Setting) -> float | None:
    if limits.rate is None:
        return None
    longest = 0.0
    for (broker, way), (count, written) in sorted(loads(wave, setting).items()):
        if written >= limits.rate and count:
            raise GuardRefused(
                "KO-PLACEMENT-NEVER-ENDS",
                f"at {rates.words(limits.rate, per_second=True)} it would never end: clients write"
                f" {rates.words(written, per_second=True)} to what broker {broker} is to"
                f" {'receive' if way == 'in' else 'send'} at once, and the throttle holds that"
                " back too",
                where=f"broker {broker}",
                hint="a higher --throttle, or fewer replicas at once (--concurrency)",
            )
        longest = max(longest, count / (limits.rate - written) if count else 0.0)
    return longest


def _freed(moves: Iterable[Move], room: dict[int, int]) -> None:
    for move in moves:
        for broker in move.removing:
            if broker in room:
                room[broker] += move.bytes


def _all_lag(move: Move, setting: Setting) -> bool:
    return set(move.removing) <= set(setting.lagging.get(move.tp, ()))


def _worse(move: Move, racks: Mapping[int, str | None]) -> int:
    """How many racks it falls further short of by this move; below 0 where it gains."""
    every = {rack for rack in racks.values() if rack is not None}

    def short(replicas: Sequence[int]) -> int:
        held = {racks[b] for b in replicas if racks.get(b) is not None}
        return max(0, min(len(replicas), len(every)) - len(held))

    return short(move.after) - short(move.before)


def _no_room(left: Sequence[Move], room: Mapping[int, int]) -> GuardRefused:
    least = min(left, key=lambda m: m.bytes)
    full = [b for b in least.adding if room.get(b, 1 << 80) < least.bytes]
    free = ", ".join(f"broker {b} has {rates.words(max(0, room[b]))}" for b in full)
    return GuardRefused(
        "KO-PLACEMENT-NO-ROOM",
        f"{len(left)} moves are left for which no order has room; the smallest, {least.tp}, needs"
        f" {rates.words(least.bytes)} and beyond the reserve {free}",
        where=", ".join(f"broker {b}" for b in full),
        hint="drain to other brokers, a shorter retention for a while, or a smaller --reserve",
    )
