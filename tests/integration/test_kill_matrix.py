"""kill -9 of kafkaops, of MirrorMaker and of a broker of each side, at every named phase.

A cell of the matrix is a point of the move and a victim. One lab goes through several cells, one
after another: a journey there and back, or there and finalized. After each kill the operator does
what is documented: `run resume`, again when it says that it went back. The judge is the load's
own ledger, on the cluster that serves at the end. CI takes a third of the cells, chosen by
KAFKAOPS_SEED; `make soak` takes all.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.journey import Journey, Process
from tests.integration.pair import lab_under_load
from tests.integration.sample import SEED, turn

VICTIMS = ("kafkaops", "mirror", "blue", "green")
THERE, BACK, END = "upgrade", "rollback", "finalize"
BROKER_AWAY = 5.0
"""Seconds until somebody starts the killed broker again: in the lab nobody else does."""
RESUMES = 6
"""Times that the operator resumes after one command: more means that it does not get on."""

POINTS: Mapping[tuple[str, str], str] = {
    (THERE, "gates"): "== hold the gates",
    (THERE, "names"): "== move the names, still forwarding",
    (THERE, "cutover"): "== fence, prove, commit, open",
    (THERE, "pause"): "✓ [cutover] fence the clients of blue",
    (THERE, "settle"): "== see every client arrive",
    (THERE, "back"): "== mirror back what is new",
    (THERE, "bake"): "== bake",
    (BACK, "gates"): "== hold the gates",
    (BACK, "names"): "== move the names, still forwarding",
    (BACK, "cutover"): "== fence, prove, commit, open",
    (BACK, "pause"): "✓ [cutover] fence the clients of green",
    (BACK, "settle"): "== see every client arrive",
    (BACK, "finalize"): "== give up the way back",
    (END, "finalize"): "== give up the way back",
}
"""(command, point): the line of progress that says it has come."""

Cells = Mapping[tuple[str, str], str]
"""Point to victim."""


def journeys() -> list[Cells]:
    """Every cell once: neighbours on a journey have different victims, so that the one before
    is back on its feet."""
    both = [p for p in POINTS if p[0] != END]
    there_and_back = [
        {point: VICTIMS[(turn + i) % 4] for i, point in enumerate(both)} for turn in range(4)
    ]
    return there_and_back + [{(END, "finalize"): victim} for victim in VICTIMS]


def third(seed: int) -> list[Cells]:
    """One journey there and back, and one to the end with a few cells more: a third of all."""
    dice = random.Random(seed)
    there_and_back = journeys()[:4]
    dice.shuffle(there_and_back)
    first, second = there_and_back[:2]
    left = sum(map(len, journeys())) // 3 - len(first) - 1
    early = dice.sample([p for p in second if p[0] == THERE], left)
    last = {p: v for p, v in second.items() if p in early}
    return [first, {**last, (END, "finalize"): dice.choice(VICTIMS)}]


@dataclass
class Killing(Journey):
    """Carries one lab through its cells."""

    cells: dict[tuple[str, str], str] = field(default_factory=dict)
    broker: int = 1
    waiting: list[threading.Thread] = field(default_factory=list)

    def go(self, command: str, *argv: str) -> None:
        """Type this command and resume until it is done; every cell of it must have come."""
        argv = (*argv, "--reason", "test")
        for _ in range(RESUMES):
            code = self.carry(command, *argv)
            for thread in self.waiting:
                thread.join()
            self.waiting.clear()
            if code == 0:
                break
            argv = ("run", "resume", "--yes", "--reason", "test")
        else:
            pytest.fail(f"{command} is not done after {RESUMES} times:\n{self.words()}")
        missed = [point for point in self.cells if point[0] == command]
        assert not missed, f"never came to {missed}:\n{self.words()}"

    def carry(self, command: str, *argv: str) -> int:
        """Its exit code; kills when the line of a point appears."""

        def see(line: str, process: Process) -> None:
            for point in [p for p in self.cells if p[0] == command]:
                if line.startswith(POINTS[point]):
                    self.kill(self.cells.pop(point), point, process)

        return self.type(see, *argv)

    def kill(self, victim: str, point: tuple[str, str], process: Process) -> None:
        self.tell(f"*** kill -9 {victim} at {' '.join(point)}")
        if victim == "kafkaops":
            process.send_signal(signal.SIGKILL)
        elif victim == "mirror":  # its host's service manager starts it again
            there = point[0] == THERE and point[1] in {"gates", "names", "cutover", "pause"}
            self.pair.control("kill", "green-1/mirror" if there else "blue-1/mirror", signal="KILL")
        else:
            name = f"{victim}-{self.broker}/kafka"
            self.pair.control("kill", name, signal="KILL")
            again = threading.Timer(BROKER_AWAY, self.pair.control, ("start", name))
            again.start()
            self.waiting.append(again)


def travel(directory: Path, cells: Cells, seed: int) -> dict[str, int]:
    """The whole journey; what the ledger has against its end, nothing if all is well."""
    settings = ("gates.hold=2",)
    with lab_under_load(directory, rate=30, settings=settings) as pair:
        broker = random.Random(seed).choice((1, 2, 3))
        journey = Killing(pair, directory / "story.txt", cells=dict(cells), broker=broker)
        journey.go(THERE, "upgrade", "--strategy", "blue-green", "--yes")
        if any(command == END for command, _ in cells):
            journey.go(END, "run", "finalize", "--confirm", "demo")
            serves = "green"
        else:
            journey.go(BACK, "run", "rollback", "--yes")
            serves = "blue"
        time.sleep(5)
        return judge(journey, serves)


def judge(journey: Journey, serves: str) -> dict[str, int]:
    """What should not be, by the ledger, with how often it is; every client must have acted."""
    journey.pair.in_lab("lab", "load", "stop")
    report = journey.pair.ledger(serves)
    total = report["total"]
    journey.tell(f"the ledger against {serves}: {total}")
    story = journey.words()
    bad = ("lost", "skipped", "duplicated_in_log", "altered", "behind")
    found = {kind: int(total[kind]) for kind in bad if total[kind]}
    if found:
        print(f"{report}\n{story}")
    assert total["acknowledged"] > 1000, f"{total}\n{story}"
    for name, client in report["producers"].items():
        assert client["acknowledged"] > 0, (name, client)
    for name, group in report["groups"].items():
        assert group["received"] > 0, (name, group)
    return found


def words(cells: Cells) -> str:
    return ",".join(f"{command}/{point}:{victim}" for (command, point), victim in cells.items())


@pytest.mark.lab
@pytest.mark.parametrize("cells", third(SEED), ids=("there-and-back", "to-the-end"))
def test_a_third_of_the_matrix_loses_nothing(cells: Cells, tmp_path: Path) -> None:
    assert travel(tmp_path, cells, SEED) == {}


@pytest.mark.lab
@pytest.mark.soak
@pytest.mark.parametrize("cells", journeys(), ids=words)
def test_the_whole_matrix_loses_nothing(cells: Cells, tmp_path: Path) -> None:
    assert travel(tmp_path, cells, SEED) == {}


@pytest.mark.lab
@turn("nobody-resumes")
def test_blue_takes_writes_again_when_nobody_resumes(tmp_path: Path) -> None:
    """kafkaops dies inside the pause and stays dead: the kernels' timers end the fence."""
    budget, back_off = 12, 8
    settings = ("gates.hold=2", f"cutover.max_write_pause={budget}")
    with lab_under_load(tmp_path, rate=30, settings=settings) as pair:
        cells = {(THERE, "pause"): "kafkaops"}
        journey = Killing(pair, tmp_path / "story.txt", cells=cells)
        code = journey.carry(THERE, "upgrade", "--strategy", "blue-green", "--yes")
        assert code == -signal.SIGKILL, journey.words()
        time.sleep(budget + back_off)
        before = pair.ledger("blue")
        for name, client in before["producers"].items():
            assert 5 < client["longest_pause_s"] < budget + back_off, (name, client)
        journey.tell(f"nobody resumed: {before['producers']}")
        time.sleep(2)
        after = pair.ledger("blue")
        for name, client in after["producers"].items():
            assert client["acknowledged"] > before["producers"][name]["acknowledged"], (name, after)
        journey.go(THERE, "run", "resume", "--yes")
        assert judge(journey, "green") == {}
