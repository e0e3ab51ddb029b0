"""The plan of work on the volumes of a cluster. Pure: config and roles in, `Plan` out.

One host after another, in the config's order; controllers last, for fewer of them may be away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kafkaops.config.schema import ClusterSpec, Config, HostSpec
from kafkaops.engine.errors import ConfigError
from kafkaops.engine.plan_json import fingerprint
from kafkaops.engine.step import Plan, Spec
from kafkaops.model.volume import VolumeSpec
from kafkaops.volumes import boot_units, copies, inventory
from kafkaops.volumes.cluster.asking import (
    BACKUP,
    CLOSE,
    ERASE,
    INSTALL,
    MOUNT,
    OPEN,
    PREPARE,
    REWRAP,
    ROTATE,
    Asked,
)
from kafkaops.volumes.cluster.phases import Phase
from kafkaops.volumes.host_file import PATH, HostFile, rendered
from kafkaops.volumes.module import COMMAND

OPERATION = "volumes"
DEADLINE = 900.0


@dataclass(frozen=True)
class Work:
    """What a verb does to one volume; `title` and `lost`, what going back cannot bring, name it
    by `{}`. `flags` it is typed with."""

    phase: Phase
    kind: str
    title: str
    lost: str = ""
    flags: tuple[str, ...] = ()
    guards: int = 1


TYPED = ("volume-typed", "volume-rewrapped")
WORKS: Mapping[str, Work] = {
    PREPARE: Work(
        *(Phase.PREPARE, "volume-prepared", "make and mount {} where its disk is blank"),
        lost="what a format of the disk of {} overwrote",
        guards=2,
    ),
    OPEN: Work(Phase.OPEN, "volume-typed", "unlock {}"),
    MOUNT: Work(Phase.MOUNT, "volume-mounted", "unlock and mount {}"),
    CLOSE: Work(Phase.CLOSE, "volume-typed", "unmount and lock {}"),
    ROTATE: Work(Phase.ROTATE, "volume-rotated", "rotate the data key of {}", "the old key of {}"),
    REWRAP: Work(
        *(
            Phase.REWRAP,
            "volume-rewrapped",
            "wrap the data key of {} anew",
            "the old wrapping of {}",
        ),
        flags=("--yes",),
    ),
    BACKUP: Work(Phase.BACKUP, "volume-typed", "copy the LUKS header of {} to S3"),
    ERASE: Work(
        *(Phase.ERASE, "volume-erased", "make {} unreadable for ever", "everything on {}"),
        guards=2,
    ),
}


@dataclass(frozen=True)
class Packed:
    """The host module, packed on this machine: its name, file and SHA-512."""

    name: str
    file: str
    sha512: str


@dataclass(frozen=True)
class Members:
    """Kafka's id of a cluster, the ids of its brokers, and of the nodes that have a vote: a
    combined node is both. `kraft` False in ZooKeeper mode."""

    cluster_id: str
    brokers: Collection[int]
    voters: Collection[int] = ()
    kraft: bool = True


def plan(
    config: Config,
    asked: Asked,
    members: Members,
    packed: Packed | None,
    *,
    id: str,
    created: float,
) -> Plan:
    """A host that is no broker is a controller."""
    brokers = members.brokers
    spec = config.blue if asked.cluster == "blue" else config.green
    meta_id = (
        members.cluster_id if members.kraft else ""
    )  # in ZooKeeper mode brokers write their own
    hosts = sorted(chosen(spec, asked.hosts), key=lambda h: h.node_id not in brokers)
    files = [
        inventory.host_file(
            *(spec, host, config.aws),
            broker=host.node_id in brokers,
            voter=members.kraft and (host.node_id in members.voters or host.node_id not in brokers),
            cluster_id=meta_id,
        )
        for host in hosts
    ]
    specs = [
        step
        for host, file in zip(hosts, files, strict=True)
        for step in _steps(asked, host, file, packed)
    ]
    snapshot = snapshot_of(members, asked, packed)
    return Plan(
        id=id,
        operation=OPERATION,
        cluster=config.name,
        created=created,
        specs=tuple(specs),
        fingerprint=fingerprint(snapshot),
        snapshot=snapshot,
        notes=tuple(_notes(asked, files)),
        config=config.model_dump(mode="json"),
    )


def snapshot_of(members: Members, asked: Asked, packed: Packed | None) -> dict[str, Any]:
    """What makes a saved plan worthless when it changes."""
    return {
        "cluster_id": members.cluster_id,
        "brokers": sorted(members.brokers),
        "module": packed.name if packed is not None else "",
        "options": asked.to_json(),
    }


def chosen(spec: ClusterSpec, names: tuple[str, ...]) -> list[HostSpec]:
    """These hosts in the config's order, or all; ConfigError for one that is not there."""
    known = {host.name: host for host in spec.hosts}
    for name in names:
        if name not in known:
            raise ConfigError(
                "KO-HOST-UNKNOWN",
                f"{spec.name} has no host {name!r}",
                hint=f"its hosts: {', '.join(known)}",
            )
    return [host for host in spec.hosts if not names or host.name in names]


def _steps(asked: Asked, host: HostSpec, file: HostFile, packed: Packed | None) -> Iterator[Spec]:
    args = {
        "cluster": asked.cluster,
        "host": host.name,
        "node": host.node_id,
        "broker": file.broker,
        "voter": file.voter,
        "new": asked.new,
    }
    if asked.verb == INSTALL:
        assert packed is not None
        yield from _install(host, file, packed, args)
        return
    for volume in file.chosen(asked.volumes):
        yield _step(WORKS[asked.verb], asked, volume, host.name, args)


def _step(work: Work, asked: Asked, volume: VolumeSpec, host: str, args: Mapping[str, Any]) -> Spec:
    what = f"{volume.name} on {host}"
    flags = [*work.flags, *(["--key", asked.key] if asked.key else [])]
    typed = {"verb": asked.verb, "flags": flags} if work.kind in TYPED else {}
    return Spec(
        id=f"{work.phase.value}-{host}-{volume.name}",
        kind=work.kind,
        title=work.title.format(what),
        phase=work.phase.value,
        args={
            **args,
            "volume": volume.name,
            "label": volume.label,
            "copies": copies.home(volume),
            **typed,
        },
        deadline=DEADLINE,
        guards=work.guards,
        irreversible=work.lost.format(what),
    )


def _install(
    host: HostSpec, file: HostFile, packed: Packed, args: dict[str, Any]
) -> Iterator[Spec]:
    yield Spec(
        id=f"module-{host.name}",
        kind="volume-module",
        title=f"the host module {packed.name} on {host.name}",
        phase=Phase.MODULE.value,
        args={**args, "module": packed.name, "file": packed.file, "sha512": packed.sha512},
        deadline=DEADLINE,
    )
    texts = {PATH: (rendered(file), 0o600)}
    texts |= {p: (t, 0o644) for p, t in boot_units.files(file, program=COMMAND).items()}
    for number, (path, (text, mode)) in enumerate(texts.items()):
        yield Spec(
            id=f"file-{host.name}-{number}",
            kind="volume-file",
            title=f"{path} on {host.name}",
            phase=Phase.UNITS.value,
            args={**args, "path": path, "text": text, "mode": mode},
        )
    yield Spec(
        id=f"units-{host.name}",
        kind="volume-units",
        title=f"units that open {len(file.volumes)} volumes at boot on {host.name}",
        phase=Phase.UNITS.value,
        args={**args, "units": list(boot_units.enabled(file))},
    )


def _notes(asked: Asked, files: list[HostFile]) -> Iterator[str]:
    if asked.verb == INSTALL:
        yield "from the next start on, Kafka does not start while one of them is not mounted"
    if asked.verb == ERASE:
        yield "header copies kept anywhere but under `copies` open what was copied of a disk before"
    if asked.verb == PREPARE:
        yield (
            "a broker whose disk is made anew replicates all its partitions again; one that is the"
            " only in-sync replica of a partition is not touched"
        )
        for file in files:
            if file.voter:
                yield (
                    f"node {file.node} is a controller: where its disk is blank it forgets the"
                    " metadata log; the other voters must be a majority"
                )
