"""How many brokers of a type a workload takes, and what those carry. Pure.

`sizing_limits` has the formula and its sources, `sizing_loss` the loss of a rack and the time to
rebuild.

A worked example is the ST1 cluster of "Best Practices for Running Apache Kafka on AWS" (AWS Big
Data Blog, 2018): 12 r3.xlarge, ST1 volumes, 12 partitions. An r3.xlarge has 62.5 MB/s to EBS, so
with volumes of 2 TiB (80 MiB/s each) EBS binds: 12 * 62.5 = 750 MB/s of replicas, which is 375 MB/s
written at RF 2 and 250 MB/s at RF 3. With volumes of 1 TiB (40 MiB/s) the volumes bind instead, at
168 MB/s for RF 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kafkaops.engine.errors import UsageFault
from kafkaops.placement.sizing.limits import (
    ADVISED,
    THROUGHPUT,
    Cluster,
    Limit,
    Workload,
    limits,
    verdict,
    volume_size,
)
from kafkaops.placement.sizing.loss import (
    MOST_BROKERS,
    RackLoss,
    Rebuild,
    rebuild_of_broker,
    rebuild_of_replica,
    without_a_rack,
)


@dataclass(frozen=True)
class Sizing:
    """A cluster judged. `given`: the number of brokers was asked for, not proposed. `volume_size`
    is bytes of one volume. `advised` is the number of brokers at which AWS's advised headroom of
    throughput is left, by what is known."""

    workload: Workload
    cluster: Cluster
    given: bool
    limits: tuple[Limit, ...]
    volume_size: float
    loss: RackLoss | None
    broker: Rebuild
    replica: Rebuild | None
    advised: int

    @property
    def fits(self) -> bool | None:
        """None where nothing known is exceeded and something is not known."""
        return verdict(self.limits)

    @property
    def binding(self) -> Limit | None:
        """The limit with the least headroom of those known."""
        known = [(x.headroom, i) for i, x in enumerate(self.limits) if x.headroom is not None]
        return self.limits[min(known)[1]] if known else None

    @property
    def throughput(self) -> float | None:
        """The most that producers may write, bytes/s, by the limits that are known."""
        known = [x.capacity for x in self.limits if x.name in THROUGHPUT and x.capacity is not None]
        return min(known, default=None)

    @property
    def disk_a_broker(self) -> float:
        """Bytes of disk that a broker needs."""
        return self.workload.disk / self.cluster.brokers


def size(workload: Workload, cluster: Cluster, brokers: int | None, flow: float) -> Sizing:
    """Judge `brokers` of the cluster's type, or propose the least number that exceeds no known
    limit. `cluster.brokers` is not looked at; `flow` is what one connection carries, bytes/s.

    UsageFault: KO-SIZE-RF (RF above the brokers), KO-SIZE-RACKS, KO-SIZE-VOLUME (the type has no
    such disks), KO-SIZE-IMPOSSIBLE (no number of brokers suffices)."""
    _refuse(workload, cluster, brokers)
    number = least(workload, cluster) if brokers is None else brokers
    judged = replace(cluster, brokers=number)
    advised = limits(replace(workload, write=workload.write / ADVISED), judged)
    return Sizing(
        workload,
        judged,
        brokers is not None,
        tuple(limits(workload, judged)),
        volume_size(workload, judged),
        without_a_rack(workload, judged),
        rebuild_of_broker(workload, judged),
        rebuild_of_replica(workload, judged, flow),
        judged.even(max(workload.rf, *(x.brokers or 0 for x in advised if x.name in THROUGHPUT))),
    )


def least(workload: Workload, cluster: Cluster) -> int:
    """The least number of brokers, in even racks and no fewer than the RF, that exceeds no known
    limit. UsageFault (KO-SIZE-IMPOSSIBLE) where there is none."""
    for number in range(cluster.even(workload.rf), MOST_BROKERS + 1, cluster.racks):
        found = tuple(limits(workload, replace(cluster, brokers=number)))
        if verdict(found) is not False:
            return number
        hopeless = [x for x in found if x.holds is False and x.brokers is None]
        if hopeless:
            raise UsageFault(
                "KO-SIZE-IMPOSSIBLE",
                f"no number of brokers suffices: {hopeless[0].name} is {hopeless[0].formula}, and"
                f" {hopeless[0].load:,.0f} are asked for",
                where=hopeless[0].name,
                hint="two clusters, or fewer partitions",
            )
    raise UsageFault(
        "KO-SIZE-IMPOSSIBLE",
        f"{MOST_BROKERS:,} brokers of {cluster.type.name} do not suffice",
        where="--instance-type",
        hint="a larger type, more or faster volumes, or two clusters",
    )


def _refuse(workload: Workload, cluster: Cluster, brokers: int | None) -> None:
    if brokers is not None and workload.rf > brokers:
        raise UsageFault(
            "KO-SIZE-RF",
            f"RF {workload.rf} needs {workload.rf} brokers, and there are {brokers}",
            where="--brokers",
            hint=f"--brokers {workload.rf} or more, or a smaller --rf",
        )
    if brokers is not None and cluster.racks > brokers:
        raise UsageFault(
            "KO-SIZE-RACKS",
            f"{brokers} brokers cannot be in {cluster.racks} racks",
            where="--racks",
            hint=f"--racks {brokers} or fewer",
        )
    if cluster.volumes.kind is None and cluster.type.disks is None:
        raise UsageFault(
            "KO-SIZE-VOLUME",
            f"{cluster.type.name} has no disks of its own",
            where="--volume",
            hint="--volume gp3, st1 or io2; --list-types shows which types have instance store",
        )
