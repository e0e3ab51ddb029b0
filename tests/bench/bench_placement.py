"""`placement plan` from snapshot file to plan file: moves, time, memory; and Apache's planner.

RF 3, topics of 20 partitions, the leader in a rack drawn at random. Each case is a process of its
own, so its peak memory is its own; seconds are CPU time, which other work on the machine changes
least, with wall time on stderr. The baseline of moves is the closed-form bound, that of Apache's
figures ours on the same snapshot, and that of the growth the smaller cluster's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from kafkaops.lab import kit
from tests.bench.timing import figure

LARGE = (1_000, 200_000)
GROWTH = ((50, 10_000), (250, 50_000), LARGE)
APACHE = ((30, 5_000), (50, 10_000))
VERSION = "4.3.1"
CHANGED = 0.05  # of the brokers are added, or drained
STRAY = 500  # partitions whose racks are to be repaired


def figures() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for racks in (3, 10):
            for goal in ("add", "drain", "repair"):
                found += _case(Path(scratch), *LARGE, racks, goal)
        before = None
        for brokers, partitions in GROWTH:
            ran = _ran(Path(scratch), brokers, partitions, 3, "add")
            name = f"placement, growth, {brokers} brokers, {partitions:,} partitions"
            for key, unit in (("cpu", "s"), ("peak", "MiB")):
                found.append(figure(f"{name}: {key}", ran[key], unit, before and before[key]))
            before = ran
        for brokers, partitions in APACHE:
            for goal in ("add", "drain", "repair"):
                found += _apache(Path(scratch), brokers, partitions, goal)
    return found


def _case(
    scratch: Path, brokers: int, partitions: int, racks: int, goal: str
) -> list[dict[str, Any]]:
    ran = _ran(scratch, brokers, partitions, racks, goal)
    name = f"placement, {brokers} brokers, {partitions:,} partitions, {racks} racks, {goal}"
    return [
        figure(f"{name}: moves", ran["moves"], "replicas", ran["closed_form"]),
        figure(f"{name}: leaders", ran["leaders_changed"], "partitions", None),
        figure(f"{name}: cpu", ran["cpu"], "s", None),
        figure(f"{name}: peak", ran["peak"], "MiB", None),
    ]


def _ran(scratch: Path, brokers: int, partitions: int, racks: int, goal: str) -> dict[str, Any]:
    snapshot = scratch / f"{brokers}-{partitions}-{racks}-{goal}.json"
    if not snapshot.exists():
        snapshot.write_text(json.dumps(document(brokers, partitions, racks, goal)))
    out = scratch / "plan.json"
    argv = [sys.executable, "-m", __name__, str(snapshot), str(out), goal, str(brokers)]
    ended = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=3600)
    ran: dict[str, Any] = json.loads(ended.stdout)
    print(f"    {snapshot.stem}: {ran}", file=sys.stderr, flush=True)
    return ran


def document(brokers: int, partitions: int, racks: int, goal: str) -> dict[str, Any]:
    """A snapshot whose replicas leave the brokers empty that are to be added, as JSON."""
    rows = placed(brokers, partitions, racks, goal)
    topics: dict[str, Any] = {}
    for p, row in enumerate(rows):
        name = f"topic-{p // 20:05d}"
        topic = topics.setdefault(
            name, {"name": name, "topic_id": "", "internal": False, "partitions": []}
        )
        topic["partitions"].append(
            {"tp": f"{name}-{p % 20}", "leader": row[0], "leader_epoch": 0, "replicas": row,
             "isr": row}
        )  # fmt: skip
    everyone = brokers + (fresh(brokers) if goal == "add" else 0)
    state = {
        "cluster_id": "bench", "taken": 0.0, "controller": 0,
        "brokers": [
            {"id": b, "host": f"h{b}", "port": 9092, "rack": f"r{b % racks}"}
            for b in range(everyone)
        ],
        "topics": topics,
        "replica_bytes": {
            p["tp"]: 1_000_000 * (1 + i % 97)
            for i, p in enumerate(p for t in topics.values() for p in t["partitions"])
        },
    }  # fmt: skip
    return {"schema_version": 1, "kind": "cluster-state", "state": state}


def placed(brokers: int, partitions: int, racks: int, goal: str) -> list[list[int]]:
    chance = np.random.default_rng(11)
    order = chance.random((partitions, racks)).argsort(axis=1)[:, :3]
    width = np.array([len(range(r, brokers, racks)) for r in range(racks)])
    nth = (chance.random((partitions, 3)) * width[order]).astype(np.int64)
    rows: list[list[int]] = (order + racks * nth).tolist()
    for p in range(STRAY if goal == "repair" else 0):
        rows[p] = chance.choice(brokers, 3, replace=False).tolist()
    return rows


def fresh(brokers: int) -> int:
    return max(1, round(brokers * CHANGED))


def _apache(scratch: Path, brokers: int, partitions: int, goal: str) -> list[dict[str, Any]]:
    """Both planners on one snapshot. On a drain Apache's tool plans without the drained brokers."""
    rows = placed(brokers, partitions, 3, goal)
    ours = _ran(scratch, brokers, partitions, 3, goal)
    everyone = list(range(brokers + (fresh(brokers) if goal == "add" else 0)))
    gone = set(range(fresh(brokers))) if goal == "drain" else set()
    theirs = generated(scratch, rows, [b for b in everyone if b not in gone])
    moved = sum(len(set(b) - set(a)) for a, b in zip(rows, theirs, strict=True))
    led = sum(a[0] != b[0] for a, b in zip(rows, theirs, strict=True))
    name = f"placement, {brokers} brokers, {partitions:,} partitions, {goal}: Apache's"
    return [
        figure(f"{name} moves over ours", moved, "replicas", ours["moves"]),
        figure(f"{name} leaders over ours", led, "partitions", ours["leaders_changed"]),
    ]


def generated(scratch: Path, rows: list[list[int]], brokers: list[int]) -> list[list[int]]:
    """Apache's proposal for these rows on these brokers, in three racks."""
    classpath = kit.classpath(VERSION)
    java = [str(kit.java()), "-Xmx2g"]
    source = Path(__file__).with_name("Generate.java")
    compiler = [*java, "-jar", str(kit.ecj()), "-21", "-nowarn", "-cp", classpath]
    subprocess.run([*compiler, "-d", str(scratch), str(source)], check=True, timeout=300)
    lines = [f"broker {b} r{b % 3}" for b in brokers]
    lines += [
        f"partition topic-{p // 20:05d} {p % 20} {','.join(map(str, row))}"
        for p, row in enumerate(rows)
    ]
    ended = subprocess.run(
        [*java, "-cp", f"{scratch}:{classpath}", "Generate"],
        input="\n".join(lines), check=True, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    found: list[list[int]] = [[] for _ in rows]
    for line in ended.stdout.splitlines():
        topic, number, replicas = line.split(" ")
        found[int(topic[-5:]) * 20 + int(number)] = [int(b) for b in replicas.split(",")]
    assert all(found)
    return found


def one(snapshot: str, out: str, goal: str, brokers: int) -> dict[str, Any]:
    """From the snapshot's file to the plan's; loading code is timed too, as an operator waits."""
    begun = time.perf_counter()
    from kafkaops.cli.placement_source import Source
    from kafkaops.placement.planning import plan_json
    from kafkaops.placement.planning.goals import Balance, Goals

    even = (Balance.REPLICAS, Balance.LEADERS)
    goals = {
        "add": Goals(add=tuple(range(brokers, brokers + fresh(brokers)))),
        "drain": Goals(drain=tuple(range(fresh(brokers)))),
        "repair": Goals(repair=True, balance=even),
    }[goal]
    found = Source(snapshot=snapshot).plan(goals)
    Path(out).write_text(json.dumps(plan_json.file_of(found)))
    return {
        "moves": found.replicas_moved,
        "bound": found.bound,
        "closed_form": found.closed_form,
        "proof": found.proof,
        "leaders_changed": found.leaders_changed,
        "violations": [found.before.count, found.after.count],
        "seconds": round(time.perf_counter() - begun, 2),
        "cpu": round(time.process_time(), 2),
        "peak": peak(),
    }


def peak() -> float:
    """MiB that this process held at the most; unlike rusage, not what its parent held."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024, 1)


if __name__ == "__main__":
    file, into, wanted, count = sys.argv[1:]
    print(json.dumps(one(file, into, wanted, int(count))))
