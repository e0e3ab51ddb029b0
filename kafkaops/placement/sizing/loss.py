"""What a cluster is like without one of its racks, and how long a lost broker is away. Pure.

Two states of a lost rack are judged: as it is, where each partition has the replicas that the
other racks hold and their leaders serve everybody, and rebuilt, where the RF was brought back on
the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from kafkaops.placement.sizing.limits import (
    DISK,
    EBS,
    NETWORK,
    REPLICAS,
    STORAGE,
    Cluster,
    Limit,
    Workload,
    limits,
    storage_rate,
    verdict,
    volume_size,
)

MOST_BROKERS = 10_000


@dataclass(frozen=True)
class RackLoss:
    """The largest rack is gone. `left` brokers in `racks` remain, and of each partition at least
    `replicas`. `as_is` and `rebuilt` are the limits of the two states, with the volumes that there
    are. `share` is how many replicas of one partition a rack holds once rebuilt: more than 1 means
    that racks no longer tell replicas apart. `brokers` is the least number, in even racks, whose
    rest carries everything rebuilt; None where there is none."""

    left: int
    racks: int
    replicas: int
    as_is: tuple[Limit, ...]
    rebuilt: tuple[Limit, ...]
    share: int
    brokers: int | None

    @property
    def carries(self) -> bool | None:
        """Whether the rest carries the throughput and the disk before anything is rebuilt."""
        return False if self.replicas == 0 else verdict(self.as_is)

    @property
    def carries_rebuilt(self) -> bool | None:
        """Whether it does with the RF restored."""
        return verdict(self.rebuilt)


@dataclass(frozen=True)
class Rebuild:
    """Time to copy `bytes` to where they are missing, in seconds: `idle` with the whole baseline,
    `loaded` with what the running cluster leaves of it; None: not known, or never. `bound` is what
    the loaded copy waits for."""

    bytes: float
    idle: float | None
    loaded: float | None
    bound: str


def without_a_rack(workload: Workload, cluster: Cluster) -> RackLoss | None:
    """None where there is one rack: without it there is nothing."""
    racks, rf = cluster.racks, workload.rf
    if racks < 2:
        return None
    volumes = cluster.volumes
    if volumes.kind is not None:  # nobody enlarges volumes at the moment of the loss
        volumes = replace(volumes, size=volume_size(workload, cluster))
    left = cluster.brokers - -(-cluster.brokers // racks)
    rest = replace(cluster, brokers=left, racks=racks - 1, volumes=volumes)
    rebuilt = tuple(limits(workload, rest))
    kept = rf * (racks - 1) / racks  # replicas that a partition has left, on average
    return RackLoss(
        left,
        racks - 1,
        max(0, rf - -(-rf // racks)),
        tuple(_with(kept, x, workload) for x in rebuilt),
        rebuilt,
        -(-rf // (racks - 1)),
        _survivor(workload, cluster),
    )


def _with(kept: float, limit: Limit, workload: Workload) -> Limit:
    """The limit with `kept` replicas of a partition in place of the RF. More brokers are no cure
    then: `RackLoss.brokers` says what is."""
    rf = workload.rf
    if limit.capacity is None:
        return limit
    if limit.name in (STORAGE, EBS):
        return replace(limit, capacity=limit.capacity * rf / kept, brokers=None)
    if limit.name == NETWORK:
        before, after = workload.groups + rf - 1, workload.groups + max(kept - 1, 0.0)
        capacity = limit.capacity * before / after if after else math.inf
        return replace(limit, capacity=capacity, brokers=None)
    if limit.name == DISK:
        return replace(limit, load=limit.load * kept / rf, brokers=None)
    if limit.name == REPLICAS:
        return replace(limit, load=math.ceil(limit.load * kept / rf), brokers=None)
    return limit


def _survivor(workload: Workload, cluster: Cluster) -> int | None:
    """Volumes that were given no size are bought as large as the rest will need."""
    for number in range(cluster.even(workload.rf), MOST_BROKERS + 1, cluster.racks):
        left = number - number // cluster.racks
        found = tuple(limits(workload, replace(cluster, brokers=left)))
        if any(x.holds is False and x.brokers is None for x in found):
            return None
        if left >= workload.rf and verdict(found) is not False:
            return number
    return None


def rebuild_of_broker(workload: Workload, cluster: Cluster) -> Rebuild:
    """All replicas of one broker, from all of the others."""
    return _rebuild(workload, cluster, workload.stored / cluster.brokers, math.inf)


def rebuild_of_replica(workload: Workload, cluster: Cluster, flow: float) -> Rebuild | None:
    """One replica, from its leader, over one connection that carries at most `flow` bytes/s. None
    where the number of partitions is not known."""
    if not workload.partitions:
        return None
    one = workload.write * workload.retention / workload.partitions
    return _rebuild(workload, cluster, one, flow)


def _rebuild(workload: Workload, cluster: Cluster, copied: float, flow: float) -> Rebuild:
    n, r, network = cluster.brokers, workload.rf, cluster.type.network
    if network is None:
        return Rebuild(copied, None, None, f"the baseline of {cluster.type.name} is not known")
    disks, ebs = storage_rate(workload, cluster), cluster.type.ebs
    rates = {"network": network}
    if disks is not None:
        rates["disks"] = disks
    if cluster.volumes.kind is not None and ebs is not None:
        rates["EBS"] = ebs
    taken = workload.write * r / n  # a broker's share of all that is written
    left = {name: rate - taken for name, rate in rates.items()}
    if n > 1:
        sent = workload.write * (workload.groups + r - 1) / n
        left["network of those that send"] = (network - sent) * (1 if flow < math.inf else n - 1)
    left["one connection"] = flow
    bound = min(left, key=lambda name: left[name])
    idle = min(flow, *rates.values())
    return Rebuild(copied, copied / idle, copied / left[bound] if left[bound] > 0 else None, bound)
