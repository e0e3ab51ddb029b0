"""`lab up` where the directory is taken: said at once, nothing of it touched."""

from __future__ import annotations

import fcntl
import socket
from pathlib import Path

import pytest

from kafkaops.engine.errors import Exit, OpsError
from kafkaops.lab import up
from kafkaops.lab.control import listener_pid
from kafkaops.lab.layout import Layout, Settings


def refused(directory: Path) -> OpsError:
    before = sorted(p for p in directory.parent.rglob("*") if p.name != "up.lock")
    with pytest.raises(OpsError) as error:
        up.up(directory, Settings(), lambda line: None)
    assert sorted(p for p in directory.parent.rglob("*") if p.name != "up.lock") == before
    return error.value


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "lab").write_text("mine")
    error = refused(tmp_path / "lab")
    assert (error.code, error.exit) == ("KO-LAB-DIR", Exit.USAGE)
    assert "File exists" in error.message
    assert error.where == str(tmp_path / "lab")
    assert "--dir" in error.hint


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "access.log").write_text("mine")
    error = refused(tmp_path)
    assert (error.code, error.exit) == ("KO-LAB-DIR", Exit.USAGE)
    assert "logs" in error.message
    assert (tmp_path / "logs" / "access.log").read_text() == "mine"


def test_two_at_once_in_one_directory(tmp_path: Path) -> None:
    with (tmp_path / "up.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        error = refused(tmp_path)
    assert (error.code, error.exit) == ("KO-LAB-IN-USE", Exit.LOCKED)


def test_a_socket_that_nobody_serves_is_no_lab(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(layout.socket))
    assert layout.socket.exists()
    assert listener_pid(layout.socket) is None
    layout.socket.unlink()
    layout.socket.write_text("a file in its place")
    assert listener_pid(layout.socket) is None
