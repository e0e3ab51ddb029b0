"""What state a volume is in, and its one next step: decided from facts alone.

Invariant: a device that shows any signature, or bytes that are not zero, is never formatted but
by the override; a device in use is never formatted at all. What counts as blank is what this
volume's own unfinished format left: it was recorded before it began, and it writes the keyslots
first and the header in front of them last, so without a header nothing was ever written inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kafkaops.model.volume import DiskFacts, Header, Opened, VolumeSpec
from kafkaops.ports.disks import Key
from kafkaops.volumes import token as tokens
from kafkaops.volumes.token import Damaged, Token

KEYSLOTS, DATA = 32 * 1024, 16 * 1024 * 1024
"""Bytes: where keyslots begin behind the two header copies, and where the data begins."""


class State(StrEnum):
    ABSENT = "absent"
    BLANK = "blank"
    LOCKED = "locked"
    ACTIVE = "active"
    FOREIGN = "foreign"
    DAMAGED = "damaged"
    UNKNOWN = "unknown"
    """No verdict: its disk could not be looked at."""


class Step(StrEnum):
    """What brings a volume one step nearer to serving. REFUSED: nothing does by itself."""

    NOTHING = "nothing"
    FORMAT = "format"
    OPEN = "open"
    FILESYSTEM = "make the file system"
    MOUNT = "mount"
    LOG_DIR = "make the log directory"
    REFUSED = "refused"


@dataclass(frozen=True)
class Intent:
    """Written down before a format begins: which disk, the UUID that its header is to have, and
    the key."""

    device: str
    uuid: str
    key: Key
    created: float


@dataclass(frozen=True)
class Verdict:
    """`code` and `why` say what refuses the next step, `hint` the command or deed that helps;
    `override` whether the typed override may format it nevertheless. `token` of the header, as
    far as it is read."""

    state: State
    step: Step
    code: str = ""
    why: str = ""
    hint: str = ""
    override: bool = False
    token: Token | None = None


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
    return _with_header(spec, facts, facts.header, intent)


def _unusable(spec: VolumeSpec, facts: DiskFacts, intent: Intent | None) -> Verdict | None:
    if facts.kind == "absent" and not spec.size:
        return _refused(
            State.ABSENT,
            "KO-VOLUME-ABSENT",
            f"there is no device {facts.device}",
            "`lsblk -o NAME,SIZE,MODEL,SERIAL` shows the disks; the host's file names the volume's",
        )
    if facts.kind == "other":
        return _refused(
            State.FOREIGN,
            "KO-VOLUME-NOT-BLOCK",
            f"{facts.device} is neither a block device nor an ordinary file",
            "name the disk itself, best by its path under /dev/disk/by-id",
        )
    if facts.at is not None and not _ours_at(spec, facts):
        return _refused(
            State.FOREIGN,
            "KO-VOLUME-MOUNTPOINT",
            f"{facts.at.source} ({facts.at.filesystem}) is mounted at {spec.mountpoint}",
            f"stop Kafka, `umount {spec.mountpoint}`, then repeat",
        )
    if facts.mapping is not None and (facts.header is None or _unreadable(facts.header)):
        return _header_gone(spec, facts, facts.mapping, intent)
    if facts.read_only and facts.mapping is None:
        return _refused(
            State.FOREIGN,
            "KO-VOLUME-READ-ONLY",
            f"{facts.device} is read-only",
            "see the kernel's log: a failing disk is set read-only",
        )
    return None


def _unreadable(header: Header) -> bool:
    """Whether neither of its copies reads."""
    return bool(header.harm) and not header.uuid


def _header_gone(
    spec: VolumeSpec, facts: DiskFacts, mapping: Opened, intent: Intent | None
) -> Verdict:
    """Open, and no header on the disk: closed, its data would be lost with every key in hand."""
    if not mapping.uuid:
        return strange_mapping(spec, "one without LUKS")
    if facts.kind != "absent" and mapping.device not in ("", facts.device):
        return strange_mapping(spec, f"on {mapping.device}")
    if _never_served(facts, mapping, intent):
        return _refused(
            State.DAMAGED,
            "KO-VOLUME-UNFINISHED",
            f"{spec.mapper} is open from a format that was cut off before it wrote the header:"
            " nothing is in it",
            f"`kafkaops volume close {spec.name}`, then `kafkaops volume prepare {spec.name}`",
        )
    gone = facts.kind == "absent"
    return _refused(
        State.DAMAGED,
        "KO-VOLUME-HEADER-GONE",
        f"{spec.mapper} is open, but {facts.device}"
        + (" is there no more" if gone else " has no LUKS header any more")
        + ": once closed, it never opens again",
        "keep it open; "
        + (f"{_write_back(spec)}; without one " * (not gone))
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


def strange_mapping(spec: VolumeSpec, source: str) -> Verdict:
    """The mapping of this volume's name is of something else, `source`."""
    return _refused(
        State.FOREIGN,
        "KO-VOLUME-MAPPER",
        f"/dev/mapper/{spec.mapper} was opened from another volume, {source}",
        f"`cryptsetup close {spec.mapper}` if nothing uses it, then repeat",
    )


def _ours_at(spec: VolumeSpec, facts: DiskFacts) -> bool:
    """Whether what is mounted is the mapping of this very device."""
    assert facts.at is not None
    return facts.mapping is not None and facts.at.source == f"/dev/mapper/{spec.mapper}"


def _busy(facts: DiskFacts) -> Verdict | None:
    if facts.mounts:
        return _refused(
            State.FOREIGN,
            "KO-VOLUME-MOUNTED",
            f"{facts.device} itself is mounted at {', '.join(facts.mounts)}",
            f"if nothing needs it: `umount {facts.mounts[0]}`, then repeat",
        )
    if facts.holders:
        return _refused(
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
        return _refused(
            State.FOREIGN,
            "KO-VOLUME-FOREIGN",
            f"{facts.device} is not blank: {found}",
            f"if it may be lost: `kafkaops volume prepare {spec.name} --reformat {spec.label}`",
            override=True,
        )
    if beneath := _beneath(spec, facts):
        return beneath
    if not (facts.instance_store or spec.named or facts.kind in ("file", "absent")):
        return _refused(
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


def _with_header(
    spec: VolumeSpec, facts: DiskFacts, header: Header, intent: Intent | None
) -> Verdict:
    if facts.mapping is not None and facts.mapping.uuid != header.uuid:
        return strange_mapping(spec, facts.mapping.uuid)
    if _unreadable(header):
        return _unread(spec, facts, header, intent)
    if spec.mode == "s3" and not header.label and not header.tokens:
        return _opened(spec, facts, None)  # the recipe's own volumes bear neither
    try:
        found = tokens.current(header)
    except Damaged as error:
        return _refused(
            State.DAMAGED,
            "KO-VOLUME-TOKEN",
            f"the token of {facts.device} is not as kafkaops wrote it: {error}",
            f"`kafkaops volume open {spec.name}` takes the copy in S3, where there is one",
        )
    if found is None:
        return _tokenless(spec, facts, header)
    token = found[1]
    if strange := _stranger(spec, facts, token):
        return strange
    if token.slot not in header.slots:
        return _refused(
            State.DAMAGED,
            "KO-VOLUME-ERASED",
            f"keyslot {token.slot} of {facts.device} is gone: the volume was erased,"
            " nothing opens it",
            f"a new one: `kafkaops volume prepare {spec.name} --reformat {spec.label}`",
            override=facts.mapping is None,
        )
    strange_too = [s.kind for s in facts.signatures if s.kind != "crypto_LUKS"]
    if header.torn and strange_too and facts.mapping is None:
        return _refused(
            State.FOREIGN,
            "KO-VOLUME-OVERWRITTEN",
            f"{facts.device} was a volume of ours, and shows {', '.join(strange_too)} now:"
            f" {header.torn}",
            "look at what wrote there; opening it would write the header over that",
        )
    if header.harm and facts.mapping is None and (intent is None or intent.uuid != header.uuid):
        return _refused(
            State.DAMAGED,
            "KO-VOLUME-HEADER",
            f"the LUKS header of {facts.device} is harmed: {header.harm}",
            _write_back(spec),
        )
    return _opened(spec, facts, token)


def _unread(spec: VolumeSpec, facts: DiskFacts, header: Header, intent: Intent | None) -> Verdict:
    """Both copies of a header are there and neither reads: whose it was is told by nothing, so it
    may be a volume of ours that its copy in S3 opens again. Never formatted by the typed override,
    but where a format of this very disk was begun and not seen to its end."""
    begun = intent is not None and intent.device == facts.identity
    anew = (
        f"a format of this disk was begun: `kafkaops volume prepare {spec.name}"
        f" --reformat {spec.label}` makes it anew"
    )
    return _refused(
        State.DAMAGED,
        "KO-VOLUME-HEADER",
        f"the LUKS header of {facts.device} is harmed: {header.harm}",
        anew
        if begun
        else f"{_write_back(spec)}; without one nothing opens it again, and"
        f" `wipefs --all {facts.device}` lets `prepare` go on",
        override=begun,
    )


def _write_back(spec: VolumeSpec) -> str:
    return (
        f"`kafkaops volume header-backup {spec.name} --restore URI` writes a copy back;"
        f" `kafkaops volume status {spec.name} -o json` lists them"
    )


def _stranger(spec: VolumeSpec, facts: DiskFacts, token: Token) -> Verdict | None:
    """Whose volume it is, told by what its key is bound to."""
    mine = spec.context
    for name, code, what in (
        ("cluster", "KO-VOLUME-OTHER-CLUSTER", "cluster"),
        ("broker_id", "KO-VOLUME-OTHER-BROKER", "node"),
        ("volume", "KO-VOLUME-OTHER-VOLUME", "volume"),
    ):
        theirs = token.context.get(name, "")
        if theirs != mine[name]:
            return _refused(
                State.FOREIGN,
                code,
                f"{facts.device} is the volume of {what} {theirs or 'unknown'},"
                f" this is {mine[name]}",
                "put the disk where it belongs; if it may be lost:"
                f" `kafkaops volume prepare {spec.name} --reformat {spec.label}`",
                override=facts.mapping is None,
            )
    return None


def _tokenless(spec: VolumeSpec, facts: DiskFacts, header: Header) -> Verdict:
    """A header without a token of ours: ours that lost it, one of the older recipe, which bears
    nothing that tells whose it is, or a stranger's."""
    if not header.label and not header.tokens:
        return _of_the_recipe(spec, facts, header)
    lost = header.label == spec.label
    return _refused(
        State.DAMAGED if lost else State.FOREIGN,
        "KO-VOLUME-NO-TOKEN" if lost else "KO-VOLUME-LUKS-OTHER",
        f"{facts.device} holds a LUKS{header.version} volume {header.uuid}"
        + (f" labelled {header.label!r}" if header.label else "")
        + (", whose token is gone" if lost else ", which is not of kafkaops"),
        (f"`kafkaops volume open {spec.name}` takes the copy in S3, where there is one; " * lost)
        + f"if it may be lost: `kafkaops volume prepare {spec.name} --reformat {spec.label}`",
        override=facts.mapping is None,
    )


def _of_the_recipe(spec: VolumeSpec, facts: DiskFacts, header: Header) -> Verdict:
    """It may hold a broker's data under a password in S3: the hint leads to that, and names no
    format, which the typed override still allows."""
    return _refused(
        State.FOREIGN,
        "KO-VOLUME-RECIPE",
        f"{facts.device} holds a LUKS{header.version} volume {header.uuid} without label or token:"
        " it looks like one of the older recipe, whose password is in S3",
        "set `mode: s3` with its `object` in the config's `volumes`, then `kafkaops volume install`"
        " on the operator's machine: it opens as before",
        override=facts.mapping is None,
    )


def _opened(spec: VolumeSpec, facts: DiskFacts, token: Token | None) -> Verdict:
    """A volume of ours that can be opened, or is."""
    if facts.mapping is None:
        if beneath := _beneath(spec, facts):
            return beneath
        if token is not None and token.key.mode == "ephemeral":
            return _refused(
                State.LOCKED,
                "KO-VOLUME-EPHEMERAL",
                f"the key of volume {spec.name} was in memory alone and went with the last boot:"
                " its data is gone",
                f"a new one: `kafkaops volume prepare {spec.name} --reformat {spec.label}`",
                override=True,
                token=token,
            )
        return Verdict(State.LOCKED, Step.OPEN, token=token)
    if not facts.mapping.signatures:
        if token is not None and not token.filesystem:
            return Verdict(State.ACTIVE, Step.FILESYSTEM, token=token)
        return _refused(
            State.DAMAGED,
            "KO-VOLUME-NO-FILESYSTEM",
            f"/dev/mapper/{spec.mapper} is open and shows no file system, though one was made:"
            " nothing is made over it",
            f"look at it with `xfs_repair -n /dev/mapper/{spec.mapper}`",
            token=token,
        )
    if facts.at is None:
        beneath = _beneath(spec, facts)
        return beneath or Verdict(State.ACTIVE, Step.MOUNT, token=token)
    if facts.node is not None and facts.node.node_id not in (None, spec.node):
        return _refused(
            State.FOREIGN,
            "KO-VOLUME-NODE",
            f"{spec.mountpoint} holds the log directory of node {facts.node.node_id},"
            f" this is node {spec.node}",
            "put the disk where it belongs",
            token=token,
        )
    if not facts.founded and not facts.held and facts.node is None:
        return Verdict(State.ACTIVE, Step.LOG_DIR, token=token)
    return Verdict(State.ACTIVE, Step.NOTHING, token=token)


def _beneath(spec: VolumeSpec, facts: DiskFacts) -> Verdict | None:
    """Files in the bare mountpoint: once covered by the mount nobody sees them, and Kafka may
    have written there."""
    if facts.at is not None or not facts.beneath:
        return None
    some = ", ".join(facts.beneath[:3])
    return _refused(
        State.LOCKED if facts.header is not None else State.BLANK,
        "KO-VOLUME-BENEATH",
        f"{spec.mountpoint} is not mounted but holds {some}: Kafka may have written"
        " to the root disk",
        "stop Kafka, move them away once they are not needed, then repeat",
    )


def _refused(
    state: State,
    code: str,
    why: str,
    hint: str,
    *,
    override: bool = False,
    token: Token | None = None,
) -> Verdict:
    return Verdict(state, Step.REFUSED, code, why, hint, override, token)
