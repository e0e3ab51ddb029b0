"""`ports.speeds` on this host: a region of a disk, as it is and through mappings of its own.

Invariants: a mapping is cryptsetup's plain type with a random key that nobody keeps, so it writes
no header; it covers the region alone, so the kernel refuses what lies outside; what is only read
is mapped read-only, beside whatever else uses the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kafkaops.adapters import disk_loops, speed_fio, speed_loop
from kafkaops.adapters.disk_blocks import SECTOR, Blocks
from kafkaops.adapters.disk_tools import Tools
from kafkaops.engine.errors import ConfigError, StepFailed
from kafkaops.model.disk_speed import MIB, Load, Region, Sample, Way
from kafkaops.model.volume import DiskFacts, VolumeSpec

EDGE = 16 * MIB
"""Bytes left alone at both ends of a disk: where a look decides whether it is blank."""
SMALLEST = 64 * MIB
CIPHER = ("--cipher", "aes-xts-plain64", "--key-size", "512", "--sector-size", "4096")


class DiskSpeeds:
    """`tool` is `fio`, `loop`, or `auto`: fio where it is installed."""

    def __init__(
        self, tool: str = "auto", *, tools: Tools | None = None, blocks: Blocks | None = None
    ) -> None:
        self._tools, self._blocks, self._tool = tools or Tools(), blocks or Blocks(), tool

    @contextmanager
    def bench(
        self, spec: VolumeSpec, facts: DiskFacts, *, writes: bool, size: int
    ) -> Iterator[DiskBench]:
        self._tools.need_root()
        self._tools.need_cryptsetup()
        fio = speed_fio.there(self._tools) if self._tool != "loop" else ""
        if self._tool == "fio" and not fio:
            raise ConfigError(
                "KO-VOLUME-TOOL-ABSENT",
                "fio with libaio is not on this host",
                hint="install fio, or --tool loop",
            )
        with self._device(spec, facts, size, writes=writes) as device:
            bench = DiskBench(
                self._tools,
                region(device, self._size(device), size, writes=writes),
                f"{spec.mapper}-bench",
                fio,
            )
            bench.unmap()  # what a killed run left
            try:
                yield bench
            finally:
                bench.unmap()
                if writes:
                    speed_loop.write_over(device, bench.region.start, bench.region.size, zeros=True)

    @contextmanager
    def _device(
        self, spec: VolumeSpec, facts: DiskFacts, size: int, *, writes: bool
    ) -> Iterator[str]:
        """The block device; of a volume in a file that is not made yet, one on a file beside it."""
        if facts.kind != "absent" or not spec.size or not writes:
            with disk_loops.attached(self._tools, self._blocks, spec.device) as device:
                yield device
            return
        scratch = f"{spec.device}.bench"
        with suppress(FileNotFoundError):
            os.unlink(scratch)
        disk_loops.make(scratch, min(size, spec.size) + 2 * EDGE)
        try:
            with disk_loops.attached(self._tools, self._blocks, scratch) as device:
                yield device
        finally:
            os.unlink(scratch)

    def _size(self, device: str) -> int:
        return self._blocks.size(self._blocks.entry(self._blocks.identify(device).number))


def region(device: str, whole: int, most: int, *, writes: bool) -> Region:
    """All but the ends of a disk of `whole` bytes; of one to be written at most `most`, in MiB."""
    room = (whole - 2 * EDGE) // MIB * MIB
    size = min(room, most // MIB * MIB) if writes else room
    if size < SMALLEST:
        raise ConfigError(
            "KO-VOLUME-SMALL",
            f"{device} has {whole:,} bytes: there is no room to measure",
            hint=f"at least {(SMALLEST + 2 * EDGE) // MIB} MiB are needed",
        )
    return Region(device, EDGE, size, writes)


class DiskBench:
    def __init__(self, tools: Tools, region: Region, mapper: str, fio: str) -> None:
        self.region, self.engine = region, fio or speed_loop.NAME
        self._tools, self._mapper, self._fio = tools, mapper, fio

    def fill(self) -> None:
        part = self.region
        speed_loop.write_over(part.device, part.start, part.size, zeros=False)

    def run(self, way: Way, load: Load, seconds: float) -> Sample:
        if load.writes and not self.region.writes:
            raise StepFailed(
                "KO-VOLUME-BENCH", f"{self.region.device} is only to be read", where=load.name
            )
        if not way.encrypted:
            return self._measured(self.region.device, self.region.start, load, seconds)
        self._map(way)
        try:
            return self._measured(f"/dev/mapper/{self._mapper}", 0, load, seconds)
        finally:
            self.unmap()

    def _measured(self, path: str, start: int, load: Load, seconds: float) -> Sample:
        before = _busy()
        if self._fio:
            found = speed_fio.run(self._tools, path, load, start, self.region.size, seconds)
        else:
            found = speed_loop.run(path, load, start, self.region.size, seconds)
        rate, wait, total = found
        return Sample(rate, wait, (_busy() - before) / (total / 1024**3) if total else 0.0)

    def _map(self, way: Way) -> None:
        part = self.region
        argv = [
            *("cryptsetup", "open", "--type", "plain", *CIPHER, "--key-file=-"),
            *("--keyfile-size", "64", "--offset", str(part.start // SECTOR)),
            *("--size", str(part.size // SECTOR), *(f"--perf-{flag}" for flag in way.flags)),
            *(() if part.writes else ("--readonly", "--shared")),
            *(part.device, self._mapper),
        ]
        done = self._tools.run(argv, stdin=os.urandom(64))
        if done.code != 0:
            code = "KO-VOLUME-PERF" if way.flags else "KO-VOLUME-BENCH"
            raise StepFailed(code, f"cryptsetup open: {done.said}", where=part.device)

    def unmap(self) -> None:
        if os.path.exists(f"/dev/mapper/{self._mapper}"):
            self._tools.run(("cryptsetup", "close", "--deferred", self._mapper))


def _busy() -> float:
    """CPU seconds that this host has been busy. Source: proc(5), /proc/stat: user, nice, system,
    idle, iowait, irq, softirq, steal."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:8]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
