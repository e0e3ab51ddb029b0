"""`verify` on 12 partitions of 200-byte records, against `kcat -C -e` to nothing on the same data.

Both are timed as whole processes, in turns. kcat reads one cluster; a comparison reads two at
once, so its rate is counted a cluster and its CPU time is spread over both.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafkaops.lab.enter import command, environment
from kafkaops.lab.layout import Layout, Settings
from kafkaops.lab.up import down, up
from tests.bench.timing import figure

LARGE, SMALL = 5_000_000, 100_000
ROUNDS = 3
SERVER = "127.0.1.1:9094"
INSIDE = [sys.executable, "-m", "tests.bench.verify_inside"]


@dataclass(frozen=True)
class Ran:
    """Wall and CPU seconds, and peak resident memory in MiB, of one process."""

    wall: float
    cpu: float
    peak: float
    out: str


class Lab:
    def __init__(self, directory: Path) -> None:
        self.layout = Layout.of(directory)

    def run(self, argv: Sequence[str]) -> Ran:
        """Inside the lab; the process enters by itself, so what is measured is the command."""
        with tempfile.TemporaryFile("w+") as out:
            begun = time.perf_counter()
            child = subprocess.Popen(
                command(self.layout, list(argv)),
                env={**os.environ, **environment(self.layout)},
                stdout=out if argv[0] == sys.executable else subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            _, status, used = os.wait4(child.pid, 0)
            wall = time.perf_counter() - begun
            child.returncode = os.waitstatus_to_exitcode(status)
            assert child.returncode == 0, f"{argv} ended with {child.returncode}"
            out.seek(0)
            return Ran(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, out.read())

    def fill(self, topic: str, count: int, codec: str) -> None:
        self.run([*INSIDE, "fill", topic, str(count), codec])

    def verify(self, topic: str) -> Ran:
        return self.run([*INSIDE, "compare", topic])

    def kcat(self, topic: str) -> Ran:
        return self.run(["kcat", "-C", "-e", "-q", "-b", SERVER, "-t", topic, "-o", "beginning"])


def figures() -> list[dict[str, Any]]:
    if shutil.which("kcat") is None:
        raise SystemExit("bench verify needs kcat (Debian package `kcat`)")
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "lab"
        up(directory, Settings(brokers=1), say=lambda line: None)
        try:
            lab = Lab(directory)
            found: list[dict[str, Any]] = []
            for name, codec in (("plain", "none"), ("lz4", "lz4")):
                found += _against_kcat(lab, name, codec)
            return [*found, _memory(lab), _seal(lab)]
        finally:
            down(directory, say=lambda line: None)


def _against_kcat(lab: Lab, name: str, codec: str) -> list[dict[str, Any]]:
    lab.fill(name, LARGE, codec)
    lab.kcat(name), lab.verify(name)  # not counted: the page cache, the kernels
    pairs = [(lab.verify(name), lab.kcat(name)) for _ in range(ROUNDS)]
    ours, theirs = ([pair[i] for pair in pairs] for i in (0, 1))
    millions = LARGE / 1e6
    return [
        figure(
            f"verify {name}, against kcat: records/s a cluster",
            LARGE / statistics.median(r.wall for r in ours),
            "records/s",
            LARGE / statistics.median(r.wall for r in theirs),
        ),
        figure(
            f"verify {name}, against kcat: CPU a million records of a cluster",
            statistics.median(r.cpu for r in ours) / millions / 2,
            "s",
            statistics.median(r.cpu for r in theirs) / millions,
        ),
    ]


def _memory(lab: Lab) -> dict[str, Any]:
    lab.fill("small", SMALL, "none")
    return figure(
        f"verify, peak memory at {LARGE:,} against {SMALL:,} records",
        lab.verify("plain").peak,
        "MiB",
        lab.verify("small").peak,
    )


def _seal(lab: Lab) -> dict[str, Any]:
    """The part of a cutover's pause that the proof takes."""
    took = float(lab.run([*INSIDE, "seal", "tail"]).out)
    return figure("verify, seal of 1,000 records over 20 partitions", took, "s", None)
