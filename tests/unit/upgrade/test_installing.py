"""A version brought to a host: the step on real files, by the scripts that every host is sent."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import pytest

from kafkaops.adapters.host_local import LocalHost
from kafkaops.adapters.version_source import VersionSources
from kafkaops.config.schema import Aws, Version
from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import State, Step
from kafkaops.ports.versions import Tarball
from kafkaops.ports.world import World
from tests.crash.upgrade_scene import NEW, Upgrade
from tests.unit.upgrade.rolls import step

HOST = "blue-3"
BIG = bytes(400_000)
FILES = {f"libs/kafka-clients-{NEW}.jar": b"clients", "libs/big.jar": BIG, "libs/last.jar": b"last"}
CRAMPED = 100
"""Blocks of 512 bytes (or 1024, by the shell): more than the packed tarball, less than BIG."""


class Host(LocalHost):
    """This machine, its `/` under a directory; no file of it grows past so many `blocks`."""

    def __init__(self, root: Path) -> None:
        super().__init__(HOST, "127.0.0.1", as_self=True)
        self.root = root
        self.blocks = 0

    def where(self, path: str) -> str:
        return f"{self.root}{path}"

    def execute(
        self, argv: Sequence[str], stdin: bytes | BinaryIO, timeout: float
    ) -> tuple[int, bytes, bytes]:
        if self.blocks:
            argv = ("sh", "-c", 'ulimit -f "$0"; exec "$@"', str(self.blocks), *argv)
        return super().execute(argv, stdin, timeout)


@dataclass(frozen=True)
class Address:
    """Implements `ports.versions.Versions`: an address with this checksum, for any release."""

    checksum: str

    def sha512(self, release: str) -> str:
        return self.checksum

    def tarball(self, release: str) -> Tarball:
        return Tarball(release, self.checksum, url="https://127.0.0.1:9/kafka.tgz")


class Bringing:
    """The step, its world and its host. `release` is what the tarball really holds."""

    def __init__(self, directory: Path, release: str = NEW) -> None:
        tarball = directory / "kafka.tgz"
        with tarfile.open(tarball, "w:gz") as tar:
            for name, data in FILES.items():
                entry = tarfile.TarInfo(f"kafka_2.13-{release}/{name.replace(NEW, release)}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        self.sha512 = hashlib.sha512(tarball.read_bytes()).hexdigest()
        scene = Upgrade()
        self.step: Step[World] = step(scene.plan(), f"bring-{HOST}")
        self.host = Host(directory / "host")
        spec = Version(source=str(tarball), sha512=self.sha512)
        versions = VersionSources({NEW: spec}, Aws())
        self.world = replace(scene.world, hosts={HOST: self.host}, versions=versions)
        self.versions = self.host.root / "opt/kafka/versions"

    def act(self) -> None:
        self.step.act(self.world)

    def fails(self) -> StepFailed:
        with pytest.raises(StepFailed) as caught:
            self.act()
        assert self.step.check(self.world) is State.TODO
        return caught.value

    @property
    def lies(self) -> list[str]:
        """What is in the directory of versions, hidden ones too."""
        return sorted(path.name for path in self.versions.iterdir())

    def whole(self) -> bool:
        home = self.versions / NEW
        found = {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()}
        marked = FILES | {".kafkaops-sha512": f"{self.sha512}\n".encode()}
        done = self.step.check(self.world) is State.DONE
        return done and found == marked and self.lies == [NEW]


def test_it_lies_there_whole_with_its_mark_and_without_the_tarball(tmp_path: Path) -> None:
    bringing = Bringing(tmp_path)
    assert bringing.step.check(bringing.world) is State.TODO
    bringing.act()
    assert bringing.whole()
    bringing.act()  # killed before it was written down
    assert bringing.whole()


def test_an_unpacking_that_ends_in_the_middle_is_no_version(tmp_path: Path) -> None:
    bringing = Bringing(tmp_path)
    bringing.host.blocks = CRAMPED
    assert bringing.fails().code == "KO-HOST-UNPACK"
    assert bringing.lies == [f".{NEW}.tgz"]
    bringing.host.blocks = 0
    bringing.act()
    assert bringing.whole()


def test_a_transfer_that_ends_in_the_middle_is_no_tarball(tmp_path: Path) -> None:
    bringing = Bringing(tmp_path)
    bringing.host.blocks = 1
    assert bringing.fails().code == "KO-HOST-PUT"
    assert bringing.lies == []
    bringing.host.blocks = 0
    bringing.act()
    assert bringing.whole()


def test_what_a_host_that_lost_power_left_is_not_taken_for_whole(tmp_path: Path) -> None:
    """No trap of a script removed anything: a torn tarball, and half of an unpacking."""
    bringing = Bringing(tmp_path)
    part = bringing.versions / f"{NEW}.kafkaops.part" / "libs"
    part.mkdir(parents=True)
    (part / "torn.jar").write_bytes(b"half")
    (bringing.versions / f".{NEW}.tgz").write_bytes(b"half")
    bringing.act()
    assert bringing.whole()


def test_unpacked_and_not_marked_yet_it_is_only_marked(tmp_path: Path) -> None:
    """As a disk that is full by then leaves it; it came by one rename, so it is whole."""
    bringing = Bringing(tmp_path)
    bringing.act()
    (bringing.versions / NEW / ".kafkaops-sha512").unlink()
    witness = bringing.versions / NEW / "libs" / "witness"
    witness.touch()
    assert bringing.step.check(bringing.world) is State.TODO
    bringing.act()
    assert witness.exists()
    witness.unlink()
    assert bringing.whole()


def test_what_turns_out_to_be_another_release_is_removed_again(tmp_path: Path) -> None:
    """A host's own fetch is held to the checksum alone; this one is of another release."""
    bringing = Bringing(tmp_path, release="4.2.0")
    tarball = tmp_path / "kafka.tgz"
    there = bringing.versions / f".{NEW}.tgz"
    there.parent.mkdir(parents=True)
    there.write_bytes(tarball.read_bytes())
    bringing.world = replace(bringing.world, versions=Address(bringing.sha512))
    error = bringing.fails()
    assert (error.code, error.where, int(error.exit)) == ("KO-VERSION-OTHER", HOST, 8)
    assert "sha512" in error.hint
    assert bringing.lies == []
