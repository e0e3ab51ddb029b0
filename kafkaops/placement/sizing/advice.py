"""What to change where a cluster does not suffice, and what to know of one that does. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from kafkaops.placement.sizing.brokers import Sizing
from kafkaops.placement.sizing.instance_types import GIB, MIB, Catalogue, InstanceType
from kafkaops.placement.sizing.limits import (
    ADVISED,
    DISK,
    EBS,
    NETWORK,
    PARTITIONS,
    STORAGE,
    THROUGHPUT,
    Limit,
    limits,
)


def advice(found: Sizing, catalogue: Catalogue) -> tuple[str, ...]:
    """One sentence a change, the most pressing first."""
    return (*_cures(found, catalogue), *_remarks(found), *_of_loss(found), *_of_disks(found))


def _cures(found: Sizing, catalogue: Catalogue) -> Iterator[str]:
    for limit in found.limits:
        if limit.holds is None:
            yield f"{limit.name} is not known: {limit.why}"
        elif not limit.holds:
            ways = [w for w in (_more(limit, found), _otherwise(limit, found, catalogue)) if w]
            yield f"{limit.name} does not suffice: {', or '.join(ways) or 'two clusters'}"


def _more(limit: Limit, found: Sizing) -> str:
    if limit.brokers is None:
        return ""
    return f"{found.cluster.even(limit.brokers)} brokers"


def _otherwise(limit: Limit, found: Sizing, catalogue: Catalogue) -> str:
    """A change that keeps the number of brokers."""
    cluster, volumes = found.cluster, found.cluster.volumes
    if limit.name in (EBS, NETWORK):
        larger = _larger(limit.name, found, catalogue)
        return larger.name if larger is not None else ""
    if limit.name == STORAGE and volumes.kind is not None:
        one = found.workload.write * found.workload.rf / cluster.brokers / volumes.count
        if volumes.kind.per_byte is None and one <= volumes.kind.most_rate:
            return f"volumes of {math.ceil(one / MIB)}MiB/s (--volume-rate)"
        if volumes.kind.per_byte is not None and one <= volumes.kind.most_rate:
            return f"volumes of {_gib(one / volumes.kind.per_byte)} (--volume-size)"
        needed = math.ceil(one * volumes.count / volumes.kind.most_rate)
        return f"{needed} volumes a broker (--volumes)"
    if limit.name == DISK and volumes.kind is not None:
        one = found.disk_a_broker / volumes.count
        if one <= volumes.kind.most:
            return f"volumes of {_gib(one)} (--volume-size)"
        return f"{math.ceil(found.disk_a_broker / volumes.kind.most)} volumes a broker (--volumes)"
    if limit.name == PARTITIONS:
        return "fewer partitions, or two clusters"
    return ""


def _gib(size: float) -> str:
    return f"{math.ceil(size / GIB)}GiB"


def _larger(name: str, found: Sizing, catalogue: Catalogue) -> InstanceType | None:
    """The smallest of the family that carries it on the same number of brokers."""
    for kind in catalogue.family(found.cluster.type):
        other = replace(found.cluster, type=kind)
        if other.volumes.kind is None and kind.disks is None:
            continue
        if any(x.name == name and x.holds for x in limits(found.workload, other)):
            return kind
    return None


def _remarks(found: Sizing) -> Iterator[str]:
    cluster, workload, by = found.cluster, found.workload, {x.name: x for x in found.limits}
    headroom = [x.headroom for x in found.limits if x.name in THROUGHPUT and x.headroom is not None]
    if found.fits is not False and headroom and min(headroom) < 1 - ADVISED - 1e-9:
        yield (
            f"AWS advises to leave {1 - ADVISED:.0%} of the throughput:"
            f" {found.advised} brokers of this type"
        )
    storage, ebs = by[STORAGE], by.get(EBS)
    if (
        ebs is not None
        and ebs.capacity is not None
        and storage.capacity is not None
        and ebs.capacity < storage.capacity
    ):
        yield "EBS binds before the volumes do: faster volumes change nothing, a larger type does"
    if ebs is not None and cluster.type.ebs_optimized == "supported":
        yield f"{cluster.type.name} is EBS-optimized only where that is asked for"
    if workload.partitions is None:
        yield "partitions are not judged: --partitions says how many there are"
    elif workload.partitions < cluster.brokers:
        yield (
            f"{workload.partitions} partitions lead on {workload.partitions} of"
            f" {cluster.brokers} brokers: the others carry no clients"
        )
    if found.cluster.brokers % found.cluster.racks:
        yield f"{cluster.brokers} brokers are not even over {cluster.racks} racks"


def _of_loss(found: Sizing) -> Iterator[str]:
    loss, rf, racks = found.loss, found.workload.rf, found.cluster.racks
    if loss is None:
        yield "with one rack its loss is the loss of everything"
        return
    if rf > racks:
        yield f"RF {rf} over {racks} racks puts {-(-rf // racks)} replicas of some into one rack"
    if loss.replicas == 0:
        yield f"RF {rf}: partitions of a lost rack are gone; RF 2 or more is needed"
    elif loss.replicas == 1:
        yield (
            "one replica is left when a rack is lost: min.insync.replicas=2 stops acks=all writes"
            " then, and with 1 a single copy acknowledges"
        )
    wanted = found.cluster.even(found.cluster.brokers)
    if loss.carries is False and loss.replicas:
        yield f"the rest does not carry the loss of a rack{_at(loss.brokers, wanted)}"
    elif loss.carries_rebuilt is False and loss.left >= rf:
        yield f"the rest does not carry RF {rf} rebuilt{_at(loss.brokers, wanted)}"


def _at(brokers: int | None, now: int) -> str:
    if brokers is None:
        return ", whatever the number of brokers"
    return f": {brokers} brokers would" if brokers > now else ": larger or faster volumes would"


def _of_disks(found: Sizing) -> Iterator[str]:
    disks = found.cluster.type.disks
    if found.cluster.volumes.kind is not None or disks is None:
        return
    yield "instance store is lost when an instance stops: its broker is rebuilt from the others"
    if disks.encrypted is False:
        yield f"the disks of {found.cluster.type.name} are not encrypted by hardware"
    elif disks.encrypted is None:
        yield f"whether the disks of {found.cluster.type.name} are encrypted is not known"
