"""Copies of the LUKS header: without its header, a volume is lost with every key in hand.

Invariant: a copy is written back only to the volume that it was taken from, and only while it is
closed; a copy opens with the keys of its day, so rotation and erasure destroy it.
"""

from __future__ import annotations

from kafkaops.engine.errors import ConfigError, GuardRefused, StepFailed
from kafkaops.model.volume import VolumeSpec
from kafkaops.volumes import copies
from kafkaops.volumes.ground import Ground
from kafkaops.volumes.rotating import openable


def backup(ground: Ground, spec: VolumeSpec) -> str:
    """Copy the header to S3; its URI. ConfigError where the host's file names no `copies`."""
    if not spec.copies:
        raise ConfigError(
            "KO-VOLUME-NO-COPIES",
            f"the host's file names no `copies` for {spec.name}",
            where=spec.name,
            hint="name an S3 URI there: a header copy on the host's own disks goes with the host",
        )
    header = openable(ground, spec)
    image = ground.disks.header_save(spec)
    uri = copies.header_uri(spec, header.uuid, image)
    ground.copies.put_once(uri, image)
    return uri


def restore(ground: Ground, spec: VolumeSpec, uri: str) -> None:
    """Write a header copy back to the closed volume it was taken from, and prove that the key
    opens it. GuardRefused KO-VOLUME-COPY-OTHER for a copy of another volume."""
    facts, verdict = ground.judged(spec)
    if facts.mapping is not None or facts.at is not None:
        raise GuardRefused(
            "KO-VOLUME-OPEN",
            f"{spec.name} is open: its header in memory serves",
            where=spec.device,
            hint=f"stop Kafka, then `kafkaops volume close {spec.name}`",
        )
    if facts.holders or facts.mounts:
        raise GuardRefused(verdict.code, verdict.why, where=spec.name, hint=verdict.hint)
    copies.refuse_strange(spec, uri, facts.header.uuid if facts.header is not None else "")
    image = ground.copies.get(uri)
    if image is None:
        raise ConfigError(
            "KO-VOLUME-COPY-MISSING",
            f"there is no object {uri}",
            where=spec.name,
            hint=f"kafkaops volume status {spec.name} -o json lists its copies",
        )
    ground.disks.header_load(spec, image)
    _, after = ground.judged(spec)
    if after.token is None or not ground.disks.key_opens(spec, after.token.key, after.token.slot):
        raise StepFailed(
            "KO-VOLUME-COPY-SHUT",
            f"{uri} was written back, and its key does not open {spec.device}",
            where=spec.name,
            hint="try an older copy",
        )
