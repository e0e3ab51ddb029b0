"""Unmount a volume and take its mapping away, once nobody uses it.

Invariants: systemd hears of it. To a unit that it takes for open nothing is done at Kafka's next
start, and the mount waits for a device that nobody brings. And what would not open again is kept
open.
"""

from __future__ import annotations

from kafkaops.engine.errors import GuardRefused, StepFailed
from kafkaops.model.volume import DiskFacts, VolumeSpec
from kafkaops.volumes.ground import Ground
from kafkaops.volumes.state_open import strange_mapping

KEPT = ("KO-VOLUME-MAPPER", "KO-VOLUME-MOUNTPOINT", "KO-VOLUME-HEADER-GONE")
"""Verdicts under which nothing is closed."""
UNREAD = ("KO-VOLUME-READ", "KO-VOLUME-PROBE", "KO-VOLUME-TOOL")
"""What a look at a disk that does not read ends with: a probe fails, or we do."""


def close(ground: Ground, spec: VolumeSpec) -> bool:
    """True when something was closed. GuardRefused KO-VOLUME-BUSY with the processes that have
    files open there, KO-VOLUME-MAPPER where the mapping is of another disk, KO-VOLUME-HEADER-GONE
    where its header is lost and what is in it would be. A disk that does not read is closed by its
    mapping and mount alone."""
    facts = _seen(ground, spec)
    if facts.mapping is None and facts.at is None:
        ground.disks.unit_closed(spec)
        return False
    if users := ground.disks.users(spec):
        raise GuardRefused(
            "KO-VOLUME-BUSY",
            f"{spec.mountpoint} is in use by {', '.join(users[:5])}",
            where=spec.name,
            hint="stop Kafka first (its controlled shutdown moves the leaders), then repeat",
        )
    if facts.at is not None:
        ground.say(f"{spec.name}: unmount {spec.mountpoint}")
        ground.disks.unmount(spec)
    if facts.mapping is not None:
        ground.say(f"{spec.name}: close /dev/mapper/{spec.mapper}")
        ground.disks.close(spec)
    ground.disks.unit_closed(spec)
    return True


def _seen(ground: Ground, spec: VolumeSpec) -> DiskFacts:
    """What there is to close; GuardRefused where it is to be kept."""
    try:
        facts, verdict = ground.judged(spec)
    except StepFailed as error:
        if error.code not in UNREAD:
            raise
        ground.say(f"{spec.name}: {error.message}: it is closed without a look at it")
        return _glanced(ground, spec)
    if verdict.code in KEPT:
        raise GuardRefused(verdict.code, verdict.why, where=spec.name, hint=verdict.hint)
    return facts


def _glanced(ground: Ground, spec: VolumeSpec) -> DiskFacts:
    facts = ground.disks.glance(spec)
    if facts.mapping is not None and facts.mapping.device not in ("", facts.device):
        verdict = strange_mapping(spec, f"on {facts.mapping.device}")
        raise GuardRefused(verdict.code, verdict.why, where=spec.name, hint=verdict.hint)
    return facts
