"""Stopping a node: by TERM, with more time than Kafka's own controlled shutdown takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import Blocked, State
from kafkaops.ports.host_units import Unit
from kafkaops.ports.world import World
from kafkaops.upgrade import mounts
from kafkaops.upgrade.rolling.gating import look
from kafkaops.upgrade.rolling.node import Mark, NodeStep, holding, in_sync

TIMEOUT = 600.0
"""Seconds: 300 that Kafka waits for its controlled shutdown, and as many to close its logs."""


class Stopped(NodeStep):
    """Done when the process that ran before is gone, whatever runs there since. The gate is asked
    once more, and what the node had is written down before it is told to stop."""

    def check(self, world: World) -> State:
        return State.DONE if self.over(world, "ended") else self.stop_state(world)

    def safe(self, world: World) -> Blocked | None:
        if self.check(world) is not State.TODO:
            return None  # it ended meanwhile: a process that died here had told it to
        return look(self, world)

    def act(self, world: World) -> None:
        if self.check(world) is not State.TODO:
            return
        before = self.mark(world) or self._there(world)
        topics = self.cluster(world).topics() if self.is_broker else {}
        pid = self.unit(world).pid
        had = set(in_sync(topics, self.node))
        if before is not None:
            # told to stop before by a process that died, it may have left ISRs already
            had |= set(before.isr)
        elif not pid:
            # it ended by itself, and nobody can tell what it was in
            had |= set(holding(topics, self.node))
        mark = Mark(self.host(world).now(), pid, tuple(sorted(had)))
        self.put(world, "mark", mark.to_json())
        if self.get(world, "started") is not None:
            self.put(world, "started", None)
        if not pid or self._served_nobody(world):  # how it ended is no news
            self.put(world, "told", True)
        see_end(self, world, self.host(world).unit_stop(self.service(world), timeout=TIMEOUT))

    def undo(self, world: World) -> None:
        """Start it again if it is down for us. A restart itself cannot be taken back."""
        if self.left_out(world):
            return
        if self.mark(world) is not None and not self.unit(world).running:
            mounts.refuse_bare(self.cluster_spec(world), self.host(world))
            self.host(world).unit_start(self.service(world))
            self.seen(world, "started")

    def _there(self, world: World) -> Mark | None:
        """What was true of a node that serves nobody, on a way back, before the way there."""
        kept = world.facts.get(f"{self.spec.args.get('there')}.{self.name}.mark")
        return Mark.of(kept) if kept and self._served_nobody(world) else None

    def _served_nobody(self, world: World) -> bool:
        if not self.spec.args.get("stuck"):
            return False
        return not self.is_broker or self.node not in self.cluster(world).brokers_up()

    @property
    def is_broker(self) -> bool:
        return bool(self.spec.args["broker"])


def see_end(step: NodeStep, world: World, unit: Unit | None = None) -> None:
    """Write down how the process ended that was told to stop, as the host's systemd tells it, and
    say it where it was not clean. `unit` is what the stop came to; without it the host is asked,
    for who told it to stop died before it could: nothing is changed on a node that is down before
    this was seen."""
    if unit is None:
        if step.get(world, "ended") is not None:
            return
        unit = step.unit(world)
        if unit.pid:
            return
    ended = {
        "wall": world.clock.wall(),
        "monotonic": world.clock.monotonic(),
        "clean": unit.stopped_clean,
        "exit_code": unit.exit_code,
        "signal": unit.signal,
        "result": unit.result,
        "news": step.get(world, "told") is None,
    }
    step.put(world, "ended", ended)
    how = unclean(ended)
    if how:
        world.say(
            f"{step.name} did not end by itself when told to ({how}): its logs will be recovered at"
            " the start"
        )


def refuse_running(step: NodeStep, world: World, what: str) -> None:
    """StepFailed KO-NODE-RUNS where the node was stopped and runs again before it was changed: its
    host came up anew, or an agent started it. Nothing is changed under a process that runs. Its
    stop counts no more, so that a resume stops it once more, behind its gate."""
    unit, mark = step.unit(world), step.mark(world)
    if not unit.pid or mark is None:
        return
    for fact in ("ended", "told"):
        if step.get(world, fact) is not None:
            step.put(world, fact, None)
    step.seen(world, "started")
    now = replace(mark, noted=step.host(world).now(), pid=unit.pid)
    step.put(world, "mark", now.to_json())
    raise StepFailed(
        "KO-NODE-RUNS",
        f"{step.name} was stopped and runs again, started by somebody else: {what}",
        where=step.name,
        hint="see who started it (its host came up anew, an agent), then resume, which stops it"
        " once more",
    )


def unclean(ended: Mapping[str, Any] | None) -> str:
    """How a process ended that was killed, or gave up, instead of ending by itself when told to:
    "signal 9", "timeout". "" for a clean end, for one nobody saw yet, and where how it ended is no
    news: it did not run, or served nobody."""
    if not ended or ended.get("clean", True) or not ended.get("news", True):
        return ""
    if ended.get("signal"):
        return f"signal {ended['signal']}"
    if ended.get("result", "success") in ("success", "exit-code"):
        return f"exit code {ended.get('exit_code')}"
    return str(ended["result"])
