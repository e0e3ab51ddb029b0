"""How fast a disk is, plain and encrypted. Nothing outside the region is ever written."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from kafkaops.model.disk_speed import Load, Region, Sample, Way
from kafkaops.model.volume import DiskFacts, VolumeSpec
from kafkaops.ports.marks import mutates


class Bench(Protocol):
    """A disk that is being measured. `engine` says with what."""

    region: Region
    engine: str

    @mutates
    def fill(self) -> None:
        """Write random bytes over the whole region: what was never written reads too fast."""

    def run(self, way: Way, load: Load, seconds: float) -> Sample:
        """One measurement. StepFailed KO-VOLUME-PERF where this kernel or cryptsetup does not
        have the way's flags, KO-VOLUME-BENCH where the disk cannot be read or written so."""


class Speeds(Protocol):
    def bench(
        self, spec: VolumeSpec, facts: DiskFacts, *, writes: bool, size: int
    ) -> AbstractContextManager[Bench]:
        """Where to measure: with `writes` a region of at most `size` bytes behind where a header
        would be, which is zeros again in the end; without, the whole disk for reading, also one
        in use. A volume in a file that is not there yet is measured on a file beside it, which is
        gone in the end. ConfigError KO-VOLUME-SMALL where there is too little room."""
