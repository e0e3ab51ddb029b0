"""What a volume of ours is by what is open, and mounted, of it. Pure."""

from __future__ import annotations

from kafkaops.model.volume import DiskFacts, VolumeSpec
from kafkaops.volumes.token import Token
from kafkaops.volumes.verdict import State, Step, Verdict, refused


def opened(spec: VolumeSpec, facts: DiskFacts, token: Token | None) -> Verdict:
    """A volume of ours that can be opened, or is."""
    if facts.mapping is None:
        if found := beneath(spec, facts):
            return found
        if token is not None and token.key.mode == "ephemeral":
            return refused(
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
        return refused(
            State.DAMAGED,
            "KO-VOLUME-NO-FILESYSTEM",
            f"/dev/mapper/{spec.mapper} is open and shows no file system, though one was made:"
            " nothing is made over it",
            f"look at it with `xfs_repair -n /dev/mapper/{spec.mapper}`",
            token=token,
        )
    if facts.at is None:
        return beneath(spec, facts) or Verdict(State.ACTIVE, Step.MOUNT, token=token)
    if facts.node is not None and facts.node.node_id not in (None, spec.node):
        return refused(
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


def beneath(spec: VolumeSpec, facts: DiskFacts) -> Verdict | None:
    """Files in the bare mountpoint: once covered by the mount nobody sees them, and Kafka may
    have written there."""
    if facts.at is not None or not facts.beneath:
        return None
    some = ", ".join(facts.beneath[:3])
    return refused(
        State.LOCKED if facts.header is not None else State.BLANK,
        "KO-VOLUME-BENEATH",
        f"{spec.mountpoint} is not mounted but holds {some}: Kafka may have written"
        " to the root disk",
        "stop Kafka, move them away once they are not needed, then repeat",
    )


def strange_mapping(spec: VolumeSpec, source: str) -> Verdict:
    """The mapping of this volume's name is of something else, `source`."""
    return refused(
        State.FOREIGN,
        "KO-VOLUME-MAPPER",
        f"/dev/mapper/{spec.mapper} was opened from another volume, {source}",
        f"`cryptsetup close {spec.mapper}` if nothing uses it, then repeat",
    )
