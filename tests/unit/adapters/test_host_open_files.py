"""The open files of a process, by the real script."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kafkaops.adapters.host_local import LocalHost

NAMES = ("plain.jar", "with blanks and -> an arrow.jar", "gone.jar")


def test_as_many_as_a_broker_holds_are_listed_by_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for each took longer than the time that the command has, with 20,000 of them."""
    asked = tmp_path / "asked"
    reader = tmp_path / "bin" / "readlink"
    reader.parent.mkdir()
    reader.write_text(f'#!/bin/sh\necho >> {asked}\nexec /usr/bin/readlink "$@"\n')
    reader.chmod(0o755)
    monkeypatch.setenv("PATH", f"{reader.parent}:{os.environ['PATH']}")
    files = [(tmp_path / name).open("w") for name in NAMES]
    (tmp_path / "gone.jar").unlink()
    try:
        found = LocalHost("h", "127.0.0.1", as_self=True).open_files(os.getpid())
    finally:
        for file in files:
            file.close()
    wanted = {f"{tmp_path}/{name}" for name in NAMES[:2]} | {f"{tmp_path}/gone.jar (deleted)"}
    assert wanted <= set(found)
    assert not asked.exists()
