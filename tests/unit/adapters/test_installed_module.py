"""The module of what is installed here runs by itself, with nothing that is installed here."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

import pytest

from kafkaops.adapters.installed_module import packed
from kafkaops.volumes.module import Module

VERSION = metadata.version("kafkaops")
MODULE_LIMIT = 6 * 1024 * 1024  # bytes: below what Run Command takes, with room to grow


@pytest.fixture(scope="module")
def module() -> Module:
    return packed()


@pytest.fixture(scope="module")
def unpacked(module: Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("opt")
    with tarfile.open(fileobj=io.BytesIO(module.data)) as tar:
        tar.extractall(top, filter="data")
    (top / "bin").mkdir()
    (top / "bin" / "python3").symlink_to(sys.executable)
    return top / module.name


def started(unpacked: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """With a Python that has no site-packages on its path, and hostile ones offered to it."""
    search = f"{unpacked.parent / 'bin'}:/usr/bin:/bin"
    return subprocess.run(
        argv,
        env={"PATH": search, "PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_says_its_version_started_through_a_link(unpacked: Path) -> None:
    current = unpacked.parent / "current"
    current.symlink_to(unpacked.name)
    done = started(unpacked, str(current / "bin" / "kafkaops"), "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"kafkaops {VERSION}\n", "")


def test_clients_of_aws_and_tables_can_be_made_of_its_own_parts_alone(unpacked: Path) -> None:
    script = f"""
import sys
sys.path.insert(0, {str(unpacked / "lib")!r})
import boto3, rich.console, rich.table, tenacity
import kafkaops.volumes.state, kafkaops.adapters.host_local
for name in ("kms", "s3", "sts", "cloudtrail"):
    print(boto3.Session(region_name="eu-west-1").client(name).meta.endpoint_url)
foreign = [m.__file__ for m in sys.modules.values()
           if "site-packages" in (getattr(m, "__file__", None) or "")]
print(foreign)
"""
    done = started(unpacked, sys.executable, "-I", "-S", "-c", script)
    assert done.stderr == ""
    assert done.stdout.split() == [
        *(f"https://{name}.eu-west-1.amazonaws.com" for name in ("kms", "s3", "sts", "cloudtrail")),
        "[]",
    ]


def test_nothing_has_to_be_compiled_at_its_start(unpacked: Path) -> None:
    before = {path: path.stat().st_mtime for path in unpacked.rglob("*.pyc")}
    assert started(unpacked, str(unpacked / "bin" / "kafkaops"), "--version").returncode == 0
    assert {path: path.stat().st_mtime for path in unpacked.rglob("*.pyc")} == before


def test_a_host_without_a_new_python_is_told_what_to_install(
    unpacked: Path, tmp_path: Path
) -> None:
    for tool in ("readlink", "dirname"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    done = subprocess.run(
        ["/bin/sh", str(unpacked / "bin" / "kafkaops"), "--version"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 4
    assert done.stderr.startswith("KO-HOST-PYTHON: ")


def test_packed_in_another_process_it_is_the_same_to_the_byte(module: Module) -> None:
    script = """
import hashlib
from kafkaops.adapters.installed_module import packed
print(hashlib.sha256(packed().data).hexdigest())
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.strip() == hashlib.sha256(module.data).hexdigest()


def test_it_stays_small_enough_for_run_command(module: Module) -> None:
    assert 1_000_000 < len(module.data) < MODULE_LIMIT
