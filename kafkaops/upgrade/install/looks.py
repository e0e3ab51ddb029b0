"""What one host says of itself before a version is installed there. Read only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kafkaops.config.schema import ClusterSpec
from kafkaops.ports.host import Host
from kafkaops.ports.host_units import Unit
from kafkaops.upgrade.install.place import Place
from kafkaops.upgrade.install.properties import settings
from kafkaops.upgrade.install.release import Running, running


@dataclass(frozen=True)
class Look:
    """`link` is what `current` says, None where there is no such link; `mark` the SHA-512 of the
    tarball that the wanted version was unpacked from, "" where it lies there and nobody says,
    None where it does not lie there. `free` in bytes; `known` the settings of its own
    server.properties."""

    host: str
    node: int
    unit: Unit
    running: Running | None
    link: str | None
    mark: str | None
    free: int
    known: Mapping[str, str] = field(default_factory=dict)

    def runs(self, release: str, place: Place) -> bool:
        """Whether it runs this release already, by the link."""
        now = self.running
        return (
            now is not None
            and str(now.release) == release
            and not now.gone
            and self.link == place.target(release)
        )


def look(host: Host, node: int, spec: ClusterSpec, place: Place, release: str) -> Look:
    unit = host.unit(spec.service)
    link = host.link(place.link)
    mark = host.read(place.mark(release))
    if mark is None and host.sha512(place.jar(release)) is not None:
        mark = b""
    return Look(
        host.name,
        node,
        unit,
        running(host.open_files(unit.pid)) if unit.pid else None,
        None if link is None else place.said(link),
        None if mark is None else mark.decode(errors="replace").strip(),
        host.free(place.directory),
        settings(host.read(spec.properties) or b""),
    )
