"""The gate before a batch: may all of its nodes be down at once, now?

Invariant: nothing waits for the gate while a node of the same batch is away for us, down or not yet
in sync again. What the gate refuses then is held back, and goes alone once the others are back: the
node that is away may be just the one that the gate waits for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kafkaops.engine.errors import Unreachable
from kafkaops.engine.step import Blocked, State
from kafkaops.model.cluster import ClusterState
from kafkaops.ports.world import World
from kafkaops.upgrade import gate
from kafkaops.upgrade.blue_green.move import since
from kafkaops.upgrade.rolling.node import NodeStep, named
from kafkaops.upgrade.rolling.phases import ACCEPTED, WITHOUT
from kafkaops.upgrade.rolling.process import may_be_loading

FRESH = 60.0
"""Seconds that a passed gate counts for; each stop looks once more anyway."""


def look(step: NodeStep, world: World) -> Blocked | None:
    """Ask fresh metadata about all nodes of the batch that are not stopped yet."""
    batch = [step.of(host) for host in step.mates]
    waiting = [
        s for s in batch if not s.over(world, "ended") and s.stop_state(world) is not State.DONE
    ]
    # who is down already loses nothing by a stop, and may be just what the others wait for
    running = [s for s in waiting if s.unit(world).pid > 0]
    if not running:
        return None
    state = step.cluster(world).availability()
    accepted = (*step.spec.args["accept"], *(world.facts.get(ACCEPTED) or ()))
    stuck = [s for s in running if s.spec.args.get("stuck") and not gate.serves(state, s.node)]
    rules = gate.Rules(accepted, stuck=tuple(s.node for s in stuck))
    verdict = gate.judge(state, [s.node for s in running], rules)
    blocked = [*_loading(stuck, world), *_fallen(step, world, state), *verdict.blocked]
    blocked.sort(key=lambda b: b.transient)
    if not blocked:
        return None
    why = blocked[0]
    away = [s for s in batch if s.awaited(world)]
    if not any(s.stop_state(world) is State.DONE for s in away):
        return why
    # what is marked was told to stop, or a process that died was about to: only its own lane knows
    own = step.spec.args.get("host")
    held = [s for s in waiting if s.mark(world) is None or s.name == own]
    for one in held:
        one.hold(world, why.reason, own=one.name == own)
    names = named([s.name for s in held])
    if names:
        world.say(f"{names}: held back, for {why.reason}; alone once the others are back")
    return None


def _loading(stuck: Sequence[NodeStep], world: World) -> Iterator[Blocked]:
    """Who did not come up is stopped on the way back, unless it may only be slow: whether it is, an
    operator can tell, and says so by a stop by hand."""
    for step in stuck:
        if may_be_loading(step, world, step.unit(world)):
            yield Blocked(
                "KO-GATE-NOT-UP",
                f"{step.name} runs, is not up, and may be recovering its logs: a stop would begin"
                " that anew",
                "let it come up; or, if it never will, on that host: systemctl stop"
                f" {step.service(world)}, and the run goes on",
            )


def _fallen(step: NodeStep, world: World, state: ClusterState) -> Iterator[Blocked]:
    """Nodes that came back in this run and are gone again: what felled them may fell the next. The
    gate's own rule would go on wherever no partition is on both."""
    nodes = {h.name: h.node_id for h in step.cluster_spec(world).hosts if h.node_id is not None}
    up = {b.id for b in state.brokers}
    without = world.facts.get(WITHOUT) or ()
    gone = [
        host
        for host, node in nodes.items()
        if world.facts.get(f"{step.notes}.{host}.soaked") is not None
        and node not in up
        and not gate.only_controller(state, node)
        and host not in without
    ]
    if gone:
        yield Blocked(
            "KO-GATE-FALLEN",
            f"{named(gone)} came back in this run, and is down again",
            f"see its log before another is restarted: kafkaops health; once it is up the run goes"
            f" on, or without it: kafkaops run resume --without {gone[0]}",
        )


def _down(step: NodeStep, world: World) -> bool:
    try:
        return step.awaited(world) and step.stop_state(world) is State.DONE
    except Unreachable:
        return False


class GateOpen(NodeStep):
    """One step for a batch: done when the gate was passed lately, or when nobody of the batch
    waits for it any more."""

    @property
    def fact(self) -> str:
        return f"{self.notes}.{self.spec.id}"

    def check(self, world: World) -> State:
        # before any host is asked: one that does not answer may take longer than what this counts
        passed = world.facts.get(self.fact)
        if passed is not None and since(world, passed) < FRESH:
            return State.DONE
        batch = [self.of(host) for host in self.mates]
        try:
            if all(s.over(world, "ended") or s.stop_state(world) is State.DONE for s in batch):
                return State.DONE
        except Unreachable:
            if not self._one_is_down(world):
                raise
        return State.TODO

    def safe(self, world: World) -> Blocked | None:
        try:
            return look(self, world)
        except Unreachable:
            if not self._one_is_down(world):
                raise
            return None  # who is down is started; each of the others looks again before its stop

    def _one_is_down(self, world: World) -> bool:
        """Whether a node of the batch is known to be down for us: it waits for no host, and for no
        cluster, that does not answer."""
        return any(_down(self.of(host), world) for host in self.mates)

    def act(self, world: World) -> None:
        clock = world.clock
        world.facts.put(self.fact, {"wall": clock.wall(), "monotonic": clock.monotonic()})
