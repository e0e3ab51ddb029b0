"""What `kafkaops placement size` shows: one JSON document, or tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafkaops.cli import units
from kafkaops.cli.output import Table, Text
from kafkaops.placement.sizing.brokers import Sizing
from kafkaops.placement.sizing.instance_types import GB, GBIT, GIB, MB, Catalogue
from kafkaops.placement.sizing.limits import DISK, THROUGHPUT, Limit
from kafkaops.placement.sizing.loss import RackLoss, Rebuild

INSTANCE_STORE = "instance-store"


def document(found: Sizing, changes: tuple[str, ...], known: Catalogue) -> dict[str, Any]:
    cluster, workload, volumes = found.cluster, found.workload, found.cluster.volumes
    binding = found.binding
    return {
        "kind": "placement-size",
        "fits": found.fits,
        "instance_type": cluster.type.name,
        "brokers": cluster.brokers,
        "proposed": not found.given,
        "racks": cluster.racks,
        "workload": workload,
        "volume": {
            "kind": INSTANCE_STORE if volumes.kind is None else volumes.kind.name,
            "count": cluster.count,
            "size": found.volume_size,
        },
        "throughput": found.throughput,
        "binding": None if binding is None else binding.name,
        "limits": [_limit(x) for x in found.limits],
        "disk_total": workload.disk,
        "disk_a_broker": found.disk_a_broker,
        "brokers_advised": found.advised,
        "rack_loss": None if found.loss is None else _loss_json(found.loss),
        "rebuild": {"broker": found.broker, "replica": found.replica},
        "changes": changes,
        "figures_of": known.read,
    }


def _limit(limit: Limit) -> dict[str, Any]:
    return {**vars(limit), "headroom": limit.headroom, "holds": limit.holds}


def _loss_json(loss: RackLoss) -> dict[str, Any]:
    return {
        **vars(loss),
        "as_is": [_limit(x) for x in loss.as_is],
        "rebuilt": [_limit(x) for x in loss.rebuilt],
        "carries": loss.carries,
        "carries_rebuilt": loss.carries_rebuilt,
    }


def parts(found: Sizing, changes: tuple[str, ...], known: Catalogue) -> Iterator[Table | Text]:
    """Limits, the loss of a rack and rebuilding as tables, then what they come to in words."""
    yield from _tables(found)
    yield from _words(found, changes, known)


def _tables(found: Sizing) -> Iterator[Table]:
    columns = ("limit", "formula", "carries", "asked", "headroom", "brokers needed")
    yield Table(columns, [_row(x) for x in found.limits], "limits")
    if found.loss is not None:
        yield Table(
            (
                "one rack lost",
                "carries as it is",
                "headroom",
                "carries rebuilt",
                "headroom rebuilt",
            ),
            _loss_rows(found.loss),
            "the rest",
        )
    rows = [("broker", found.broker), *([("replica", found.replica)] if found.replica else [])]
    yield Table(
        ("rebuild", "copied", "nothing else running", "under this load", "waits for"),
        [
            (name, units.of_size(r.bytes), units.of_span(r.idle), _loaded(r), r.bound)
            for name, r in rows
            if r is not None
        ],
        "from the baseline of the network",
    )


def _loaded(rebuild: Rebuild) -> str:
    if rebuild.loaded is None:
        return "not known" if rebuild.idle is None else "never"
    return units.of_span(rebuild.loaded)


def _row(limit: Limit) -> tuple[Any, ...]:
    carries = "not known" if limit.capacity is None else _amount(limit.name, limit.capacity)
    asked, left = _amount(limit.name, limit.load), units.of_share(limit.headroom)
    return (limit.name, limit.formula, carries, asked, left, limit.brokers)


def _loss_rows(loss: RackLoss) -> list[tuple[Any, ...]]:
    return [
        (
            now.name,
            "not known" if now.capacity is None else _amount(now.name, now.capacity),
            units.of_share(now.headroom),
            "not known" if then.capacity is None else _amount(then.name, then.capacity),
            units.of_share(then.headroom),
        )
        for now, then in zip(loss.as_is, loss.rebuilt, strict=True)
    ]


def _amount(name: str, value: float) -> str:
    from kafkaops.cli import units

    if name in THROUGHPUT:
        return units.of_rate(value)
    return units.of_size(value) if name == DISK else f"{value:,.0f}"


def _words(found: Sizing, changes: tuple[str, ...], known: Catalogue) -> Iterator[Text]:
    cluster, binding, most = found.cluster, found.binding, found.throughput
    verdict = {True: "suffice", False: "do not suffice", None: "suffice as far as is known"}
    who = f"{cluster.brokers} brokers of {cluster.type.name} in {cluster.racks} racks"
    yield Text(f"{who} {verdict[found.fits]}" + ("" if found.given else " (the least that do)"))
    if binding is not None:
        yield Text(f"{binding.name} binds: {units.of_share(binding.headroom)} of it is left")
    if most is not None:
        yield Text(f"producers may write {units.of_rate(most)} at most")
    volumes = cluster.volumes
    disks = "of its own" if volumes.kind is None else f"{volumes.kind.name}"
    yield Text(
        f"disk: {units.of_size(found.workload.disk)} in all, {units.of_size(found.disk_a_broker)} a"
        f" broker; {cluster.count} x {units.of_size(found.volume_size)} {disks}"
    )
    loss = found.loss
    if loss is not None:
        words = {True: "carries", False: "does not carry", None: "may carry"}
        rf = found.workload.rf
        yield Text(
            f"without a rack {loss.left} brokers are left, and {loss.replicas} of {rf} replicas of"
            f" each partition at least: the rest {words[loss.carries]} that, and"
            f" {words[loss.carries_rebuilt]} RF {rf} rebuilt ({loss.share} in a rack)"
        )
    for line in changes:
        yield Text(f"- {line}")
    yield Text(f"figures of AWS, read {known.read}: --list-types -o json names the sources")


def types_document(known: Catalogue) -> dict[str, Any]:
    return {
        "kind": "placement-instance-types",
        "read": known.read,
        "sources": known.sources,
        "types": list(known.types.values()),
        "volumes": list(known.volumes.values()),
    }


def types(known: Catalogue) -> Iterator[Table | Text]:
    def of(value: float | None, unit: float) -> float | None:
        return None if value is None else round(value / unit, 3)

    rows = []
    for t in known.types.values():
        disks = t.disks
        rows.append(
            (
                t.name,
                t.vcpu,
                of(t.memory, GIB),
                of(t.network, GBIT),
                of(t.network_burst, GBIT),
                of(t.ebs, MB),
                of(t.ebs_burst, MB),
                None if disks is None else f"{disks.count}x{disks.size // GB}GB {disks.kind}",
                None if disks is None else disks.encrypted,
            )
        )
    columns = (
        *("type", "vcpu", "memory GiB", "network Gbit/s", "burst Gbit/s"),
        *("EBS MB/s", "EBS burst MB/s", "instance store", "encrypted"),
    )
    yield Table(columns, rows, "instance types")
    yield Text(f"read {known.read}: {known.sources['types']}")
    yield Text("a dash is not known, or not there")
