"""LUKS headers and mappings of this host, by cryptsetup.

Invariant: no key byte passes here; see `adapters.key_process`. What changes nothing writes
nothing either, not even a repair.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kafkaops.adapters import (
    disk_loops,
    disk_mounts,
    disk_wipe,
    luks_commands,
    luks_header,
    luks_making,
)
from kafkaops.adapters.disk_blocks import Blocks, luks_uuid
from kafkaops.adapters.disk_look import Looker
from kafkaops.adapters.disk_tools import Tools
from kafkaops.adapters.key_caller import KeyCaller
from kafkaops.adapters.key_request import Account, Keyed, Use
from kafkaops.adapters.luks_commands import QUIET
from kafkaops.engine.errors import StepFailed
from kafkaops.model.volume import DiskFacts, Header, VolumeSpec
from kafkaops.ports.disks import Key

if TYPE_CHECKING:
    from kafkaops.config.schema import Aws


class LuksVolumes:
    """The part of `ports.disks.Disks` that concerns headers and mappings."""

    def __init__(
        self,
        aws: Aws | Account,
        *,
        keys: KeyCaller | None = None,
        tools: Tools | None = None,
        blocks: Blocks | None = None,
    ) -> None:
        self._keys = keys or KeyCaller(aws)
        self._tools, self._blocks = tools or Tools(), blocks or Blocks()
        self._looker = Looker(self._tools, self._blocks)

    def look(self, spec: VolumeSpec) -> DiskFacts:
        self._ready()
        return self._looker.facts(spec)

    def glance(self, spec: VolumeSpec) -> DiskFacts:
        self._ready()
        return self._looker.glance(spec)

    def format(self, spec: VolumeSpec, uuid: str, key: Key, token: Mapping[str, Any]) -> None:
        self._ready()
        self._to_format(spec)
        with luks_making.apart() as header:
            argv = luks_commands.format_(spec, spec.device, uuid, key, header)
            self._run(spec, {"key": Use(key, fresh=True)}, argv)
            self._import(header, 0, token, replaces=False)
            luks_making.put(header, spec.device)

    def open(self, spec: VolumeSpec, key: Key) -> None:
        self._ready()
        found = self._looker.header(spec)
        if found.header is not None and self._is_open(spec, found.header.uuid):
            return
        wanted = tuple(sorted(spec.perf))
        version = found.header.version if found.header else 0
        store = version == 2 and wanted != tuple(sorted(found.flags))
        with disk_loops.attached(self._tools, self._blocks, spec.device) as device:
            argv = luks_commands.open_(spec, device, store=store)
            self._run(spec, {"key": Use(key)}, argv)

    def format_and_open(
        self, spec: VolumeSpec, uuid: str, key: Key, token: Mapping[str, Any]
    ) -> None:
        self._ready()
        self._to_format(spec)
        attached = disk_loops.attached(self._tools, self._blocks, spec.device)
        with luks_making.apart() as header, attached as device:
            make = luks_commands.format_(spec, device, uuid, key, header)
            map_ = luks_commands.open_(spec, device, store=bool(spec.perf), header=header)
            self._run(spec, {"key": Use(key, fresh=True)}, make, map_)
            self._import(header, 0, token, replaces=False)
            luks_making.put(header, device, shared=True)

    def close(self, spec: VolumeSpec) -> None:
        self._ready()
        if self._blocks.mapping(spec.mapper) is None:
            return
        done = self._tools.run(("cryptsetup", "close", spec.mapper))
        if done.code != 0 and self._blocks.mapping(spec.mapper) is not None:
            if done.code == luks_commands.BUSY:
                raise self._busy(spec, done.said)
            raise StepFailed("KO-VOLUME-TOOL", f"cryptsetup close: {done.said}", where=spec.mapper)

    def token_put(self, spec: VolumeSpec, token: int, content: Mapping[str, Any]) -> None:
        """cryptsetup before 2.6 cannot replace a token: there it is two updates, and a kill
        between them leaves none at this number."""
        self._ready()
        replaces = b"--token-replace" in self._tools.run(("cryptsetup", "--help")).out
        if not replaces:
            self.token_drop(spec, token)
        self._import(spec.device, token, content, replaces=replaces)

    def _import(
        self, device: str, token: int, content: Mapping[str, Any], *, replaces: bool
    ) -> None:
        argv = ["cryptsetup", "token", "import", "--token-id", str(token), "--json-file=-"]
        argv += ["--token-replace"] if replaces else []
        body = json.dumps(content).encode()
        self._tools.must((*argv, device), stdin=body, where=device)

    def token_drop(self, spec: VolumeSpec, token: int) -> None:
        self._ready()
        if token in self._header(spec).tokens:
            argv = ("cryptsetup", "token", "remove", "--token-id", str(token), spec.device)
            self._tools.must(argv, where=spec.device)

    def key_opens(self, spec: VolumeSpec, key: Key, slot: int | None = None) -> bool:
        self._ready()
        slots = self._header(spec).slots
        if not slots or (slot is not None and slot not in slots):
            return False
        ran = self._keys.run(
            {"key": Use(key)}, (Keyed(luks_commands.test(spec, slot), "key"),), self._tools.env
        )[-1]
        if ran.code not in {0, luks_commands.REFUSED}:
            raise luks_commands.fault("cryptsetup open --test-passphrase", ran, spec)
        return ran.code == 0

    def slot_add(self, spec: VolumeSpec, old: Key, new: Key, slot: int) -> None:
        self._ready()
        uses = {"old": Use(old), "new": Use(new, fresh=True)}
        argv = luks_commands.slot_add(spec, new, slot)
        self._run(spec, uses, argv, key="old", new="new")

    def slot_kill(self, spec: VolumeSpec, slot: int, other: Key) -> None:
        """A slot that is not in use is success."""
        self._ready()
        slots = self._header(spec).slots
        if slot not in slots:
            return
        if slots == (slot,):  # cryptsetup would take this very slot's key as proof
            raise StepFailed(
                "KO-VOLUME-LAST-SLOT",
                f"keyslot {slot} is the last one: without it nobody opens {spec.device}",
                where=spec.device,
            )
        self._run(spec, {"key": Use(other)}, luks_commands.slot_kill(spec, slot))

    def erase(self, spec: VolumeSpec) -> None:
        self._ready()
        self._tools.must(("cryptsetup", "erase", QUIET, spec.device), where=spec.device)

    def zero(self, spec: VolumeSpec) -> None:
        self._ready()
        self._closed(spec)
        disk_wipe.zero(self._tools, spec.device)

    def header_save(self, spec: VolumeSpec) -> bytes:
        self._ready()
        with tempfile.TemporaryDirectory(prefix="kafkaops-header-") as directory:
            path = Path(directory) / "header"
            argv = ("cryptsetup", "luksHeaderBackup", spec.device, "--header-backup-file")
            self._tools.must((*argv, str(path)), where=spec.device)
            return path.read_bytes()

    def header_load(self, spec: VolumeSpec, copy: bytes) -> None:
        self._ready()
        with tempfile.TemporaryDirectory(prefix="kafkaops-header-") as directory:
            path = Path(directory) / "header"
            path.write_bytes(copy)
            argv = ("cryptsetup", "luksHeaderRestore", QUIET, spec.device, "--header-backup-file")
            self._tools.must((*argv, str(path)), where=spec.device)

    def copy_header(self, copy: bytes) -> Header | None:
        return luks_header.find(lambda at, length: copy[at : at + length]).header

    def copy_opens(self, spec: VolumeSpec, copy: bytes, key: Key, slot: int | None = None) -> bool:
        with tempfile.TemporaryDirectory(prefix="kafkaops-header-") as directory:
            path = Path(directory) / "header"
            path.write_bytes(copy)
            return self.key_opens(replace(spec, device=str(path)), key, slot)

    def users(self, spec: VolumeSpec) -> Sequence[str]:
        return disk_mounts.users(self._blocks.places.proc, spec.mountpoint)

    def _ready(self) -> None:
        self._tools.need_root()
        self._tools.need_cryptsetup()

    def _run(
        self,
        spec: VolumeSpec,
        uses: Mapping[str, Use],
        *commands: tuple[str, ...],
        key: str = "key",
        new: str = "",
    ) -> None:
        runs = [Keyed(argv, key, new) for argv in commands]
        ran = self._keys.run(uses, runs, self._tools.env)
        if ran[-1].code != 0:
            action = " ".join(commands[len(ran) - 1][:2])
            raise luks_commands.fault(action, ran[-1], spec)

    def _header(self, spec: VolumeSpec) -> Header:
        found = self._looker.header(spec).header
        if found is None:
            raise StepFailed(
                "KO-VOLUME-NO-HEADER", f"{spec.device} has no LUKS header", where=spec.device
            )
        return found

    def _is_open(self, spec: VolumeSpec, uuid: str) -> bool:
        dm = self._blocks.mapping(spec.mapper)
        return dm is not None and bool(uuid) and luks_uuid(dm) == uuid

    def _closed(self, spec: VolumeSpec) -> None:
        """A block device in use is refused by the kernel; a file under a loop device is not."""
        if self._blocks.mapping(spec.mapper) is not None:
            raise self._busy(spec, "it is open")

    def _to_format(self, spec: VolumeSpec) -> None:
        self._closed(spec)
        if spec.size and self._blocks.identify(spec.device).kind == "absent":
            disk_loops.make(spec.device, spec.size)

    def _busy(self, spec: VolumeSpec, said: str) -> StepFailed:
        who = ", ".join(self.users(spec)) or said
        return StepFailed(
            "KO-VOLUME-BUSY",
            f"{spec.mapper} is in use: {who}",
            where=spec.mountpoint,
            hint="stop what uses it, then run this again",
        )
