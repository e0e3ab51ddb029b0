"""A lab of its own with load on it, and the command line as an operator types it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafkaops.lab import control
from kafkaops.lab.layout import Layout

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "lab.yaml"


class Pair:
    """`settings` are config keys (KEY=VALUE) that every command with a config is given."""

    def __init__(
        self, directory: Path, settings: tuple[str, ...] = (), config: Path = CONFIG
    ) -> None:
        self.lab, self.state = directory / "lab", directory / "state"
        self.settings, self.config = settings, config

    def line(self, *argv: str) -> list[str]:
        """The command line of a command that takes a config."""
        line = [sys.executable, "-m", "kafkaops", *argv, "-c", str(self.config)]
        for setting in (f"lab.dir={self.lab}", f"state.dir={self.state}", *self.settings):
            line += ["--set", setting]
        return line

    def kafkaops(self, *argv: str, expect: int = 0, config: bool = True) -> str:
        line = self.line(*argv) if config else [sys.executable, "-m", "kafkaops", *argv]
        ended = subprocess.run(line, capture_output=True, text=True, timeout=900, check=False)
        assert ended.returncode == expect, (
            f"`{' '.join(argv)}` ended with {ended.returncode}, not {expect}:\n"
            f"{ended.stdout[-2000:]}\n{ended.stderr[-6000:]}"
        )
        return ended.stdout

    def refused(self, *argv: str, changes: tuple[str, ...]) -> dict[str, Any]:
        """The error document of a command that must fail, with these settings besides."""
        line = self.line(*argv, "-o", "json")
        for change in changes:
            line += ["--set", change]
        ended = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
        assert ended.returncode != 0, f"{changes} went through:\n{ended.stdout[-2000:]}"
        found: dict[str, Any] = json.loads(ended.stdout)
        assert found["exit"] == ended.returncode, found
        return found

    def in_lab(self, *argv: str) -> str:
        return self.kafkaops(*argv, "--dir", str(self.lab), config=False)

    def upgrade(self, *more: str, expect: int = 0) -> str:
        return self.kafkaops(
            "upgrade", "--strategy", "blue-green", "--yes", "--reason", "test", *more, expect=expect
        )

    def ledger(self, cluster: str) -> dict[str, Any]:
        found = self.in_lab("lab", "load", "report", "--cluster", cluster, "-o", "json")
        report: dict[str, Any] = json.loads(found)
        return report

    def control(self, op: str, process: str, **more: Any) -> dict[str, Any]:
        """Ask the lab to kill, stop or start one of its processes, as `blue-2/kafka`."""
        return control.call(Layout.of(self.lab).socket, op, name=process, **more)


@contextmanager
def lab_under_load(
    directory: Path, *, rate: float = 40, settings: tuple[str, ...] = ()
) -> Iterator[Pair]:
    """A lab in this directory, down again at the end. `rate` is records/s of each producer."""
    made = Pair(directory, settings)
    made.in_lab("lab", "up")
    try:
        made.in_lab("lab", "load", "start", "--rate", f"{rate:g}")
        yield made
    finally:
        made.in_lab("lab", "down")
