"""A roll of nine brokers in batches against one at a time, and what clients feel of it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kafkaops.lab.layout import Settings
from kafkaops.lab.load.ledger_reader import LedgerReader
from kafkaops.lab.up import down, up
from tests.bench.timing import figure, seconds

ROOT = Path(__file__).resolve().parents[2]
BROKERS, CONTROLLERS = 9, 3
BATCHED, SINGLY = ("--whole-racks", "--no-canary"), ("--max-batch", "1")
TOPICS = {"orders": "27", "payments": "9"}
"""Partitions, placed so that every broker leads some. Left to Kafka a third of the nine lead none:
those stop in an instant, and as they come back they hold up their mates' controlled shutdown."""
REST = 45.0
"""Seconds of load on a cluster that is left alone; the second half is the latency's baseline."""


def figures() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        lab = Path(scratch) / "lab"
        config = ["-c", str(ROOT / "configs/lab-rolling.yaml"), "--set", f"lab.dir={lab}"]
        config += ["--set", f"state.dir={scratch}/state"]
        settings = Settings(single=True, brokers=BROKERS, controllers=CONTROLLERS)
        up(lab, settings, say=lambda line: None)
        try:
            return measured(lab, config)
        finally:
            down(lab, say=lambda line: None)


def measured(lab: Path, config: list[str]) -> list[dict[str, Any]]:
    for name, partitions in TOPICS.items():
        kafkaops("placement", "topic", "create", name, "--partitions", partitions, "--yes", *config)
    load = ("--rate", "50", "--producers", "p-1:librdkafka", "--groups", "g-1:librdkafka")
    kafkaops("lab", "load", "start", *load, "--dir", str(lab))
    time.sleep(REST)
    marks = [time.time_ns()]
    only = [flag for n in range(1, BROKERS + 1) for flag in ("--only", f"blue-{n}")]
    ways = [
        ("brokers, in batches", [*BATCHED, *only]),
        ("brokers, one at a time", [*SINGLY, *only]),
        ("every node, in batches", [*BATCHED]),
        ("every node, one at a time", [*SINGLY]),
    ]
    took = {}
    for name, flags in ways:
        took[name] = restart(*flags, *config)
        print(f"{name}: {took[name]:.1f} s", file=sys.stderr, flush=True)
        marks.append(time.time_ns())
    kafkaops("lab", "load", "stop", "--dir", str(lab))
    return [
        *(
            figure(
                f"roll of 9: {who}, in batches against one at a time",
                took[f"{who}, in batches"],
                "s",
                took[f"{who}, one at a time"],
            )
            for who in ("brokers", "every node")
        ),
        *latencies(lab, marks, [name for name, _ in ways]),
    ]


def latencies(lab: Path, marks: list[int], names: list[str]) -> list[dict[str, Any]]:
    """The longest from send to acknowledgement in each window, against that of the rest before."""
    acks = [a for p in LedgerReader(lab / "load").read().producers for a in p.acks]

    def longest(begin: int, end: int) -> float:
        return max((a.at - a.sent) / 1e9 for a in acks if begin <= a.sent < end)

    rest = longest(marks[0] - int(REST / 2 * 1e9), marks[0])
    windows = zip(names, marks[:-1], marks[1:], strict=True)
    return [
        figure(f"longest produce latency: {name}, against rest", longest(b, e), "s", rest)
        for name, b, e in windows
    ]


def restart(*argv: str) -> float:
    none = ("--soak", "0", "--gate-looks", "1")  # waits that are chosen, not needed
    return seconds([sys.executable, "-m", "kafkaops", "restart", "--yes", *none, *argv])


def kafkaops(*argv: str) -> None:
    line = [sys.executable, "-m", "kafkaops", *argv]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
