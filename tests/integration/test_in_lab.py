"""Tests that need the lab's network, run inside it: each a file of `inside/`, all in one lab."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafkaops.lab.enter import run_inside

pytestmark = pytest.mark.lab
INSIDE = Path(__file__).with_name("inside")


def _lab(*argv: str) -> None:
    line = [sys.executable, "-m", "kafkaops", "lab", *argv]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("inside") / "lab"
    _lab("up", "--dir", str(directory))
    yield directory
    _lab("down", "--dir", str(directory))


@pytest.mark.parametrize("file", ["cluster", "groups", "parity", "verify", "seal"])
def test_inside(file: str, lab: Path) -> None:
    inner = [f"-ptests.integration.inside.{plugin}" for plugin in ("clusters", "records")]
    line = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *inner]
    process = run_inside(
        lab,
        [*line, str(INSIDE / f"{file}_in_lab.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out, _ = process.communicate(timeout=900)
    assert process.returncode == 0, out
    assert " passed" in out, out
