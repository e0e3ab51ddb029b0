"""The host's file and what its volumes stand on, for the commands of `kafkaops volume`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from kafkaops.cli.output import Table, Text, emit, news
from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit, OpsError

if TYPE_CHECKING:
    from kafkaops.model.volume import VolumeSpec
    from kafkaops.volumes.ground import Ground
    from kafkaops.volumes.host_file import HostFile

T = TypeVar("T")

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[VOLUME...]", help="Which; default all.")
]
HostFileAt = Annotated[
    str,
    typer.Option(
        "--host-file",
        metavar="FILE",
        envvar="KAFKAOPS_HOST_FILE",
        help="What volumes this host has.",
    ),
]
DEFAULT = "/etc/kafkaops/volumes.json"


def here(path: str, names: list[str] | None) -> tuple[HostFile, Ground, tuple[VolumeSpec, ...]]:
    """The host's file, the ground, and the volumes asked for."""
    host, ground = current().operations.volumes(path, news)
    return host, ground, host.chosen(tuple(names or ()))


def each(
    specs: tuple[VolumeSpec, ...], deed: Callable[[VolumeSpec], T], row: Callable[[T], str]
) -> int:
    """Do it to each volume, one after another, and show how each ended. One that fails does not
    keep the others from it: the exit code is that of the first error."""
    rows: list[dict[str, Any]] = []
    failed: list[OpsError] = []
    for spec in specs:
        try:
            told = row(deed(spec))
            rows.append({"volume": spec.name, "ended": "done", "what": told})
        except OpsError as error:
            failed.append(error)
            rows.append(
                {
                    "volume": spec.name,
                    "ended": error.code,
                    "what": error.message,
                    "where": error.where,
                    "hint": error.hint,
                }
            )
    if len(specs) == 1 and failed:
        raise failed[0]
    lines = [(r["volume"], r["ended"], r["what"]) for r in rows]
    hints = [Text(f"{r['volume']}: next: {r['hint']}") for r in rows if r.get("hint")]
    emit({"volumes": rows}, Table(("volume", "ended", "what"), lines), *hints)
    return int(failed[0].exit) if failed else int(Exit.OK)
