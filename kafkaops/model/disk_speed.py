"""What is measured on a disk: loads as Kafka makes them, ways to reach the disk, and figures."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Load:
    """`depth` requests of `block` bytes are always under way."""

    name: str
    block: int
    depth: int
    writes: bool = False
    random: bool = False


# Brokers append to segments, replicas and consumers read them in order, and consumers that lag
# behind read from many partitions at once.
LOADS = (
    Load("write, in order", MIB, 4, writes=True),
    Load("read, in order", MIB, 4),
    Load("read, at random", 64 * 1024, 16, random=True),
)


@dataclass(frozen=True)
class Way:
    """How the disk is reached: as it is, or through dm-crypt with these `--perf-` flags."""

    name: str
    encrypted: bool = True
    flags: tuple[str, ...] = ()


PLAIN = Way("plain", encrypted=False)
QUEUES = Way("encrypted")
WAYS = (
    PLAIN,
    QUEUES,
    Way("no read queue", flags=("no_read_workqueue",)),
    Way("no write queue", flags=("no_write_workqueue",)),
    Way("no queues", flags=("no_read_workqueue", "no_write_workqueue")),
)


@dataclass(frozen=True)
class Sample:
    """One measurement: bytes a second, the 99th percentile of a request's latency in seconds, and
    the CPU seconds that the whole host spent for a GiB."""

    rate: float
    p99: float
    cpu: float


@dataclass(frozen=True)
class Region:
    """The part of a device that is measured, in bytes. Only a region that `writes` is written."""

    device: str
    start: int
    size: int
    writes: bool
