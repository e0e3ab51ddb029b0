"""Replicas of six real brokers in three racks moved under load: brokers added and drained, more
replicas, racks mended and evacuated; kafkaops killed and interrupted in the middle of it.

The judges are a client that is not kafkaops, the load's own ledger, and Kafka's own
`kafka-reassign-partitions --verify`. CI takes one journey, chosen by its seed.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kafkaops.lab import kit
from kafkaops.lab.enter import run_inside
from tests.integration.pair import ROOT, Pair
from tests.integration.sample import SEED

NODES = {f"blue-{n}": n for n in range(1, 7)}
HOSTS = ", ".join(
    f"{{name: {name}, node_id: {node}, address: 127.0.1.{node}, via: lab}}"
    for name, node in NODES.items()
)
SERVERS = ",".join(f"127.0.1.{n}:9094" for n in range(1, 7))
CLIENT = ROOT / "tests" / "integration" / "placing_in_lab.py"
RACKS = {1: "a", 2: "b", 3: "c", 4: "a", 5: "b", 6: "c"}
LOAD = ("--producers", "p-1:librdkafka,p-2:kafka-python", "--groups", "g-1:librdkafka")
TOPICS = {
    "bulk": {"rows": [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 2, 3]], "mib": 12},
    "two": {"rows": [[1, 2], [2, 3], [3, 1]], "mib": 4},
    "awry": {"rows": [[1, 4, 2], [2, 5, 3], [3, 6, 1]], "mib": 4},
}
LEADERS = "leader.replication.throttled.rate"
PRIOR = {
    "broker 1": {LEADERS: "50000000"},
    "topic bulk": {"leader.replication.throttled.replicas": "0:3"},
}
"""Throttles of somebody else, which must be there in the end, and no others."""
METADATA = "__cluster_metadata-0"
GOING = "-delete"
"""The end of the name of what Kafka removes a minute later (file.delete.delay.ms)."""
GROWN = 1 << 20
"""Bytes by which the load may fill a disk meanwhile."""
FAST, SLOW = "100MiB/s", "1MiB/s"


@dataclass
class Moves:
    """What an operator does at one lab, and what a client of its own sees."""

    pair: Pair
    files: Path

    def client(self, *argv: str) -> str:
        line = [sys.executable, str(CLIENT), SERVERS, *argv]
        done = run_inside(self.pair.lab, line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = done.communicate(timeout=200)
        assert done.returncode == 0, f"{argv}: {err}"
        return str(out)

    def look(self) -> dict[str, Any]:
        seen: dict[str, Any] = json.loads(self.client("look"))
        return seen

    def planned(self, *goals: str, throttle: str = FAST) -> tuple[str, dict[str, Any]]:
        """A saved plan, and Kafka's own form of where it sends what."""
        saved = str(self.files / f"{len(list(self.files.iterdir()))}.json")
        flags = ("--throttle", throttle, "--reserve", "100MiB", "--plan", "--out", saved)
        self.pair.kafkaops("placement", "apply", *goals, *flags)
        plan = json.loads(Path(saved).read_text())
        rows = [
            {"topic": topic, "partition": p, "replicas": after}
            for spec in plan["specs"]
            for topic, moves in spec["args"].get("moves", {}).items()
            for p, _, after, _ in moves
        ]
        assert rows, f"{goals}: there is nothing to move"
        return saved, {"version": 1, "partitions": rows}

    def applied(self, *goals: str) -> dict[str, Any]:
        """Plan, apply, judge; what the cluster holds then."""
        before = self.look()
        saved, wanted = self.planned(*goals)
        told = self.pair.kafkaops("apply", saved, "--yes", "--reason", "test", "-o", "json")
        assert json.loads(told)["outcome"] == "done"
        return self.judged(before, wanted)

    def judged(self, before: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
        """The end is the plan, nothing else moved, throttles are as before, Kafka agrees."""
        expected = json.loads(json.dumps(before["assignment"]))
        for row in wanted["partitions"]:
            expected[row["topic"]][row["partition"]] = row["replicas"]
        seen = self.look()
        assert seen["assignment"] == expected
        assert seen["throttles"] == before["throttles"]
        for row in wanted["partitions"]:
            was = before["assignment"][row["topic"]][row["partition"]]
            if was[0] != row["replicas"][0]:
                assert seen["leaders"][row["topic"]][row["partition"]] == row["replicas"][0], row
        self.verified(wanted)
        return seen

    def verified(self, wanted: dict[str, Any]) -> None:
        """Kafka's own tool finds each of them complete."""
        file = self.files / "verify.json"
        file.write_text(json.dumps(wanted))
        line = [str(kit.java()), "-Xmx128m", "-cp", kit.classpath("4.3.1")]
        line += ["org.apache.kafka.tools.reassign.ReassignPartitionsCommand"]
        line += ["--bootstrap-server", SERVERS, "--verify", "--preserve-throttles"]
        line += ["--reassignment-json-file", str(file)]
        done = run_inside(self.pair.lab, line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = done.communicate(timeout=120)
        assert done.returncode == 0, f"{out}\n{err}"
        count = out.count(" is completed.") + out.count(" completed successfully")
        assert count == len(wanted["partitions"]), out

    def in_the_middle(self, saved: str, number: int) -> int:
        """Apply, and send the signal as soon as a replica is on its way; the exit code."""
        line = self.pair.line("apply", saved, "--yes", "--reason", "test")
        carried = subprocess.Popen(
            line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            self.client("moving")
            assert carried.poll() is None, f"it ended by itself: {carried.communicate()[1]}"
            carried.send_signal(number)
            _, said = carried.communicate(timeout=120)
        finally:
            carried.kill()
        self.said = said
        return carried.returncode


@contextmanager
def placing_lab(directory: Path) -> Iterator[Moves]:
    """Six brokers in three racks, data on half of them, somebody's throttles, and load."""
    directory.mkdir(parents=True, exist_ok=True)
    files = directory / "files"
    files.mkdir()
    settings = (f"blue.hosts=[{HOSTS}]",)
    made = Pair(directory, settings, ROOT / "configs" / "lab-rolling.yaml")
    shape = ("--brokers", "6", "--controllers", "1", "--disks", "2")
    made.in_lab("lab", "up", "--single", *shape)
    try:
        made.in_lab("lab", "load", "start", "--rate", "50", *LOAD)
        moves = Moves(made, files)
        moves.client("make", json.dumps(TOPICS))
        moves.client("throttle", json.dumps(PRIOR))
        yield moves
    finally:
        made.in_lab("lab", "down")


def added_killed_and_drained(moves: Moves) -> None:
    """Three brokers take their share, kafkaops killed on the way; one of them gives it back."""
    start = moves.look()
    assert start["throttles"] == {
        f"{where} {name}": value for where, own in PRIOR.items() for name, value in own.items()
    }
    saved, wanted = moves.planned("--add", "4", "--add", "5", "--add", "6", throttle="4MiB/s")
    assert moves.in_the_middle(saved, signal.SIGKILL) == -signal.SIGKILL
    status = json.loads(moves.pair.kafkaops("placement", "status", "-o", "json"))
    run = Path(json.loads(Path(saved).read_text())["id"]).name
    assert {row["whose"] for row in status["moving"]} <= {run}
    assert run in {row["run"] for row in status["throttles"]}
    moves.pair.kafkaops("run", "resume", "--yes")
    seen = moves.judged(start, wanted)
    held = {b for rows in seen["assignment"].values() for row in rows for b in row}
    assert {4, 5, 6} <= held
    seen = moves.applied("--drain", "6")
    assert 6 not in {b for rows in seen["assignment"].values() for row in rows for b in row}


def new_topics_are_even(moves: Moves) -> None:
    """A topic and more partitions of it: distinct racks, and each broker that holds most anyway
    is given no more than its share of leaders."""
    moves.pair.kafkaops("placement", "topic", "create", "fresh", "--partitions", "9", "--yes")
    even(moves.look(), "fresh", 9)
    before = moves.look()["assignment"]["fresh"]
    moves.pair.kafkaops("placement", "partitions", "add", "fresh", "--to", "15", "--yes")
    seen = moves.look()
    even(seen, "fresh", 15)
    assert seen["assignment"]["fresh"][:9] == before, "what is there is not touched"


def even(seen: dict[str, Any], topic: str, count: int) -> None:
    rows, leaders = seen["assignment"][topic], seen["leaders"][topic]
    assert len(rows) == count
    assert all(len({RACKS[b] for b in row}) == 3 for row in rows), rows
    assert leaders == [row[0] for row in rows], "each is led by its preferred replica"
    led = [leaders.count(broker) for broker in RACKS]
    assert max(led) - min(led) <= 1, led


def moved_at_a_measured_rate(moves: Moves) -> None:
    """`--throttle auto`: what the links have left beside the load."""
    before = moves.look()
    saved, wanted = moves.planned("--drain", "5", "--link", "40MiB/s", throttle="auto")
    found = re.findall(r'throttled\.rate":\s*"(\d+)"', Path(saved).read_text())
    rates = {int(rate) for rate in found} - {int(PRIOR["broker 1"][LEADERS])}
    assert rates, "nothing is throttled"
    assert all(0 < rate < 40 * 2**20 for rate in rates), rates
    told = moves.pair.kafkaops("apply", saved, "--yes", "--reason", "test", "-o", "json")
    assert json.loads(told)["outcome"] == "done"
    moves.judged(before, wanted)


def cancelled_in_the_middle(moves: Moves) -> None:
    """Ctrl-C; then kill -9 and `cancel`; then to the end, and back by `run rollback`."""
    start = moves.look()
    saved, wanted = moves.planned("--drain", "1", throttle=SLOW)
    assert moves.in_the_middle(saved, signal.SIGINT) == 130, moves.said
    after = moves.look()
    unfinished(start, after, wanted)
    moves.pair.kafkaops("run", "rollback", "--yes")
    assert same(moves.look()) == same(start)
    saved, wanted = moves.planned("--drain", "1", throttle=SLOW)
    assert moves.in_the_middle(saved, signal.SIGKILL) == -signal.SIGKILL
    told = moves.pair.kafkaops("placement", "cancel", "--yes", "-o", "json")
    assert json.loads(told)["outcome"] == "called-off"
    after = moves.look()
    unfinished(start, after, wanted)
    moves.pair.kafkaops("run", "rollback", "--yes")
    assert same(moves.look()) == same(start)


def same(seen: dict[str, Any]) -> tuple[Any, Any]:
    return seen["assignment"], seen["throttles"]


def unfinished(start: dict[str, Any], after: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Each is where it was or where it was to go, to the order, and some went no further."""
    goal = {(row["topic"], row["partition"]): row["replicas"] for row in wanted["partitions"]}
    back = 0
    for topic, rows in after["assignment"].items():
        for p, replicas in enumerate(rows):
            was = start["assignment"][topic][p]
            assert replicas in (was, goal.get((topic, p), was)), (topic, p, was, replicas)
            back += (topic, p) in goal and replicas == was
    assert back > 0
    assert after["throttles"] == start["throttles"]


def more_replicas_mended_and_evacuated(moves: Moves) -> None:
    seen = moves.applied("--rf", "two=3")
    assert all(len(row) == 3 for row in seen["assignment"]["two"])
    assert any(len({RACKS[b] for b in row}) < 3 for row in seen["assignment"]["awry"])
    seen = moves.applied("--repair")
    assert all(len({RACKS[b] for b in row}) == 3 for row in seen["assignment"]["awry"])
    seen = moves.applied("--drain-rack", "eu-west-1c", "--allow-shared-racks")
    assert not {3, 6} & {b for rows in seen["assignment"].values() for row in rows for b in row}


def evened_over_disks(moves: Moves) -> None:
    """One disk of three brokers has a heavy replica; the files themselves say what moved."""
    moves.client("make", json.dumps({"heavy": {"rows": [[1, 2, 3]], "mib": 48}}))
    before, start = disks_of(moves), moves.look()
    flags = ("--balance", "disks", "--throttle", FAST, "--reserve", "100MiB")
    told = moves.pair.kafkaops("placement", "apply", *flags, "--yes", "-o", "json")
    assert json.loads(told)["outcome"] == "done"
    after = disks_of(moves)
    assert same(moves.look()) == same(start)
    for node, (one, two) in after.items():
        held = sorted([*before[node][0], *before[node][1]])
        assert sorted([*one, *two]) == held, f"{node}: each replica is there, once"
        uneven = [abs(sum(a.values()) - sum(b.values())) for a, b in (before[node], (one, two))]
        assert uneven[1] <= uneven[0] + GROWN, (node, uneven)
    moved = {node for node in after if set(after[node][0]) != set(before[node][0])}
    assert moved, (before, after)


def disks_of(moves: Moves) -> dict[str, tuple[dict[str, int], dict[str, int]]]:
    """Replicas and their bytes in each of the two log directories of each host."""

    def held(directory: Path) -> dict[str, int]:
        found = (d for d in directory.iterdir() if d.is_dir() and d.name != METADATA)
        replicas = [d for d in found if not d.name.endswith(GOING)]
        return {d.name: sum(f.stat().st_size for f in d.glob("*.log")) for d in replicas}

    homes = {node: moves.pair.lab / "hosts" / node for node in NODES}
    return {node: (held(h / "data"), held(h / "data-2")) for node, h in homes.items()}


JOURNEYS: tuple[tuple[Callable[[Moves], None], ...], ...] = (
    (added_killed_and_drained, new_topics_are_even, moved_at_a_measured_rate),
    (cancelled_in_the_middle,),
    (more_replicas_mended_and_evacuated, evened_over_disks),
)


def travel(directory: Path, *journeys: Callable[[Moves], None]) -> dict[str, int]:
    """What the load's ledger has against these journeys, with how often."""
    with placing_lab(directory) as moves:
        for journey in journeys:
            journey(moves)
        moves.pair.in_lab("lab", "load", "stop")
        total = moves.pair.ledger("blue")["total"]
    assert total["acknowledged"] > 500, total
    return {kind: total[kind] for kind in ("lost", "altered", "skipped") if total[kind]}


@pytest.mark.lab
def test_what_is_moved_under_load_ends_as_planned(tmp_path: Path) -> None:
    assert travel(tmp_path, *JOURNEYS[SEED % len(JOURNEYS)]) == {}


@pytest.mark.lab
@pytest.mark.soak
def test_every_journey_one_after_the_other(tmp_path: Path) -> None:
    assert travel(tmp_path, *(journey for one in JOURNEYS for journey in one)) == {}
