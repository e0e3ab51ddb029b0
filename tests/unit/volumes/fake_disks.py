"""A host's disks, its KMS and its S3 in memory: strict where the real ones are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import ConfigError, StepFailed, Unreachable
from kafkaops.engine.facts import MemoryFacts
from kafkaops.model.volume import (
    DiskFacts,
    Header,
    Mounted,
    Node,
    Opened,
    Signature,
    VolumeSpec,
)
from kafkaops.ports.disks import Disks, Key
from kafkaops.ports.facts import Facts
from kafkaops.ports.keys import Copies, KeyFacts, Keys
from kafkaops.volumes import token
from kafkaops.volumes.ground import Ground

ARN = "arn:aws:kms:eu-west-1:111122223333:key/0f0e0d0c-0000-4000-8000-000000000001"
OTHER_ARN = ARN[:-1] + "2"
BLANK = DiskFacts(
    "/dev/nvme1n1", "block", identity="AWS-1", size=1 << 40, instance_store=True, immutable=True
)


def spec_of(**changes: Any) -> VolumeSpec:
    plain = VolumeSpec(
        cluster="demo",
        node=1,
        name="data-1",
        device="/dev/nvme1n1",
        mountpoint="/var/lib/kafka/data-1",
        key=ARN,
        copies="s3://keys/volumes",
    )
    return replace(plain, **changes)


@dataclass
class FakeKms:
    """Wraps: what a ciphertext stands for is known here alone. `calls` by name."""

    secrets: dict[str, tuple[str, str, tuple[tuple[str, str], ...]]] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)

    def new(self, arn: str, context: Mapping[str, str]) -> Key:
        self.calls.append("new")
        return self._wrapped(arn, f"secret {len(self.secrets)}", context)

    def rewrap(self, key: Key, arn: str) -> Key:
        self.calls.append("rewrap")
        return self._wrapped(arn, self.secret(key), key.context)

    def facts(self, arn: str) -> KeyFacts:
        return KeyFacts(arn, "Disabled" if arn in self.down else "Enabled", "1", "eu-west-1")

    def last_use(self, context: Mapping[str, str]) -> float | None:
        return None

    def secret(self, key: Key) -> str:
        """What the key process would get; the password's URI stands for itself."""
        if key.mode == "s3":
            return f"password of {key.object}"
        arn, secret, context = self.secrets[key.ciphertext]
        if arn in self.down:
            raise ConfigError("KO-KMS-DISABLED", f"{arn} is disabled")
        if arn != key.arn or context != tuple(sorted(key.context.items())):
            raise StepFailed("KO-KMS-CONTEXT", "the ciphertext is bound to another context")
        return secret

    def _wrapped(self, arn: str, secret: str, context: Mapping[str, str]) -> Key:
        if arn in self.down:
            raise ConfigError("KO-KMS-DISABLED", f"{arn} is disabled")
        ciphertext = f"wrapped {len(self.secrets)}"
        self.secrets[ciphertext] = (arn, secret, tuple(sorted(context.items())))
        return Key("wrapped", arn, ciphertext, dict(context))


class FakeCopies:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.away = False
        """Whether S3 does not answer."""
        self.keeps = False
        """Whether this role may delete none."""

    def get(self, uri: str) -> bytes | None:
        return self.objects.get(uri)

    def put_once(self, uri: str, body: bytes) -> bool:
        return self.objects.setdefault(uri, body) is body

    def delete(self, uri: str) -> None:
        if self.keeps:
            raise ConfigError("KO-AWS-DENIED", f"AWS denies s3:DeleteObjectVersion on {uri}")
        self.objects.pop(uri, None)

    def listed(self, uri: str) -> tuple[str, ...]:
        if self.away:
            raise Unreachable("KO-S3-AWAY", "S3 does not answer")
        return tuple(sorted(name for name in self.objects if name.startswith(uri)))


@dataclass
class FakeDisks:
    """One disk. `locks` is what each keyslot opens with; `formats` counts, for it is to be one;
    `history` the acts."""

    kms: FakeKms
    facts: DiskFacts = BLANK
    locks: dict[int, str] = field(default_factory=dict)
    inside: str = ""
    """The file system in the volume, and its data."""
    formats: int = 0
    history: list[str] = field(default_factory=list)
    image: tuple[Header, dict[int, str]] | None = None
    broken: bool = False
    fault: str = "KO-VOLUME-READ"
    """The code that a look ends with while it is broken."""
    unit_open: bool = True
    """What systemd takes the volume for, since the boot."""

    def look(self, spec: VolumeSpec) -> DiskFacts:
        if self.broken:
            raise StepFailed(self.fault, f"{spec.device} does not read: I/O error")
        return self.facts

    def glance(self, spec: VolumeSpec) -> DiskFacts:
        facts, mapping = self.facts, self.facts.mapping
        bare = replace(mapping, signatures=()) if mapping is not None else None
        return DiskFacts(facts.device, facts.kind, mapping=bare, at=facts.at)

    def format(self, spec: VolumeSpec, uuid: str, key: Key, token: Mapping[str, Any]) -> None:
        self._format(spec, uuid, self.kms.secret(key), token)

    def open(self, spec: VolumeSpec, key: Key) -> None:
        self._unlock(spec, self.kms.secret(key))

    def format_and_open(
        self, spec: VolumeSpec, uuid: str, key: Key, token: Mapping[str, Any]
    ) -> None:
        self._format(spec, uuid, "gone with the boot", token)
        self._unlock(spec, "gone with the boot")

    def close(self, spec: VolumeSpec) -> None:
        if self.facts.at is not None:
            raise StepFailed("KO-VOLUME-BUSY", "mounted")
        self._now("close", mapping=None)

    def token_put(self, spec: VolumeSpec, token: int, content: Mapping[str, Any]) -> None:
        if not {int(slot) for slot in content["keyslots"]} <= self.locks.keys():
            raise StepFailed("KO-VOLUME-TOOL", "cryptsetup token: no such keyslot")
        self._header("token_put", tokens={**self.header.tokens, token: dict(content)})

    def token_drop(self, spec: VolumeSpec, token: int) -> None:
        left = {n: c for n, c in self.header.tokens.items() if n != token}
        self._header("token_drop", tokens=left)

    def key_opens(self, spec: VolumeSpec, key: Key, slot: int | None = None) -> bool:
        secret = self.kms.secret(key)
        return any(s == secret for n, s in self.locks.items() if slot in (None, n))

    def slot_add(self, spec: VolumeSpec, old: Key, new: Key, slot: int) -> None:
        if not self.key_opens(spec, old):
            raise StepFailed("KO-VOLUME-KEY-REFUSED", "no keyslot takes the old key")
        if slot in self.locks:
            raise StepFailed("KO-VOLUME-LUKS", f"keyslot {slot} is in use")
        self.locks[slot] = self.kms.secret(new)
        self._header("slot_add", slots=tuple(sorted(self.locks)))

    def slot_kill(self, spec: VolumeSpec, slot: int, other: Key) -> None:
        if not any(self.key_opens(spec, other, n) for n in self.locks if n != slot):
            raise StepFailed("KO-VOLUME-LAST-KEY", "no other keyslot takes that key")
        del self.locks[slot]
        self._header("slot_kill", slots=tuple(sorted(self.locks)))

    def erase(self, spec: VolumeSpec) -> None:
        self.locks.clear()
        self._header("erase", slots=())

    def zero(self, spec: VolumeSpec) -> None:
        self.locks.clear()
        self.inside = ""
        self._now("zero", header=None, signatures=())

    def make_filesystem(self, spec: VolumeSpec) -> None:
        assert self.facts.mapping is not None
        assert not self.inside, "a file system was made over another"
        self.inside = f"{spec.filesystem}: empty"
        shown = (Signature(0, spec.filesystem),)
        self._now("make_filesystem", mapping=replace(self.facts.mapping, signatures=shown))

    def mount(self, spec: VolumeSpec) -> None:
        assert self.facts.mapping is not None
        assert self.inside
        at = Mounted(f"/dev/mapper/{spec.mapper}", spec.mountpoint, spec.filesystem, ("noatime",))
        held = ("orders-0",) if self.inside != f"{spec.filesystem}: empty" else ()
        self._now("mount", at=at, held=held)

    def make_log_dir(self, spec: VolumeSpec) -> None:
        assert self.facts.at is not None, "the log directory would be on the root disk"
        node = Node(spec.cluster_id, spec.node) if spec.meta else None
        self._now("make_log_dir", founded=True, node=node)

    def unmount(self, spec: VolumeSpec) -> None:
        self._now("unmount", at=None, founded=False, node=None)

    def unit_closed(self, spec: VolumeSpec) -> None:
        assert self.facts.mapping is None, "systemd would hear that an open volume is closed"
        self.unit_open = False

    def header_save(self, spec: VolumeSpec) -> bytes:
        self.image = (self.header, dict(self.locks))
        return repr(self.image).encode()

    def header_load(self, spec: VolumeSpec, copy: bytes) -> None:
        assert self.image is not None
        assert repr(self.image).encode() == copy
        self.locks = dict(self.image[1])
        self._now("header_load", header=self.image[0])

    def copy_header(self, copy: bytes) -> Header | None:
        assert self.image is not None
        return self.image[0] if repr(self.image).encode() == copy else None

    def copy_opens(self, spec: VolumeSpec, copy: bytes, key: Key, slot: int | None = None) -> bool:
        assert self.image is not None
        secret = self.kms.secret(key)
        return any(s == secret for n, s in self.image[1].items() if slot in (None, n))

    def users(self, spec: VolumeSpec) -> Sequence[str]:
        return ()

    def reboot(self) -> None:
        """What a boot leaves: disks, no mapping, no mount."""
        self.facts = replace(self.facts, mapping=None, at=None, founded=False, node=None)

    @property
    def header(self) -> Header:
        assert self.facts.header is not None
        return self.facts.header

    def _format(self, spec: VolumeSpec, uuid: str, secret: str, token: Mapping[str, Any]) -> None:
        assert self.facts.mapping is None, "an open device was formatted"
        self.formats += 1
        self.locks, self.inside = {0: secret}, ""
        header = Header(2, uuid, spec.label, (0,), {0: dict(token)})
        self._now("format", header=header, signatures=(Signature(0, "crypto_LUKS"),))

    def _unlock(self, spec: VolumeSpec, secret: str) -> None:
        if secret not in self.locks.values():
            raise StepFailed("KO-VOLUME-KEY-REFUSED", "no keyslot takes the key")
        kind = self.inside.partition(":")[0]
        shown = (Signature(0, kind),) if kind else ()
        opened = Opened(spec.mapper, self.header.uuid, spec.device, shown)
        self._now("open", mapping=opened)

    def _header(self, act: str, **changes: Any) -> None:
        self._now(act, header=replace(self.header, **changes))

    def _now(self, act: str, **changes: Any) -> None:
        self.history.append(act)
        self.facts = replace(self.facts, **changes)


@dataclass
class Stage:
    """One host with one disk, as it outlives processes; `ground` is a process's view of it."""

    kms: FakeKms = field(default_factory=FakeKms)
    copies: FakeCopies = field(default_factory=FakeCopies)
    memory: MemoryFacts = field(default_factory=MemoryFacts)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.disks = FakeDisks(self.kms)

    def ground(
        self, tap: Callable[[str, Any, type], Any] = lambda name, port, kind: port
    ) -> Ground:
        return Ground(
            disks=tap("disks", self.disks, Disks),
            keys=tap("keys", self.kms, Keys),
            copies=tap("copies", self.copies, Copies),
            facts=tap("facts", self.memory, Facts),
            clock=FakeClock(),
            say=self.said.append,
        )

    def opens(self, spec: VolumeSpec) -> bool:
        """Whether the volume can be opened by what its header says: the invariant."""
        header = self.disks.facts.header
        if header is None:
            return False
        return any(
            self.disks.key_opens(spec, found.key, found.slot)
            for found in token.tokens_of(header).values()
        )
