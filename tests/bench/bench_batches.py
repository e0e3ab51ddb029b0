"""`upgrade batches` on made clusters: batches found against their lower bound, time and memory.

RF 3, min ISR 2, three racks, no canary. `stray` partitions lie anywhere, and a rack-oblivious
cluster has nothing else. Each case runs in a process of its own, so its peak memory is its own
(the made cluster included); seconds are CPU time, which other work on the machine changes least.
The baseline of "batches" is the bound (ratio 1.00: nobody can do with fewer); that of growth is
the same figure at the smaller cluster.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

from tests.bench.timing import figure

SIZES = ((60, 10_000), (300, 60_000), (1_000, 200_000))
STRAYS = (0.0, 0.001, 0.01, 0.05, 1.0)
CAPS = (3, 10, 0)  # 0: whole racks


def figures() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    slowest: dict[int, dict[str, float]] = {}
    for brokers, partitions in SIZES:
        for stray in STRAYS:
            for cap in CAPS:
                ran = _run(brokers, partitions, stray, cap)
                name = f"batches, {brokers} brokers, {_placed(stray)}, {_capped(cap)}"
                found.append(figure(name, ran["found"], "batches", ran["bound"]))
                if ran["cpu"] > slowest.get(brokers, {"cpu": -1.0})["cpu"]:
                    slowest[brokers] = ran
                print(f"    {name}: {ran}", file=sys.stderr, flush=True)
    before: dict[str, float] | None = None
    for brokers, partitions in SIZES:
        at = slowest[brokers]
        name = f"batches, {brokers} brokers, {partitions:,} partitions, the slowest case"
        for key, unit in (("cpu", "s"), ("peak", "MiB")):
            found.append(figure(f"{name}: {key}", at[key], unit, before and before[key]))
        before = at
    return found


def _placed(stray: float) -> str:
    if stray == 1.0:
        return "rack-oblivious"
    return f"{stray:.1%} stray" if stray else "rack-aware"


def _capped(cap: int) -> str:
    return f"cap {cap}" if cap else "whole racks"


def _run(brokers: int, partitions: int, stray: float, cap: int) -> dict[str, float]:
    argv = [sys.executable, "-m", __name__, str(brokers), str(partitions), str(stray), str(cap)]
    ended = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=600)
    ran: dict[str, float] = json.loads(ended.stdout)
    return ran


def one(brokers: int, partitions: int, stray: float, cap: int) -> dict[str, float]:
    """From the state of the cluster to its batches, advice included; loading code is not timed."""
    from kafkaops.upgrade import batches_exact  # noqa: F401
    from kafkaops.upgrade.batches import Limits, plan
    from tests.unit.upgrade.placements import grown

    state = grown(brokers, 3, partitions, stray=stray)
    made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begun, cpu = time.perf_counter(), time.process_time()
    found = plan(state, Limits(cap or 1, whole_racks=not cap, canary=False))
    return {
        "found": len(found.batches),
        "bound": found.bound,
        "advised": found.advice.batches if found.advice else 0,
        "moves": len(found.advice.moves) if found.advice else 0,
        "seconds": round(time.perf_counter() - begun, 3),
        "cpu": round(time.process_time() - cpu, 3),
        "made": round(made, 1),
        "peak": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


if __name__ == "__main__":
    size, count, share, most = sys.argv[1:]
    print(json.dumps(one(int(size), int(count), float(share), int(most))))
