"""Copies of the LUKS header: without its header, a volume is lost with every key in hand.

Invariant: a copy is written back only to the volume that it was taken from, and while that is open
only where its header is lost; a copy opens with the keys of its day, so rotation and erasure
destroy it.
"""

from __future__ import annotations

from kafkaops.engine.errors import ConfigError, GuardRefused, StepFailed
from kafkaops.model.volume import DiskFacts, Header, VolumeSpec
from kafkaops.ports.disks import Key
from kafkaops.volumes import copies
from kafkaops.volumes import token as tokens
from kafkaops.volumes.ground import Ground
from kafkaops.volumes.rotating import openable
from kafkaops.volumes.verdict import Verdict


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
    """Write a header copy back to the volume it was taken from, once it was seen to be that
    volume's and to open, and prove that the key opens it there. GuardRefused KO-VOLUME-OPEN while
    the volume is open and has its header, KO-VOLUME-COPY-OTHER for a copy of another volume,
    KO-VOLUME-COPY-SHUT for one that does not open; the disk's own header is as it was then."""
    facts, verdict = ground.judged(spec)
    _refuse(spec, facts, verdict)
    copies.refuse_strange(spec, uri, facts.uuid)
    image = ground.copies.get(uri)
    if image is None:
        raise ConfigError(
            "KO-VOLUME-COPY-MISSING",
            f"there is no object {uri}",
            where=spec.name,
            hint=f"kafkaops volume status {spec.name} -o json lists its copies",
        )
    key, slot = _fitting(ground, spec, uri, image)
    ground.disks.header_load(spec, image)
    if key.mode != "ephemeral" and not ground.disks.key_opens(spec, key, slot):
        raise StepFailed(
            "KO-VOLUME-COPY-SHUT",
            f"{uri} was written back, and its key does not open {spec.device}",
            where=spec.name,
            hint="try an older copy",
        )


def _refuse(spec: VolumeSpec, facts: DiskFacts, verdict: Verdict) -> None:
    """An open volume needs its copy where its header is lost: closed it would not open again."""
    opened = facts.mapping is not None or facts.at is not None
    lost = verdict.code == "KO-VOLUME-HEADER-GONE"
    if opened and not lost:
        raise GuardRefused(
            "KO-VOLUME-OPEN",
            f"{spec.name} is open: its header in memory serves",
            where=spec.device,
            hint=f"stop Kafka, then `kafkaops volume close {spec.name}`",
        )
    if facts.holders or facts.mounts or (lost and facts.kind == "absent"):
        raise GuardRefused(verdict.code, verdict.why, where=spec.name, hint=verdict.hint)


def _fitting(ground: Ground, spec: VolumeSpec, uri: str, image: bytes) -> tuple[Key, int | None]:
    """The key that opens a copy, and its keyslot where that is known. Refuse what lies at this URI
    where it is not this volume's, whatever the URI says: written over the disk's own header it
    would lose the volume."""
    held = ground.disks.copy_header(image)
    if held is None or held.harm or held.torn:
        raise GuardRefused(
            "KO-VOLUME-COPY-HARMED",
            f"{uri} is no whole LUKS header: {_fault(held)}",
            where=spec.name,
            hint="try an older copy",
        )
    try:
        found = tokens.current(held)
    except tokens.Damaged as error:
        raise GuardRefused(
            "KO-VOLUME-COPY-HARMED",
            f"the token in {uri} is not as kafkaops wrote it: {error}",
            where=spec.name,
            hint="try an older copy",
        ) from None
    token = found[1] if found is not None else None
    mine = spec.mode == "s3" if token is None else dict(token.context) == spec.context
    if not mine or not uri.startswith(copies.home(spec, held.uuid)):
        label = held.label or "another"
        raise GuardRefused(
            "KO-VOLUME-COPY-OTHER",
            f"what lies at {uri} is the header of volume {label} with UUID {held.uuid}",
            where=spec.name,
            hint=f"kafkaops volume status {spec.name} -o json lists its own copies",
        )
    key, slot = (token.key, token.slot) if token else (Key("s3", object=spec.object), None)
    if key.mode != "ephemeral" and not ground.disks.copy_opens(spec, image, key, slot):
        raise GuardRefused(
            "KO-VOLUME-COPY-SHUT",
            f"the key of {uri} does not open it",
            where=spec.name,
            hint="try an older copy",
        )
    return key, slot


def _fault(held: Header | None) -> str:
    return "nothing of one" if held is None else held.harm or held.torn
