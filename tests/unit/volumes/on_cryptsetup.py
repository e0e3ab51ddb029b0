"""A volume of ours in a file, made and changed by the real cryptsetup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kafkaops.engine.clock import FakeClock
from kafkaops.engine.facts import MemoryFacts
from kafkaops.model.volume import VolumeSpec
from kafkaops.ports.disks import Key
from kafkaops.ports.keys import KeyFacts
from kafkaops.volumes import copies, token
from kafkaops.volumes.ground import Ground
from tests.unit.adapters.volume_parts import UUID, Bench, random_key, wrapped
from tests.unit.volumes.fake_disks import FakeCopies


class PlainKeys:
    """Keys whose ciphertext is the key itself, as the stand-in of the key's process takes it."""

    def new(self, arn: str, context: Mapping[str, str]) -> Key:
        return replace(wrapped(random_key()), arn=arn, context=dict(context))

    def rewrap(self, key: Key, arn: str) -> Key:
        return replace(key, arn=arn)

    def facts(self, arn: str) -> KeyFacts:
        return KeyFacts(arn, "Enabled", "1", "eu-west-1")

    def last_use(self, context: Mapping[str, str]) -> float | None:
        return None


class Made:
    """A volume of ours on a file, locked, with its file system said to be made."""

    def __init__(self, directory: Path) -> None:
        self.bench = Bench(directory)
        self.copies = FakeCopies()
        keys = PlainKeys()
        self.spec: VolumeSpec = self.bench.spec(key="arn:1", copies="s3://keys/v")
        self.ground = Ground(
            self.bench.disks, keys, self.copies, MemoryFacts(), FakeClock(), lambda line: None
        )
        first = token.first(self.spec, keys.new("arn:1", self.spec.context), 1000.0).made("xfs")
        copies.keep_token(self.copies, self.spec, UUID, first)
        self.bench.disks.format(self.spec, UUID, first.key, first.to_json())

    @property
    def now(self) -> token.Token:
        header = self.bench.disks.look(self.spec).header
        assert header is not None
        found = token.current(header)
        assert found is not None
        return found[1]

    def slots(self) -> tuple[int, ...]:
        header = self.bench.disks.look(self.spec).header
        assert header is not None
        return header.slots
