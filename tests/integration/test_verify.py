"""Brings a lab up and runs the tests of `verify_in_lab.py` inside its network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kafkaops.lab.enter import run_inside

pytestmark = pytest.mark.lab


def _lab(*argv: str) -> None:
    line = [sys.executable, "-c", "from kafkaops.cli.main import main; main()", "lab", *argv]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_comparison_on_real_brokers(tmp_path: Path) -> None:
    directory = tmp_path / "lab"
    _lab("up", "--dir", str(directory))
    try:
        inner = str(Path(__file__).with_name("verify_in_lab.py"))
        process = run_inside(
            directory,
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", inner],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        out, _ = process.communicate(timeout=900)
        assert process.returncode == 0, out
    finally:
        _lab("down", "--dir", str(directory))
