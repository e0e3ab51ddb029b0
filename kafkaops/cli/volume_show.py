"""`kafkaops volume status|plan`: what each volume is, and what its next step would be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kafkaops.cli import units
from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.consent_flags import Detailed
from kafkaops.cli.output import Table, Text, emit
from kafkaops.cli.volume_cluster import Cluster, Only, alone
from kafkaops.cli.volume_here import DEFAULT, HostFileAt, Names, here
from kafkaops.engine.errors import Exit

if TYPE_CHECKING:
    from kafkaops.volumes.looks import Look

status_app = make_app("What each volume of this host is.")
plan_app = make_app("What `prepare` would do.")

Check = Annotated[
    bool, typer.Option("--check", help="5 unless each is mounted and sound: a gate for scripts.")
]
Local = Annotated[bool, typer.Option("--local", help="Ask neither S3 nor CloudTrail.")]


@status_app.command(cls=OpsCommand)
def status(
    names: Names = None,
    host_file: HostFileAt = DEFAULT,
    check: Check = False,
    local: Local = False,
    cluster: Cluster = "",
    only: Only = None,
) -> int:
    """The state of each volume: how it is encrypted, by which key, how old, with which copies.

    \b
    Examples:
      kafkaops volume status
      kafkaops volume status --check --local && systemctl start kafka
      kafkaops volume status data-1 -o json
      kafkaops volume status --cluster blue
    """
    if cluster:
        from kafkaops.cli.volume_cluster import shown

        return shown(cluster, only, names, check)
    alone(only=only)
    from kafkaops.volumes import looks

    _, ground, specs = here(host_file, names)
    found = [looks.look(ground, spec, remote=not local) for spec in specs]
    now = ground.clock.wall()
    rows = [looks.row(look, now) for look in found]
    emit({"volumes": rows}, _table(rows, now), *_remarks(found))
    good = all(look.good for look in found)
    return Exit.OK if good or not check else Exit.GUARD


@plan_app.command(cls=OpsCommand)
def plan(names: Names = None, host_file: HostFileAt = DEFAULT, detailed: Detailed = False) -> int:
    """The next step of each volume, and what refuses it; changes nothing.

    \b
    Examples:
      kafkaops volume plan
      kafkaops volume plan --detailed-exitcode -o json
    """
    from kafkaops.volumes import looks
    from kafkaops.volumes.verdict import Step

    _, ground, specs = here(host_file, names)
    found = [looks.look(ground, spec, remote=False) for spec in specs]
    lines = [
        (look.spec.name, look.facts.device, look.verdict.state, look.verdict.step) for look in found
    ]
    rows = [looks.row(look, ground.clock.wall()) for look in found]
    columns = ("volume", "device", "state", "next step")
    emit({"volumes": rows}, Table(columns, lines), *_remarks(found))
    if any(look.verdict.step is Step.REFUSED for look in found):
        return Exit.GUARD
    work = any(look.verdict.step is not Step.NOTHING for look in found)
    return Exit.CHANGES if work and detailed else Exit.OK


def _table(rows: list[Mapping[str, Any]], now: float) -> Table:
    columns = ("volume", "state", "next step", "size", "mode", "key age", "copies", "last unlock")
    return Table(
        columns,
        [
            (
                r["volume"],
                r["state"],
                r["next"],
                units.of_size(r["size"]),
                r["mode"],
                units.of_span(r["key_age"]),
                "-" if r["copies"] is None else len(r["copies"]),
                units.of_span(None if r["last_unlock"] is None else now - r["last_unlock"]),
            )
            for r in rows
        ],
    )


def _remarks(found: list[Look]) -> list[Text]:
    said: list[Text] = []
    for look in found:
        name, verdict, header = look.spec.name, look.verdict, look.facts.header
        if verdict.why:
            said.append(Text(f"{name}: {verdict.code}: {verdict.why}"))
        if verdict.hint:
            said.append(Text(f"{name}: next: {verdict.hint}"))
        if header is not None and header.harm and verdict.code != "KO-VOLUME-HEADER":
            said.append(Text(f"{name}: its LUKS header is harmed: {header.harm}"))
        if header is not None and header.torn:
            said.append(
                Text(f"{name}: {header.torn}: a write was cut off; the next opening mends it")
            )
        if verdict.token is not None and verdict.token.retire:
            said.append(Text(f"{name}: a rotation is not finished: kafkaops volume rotate {name}"))
        if look.why_not:
            said.append(Text(f"{name}: its copies are not known: {look.why_not}"))
        if look.hardware:
            said.append(Text(f"{name}: below LUKS: {look.hardware}"))
        if look.facts.at is None and not look.facts.immutable and look.facts.kind != "absent":
            said.append(
                Text(f"{name}: {look.spec.mountpoint} is bare and can be written to: Kafka would")
            )
    return said
