"""Class archives: used when there, recorded when not, never from a torn list."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kafkaops.lab import archive, kit
from tests.unit.lab import fake_kit

VERSION = "4.3.1"


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fake_kit.lay_out()
    return archive.path(VERSION)


def test_recorded_once_and_used_by_any_later_start(target: Path, tmp_path: Path) -> None:
    listing = tmp_path / "classes.lst"
    assert archive.flags(VERSION) == [f"-XX:SharedArchiveFile={target}"]
    assert archive.recording(VERSION, listing) == [f"-XX:DumpLoadedClassList={listing}"]
    target.parent.mkdir()
    target.touch()
    assert archive.flags(VERSION) == [f"-XX:SharedArchiveFile={target}"]
    assert archive.recording(VERSION, listing) == []


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    listing = tmp_path / "classes.lst"
    listing.write_text("java/lang/Object id: 0\njava/io/Ser")
    assert archive.snapshot(listing).read_text() == "java/lang/Object id: 0\n"


@pytest.mark.parametrize(("ends", "there"), [("true", True), ("false", False)])
def test_an_archive_appears_whole_or_not_at_all(
    target: Path, tmp_path: Path, ends: str, there: bool
) -> None:
    jre = tmp_path / "java"
    loop = 'for a; do case $a in *ArchiveFile=*) echo "$CLASSPATH" > "${a#*=}"; esac; done'
    jre.write_text(f"#!/bin/sh\n{loop}\ntest ! -e {target} && {ends}\n")
    jre.chmod(0o755)
    argv, env = archive.command(VERSION, tmp_path / "classes.lst")
    argv = [str(jre) if word == str(kit.java()) else word for word in argv]
    subprocess.run(argv, env={"PATH": "/usr/bin:/bin", **env}, timeout=20, check=False)
    assert target.exists() is there
    if there:
        assert target.read_text() == f"{kit.classpath(VERSION)}\n"


def test_it_takes_what_others_leave(target: Path, tmp_path: Path) -> None:
    """By session as by process: the lab's processes have sessions of their own."""
    said = tmp_path / "said"
    ask = "nice; cat /proc/self/autogroup 2> /dev/null"
    subprocess.run(
        [
            "sh",
            "-c",
            archive.MAKE,
            "archive",
            tmp_path / "part",
            target,
            "sh",
            "-c",
            f"({ask}) > {said}",
        ],
        start_new_session=True,
        timeout=20,
        check=False,
    )
    mine, *sessions = said.read_text().splitlines()
    assert mine == "19"
    assert all(line.endswith(" nice 19") for line in sessions)
    assert bool(sessions) == Path("/proc/self/autogroup").exists()
