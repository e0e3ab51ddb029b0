"""The roll of nine brokers in batches against one at a time, and what clients feel of it.

Two rolls, in one lab: to another version (3.9.2 to 4.3.1, there, back, and there again), and a
restart of what runs. What needs no stop, bringing and trying the version, is done before the clock
starts, as an operator would by `--until try`. A restarted broker of a 4.x cluster registers only
when its old session has run out, 9 s after its last heartbeat (KAFKA-19047), so there each batch
takes that long, whatever its size."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kafkaops.lab import archive
from kafkaops.lab.layout import Settings
from kafkaops.lab.load.ledger_reader import LedgerReader
from kafkaops.lab.up import down, up
from tests.bench.timing import figure, seconds

ROOT = Path(__file__).resolve().parents[2]
BROKERS, CONTROLLERS = 9, 3
OLD, NEW = "3.9.2", "4.3.1"
WAYS = {"in batches": ("--whole-racks", "--no-canary"), "one at a time": ("--max-batch", "1")}
WAITLESS = ("--soak", "0", "--gate-looks", "1", "--yes")
"""Without the waits that are chosen, not needed."""
TOPICS = {"orders": "27", "payments": "9"}
"""Partitions, placed so that every broker leads some. Left to Kafka a third of the nine lead none:
those stop in an instant, and as they come back they hold up their mates' controlled shutdown."""
REST = 45.0
"""Seconds of load on a cluster that is left alone; the second half is the latency's baseline."""


def figures() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        lab = Path(scratch) / "lab"
        config = ["-c", str(ROOT / "configs/lab-rolling.yaml"), "--set", f"lab.dir={lab}"]
        config += ["--set", f"state.dir={scratch}/state", "--set", packed(scratch)]
        archived(lab)
        settings = Settings(single=True, blue_version=OLD, brokers=BROKERS, controllers=CONTROLLERS)
        up(lab, settings, say=lambda line: None)
        try:
            return measured(lab, config)
        finally:
            down(lab, say=lambda line: None)


def archived(lab: Path) -> None:
    """Both versions' class-data archives are made, as by any lab of a pair before this one: without
    them nodes that start together wait for the processors more than for Kafka."""
    settings = Settings(blue_version=OLD, green_version=NEW)
    missing = [v for v in (OLD, NEW) if not archive.path(v).exists()]
    if not missing:
        return
    up(lab, settings, say=lambda line: None)
    try:
        deadline = time.monotonic() + 120
        while not all(archive.path(version).exists() for version in missing):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no class-data archive of {' and '.join(missing)} after 120 s")
            time.sleep(1)
    finally:
        down(lab, say=lambda line: None)
    shutil.rmtree(lab)


def packed(directory: str) -> str:
    """The setting that names a tarball of the new version, made here."""
    found = json.loads(kafkaops("lab", "pack", NEW, "--out", directory, "-o", "json"))
    return f'versions={{"{NEW}": {{source: {found["path"]}, sha512: {found["sha512"]}}}}}'


def measured(lab: Path, config: list[str]) -> list[dict[str, Any]]:
    for name, partitions in TOPICS.items():
        kafkaops("placement", "topic", "create", name, "--partitions", partitions, "--yes", *config)
    load = ("--rate", "50", "--producers", "p-1:librdkafka", "--groups", "g-1:librdkafka")
    kafkaops("lab", "load", "start", *load, "--dir", str(lab))
    time.sleep(REST)
    clock = Clock(config)
    brokers = [flag for n in range(1, BROKERS + 1) for flag in ("--only", f"blue-{n}")]
    controllers = [flag for n in range(1, CONTROLLERS + 1) for flag in ("--only", f"ctl-{n}")]
    restarts = [
        clock.took(f"restart, {name}", "restart", *WAITLESS, *flags, *brokers)
        for name, flags in WAYS.items()
    ]
    apart = clock.upgrade("controllers", *controllers)
    rolls = []
    for name, flags in WAYS.items():
        if rolls:
            kafkaops("run", "rollback", "--yes", *config)
        rolls.append(clock.upgrade(f"to {NEW}, {name}", *flags, *brokers))
    kafkaops("lab", "load", "stop", "--dir", str(lab))
    (batches, singly), (restarted, restarted_singly) = rolls, restarts
    what = "in batches against one at a time"
    return [
        figure(f"roll of 9 brokers to {NEW}: {what}", batches, "s", singly),
        figure(f"the same and its 3 controllers: {what}", batches + apart, "s", singly + apart),
        figure(f"restart of 9 brokers of 3.9.2: {what}", restarted, "s", restarted_singly),
        *latencies(lab, clock),
    ]


class Clock:
    """Times commands, and remembers between which moments each of them ran."""

    def __init__(self, config: list[str]) -> None:
        self.config = config
        self.began = time.time_ns()
        self.windows: dict[str, tuple[int, int]] = {}

    def upgrade(self, name: str, *flags: str) -> float:
        """The roll alone: all that stops nobody is done before."""
        line = ("upgrade", "--strategy", "rolling", "--to", NEW, *WAITLESS, *flags)
        kafkaops(*line, "--until", "try", *self.config)
        return self.took(name, *line)

    def took(self, name: str, *argv: str) -> float:
        begun = time.time_ns()
        found = seconds([sys.executable, "-m", "kafkaops", *argv, *self.config])
        self.windows[name] = (begun, time.time_ns())
        print(f"{name}: {found:.1f} s", file=sys.stderr, flush=True)
        return found


def latencies(lab: Path, clock: Clock) -> list[dict[str, Any]]:
    """The longest from send to acknowledgement in each window, against that of the rest before."""
    acks = [a for p in LedgerReader(lab / "load").read().producers for a in p.acks]

    def longest(begin: int, end: int) -> float:
        return max((a.at - a.sent) / 1e9 for a in acks if begin <= a.sent < end)

    rest = longest(clock.began - int(REST / 2 * 1e9), clock.began)
    return [
        figure(f"longest produce latency: {name}, against rest", longest(*window), "s", rest)
        for name, window in clock.windows.items()
    ]


def kafkaops(*argv: str) -> str:
    line = [sys.executable, "-m", "kafkaops", *argv]
    return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout
