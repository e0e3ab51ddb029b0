"""What state a volume is in, and its one next step: decided from facts alone.

Invariant: a device that shows any signature, or bytes that are not zero, is never formatted but
by the override; a device in use is never formatted at all. What counts as blank is what this
volume's own unfinished format left: it was recorded before it began, and it writes the keyslots
first and the header in front of them last, so without a header nothing was ever written inside.
"""

from __future__ import annotations

from kafkaops.model.volume import DiskFacts, Opened, VolumeSpec
from kafkaops.volumes.state_header import unreadable, with_header, write_back
from kafkaops.volumes.state_open import beneath, strange_mapping
from kafkaops.volumes.verdict import Intent, State, Step, Verdict, refused

KEYSLOTS, DATA = 32 * 1024, 16 * 1024 * 1024
"""Bytes: where keyslots begin behind the two header copies, and where the data begins."""


def judge(spec: VolumeSpec, facts: DiskFacts, intent: Intent | None = None) -> Verdict:
    """The verdict on one look. Whether a blank device may be formatted now (a broker that is
    the only in-sync replica, a controller) is for who asks to decide: see `consent`."""
    unusable = _unusable(spec, facts, intent)
    if unusable is not None:
        return unusable
    if facts.header is None:
        return _without_header(spec, facts, intent)
    if busy := _busy(facts):
        return busy
    return with_header(spec, facts, facts.header, intent)


def _unusable(spec: VolumeSpec, facts: DiskFacts, intent: Intent | None) -> Verdict | None:
    if facts.kind == "absent" and not spec.size:
        return refused(
            State.ABSENT,
            "KO-VOLUME-ABSENT",
            f"there is no device {facts.device}",
            "`lsblk -o NAME,SIZE,MODEL,SERIAL` shows the disks; the host's file names the volume's",
        )
    if facts.kind == "other":
        return refused(
            State.FOREIGN,
            "KO-VOLUME-NOT-BLOCK",
            f"{facts.device} is neither a block device nor an ordinary file",
            "name the disk itself, best by its path under /dev/disk/by-id",
        )
    if facts.at is not None and not _ours_at(spec, facts):
        return refused(
            State.FOREIGN,
            "KO-VOLUME-MOUNTPOINT",
            f"{facts.at.source} ({facts.at.filesystem}) is mounted at {spec.mountpoint}",
            f"stop Kafka, `umount {spec.mountpoint}`, then repeat",
        )
    if facts.mapping is not None and (facts.header is None or unreadable(facts.header)):
        return _header_gone(spec, facts, facts.mapping, intent)
    if facts.read_only and facts.mapping is None:
        return refused(
            State.FOREIGN,
            "KO-VOLUME-READ-ONLY",
            f"{facts.device} is read-only",
            "see the kernel's log: a failing disk is set read-only",
        )
    return None


def _ours_at(spec: VolumeSpec, facts: DiskFacts) -> bool:
    """Whether what is mounted is the mapping of this very device."""
    assert facts.at is not None
    return facts.mapping is not None and facts.at.source == f"/dev/mapper/{spec.mapper}"


def _busy(facts: DiskFacts) -> Verdict | None:
    if facts.mounts:
        return refused(
            State.FOREIGN,
            "KO-VOLUME-MOUNTED",
            f"{facts.device} itself is mounted at {', '.join(facts.mounts)}",
            f"if nothing needs it: `umount {facts.mounts[0]}`, then repeat",
        )
    if facts.holders:
        return refused(
            State.FOREIGN,
            "KO-VOLUME-IN-USE",
            f"{facts.device} is part of {', '.join(facts.holders)}",
            "it belongs to LVM, a RAID or another mapping: take it out there first",
        )
    return None


def _without_header(spec: VolumeSpec, facts: DiskFacts, intent: Intent | None) -> Verdict:
    if busy := _busy(facts):
        return busy
    if facts.signatures and not _unfinished(facts, intent):
        found = ", ".join(f"{s.kind} at byte {s.offset}" for s in facts.signatures)
        return refused(
            State.FOREIGN,
            "KO-VOLUME-FOREIGN",
            f"{facts.device} is not blank: {found}",
            f"if it may be lost: `kafkaops volume prepare {spec.name} --reformat {spec.label}`",
            override=True,
        )
    if covered := beneath(spec, facts):
        return covered
    if not (facts.instance_store or spec.named or facts.kind in ("file", "absent")):
        return refused(
            State.BLANK,
            "KO-VOLUME-NOT-LISTED",
            f"{facts.device} is blank, but neither instance store nor named in the host's file",
            f"name it there (`device: {facts.device}`), then repeat",
        )
    return Verdict(State.BLANK, Step.FORMAT)


def _unfinished(facts: DiskFacts, intent: Intent | None) -> bool:
    """Whether all that is there is keyslots which our own format wrote before the header."""
    return (
        intent is not None
        and intent.device == facts.identity
        and all(s.kind == "data" and KEYSLOTS <= s.offset < DATA for s in facts.signatures)
    )


def _header_gone(
    spec: VolumeSpec, facts: DiskFacts, mapping: Opened, intent: Intent | None
) -> Verdict:
    """Open, and no header on the disk: closed, its data would be lost with every key in hand."""
    if not mapping.uuid:
        return strange_mapping(spec, "one without LUKS")
    if facts.kind != "absent" and mapping.device not in ("", facts.device):
        return strange_mapping(spec, f"on {mapping.device}")
    if _never_served(facts, mapping, intent):
        return refused(
            State.DAMAGED,
            "KO-VOLUME-UNFINISHED",
            f"{spec.mapper} is open from a format that was cut off before it wrote the header:"
            " nothing is in it",
            f"`kafkaops volume close {spec.name}`, then `kafkaops volume prepare {spec.name}`",
        )
    gone = facts.kind == "absent"
    return refused(
        State.DAMAGED,
        "KO-VOLUME-HEADER-GONE",
        f"{spec.mapper} is open, but {facts.device}"
        + (" is there no more" if gone else " has no LUKS header any more")
        + ": once closed, it never opens again",
        "keep it open; "
        + (f"{write_back(spec)}; without one " * (not gone))
        + f"empty node {spec.node} from the operator's machine (`kafkaops placement plan --drain"
        f" {spec.node}`), and only then `cryptsetup close {spec.mapper}`",
    )


def _never_served(facts: DiskFacts, mapping: Opened, intent: Intent | None) -> bool:
    """Whether it is what a kill leaves of an ephemeral volume, which is opened before its header is
    on the disk."""
    return (
        intent is not None
        and intent.key.mode == "ephemeral"
        and (intent.device, intent.uuid) == (facts.identity, mapping.uuid)
        and not mapping.signatures
        and facts.at is None
    )
