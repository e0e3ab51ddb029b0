"""Measure a disk in rounds: each way of each load once a round, so that what else the host does
falls on all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from kafkaops.engine.errors import StepFailed
from kafkaops.model.disk_speed import LOADS, WAYS, Load, Sample, Way
from kafkaops.ports.speeds import Bench

Samples = Mapping[tuple[Load, Way], tuple[Sample, ...]]


@dataclass(frozen=True)
class Order:
    """`seconds` for each measurement, `rounds` of all of them."""

    seconds: float
    rounds: int
    writes: bool

    @property
    def loads(self) -> tuple[Load, ...]:
        return tuple(load for load in LOADS if self.writes or not load.writes)

    @property
    def takes(self) -> float:
        """Seconds, about."""
        return self.seconds * self.rounds * len(self.loads) * len(WAYS)


@dataclass(frozen=True)
class Measured:
    """`refused` says by way why it was not to be had here."""

    samples: Samples
    refused: Mapping[str, str] = field(default_factory=dict)


def measure(bench: Bench, order: Order, say: Callable[[int, int, str], None]) -> Measured:
    """`say` gets the number of this measurement, of all, and what it found."""
    found: dict[tuple[Load, Way], list[Sample]] = {}
    refused: dict[str, str] = {}
    todo = list(_todo(order))
    if order.writes:
        bench.fill()
    for number, (load, way) in enumerate(todo, 1):
        if way.name in refused:
            continue
        try:
            sample = bench.run(way, load, order.seconds)
        except StepFailed as error:
            if error.code != "KO-VOLUME-PERF":
                raise
            refused[way.name] = error.message
            continue
        found.setdefault((load, way), []).append(sample)
        say(number, len(todo), f"{load.name}, {way.name}: {sample.rate / 1e6:,.0f} MB/s")
    kept = {key: tuple(samples) for key, samples in found.items() if key[1].name not in refused}
    return Measured(kept, refused)


def _todo(order: Order) -> Iterator[tuple[Load, Way]]:
    """Every other round runs backwards: a disk that slows down does so for both ends."""
    for turn in range(order.rounds):
        ways = WAYS if turn % 2 == 0 else WAYS[::-1]
        for load in order.loads:
            for way in ways:
                yield load, way
