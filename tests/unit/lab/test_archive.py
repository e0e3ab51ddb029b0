"""Class archives: used when there, recorded when not, never from a torn list."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kafkaops.lab import archive, kit


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kit, "classpath", lambda version: f"{version}.jar")
    path = archive.path("9.9.9")
    path.parent.mkdir(parents=True)
    return path


def test_recorded_once_then_used(target: Path, tmp_path: Path) -> None:
    listing = tmp_path / "classes.lst"
    assert archive.flags("9.9.9") == []
    assert archive.recording("9.9.9", listing) == [f"-XX:DumpLoadedClassList={listing}"]
    target.touch()
    assert archive.flags("9.9.9") == [f"-XX:SharedArchiveFile={target}"]
    assert archive.recording("9.9.9", listing) == []


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    listing = tmp_path / "classes.lst"
    listing.write_text("java/lang/Object id: 0\njava/io/Ser")
    assert archive.snapshot(listing).read_text() == "java/lang/Object id: 0\n"


@pytest.mark.parametrize(("ends", "there"), [("true", True), ("false", False)])
def test_an_archive_appears_whole_or_not_at_all(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str, there: bool
) -> None:
    jre = tmp_path / "java"
    loop = 'for a; do case $a in *ArchiveFile=*) echo "$CLASSPATH" > "${a#*=}"; esac; done'
    jre.write_text(f"#!/bin/sh\n{loop}\ntest ! -e {target} && {ends}\n")
    jre.chmod(0o755)
    monkeypatch.setattr(kit, "java", lambda: jre)
    argv, env = archive.command("9.9.9", tmp_path / "classes.lst")
    subprocess.run(argv, env={"PATH": "/usr/bin:/bin", **env}, timeout=20, check=False)
    assert target.exists() is there
    if there:
        assert target.read_text() == "9.9.9.jar\n"
