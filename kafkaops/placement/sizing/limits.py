"""What bounds a cluster: throughput of disks, EBS and network, disk, and counts. Pure.

The throughput is AWS's own bound for what producers may write to a cluster of N brokers at
replication factor r, read by G consumer groups that keep up (they read from the page cache, so
disks see writes only):

    t <= min(t_storage * N / r, t_EBS * N / r, t_EC2 * N / (G + r - 1))

(AWS Big Data Blog, "Best practices for right-sizing your Apache Kafka clusters to optimize
performance and cost", equation 1, which also advises to stay at 80 % of it.) All rates are
baselines: a burst ends when its credits do. Disk is write rate * retention * r / 0.7. At most 4,000
replicas a broker and 200,000 partitions a cluster are Apache Kafka's own recommendation ("Apache
Kafka Supports 200K Partitions Per Cluster", 2018).

Invariant: a figure that is not known makes its limit unknown, never absent and never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from kafkaops.placement.sizing.instance_types import GIB, InstanceType, VolumeType

FILL = 0.7
"""How full disks may become: the rest is for what retention has not deleted yet."""
REPLICAS_A_BROKER = 4_000
PARTITIONS_A_CLUSTER = 200_000
ADVISED = 0.8
"""The share of the throughput that AWS advises to use."""

STORAGE, EBS, NETWORK = "storage", "ebs-network", "ec2-network"
DISK, REPLICAS, PARTITIONS = "disk", "replicas-a-broker", "partitions-a-cluster"
THROUGHPUT = (STORAGE, EBS, NETWORK)


@dataclass(frozen=True)
class Workload:
    """`write` is what producers write (bytes/s), `groups` how many consumer groups read all of it,
    `retention` seconds, `partitions` without replicas (None: not given)."""

    write: float
    groups: int
    retention: float
    rf: int
    partitions: int | None = None

    @property
    def stored(self) -> float:
        """Bytes of all replicas, when everything that is retained is there."""
        return self.write * self.retention * self.rf

    @property
    def disk(self) -> float:
        """Bytes of disk in the whole cluster, with the room that must stay free."""
        return self.stored / FILL


@dataclass(frozen=True)
class Volumes:
    """Disks of one broker: `count` volumes of a `kind` (an EBS type; None is instance store).
    `size` is bytes of one, None: as large as the workload needs. `rate` is bytes/s of one as its
    owner knows it, None: what is published."""

    kind: VolumeType | None
    count: int = 1
    size: float | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Cluster:
    """Brokers of one type, spread evenly over racks. Where `volumes` are instance store, the type
    has disks."""

    type: InstanceType
    brokers: int
    racks: int
    volumes: Volumes

    @property
    def count(self) -> int:
        """Disks of one broker."""
        if self.volumes.kind is None:
            assert self.type.disks is not None
            return self.type.disks.count
        return self.volumes.count

    def even(self, number: int) -> int:
        """The number up to a multiple of the racks."""
        return -(-number // self.racks) * self.racks


@dataclass(frozen=True)
class Limit:
    """`capacity` and `load` in bytes/s (throughput), bytes (disk) or pieces; None is not known, and
    `why` says what is missing. `brokers` is the least number at which this limit holds, None where
    no number helps or it is not known."""

    name: str
    formula: str
    capacity: float | None
    load: float
    brokers: int | None
    why: str = ""

    @property
    def headroom(self) -> float | None:
        """The share of the capacity that is left; below 0 where it does not suffice."""
        if self.capacity is None:
            return None
        return 1 - self.load / self.capacity if self.capacity else -math.inf

    @property
    def holds(self) -> bool | None:
        room = self.headroom
        return None if room is None else room >= -1e-9


def verdict(limits: Iterable[Limit]) -> bool | None:
    """False where one does not hold, None where one is not known, else True."""
    found = [x.holds for x in limits]
    return False if False in found else None if None in found else True


def limits(workload: Workload, cluster: Cluster) -> Iterator[Limit]:
    """Every limit of the cluster as it is."""
    r, kind = workload.rf, cluster.type
    yield _storage(workload, cluster)
    if cluster.volumes.kind is not None:
        missing = f"AWS publishes no figure of {kind.name} to EBS: it shares the network"
        yield _throughput(EBS, "t_EBS * N / r", kind.ebs, r, workload, cluster, missing)
    missing = f"the baseline of {kind.name} is not known"
    formula, sent = "t_EC2 * N / (groups + r - 1)", workload.groups + r - 1
    yield _throughput(NETWORK, formula, kind.network, sent, workload, cluster, missing)
    yield _disk(workload, cluster)
    if workload.partitions is None:
        return
    replicas = workload.partitions * r
    yield Limit(
        REPLICAS,
        f"at most {REPLICAS_A_BROKER:,}",
        REPLICAS_A_BROKER,
        -(-replicas // cluster.brokers),
        -(-replicas // REPLICAS_A_BROKER),
    )
    yield Limit(
        PARTITIONS,
        f"at most {PARTITIONS_A_CLUSTER:,}",
        PARTITIONS_A_CLUSTER,
        workload.partitions,
        1 if workload.partitions <= PARTITIONS_A_CLUSTER else None,
    )


def _throughput(
    name: str,
    formula: str,
    rate: float | None,
    by: int,
    workload: Workload,
    cluster: Cluster,
    missing: str,
) -> Limit:
    """`by` is how often a written byte passes here. With RF 1 and no reader nothing is sent."""
    if by == 0:
        return Limit(name, f"{formula}, and nothing is sent", math.inf, workload.write, 1)
    if rate is None:
        return Limit(name, formula, None, workload.write, None, missing)
    brokers = max(1, math.ceil(workload.write * by / rate - 1e-9))
    return Limit(name, formula, rate * cluster.brokers / by, workload.write, brokers)


def _storage(workload: Workload, cluster: Cluster) -> Limit:
    volumes, kind, r = cluster.volumes, cluster.volumes.kind, workload.rf
    if kind is None:
        missing = f"what the disks of {cluster.type.name} write is not published: --volume-rate"
    else:
        missing = f"an {kind.name} volume is as fast as its IOPS: --volume-rate"
    formula, rate = "t_storage * N / r", storage_rate(workload, cluster)
    found = _throughput(STORAGE, formula, rate, r, workload, cluster, missing)
    if kind is not None and kind.per_byte and volumes.size is None and volumes.rate is None:
        # A volume without a size is bought as large as its throughput needs, up to the fastest.
        most = kind.most_rate * volumes.count
        return replace(found, brokers=max(1, math.ceil(workload.write * r / most - 1e-9)))
    return found


def _disk(workload: Workload, cluster: Cluster) -> Limit:
    kind = cluster.volumes.kind
    bought = kind is not None and cluster.volumes.size is None
    # What is yet to be bought is bounded by the largest volume there is.
    one = float(kind.most) if bought and kind is not None else volume_size(workload, cluster)
    why = f"the largest {kind.name} volumes that there are" if bought and kind is not None else ""
    return Limit(
        DISK,
        f"write * retention * r / {FILL}",
        one * cluster.count * cluster.brokers,
        workload.disk,
        max(1, math.ceil(workload.disk / (one * cluster.count) - 1e-9)),
        why,
    )


def volume_size(workload: Workload, cluster: Cluster) -> float:
    """Bytes of one volume: as given, as built in, or (in whole GiB) what retention needs and, where
    size makes the speed, the throughput with the headroom that AWS advises."""
    kind = cluster.volumes.kind
    if kind is None:
        assert cluster.type.disks is not None
        return float(cluster.type.disks.size)
    if cluster.volumes.size is not None:
        return cluster.volumes.size
    volumes = cluster.brokers * cluster.count
    needed = workload.disk / volumes
    if kind.per_byte is not None and cluster.volumes.rate is None:
        rate = workload.write * workload.rf / volumes / ADVISED
        needed = max(needed, min(rate, kind.most_rate) / kind.per_byte)
    return min(float(kind.most), max(float(kind.least), math.ceil(needed / GIB - 1e-9) * GIB))


def storage_rate(workload: Workload, cluster: Cluster) -> float | None:
    """What the disks of one broker write together, bytes/s; None where it is not known."""
    volumes = cluster.volumes
    if volumes.rate is not None:
        return volumes.rate * cluster.count
    if volumes.kind is None:
        assert cluster.type.disks is not None
        return cluster.type.disks.rate
    one = volumes.kind.rate_of(volume_size(workload, cluster))
    return None if one is None else one * volumes.count
