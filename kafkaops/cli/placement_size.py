"""`kafkaops placement size`: what a cluster carries, and how many brokers a workload takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.output import emit
from kafkaops.engine.errors import Exit, UsageFault

if TYPE_CHECKING:
    from kafkaops.placement.sizing.instance_types import Catalogue
    from kafkaops.placement.sizing.limits import Volumes

app = make_app()

INSTANCE_STORE = "instance-store"


@app.command(cls=OpsCommand)
def size(
    instance_type: Annotated[
        str | None, typer.Option("--instance-type", metavar="TYPE", help="As r6i.2xlarge.")
    ] = None,
    brokers: Annotated[
        int | None,
        typer.Option(
            "--brokers", metavar="N", min=1, help="Judge these; else the least are found."
        ),
    ] = None,
    racks: Annotated[
        int, typer.Option("--racks", metavar="K", min=1, help="Availability zones.")
    ] = 3,
    rf: Annotated[int, typer.Option("--rf", metavar="R", min=1, help="Replication factor.")] = 3,
    write_rate: Annotated[
        str | None,
        typer.Option("--write-rate", metavar="RATE", help="What producers write: 80MiB/s."),
    ] = None,
    read_groups: Annotated[
        int,
        typer.Option("--read-groups", metavar="G", min=0, help="Groups that read all of it."),
    ] = 1,
    retention: Annotated[
        str, typer.Option("--retention", metavar="TIME", help="How long it is kept: 7d, 12h.")
    ] = "7d",
    partitions: Annotated[
        int | None,
        typer.Option("--partitions", metavar="P", min=1, help="All of them, without replicas."),
    ] = None,
    volume: Annotated[
        str,
        typer.Option("--volume", metavar="gp3|st1|io2|instance-store", help="What disks they are."),
    ] = "gp3",
    volumes: Annotated[
        int, typer.Option("--volumes", metavar="N", min=1, help="EBS volumes a broker.")
    ] = 1,
    volume_size: Annotated[
        str | None,
        typer.Option("--volume-size", metavar="SIZE", help="Of one: 2TiB; else what it takes."),
    ] = None,
    volume_rate: Annotated[
        str | None,
        typer.Option(
            "--volume-rate", metavar="RATE", help="Of one, provisioned or measured: 250MiB/s."
        ),
    ] = None,
    list_types: Annotated[
        bool, typer.Option("--list-types", help="Every instance type that there are figures of.")
    ] = False,
) -> int:
    """What a cluster carries: which limit binds, how much is left, and what to change.

    AWS's bound of the throughput on baseline rates (not burst), disk for the retention at 70 %
    full, 4,000 replicas a broker, 200,000 partitions a cluster, the loss of one rack, and the time
    to rebuild a broker. A figure that is not published is said to be unknown. Exit 5 where the
    cluster does not suffice.

    \b
    Examples:
      kafkaops placement size --instance-type r6i.2xlarge --write-rate 200MiB/s --retention 3d
      kafkaops placement size --instance-type r3.xlarge --brokers 12 --partitions 12 --rf 2 \\
        --volume st1 --volume-size 2TiB --write-rate 346.9MB/s --retention 6h
      kafkaops placement size --instance-type i3en.3xlarge --volume instance-store \\
        --volume-rate 900MB/s --write-rate 500MiB/s --read-groups 4 --partitions 6000
      kafkaops placement size --list-types
    """
    from kafkaops.cli import placement_size_table as shown
    from kafkaops.placement.sizing.instance_types import catalogue

    known = catalogue()
    if list_types:
        emit(shown.types_document(known), *shown.types(known))
        return Exit.OK
    from kafkaops.cli import units
    from kafkaops.placement.sizing import brokers as sizing
    from kafkaops.placement.sizing.advice import advice
    from kafkaops.placement.sizing.limits import Cluster, Workload

    kind = known.type_of(_wanted(instance_type, "--instance-type", "r6i.2xlarge, or --list-types"))
    workload = Workload(
        units.rate(_wanted(write_rate, "--write-rate", "80MiB/s"), "--write-rate"),
        read_groups,
        units.span(retention, "--retention"),
        rf,
        partitions,
    )
    disks = _volumes(known, volume, volumes, volume_size, volume_rate)
    cluster = Cluster(kind, brokers or 0, racks, disks)
    found = sizing.size(workload, cluster, brokers, known.single_flow)
    changes = (*advice(found, known), *_fast(disks))
    emit(shown.document(found, changes, known), *shown.parts(found, changes, known))
    return Exit.GUARD if found.fits is False else Exit.OK


def _wanted(value: str | None, flag: str, example: str) -> str:
    if value is None:
        raise UsageFault(
            "KO-USAGE",
            f"{flag} is missing",
            where="kafkaops placement size",
            hint=f"{flag} {example}",
        )
    return value


def _volumes(
    known: Catalogue, volume: str, count: int, size: str | None, rate: str | None
) -> Volumes:
    from kafkaops.cli import units
    from kafkaops.placement.sizing.limits import Volumes

    speed = None if rate is None else units.rate(rate, "--volume-rate")
    if volume == INSTANCE_STORE:
        if size is not None or count != 1:
            raise UsageFault(
                "KO-USAGE",
                "instance store comes with the type, in its number and size",
                where="--volume instance-store",
                hint="leave out --volumes and --volume-size",
            )
        return Volumes(None, 1, None, speed)
    if volume not in known.volumes:
        raise UsageFault(
            "KO-VOLUME-UNKNOWN",
            f"there is no volume {volume!r}",
            where="--volume",
            hint=f"--volume {', '.join(known.volumes)} or {INSTANCE_STORE}",
        )
    kind = known.volumes[volume]
    bytes_ = None if size is None else units.size(size, "--volume-size")
    if bytes_ is not None and not kind.least <= bytes_ <= kind.most:
        raise UsageFault(
            "KO-VOLUME-SIZE",
            f"a volume of {volume} has {units.of_size(kind.least)} to {units.of_size(kind.most)},"
            f" and not {size}",
            where="--volume-size",
            hint="--volumes N for several a broker",
        )
    if speed is not None and volume == "st1" and bytes_ is not None:
        raise UsageFault(
            "KO-USAGE",
            "the size of an st1 volume makes its rate: only one of both can be given",
            where="--volume-rate",
            hint="leave out --volume-rate",
        )
    return Volumes(kind, count, bytes_, speed)


def _fast(volumes: Volumes) -> Iterator[str]:
    """A rate above the published one is the operator's to know: regions differ, and limits grow."""
    from kafkaops.cli import units

    kind = volumes.kind
    if kind is not None and volumes.rate is not None and volumes.rate > kind.most_rate * 1.0001:
        yield (
            f"{units.of_rate(volumes.rate)} is above {units.of_rate(kind.most_rate)}, the most that"
            f" the figures here know of one {kind.name} volume: check that yours has it"
        )
