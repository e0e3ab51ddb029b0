"""What can go wrong while nine real brokers are upgraded: at each phase of a batch, each trouble.

A cell is a trouble and the phase after which it strikes; one journey takes seven, each in a batch
of its own: brokers one at a time, or controllers and then brokers in pairs. After an exit the
operator does what is documented: cure it, `run resume`. CI takes one journey, chosen by
KAFKAOPS_SEED, or one of the two in test_rolling; `make soak` takes all.
"""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kafkaops.lab.enter import run_inside
from kafkaops.lab.layout import Layout
from tests.integration.journey import Journey, Process
from tests.integration.pair import ROOT
from tests.integration.sample import SEED, turn
from tests.integration.test_rolling import NEW, NODES, judged, rolling_lab, starts

MEDDLER = ROOT / "tests" / "integration" / "meddler.py"
SERVERS = ",".join(f"127.0.1.{n}:9094" for n in range(1, 10))
PHASES = ("gate", "stop", "install", "start", "up", "sync", "leaders", "soak")
OF_PAIRS = (*PHASES, "rest")
OF_CONTROLLERS = ("gate", "stop", "install", "start", "up", "soak")
BEFORE_START = ("gate", "stop", "install")
TROUBLES = ("killed", "moved", "lonely", "frozen", "broken", "slow", "tool")
FIRST_BROKERS = 4
"""The number of the batch that follows the controllers."""
AWAY = 8.0
"""Seconds until a killed broker is started by its service manager."""
PATIENCE = ("--gate-timeout", "60", "--return-timeout", "60")
UPGRADE = ("upgrade", "--strategy", "rolling", "--to", NEW, "--soak", "0", *PATIENCE)
SINGLY, IN_PAIRS = ("--max-batch", "1"), ("--max-batch", "2", "--no-canary")
RESUMES = 8
DONE = re.compile(r"[✓·] \[(\w+)\] batch (\d+)/\d+: .*?((?:blue|ctl)-\d+)")
PLANNED = re.compile(r"\s*batch (\d+), \w+: ([\w-]+) \(node")
PLACES = ("1,2,3", "7,8,9")
"""The brokers that somebody moves a large partition between."""
WRONG = "num.io.threads=0"
"""A setting that no broker starts with, and that nobody looks at before."""
PAUSE = 75.0
"""Seconds that no producer may wait longer: the cluster serves."""

Cells = Mapping[int, tuple[str, str]]
"""Number of a batch to the phase and the trouble that strikes after it."""


@dataclass(frozen=True)
class Way:
    """One upgrade: how large its batches are, and what strikes it."""

    flags: tuple[str, ...]
    cells: Cells

    def __str__(self) -> str:
        struck = ",".join(f"{what}-{phase}" for phase, what in self.cells.values())
        return f"{'pairs' if self.flags == IN_PAIRS else 'singly'}:{struck}"


def journeys() -> list[Way]:
    """Every trouble at every phase, once for each kind of batch."""
    return [*singly(), *in_pairs()]


def singly() -> list[Way]:
    """Batches 4 to 10 are brokers, and two come after."""
    every = range(len(PHASES))
    return [
        Way(SINGLY, {4 + i: (PHASES[(i + n) % len(PHASES)], t) for i, t in enumerate(TROUBLES)})
        for n in every
    ]


def in_pairs() -> list[Way]:
    """Batches 1 to 3 are controllers, 4 to 7 pairs of brokers; the last broker comes after."""
    controllers, pairs = met(OF_CONTROLLERS), met(OF_PAIRS)
    ways = []
    while pairs:
        struck = controllers[:3] + [None] * (3 - len(controllers[:3])) + pairs[:4]
        ways.append(Way(IN_PAIRS, {n: cell for n, cell in enumerate(struck, 1) if cell}))
        del controllers[:3], pairs[:4]
    return ways


def met(phases: tuple[str, ...]) -> list[tuple[str, str]]:
    """Each phase with each trouble, once, in an order in which neither comes twice in a row: their
    numbers have no common factor."""
    assert math.gcd(len(phases), len(TROUBLES)) == 1
    count = len(phases) * len(TROUBLES)
    return [(phases[i % len(phases)], TROUBLES[i % len(TROUBLES)]) for i in range(count)]


@dataclass
class Trouble(Journey):
    """`order` is the host of each batch, as the run's own plan says; `extra` starts that are not
    kafkaops' second; `cures` what to do before the next resume, and with which flags; `wanted`
    exit codes of which one has to come."""

    upgrade: tuple[str, ...] = ()
    cells: dict[int, tuple[str, str]] = field(default_factory=dict)
    order: dict[int, str] = field(default_factory=dict)
    extra: dict[str, int] = field(default_factory=dict)
    cures: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    wanted: set[int] = field(default_factory=set)
    threads: list[threading.Thread] = field(default_factory=list)
    place: str = PLACES[0]
    spared: set[str] = field(default_factory=set)
    """Hosts whose extra start may have been the roll's own: it was their turn while they were
    dead, and the service manager found them running."""

    def go(self) -> None:
        argv = (*self.upgrade, "--yes", "--reason", "test")
        for _ in range(RESUMES):
            code = self.type(self.see, *argv)
            for thread in self.threads:
                thread.join()
            self.threads.clear()
            if code == 0:
                break
            assert code in self.wanted, f"exit {code}, not {self.wanted}:\n{self.words()}"
            self.cure()
            argv = ("run", "resume", "--yes", "--reason", "test", *self.flags)
        else:
            pytest.fail(f"not done after {RESUMES} times:\n{self.words()}")
        assert not self.cells, f"never came to {self.cells}:\n{self.words()}"
        self.cure()

    def see(self, line: str, process: Process) -> None:
        planned, found = PLANNED.match(line), DONE.match(line)
        if planned is not None:
            self.order[int(planned[1])] = planned[2]
        if found is None:
            return
        phase, batch = found[1], int(found[2])
        if self.cells.get(batch, ("",))[0] == phase:
            _, what = self.cells.pop(batch)
            self.tell(f"*** {what} after {phase} of {found[3]}")
            getattr(self, what)(phase, found[3], self.order[batch + 1], process)

    # the troubles: after which phase of which host, and the host of the batch after

    def killed(self, phase: str, host: str, later: str, process: Process) -> None:
        """Another broker dies, and its service manager starts it again."""
        self.pair.control("kill", f"{later}/kafka", signal="KILL")
        self.extra[later] = self.extra.get(later, 0) + 1
        self.spared.add(later)
        again = threading.Timer(AWAY, self.pair.control, ("start", f"{later}/kafka"))
        again.start()
        self.threads.append(again)

    def moved(self, phase: str, host: str, later: str, process: Process) -> None:
        """A reassignment by somebody else that takes its time."""
        self.place = PLACES[self.place == PLACES[0]]
        self.meddle("move", "big", self.place, "2000000")
        if "moved" not in self.cures:
            self.cures.append("moved")

    def lonely(self, phase: str, host: str, later: str, process: Process) -> None:
        """A topic of one replica, on the broker that is next."""
        name = f"lonely-{len(self.flags)}"
        broker = later if later.startswith("blue") else self.order[FIRST_BROKERS]
        self.meddle("lonely", name, str(NODES[broker]))
        self.wanted |= {8}
        self.flags += ["--accept-unavailable", name]

    def frozen(self, phase: str, host: str, later: str, process: Process) -> None:
        """The host does not come back, or falls silent when it was back."""
        before = self.pair.control("service", f"{host}/kafka")["starts"]

        def freeze() -> None:
            deadline = time.monotonic() + 60
            early = phase in BEFORE_START
            while early and self.pair.control("service", f"{host}/kafka")["starts"] == before:
                assert time.monotonic() < deadline, f"{host} was not started"
                time.sleep(0.05)
            self.pair.control("kill", f"{host}/kafka", signal="STOP")

        thread = threading.Thread(target=freeze)
        thread.start()
        self.threads.append(thread)
        self.wanted |= {7}
        self.cures.append(f"thaw {host}")

    def broken(self, phase: str, host: str, later: str, process: Process) -> None:
        """The new version does not start there; or ends when it ran, and does not start again."""
        path = self.properties(host)
        path.write_text(path.read_text() + f"{WRONG}\n")
        self.extra[host] = self.extra.get(host, 0) + 1
        self.wanted |= {8}
        if phase not in BEFORE_START:
            self.pair.control("kill", f"{host}/kafka", signal="KILL")
        if phase not in (*BEFORE_START, "start"):  # it was back: no resume starts it again
            self.wanted |= {7}
            self.cures.append(f"start {host}")
        self.cures.insert(0, f"mend {host}")

    def slow(self, phase: str, host: str, later: str, process: Process) -> None:
        """Who catches up does so at a crawl, for a while."""
        self.meddle("slow", "1000")
        over = threading.Timer(20, self.meddle, ("slow", "off"))
        over.start()
        self.threads.append(over)

    def tool(self, phase: str, host: str, later: str, process: Process) -> None:
        process.send_signal(signal.SIGKILL)
        self.wanted |= {-signal.SIGKILL}

    # and what cures them

    def cure(self) -> None:
        for cure in self.cures:
            self.tell(f"*** {cure}")
            what, _, host = cure.partition(" ")
            if what == "moved":
                self.meddle("moved", "big", self.place)
            elif what == "thaw":
                self.pair.control("kill", f"{host}/kafka", signal="CONT")
            elif what == "mend":
                path = self.properties(host)
                path.write_text(path.read_text().replace(f"{WRONG}\n", ""))
            elif what == "start":
                self.pair.control("start", f"{host}/kafka")
        self.cures, self.wanted = [], set()

    def properties(self, host: str) -> Path:
        return Layout.of(self.pair.lab).host_root(host) / "etc/kafka/server.properties"

    def meddle(self, *argv: str) -> None:
        done = run_inside(
            self.pair.lab,
            [sys.executable, str(MEDDLER), SERVERS, *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said, _ = done.communicate(timeout=240)
        assert done.returncode == 0, f"{argv}: {said!r}"


def travel(directory: Path, way: Way) -> dict[str, float]:
    """The whole journey; the producers that waited too long, and how many seconds."""
    with rolling_lab(directory) as pair:
        upgrade = (*UPGRADE, *way.flags)
        journey = Trouble(pair, directory / "story.txt", upgrade=upgrade, cells=dict(way.cells))
        journey.meddle("fill", "big", journey.place, "24")
        before = starts(pair)
        journey.go()
        after = starts(pair)
        once = {n: 1 + journey.extra.get(n, 0) for n in NODES}
        took = {n: after[n] - before[n] for n in NODES}
        told = {
            n: once[n] if n in journey.spared and took[n] == once[n] - 1 else took[n] for n in NODES
        }
        assert told == once, journey.words()
        again = pair.kafkaops("upgrade", "--strategy", "rolling", "--to", NEW, "-o", "json")
        assert json.loads(again)["outcome"] == "nothing-to-do"
        producers = judged(pair, errors=True)["producers"]
        waits = {name: float(client["longest_pause_s"]) for name, client in producers.items()}
        journey.tell(f"longest waits: {waits}")
        return {name: wait for name, wait in waits.items() if wait > PAUSE}


@pytest.mark.lab
@turn("trouble")
def test_no_trouble_stops_an_upgrade_for_good(tmp_path: Path) -> None:
    assert travel(tmp_path, journeys()[SEED % len(journeys())]) == {}


@pytest.mark.lab
@pytest.mark.soak
@pytest.mark.parametrize("way", journeys(), ids=str)
def test_every_trouble_at_every_phase(way: Way, tmp_path: Path) -> None:
    assert travel(tmp_path, way) == {}
