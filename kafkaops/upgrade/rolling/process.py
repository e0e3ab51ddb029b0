"""What a node's process does while the node is waited for: it runs, it ended, it ends over and
over, it loads its logs.

Invariant: nothing is stopped here. A process that runs counts as loading its logs until its log
says otherwise, for a stop would begin that anew.
"""

from __future__ import annotations

import re

from kafkaops.engine.errors import StepFailed
from kafkaops.ports.host_units import Unit
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.move import since
from kafkaops.upgrade.rolling.node import NodeStep

LINES = 200
MANY = 2000
"""Lines of a log in which a recovery that goes on for hours is still to be seen."""
LAST = 12
GONE = 45.0
"""Seconds after which a process that ended, and that its unit does not start again, is told of."""
ROUNDS = 3
"""Starts by the unit itself (systemd's Restart=) after which it is told that they lead nowhere."""
REACHED = ("soak", "elected", "leaders", "in-sync", "spoken", "caught-up", "started", "up")
"""Facts of a node that is back, by the steps that wait for it: `up`, for which it is not started
again, is the last to go."""
# Kafka's LogManager: "Completed load of Log(dir=...) with 1 segments ... (7/40 completed in /data)"
LOADED = re.compile(r"\((\d+)/(\d+) completed in ")
# and what comes before and between; that of the metadata's own log is read at every start
LOADING = re.compile(
    rf"Loading logs from log dirs|Recovering \d+ logs from|{LOADED.pattern}"
    r"|\[LogLoader partition=(?!__cluster_metadata)"
)
ALL_LOADED = re.compile(r"Loaded \d+ logs in ")


def lives(step: NodeStep, world: World, unit: Unit) -> bool:
    """Whether its process runs. StepFailed KO-NODE-ENDED where it has been gone for a while and
    nobody starts it, or where its unit starts it over and over: the end of its log tells why. What
    it had reached counts no more then, so that a resume starts it again and waits for it anew."""
    first = step.get(world, "restarts")
    if first is None or unit.restarts < int(first):
        step.put(world, "restarts", unit.restarts)
    elif unit.restarts - int(first) >= ROUNDS:
        times = unit.restarts - int(first)
        raise ended(step, world, unit, f"and its unit started it again {times} times")
    if unit.running:
        if step.get(world, "gone") is not None:
            step.put(world, "gone", None)
        return True
    gone = step.get(world, "gone")
    if gone is None or unit.active not in {"failed", "inactive"}:
        clock = world.clock
        step.put(world, "gone", {"wall": clock.wall(), "monotonic": clock.monotonic()})
    elif since(world, gone) >= GONE:
        raise ended(step, world, unit)
    return False


def may_be_loading(step: NodeStep, world: World, unit: Unit) -> bool:
    """Whether a process that is not registered may only be loading or recovering its logs. One
    whose unit starts it over and over does not get to their end."""
    if not unit.running or unit.restarts >= ROUNDS:
        return False
    try:
        lines = step.host(world).journal(step.service(world), lines=MANY)
    except StepFailed:  # nobody may read it
        return True
    if not lines.strip():
        return True
    begun = max((found.start() for found in LOADING.finditer(lines)), default=-1)
    over = max((found.start() for found in ALL_LOADED.finditer(lines)), default=-1)
    return begun > over


def how(unit: Unit) -> str:
    """How it ended last; "" while it runs."""
    if unit.signal is not None:
        return f"signal {unit.signal}"
    return "" if unit.exit_code is None else f"exit code {unit.exit_code}"


def ended(step: NodeStep, world: World, unit: Unit, more: str = "") -> StepFailed:
    """KO-NODE-ENDED, and what the node had reached counts no more."""
    for fact in ("gone", "restarts", *REACHED):
        if step.get(world, fact) is not None:
            step.put(world, fact, None)
    if unit.running:  # by its unit: who is told of as down is to be started
        step.seen(world, "started")
    lines = step.host(world).journal(step.service(world), lines=LAST).strip()
    version = step.spec.args.get("version")
    words = f"{step.name} started{f' with {version}' if version else ''} and ended again"
    words += f" ({how(unit)})" if how(unit) else ""
    words += f", {more}" if more else ""
    anew = "waits for it anew" if unit.running else "starts it again"
    return StepFailed(
        "KO-NODE-ENDED",
        words + (f"; the end of its log:\n{lines}" if lines else ""),
        where=step.name,
        hint=f"cure it and resume, which {anew}; or go back: kafkaops run rollback",
    )
