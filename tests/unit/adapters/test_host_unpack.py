"""What a host makes of a release's tarball that is not what it should be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kafkaops.adapters.host_local import LocalHost
from kafkaops.engine.errors import StepFailed
from tests.unit.adapters.tarballs import CLIENTS, RELEASE, TOP, kept, packed


@pytest.fixture
def host() -> LocalHost:
    return LocalHost("h", "127.0.0.1", as_self=True)


def test_a_tarball_with_a_member_that_leads_out_of_it_is_not_unpacked(
    host: LocalHost, tmp_path: Path
) -> None:
    members = {f"{TOP}/{CLIENTS}": b"x", "a/../../../outside": b"evil"}
    path = kept(tmp_path, packed(members, top=""))
    home = tmp_path / "versions" / RELEASE
    with pytest.raises(StepFailed) as caught:
        host.unpack(str(path), str(home))
    assert caught.value.code == "KO-HOST-UNPACK"
    assert "'..'" in caught.value.message
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_a_member_with_an_absolute_name_lands_in_the_version(
    host: LocalHost, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    members = {f"{TOP}/{CLIENTS}": b"x", str(outside): b"evil"}
    home = tmp_path / "versions" / RELEASE
    host.unpack(str(kept(tmp_path, packed(members, top=""))), str(home))
    assert (home / CLIENTS).read_bytes() == b"x"
    assert not outside.exists()


def test_the_services_user_can_read_a_version_whatever_umask_the_login_has(
    host: LocalHost, tmp_path: Path
) -> None:
    home = tmp_path / "versions" / RELEASE
    before = os.umask(0o077)
    try:
        host.unpack(str(kept(tmp_path, packed())), str(home))
    finally:
        os.umask(before)
    inside = [home.parent, home, *(p for p in home.rglob("*") if p.is_dir())]
    assert {p.stat().st_mode & 0o777 for p in inside} == {0o755}


def test_that_is_so_too_where_the_tarball_came_into_a_new_directory(
    host: LocalHost, tmp_path: Path
) -> None:
    versions = tmp_path / "kafka" / "versions"
    tarball = versions / f".{RELEASE}.tgz"
    before = os.umask(0o077)
    try:
        host.put(str(tarball), packed())
        host.unpack(str(tarball), str(versions / RELEASE))
    finally:
        os.umask(before)
    assert {p.stat().st_mode & 0o777 for p in (versions.parent, versions)} == {0o755}


@pytest.mark.parametrize("cut", [2, 3])
def test_a_tarball_that_ended_early_leaves_no_version_on_the_host(
    host: LocalHost, tmp_path: Path, cut: int
) -> None:
    data = packed()
    path = kept(tmp_path, data[: len(data) // cut])
    with pytest.raises(StepFailed) as caught:
        host.unpack(str(path), str(tmp_path / "versions" / RELEASE))
    assert caught.value.code == "KO-HOST-UNPACK"
    assert list((tmp_path / "versions").iterdir()) == []
