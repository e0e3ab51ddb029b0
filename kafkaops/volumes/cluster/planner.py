"""The plan of work on the volumes of a cluster. Pure: config and roles in, `Plan` out.

One host after another, in the config's order; controllers last, for fewer of them may be away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from kafkaops.config.schema import ClusterSpec, Config, HostSpec
from kafkaops.engine.errors import ConfigError
from kafkaops.engine.plan_json import fingerprint
from kafkaops.engine.step import Plan, Spec
from kafkaops.volumes import boot_units, inventory
from kafkaops.volumes.cluster.asking import (
    BACKUP,
    INSTALL,
    MOUNT,
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

TYPED = {ROTATE: Phase.ROTATE, REWRAP: Phase.REWRAP, BACKUP: Phase.BACKUP}


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
            voter=host.node_id in members.voters or host.node_id not in brokers,
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
    names = [volume.name for volume in file.chosen(asked.volumes)]
    args = {
        "cluster": asked.cluster,
        "host": host.name,
        "node": host.node_id,
        "broker": file.broker,
        "voter": file.voter,
        "volumes": names,
    }
    if asked.verb == INSTALL:
        assert packed is not None
        yield from _install(host, file, packed, args)
    elif asked.verb == PREPARE:
        labels = [volume.label for volume in file.chosen(asked.volumes)]
        yield Spec(
            id=f"prepare-{host.name}",
            kind="volume-prepared",
            title=f"make and mount {', '.join(names)} on {host.name} where blank",
            phase=Phase.PREPARE.value,
            args={**args, "labels": labels},
            deadline=DEADLINE,
            guards=2,
            irreversible=f"what a format of {host.name}'s blank disks overwrote",
        )
    elif asked.verb == MOUNT:
        yield Spec(
            id=f"mount-{host.name}",
            kind="volume-mounted",
            title=f"unlock and mount {', '.join(names)} on {host.name}",
            phase=Phase.MOUNT.value,
            args={**args, "argv": ["mount", *names]},
            deadline=DEADLINE,
        )
    else:
        phase = TYPED[asked.verb]
        key = ["--key", asked.key] if asked.key else []
        agreed = [] if asked.verb == BACKUP else ["--yes"]
        yield Spec(
            id=f"{phase.value}-{host.name}",
            kind="volume-rotated" if asked.verb == ROTATE else "volume-typed",
            title=f"{asked.verb} {', '.join(names)} on {host.name}",
            phase=phase.value,
            args={**args, "argv": [asked.verb, *names, *key, *agreed]},
            deadline=DEADLINE,
            irreversible="" if asked.verb == BACKUP else "the old wrapped key",
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
