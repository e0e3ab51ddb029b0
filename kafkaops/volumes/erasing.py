"""Crypto-erasure: no keyslot, no header, no copy of either; proven by an unlock that fails.

Invariant: what may not be deleted is found out before anything is destroyed; killed anywhere, a
second `erase` goes on; what was proven is said, what cannot be (a header copy kept elsewhere, while
the KMS key lives) is said too.
"""

from __future__ import annotations

from dataclasses import dataclass

from kafkaops.engine.errors import GuardRefused, StepFailed
from kafkaops.model.volume import DiskFacts, VolumeSpec
from kafkaops.ports.disks import Key
from kafkaops.volumes import copies, token
from kafkaops.volumes.ground import Ground
from kafkaops.volumes.token import Damaged
from kafkaops.volumes.verdict import State, Verdict


@dataclass(frozen=True)
class Erased:
    """`proven` when the key that opened the volume was tried afterwards and refused; `copies`
    are the objects that were deleted. `before` the state that was found."""

    before: State
    proven: bool
    copies: tuple[str, ...]


def erase(ground: Ground, spec: VolumeSpec) -> Erased:
    """Delete the copies, wipe every keyslot, prove it, zero the headers. The volume must be
    closed. GuardRefused where the disk is another's, or in use; ConfigError KO-AWS-DENIED where
    copies may not be deleted: the volume opens as before then."""
    facts, verdict = ground.judged(spec)
    _refuse(spec, facts, verdict)
    uuid = facts.header.uuid if facts.header is not None else ""
    proven = False
    gone = tuple(ground.copies.listed(copies.home(spec, uuid))) if spec.copies else ()
    for uri in gone:
        ground.say(f"{spec.name}: delete {uri}")
        ground.copies.delete(uri)
    if facts.header is not None and facts.header.uuid:  # else cryptsetup finds nothing to wipe
        key = _key(spec, facts)
        opened = key is not None and bool(facts.header.slots) and ground.disks.key_opens(spec, key)
        ground.say(f"{spec.name}: wipe every keyslot")
        ground.disks.erase(spec)
        if key is not None and ground.disks.key_opens(spec, key):
            raise StepFailed(
                "KO-VOLUME-STILL-OPENS",
                f"the key still opens {spec.device} after its keyslots were wiped",
                where=spec.name,
                hint="the disk does not write: see the kernel's log; destroy it",
            )
        proven = opened or (key is not None and not facts.header.slots)
    ground.disks.zero(spec)
    if ground.intent(spec) is not None:
        ground.intend(spec, None)
    return Erased(verdict.state, proven, gone)


def _refuse(spec: VolumeSpec, facts: DiskFacts, verdict: Verdict) -> None:
    if facts.at is not None or facts.mapping is not None:
        raise GuardRefused(
            "KO-VOLUME-OPEN",
            f"{spec.name} is open"
            + (f" and mounted at {facts.at.target}" if facts.at is not None else ""),
            where=spec.device,
            hint=f"stop Kafka, then `kafkaops volume close {spec.name}`",
        )
    ours = verdict.state in (State.LOCKED, State.BLANK) or verdict.code in (
        *("KO-VOLUME-ERASED", "KO-VOLUME-HEADER", "KO-VOLUME-TOKEN", "KO-VOLUME-NO-TOKEN"),
    )
    if not ours:
        raise GuardRefused(verdict.code, verdict.why, where=spec.name, hint=verdict.hint)


def _key(spec: VolumeSpec, facts: DiskFacts) -> Key | None:
    """The key to try, where there is one to be had."""
    assert facts.header is not None
    if spec.mode == "s3":
        return Key("s3", object=spec.object)
    try:
        found = token.current(facts.header)
    except Damaged:
        return None
    return found[1].key if found is not None and found[1].key.mode == "wrapped" else None
