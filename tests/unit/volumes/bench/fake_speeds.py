"""A disk whose speed is known, and which says when something is asked of it that it forbids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from kafkaops.engine.errors import StepFailed
from kafkaops.model.disk_speed import Load, Region, Sample, Way
from kafkaops.model.volume import DiskFacts, VolumeSpec

RATE = 1e9


@dataclass
class FakeSpeeds:
    """`share` of RATE by way; `lacks` are ways that this kernel does not have."""

    share: Mapping[str, float] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    broken: str = ""

    @contextmanager
    def bench(
        self, spec: VolumeSpec, facts: DiskFacts, *, writes: bool, size: int
    ) -> Iterator[FakeBench]:
        yield FakeBench(self, Region(spec.device, 16 << 20, size, writes))


@dataclass
class FakeBench:
    speeds: FakeSpeeds
    region: Region
    engine: str = "fake"

    def fill(self) -> None:
        assert self.region.writes
        self.speeds.asked.append("fill")

    def run(self, way: Way, load: Load, seconds: float) -> Sample:
        assert self.region.writes or not load.writes
        if self.speeds.broken == self.region.device:
            raise StepFailed("KO-VOLUME-BENCH", "cannot be measured: Input/output error")
        if way.name in self.speeds.lacks:
            raise StepFailed("KO-VOLUME-PERF", "not supported")
        self.speeds.asked.append(f"{load.name}: {way.name}")
        return Sample(RATE * self.speeds.share.get(way.name, 1.0), 0.002, 0.5)
