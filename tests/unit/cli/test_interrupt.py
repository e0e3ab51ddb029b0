"""Ctrl-C once asks, twice leaves; afterwards the handlers are as before."""

from __future__ import annotations

import os
import signal

import pytest

from kafkaops.cli.interrupt import stoppable


def test_once_asks_twice_leaves(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    asked: list[str] = []
    left: list[int] = []
    with stoppable(lambda: asked.append("stop"), "kafkaops run resume 7", leave=left.append):
        os.kill(os.getpid(), signal.SIGINT)
        assert (asked, left) == (["stop"], [])
        os.kill(os.getpid(), signal.SIGTERM)
        assert (asked, left) == (["stop"], [130])
    assert signal.getsignal(signal.SIGINT) is before
    assert "kafkaops run resume 7" in capfd.readouterr().err
