"""The disks of this host: LUKS headers, dm-crypt mappings, file systems and mounts.

Key bytes never pass this port: a `Key` says where they come from, and what implements the port
has one short process of its own fetch them and hand them to cryptsetup through a pipe.
Errors: StepFailed with what the tool said; ConfigError KO-VOLUME-RIGHTS without root,
KO-VOLUME-CRYPTSETUP where cryptsetup is absent or too old; a key that cannot be had raises what
`ports.keys` names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kafkaops.model.volume import DiskFacts, Header, Mode, VolumeSpec
from kafkaops.ports.marks import mutates


@dataclass(frozen=True)
class Key:
    """Where a key comes from. `wrapped`: KMS decrypts `ciphertext` (base64) under `context` with
    the key `arn`. `s3`: KMS decrypts the object `object`; the password is what it holds.
    `ephemeral`: 64 random bytes, which nobody keeps."""

    mode: Mode
    arn: str = ""
    ciphertext: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    object: str = ""


class Disks(Protocol):
    """The volume's device is always `spec.device`."""

    def look(self, spec: VolumeSpec) -> DiskFacts:
        """Everything that `volumes.state` decides by. Changes nothing, and opens no device for
        writing."""

    def glance(self, spec: VolumeSpec) -> DiskFacts:
        """What the kernel tells of the volume without the disk: its mapping and its mount, and
        nothing of what is on it. For a disk that does not read, where `look` is StepFailed."""

    @mutates
    def format(self, spec: VolumeSpec, uuid: str, key: Key, token: Mapping[str, Any]) -> None:
        """Write a LUKS2 header with the spec's label, this UUID, one keyslot, 0, and this token as
        token 0: all that was on the device is lost. It is made whole elsewhere and written
        keyslots first, header copies last, each part synced: a kill leaves a volume or none."""

    @mutates
    def open(self, spec: VolumeSpec, key: Key) -> None:
        """Map the volume, with the spec's flags. StepFailed KO-VOLUME-KEY-REFUSED when no keyslot
        takes the key."""

    @mutates
    def format_and_open(
        self, spec: VolumeSpec, uuid: str, key: Key, token: Mapping[str, Any]
    ) -> None:
        """Both with one key that is fetched once: of `ephemeral`, there is no second time."""

    @mutates
    def close(self, spec: VolumeSpec) -> None:
        """Take the mapping away; absent is success. StepFailed KO-VOLUME-BUSY with who uses it."""

    @mutates
    def token_put(self, spec: VolumeSpec, token: int, content: Mapping[str, Any]) -> None:
        """Write this token, in one header update; what stood there is replaced."""

    @mutates
    def token_drop(self, spec: VolumeSpec, token: int) -> None:
        """Remove a token; absent is success."""

    def key_opens(self, spec: VolumeSpec, key: Key, slot: int | None = None) -> bool:
        """Whether this key opens the volume (that keyslot of it). Nothing is mapped."""

    @mutates
    def slot_add(self, spec: VolumeSpec, old: Key, new: Key, slot: int) -> None:
        """Have `new` open the volume too, by this free keyslot; `old` opens it now."""

    @mutates
    def slot_kill(self, spec: VolumeSpec, slot: int, other: Key) -> None:
        """Wipe a keyslot, proving first that `other` opens another one. A key that is no longer
        to be had cannot hinder it."""

    @mutates
    def erase(self, spec: VolumeSpec) -> None:
        """Wipe all keyslots (`cryptsetup erase`): nobody opens this volume again."""

    @mutates
    def zero(self, spec: VolumeSpec) -> None:
        """Overwrite the first 16 MiB and the last with zeros: what `look` takes for blank."""

    @mutates
    def make_filesystem(self, spec: VolumeSpec) -> None:
        """Make the spec's file system in the mapping."""

    @mutates
    def mount(self, spec: VolumeSpec) -> None:
        """Make the mountpoint, immutable while bare, and mount the mapping there."""

    @mutates
    def make_log_dir(self, spec: VolumeSpec) -> None:
        """Make the log directory in the mounted volume, its owner's, with `spec.meta` as its
        meta.properties; what lies there is left. StepFailed KO-VOLUME-OWNER for an owner that
        this host does not know."""

    @mutates
    def unmount(self, spec: VolumeSpec) -> None:
        """Unmount it; not mounted is success. StepFailed KO-VOLUME-BUSY with who uses it."""

    @mutates
    def unit_closed(self, spec: VolumeSpec) -> None:
        """Have systemd know that the volume is closed, where a unit of it is installed: its next
        start, Kafka's, then opens the volume again. Nothing that needs the unit is stopped."""

    @mutates
    def header_save(self, spec: VolumeSpec) -> bytes:
        """A copy of the LUKS header: whoever has it and the key opens the volume."""

    @mutates
    def header_load(self, spec: VolumeSpec, copy: bytes) -> None:
        """Write a header copy back. Refused by cryptsetup where it does not fit."""

    def copy_header(self, copy: bytes) -> Header | None:
        """What a header copy holds; None where it is none."""

    def copy_opens(self, spec: VolumeSpec, copy: bytes, key: Key, slot: int | None = None) -> bool:
        """Whether this key opens a header copy (that keyslot of it); the disk is not touched."""

    def users(self, spec: VolumeSpec) -> Sequence[str]:
        """Processes with files open below the mountpoint, as `pid name`."""
