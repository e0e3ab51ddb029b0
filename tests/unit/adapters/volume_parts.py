"""Volumes in ordinary files, opened by keys that the test knows."""

from __future__ import annotations

import base64
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import kafkaops
from kafkaops.adapters.disk_blocks import Blocks, Places
from kafkaops.adapters.disk_tools import SYSTEM_PATH, Tools
from kafkaops.adapters.key_caller import KeyCaller
from kafkaops.adapters.key_request import Account
from kafkaops.adapters.luks_disks import LuksDisks
from kafkaops.model.volume import VolumeSpec
from kafkaops.ports.disks import Key

ROOT = str(Path(kafkaops.__file__).parent.parent)
STAND_IN = str(Path(__file__).parent / "key_stand_in.py")
UUID = "3f2b8c1e-5a70-4d0b-9d43-0c8f4a1f2e77"
TOKEN = {"type": "kafkaops", "keyslots": ["0"], "arn": "arn:aws:kms:k", "ciphertext": "QUJD"}
MIB = 1 << 20


def needs(program: str, package: str) -> pytest.MarkDecorator:
    """Skips where a program is not installed; under CI that is a failure."""
    found = shutil.which(program, path=SYSTEM_PATH)
    return pytest.mark.skipif(found is None, reason=f"no {program} (package {package})")


needs_cryptsetup = needs("cryptsetup", "cryptsetup-bin")


def random_key() -> bytes:
    return os.urandom(64)


def wrapped(key: bytes) -> Key:
    return Key("wrapped", arn="arn:aws:kms:k", ciphertext=base64.b64encode(key).decode())


def in_s3(password: bytes) -> Key:
    return Key("s3", object=f"s3://{password.hex()}")


class Bench:
    """A device that is a file, and the disks of a host with stand-ins where a test needs them."""

    def __init__(self, directory: Path, mib: int = 20) -> None:
        self.directory = directory
        self.device = directory / "disk"
        with open(self.device, "wb") as file:
            file.truncate(mib * MIB)
        self.warnings: list[str] = []
        self.disks = self.with_parts()

    def with_parts(self, **parts: Any) -> LuksDisks:
        given: dict[str, Any] = {
            "keys": KeyCaller(
                Account(), argv=(sys.executable, STAND_IN, ROOT), warn=self.warnings.append
            ),
            "tools": Tools(uid=lambda: 0),
            "blocks": Blocks(Places(sys=self.directory / "sys")),
            **parts,
        }
        return LuksDisks(Account(), **given)

    def spec(self, **more: Any) -> VolumeSpec:
        given = {"device": str(self.device), "mountpoint": str(self.directory / "mnt"), **more}
        return VolumeSpec("blue", 3, "d1", **given)

    def write(self, offset: int, data: bytes) -> None:
        with open(self.device, "r+b") as file:
            file.seek(offset)
            file.write(data)

    def read(self) -> bytes:
        return self.device.read_bytes()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def key() -> bytes:
    return random_key()


@pytest.fixture
def made(bench: Bench, key: bytes) -> Bench:
    """A formatted volume."""
    bench.disks.format(bench.spec(), UUID, wrapped(key), TOKEN)
    return bench


def program(directory: Path, name: str, script: str) -> None:
    """A stub on a PATH of its own."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
