"""Files that commands write and read: whole, where they were meant to be, nothing else harmed."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest

from kafkaops.cli.files import read_json, write
from kafkaops.engine.errors import ConfigError, UsageFault


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text("before")
    write(str(file), "after")
    assert file.read_text() == "after"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    file, link = tmp_path / "there" / "plan.json", tmp_path / "link.json"
    file.write_text("before")
    link.symlink_to(file)
    write(str(link), "after")
    assert (file.read_text(), link.is_symlink()) == ("after", True)


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(str(pipe), "text")
        assert stat.S_ISFIFO(pipe.stat().st_mode)
        assert os.read(reader, 99) == b"text"
    finally:
        os.close(reader)


@pytest.mark.parametrize("name", ["", "/", "-"])
def test_what_names_no_file_is_refused(name: str) -> None:
    with pytest.raises(UsageFault, match="names no file to write"):
        write(name, "text")


def test_what_cannot_be_written_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("directory", "loop", "nowhere/plan.json", "directory/.."):
        with pytest.raises(ConfigError, match="cannot write") as refused:
            write(str(tmp_path / name), "text")
        assert refused.value.code == "KO-FILE-WRITE"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["directory", "loop"]


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 5_000, "\ufeff{}"])
def test_what_is_not_json_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageFault, match=r"a\.json is not JSON") as refused:
        read_json(str(file))
    assert refused.value.code == "KO-FILE-JSON"


def test_a_dash_is_stdin() -> None:
    assert read_json("-", io.StringIO("[1]")) == [1]
    with pytest.raises(UsageFault, match="stdin is not JSON"):
        read_json("-", io.StringIO("["))
