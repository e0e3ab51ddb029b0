"""Files are put whole or not at all, on a real host."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from kafkaops.adapters.host_command import CommandHost
from kafkaops.engine.errors import StepFailed
from tests.integration.real_hosts import Machines, digest

pytestmark = pytest.mark.lab

BYTES = bytes(range(256)) * 40


def tarball(path: Path, version: str) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in {"bin/run": b"#!/bin/sh\n", "lib/app.jar": version.encode()}.items():
            entry = tarfile.TarInfo(f"app-{version}/{name}")
            entry.size, entry.mode, entry.uid = len(data), 0o755, 12345
            tar.addfile(entry, io.BytesIO(data))
    return path


def test_a_file_is_put_whole_with_mode_and_owner(host: CommandHost) -> None:
    assert host.read("/opt/files/x") is None
    host.put("/opt/files/x", b"before")
    host.put("/opt/files/x", BYTES, mode=0o640, owner="ops:ops")
    assert host.read("/opt/files/x") == BYTES
    assert host.sha512("/opt/files/x") == hashlib.sha512(BYTES).hexdigest()
    assert host.run(("stat", "-c", "%a %U:%G", "/opt/files/x")).out == "640 ops:ops\n"
    assert host.run(("ls", "-A", "/opt/files")).out == "x\n"
    host.put("/opt/files/empty", b"")
    assert host.read("/opt/files/empty") == b""
    host.remove("/opt/files")
    assert host.sha512("/opt/files/x") is None


def test_a_file_that_cannot_be_put_leaves_what_was_there(host: CommandHost) -> None:
    host.put("/opt/files/x", b"before")
    with pytest.raises(StepFailed, match="invalid user") as error:
        host.put("/opt/files/x", b"after", owner="nobody-knows:x")
    assert error.value.code == "KO-HOST-PUT"
    with pytest.raises(StepFailed, match="File exists"):
        host.put("/opt/files/x/y", b"")
    assert host.read("/opt/files/x") == b"before"
    assert host.run(("ls", "-A", "/opt/files")).out == "x\n"
    host.remove("/opt/files")


def test_a_full_disk_is_named_and_nothing_half_written_stays(host: CommandHost) -> None:
    host.run(("sh", "-c", "head -c 4000000 /dev/zero > /small/kept"))
    with pytest.raises(StepFailed, match="the disk is full") as error:
        host.put("/small/big", os.urandom(400_000))
    assert error.value.code == "KO-HOST-DISK"
    assert host.run(("ls", "-A", "/small")).out == "kept\n"
    host.run(("rm", "/small/kept"))


def test_a_tarball_is_checked_unpacked_and_switched_to(host: CommandHost, tmp_path: Path) -> None:
    source = tarball(tmp_path / "app.tgz", "2")
    with pytest.raises(StepFailed, match="SHA-512 is") as error:
        host.upload("/opt/up/app.tgz", source, sha512="0" * 128)
    assert error.value.code == "KO-HOST-CHECKSUM"
    assert host.run(("ls", "-A", "/opt/up")).out == ""
    host.upload("/opt/up/app.tgz", source, sha512=digest(source).upper())
    host.run(("mkdir", "-p", "/opt/up/app-2.kafkaops.part/left"))
    host.unpack("/opt/up/app.tgz", "/opt/up/app-2", owner="ops:ops")
    host.unpack("/opt/up/app.tgz", "/opt/up/app-2")
    assert host.read("/opt/up/app-2/lib/app.jar") == b"2"
    assert host.run(("stat", "-c", "%U", "/opt/up/app-2/bin/run")).out == "ops\n"
    assert host.link("/opt/up/current") is None
    host.switch("/opt/up/current", "app-1")
    host.switch("/opt/up/current", "app-2")
    assert host.link("/opt/up/current") == "app-2"
    assert host.read("/opt/up/current/lib/app.jar") == b"2"
    assert sorted(host.run(("ls", "-A", "/opt/up")).out.split()) == ["app-2", "app.tgz", "current"]
    with pytest.raises(StepFailed, match="no symbolic link"):
        host.switch("/opt/up/app-2", "x")
    host.remove("/opt/up")


def test_what_is_no_tarball_or_does_not_fit_leaves_nothing(
    host: CommandHost, tmp_path: Path
) -> None:
    with pytest.raises(StepFailed, match="there is no /opt/none"):
        host.unpack("/opt/none", "/opt/bad/app")
    host.put("/opt/bad/noise", b"no tarball")
    with pytest.raises(StepFailed, match="tar"):
        host.unpack("/opt/bad/noise", "/opt/bad/app")
    assert host.run(("ls", "-A", "/opt/bad")).out == "noise\n"
    host.run(("sh", "-c", "mkdir -p /opt/bad/t/x && head -c 5000000 /dev/zero > /opt/bad/t/x/big"))
    host.run(("tar", "-C", "/opt/bad/t", "-czf", "/opt/bad/big.tgz", "x"))
    with pytest.raises(StepFailed) as error:
        host.unpack("/opt/bad/big.tgz", "/small/app")
    assert error.value.code == "KO-HOST-DISK"
    assert "app" not in host.run(("ls", "-A", "/small")).out
    host.remove("/opt/bad")


@pytest.mark.parametrize("path", ["/", "/opt", "opt/x/y", "/opt/../etc", "/opt//"])
def test_some_paths_are_never_removed(found: Machines, path: str) -> None:
    with pytest.raises(StepFailed, match="not something to remove"):
        found.local().remove(path)
