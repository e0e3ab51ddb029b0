"""Libraries log into a file that appears late and holds no secret."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafkaops.cli.logs import NAME, keep_log
from kafkaops.config.secrets import Secrets


@pytest.fixture
def clean() -> Iterator[None]:
    root = logging.getLogger()
    kept = list(root.handlers)
    root.handlers[:] = [h for h in kept if h.name != NAME]
    yield
    root.handlers[:] = kept


@pytest.mark.usefixtures("clean")
def test_warnings_go_to_a_file_without_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Secrets(environ={"PW": "hunter2-hunter2"}).resolve("env:PW")
    keep_log(tmp_path / "log")
    keep_log(tmp_path / "other")
    assert not (tmp_path / "log").exists()
    logging.getLogger("kafka.conn").warning("login as %s failed", "hunter2-hunter2")
    logging.getLogger("kafka.conn").info("chatter")
    text = (tmp_path / "log" / "kafkaops.log").read_text()
    assert "WARNING kafka.conn login as *** failed" in text
    assert "chatter" not in text
    assert not (tmp_path / "other").exists()
    assert capsys.readouterr().err == ""
