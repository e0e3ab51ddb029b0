"""What every step of a roll knows: its node, its batch, and what is written down of them.

Invariant: whether a node was restarted in this run is told by its process alone: another pid than
the one noted before the stop, or a start after that moment. What was seen of a node once (up,
in sync, leading) is written down and holds for the run: a node that falters later is for the
gate of the next batch, or a resume would wait for it before a step that cures it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kafkaops.config.schema import ClusterSpec
from kafkaops.engine.step import Blocked, Spec, State
from kafkaops.model.partition import Topic, TopicPartition
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.host import Host
from kafkaops.ports.host_units import Unit
from kafkaops.ports.world import World
from kafkaops.upgrade.rolling.phases import WITHOUT


@dataclass(frozen=True)
class Mark:
    """What was true before a node was stopped: the moment (epoch seconds by the host's own
    clock), its process, and the partitions that it was in sync with."""

    noted: float
    pid: int
    isr: tuple[TopicPartition, ...]

    def replaced_by(self, unit: Unit) -> bool:
        """Whether what runs there now is another process."""
        return unit.pid > 0 and (unit.pid != self.pid or unit.started > self.noted)

    def to_json(self) -> dict[str, Any]:
        return {"noted": self.noted, "pid": self.pid, "isr": [f"{t}/{p}" for t, p in self.isr]}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Mark:
        names = (name.rpartition("/") for name in kept["isr"])
        isr = tuple(TopicPartition(topic, int(p)) for topic, _, p in names)
        return cls(float(kept["noted"]), int(kept["pid"]), isr)


@dataclass(frozen=True)
class NodeStep:
    """Base of the steps of one node. `spec.args`: `cluster` (colour), `cluster_id`, `host`,
    `node`, `broker` and `voter` (whether it is one), `mates` (host to node of its batch),
    `accept` (globs), `soak` (seconds); `rest` where it goes alone after it was held back; with
    another version `version` (what must run) and `link` (what leads to it); `stuck` where the
    cluster goes without it since the way there (`there`, how the names of its facts begin): it did
    not come up, or has no process."""

    spec: Spec

    @property
    def name(self) -> str:
        return str(self.spec.args["host"])

    @property
    def node(self) -> int:
        return int(self.spec.args["node"])

    @property
    def mates(self) -> dict[str, int]:
        return {str(h): int(n) for h, n in self.spec.args["mates"].items()}

    def of(self, host: str) -> NodeStep:
        """The same look at another node of the batch."""
        args = {**self.spec.args, "host": host, "node": self.mates[host]}
        return NodeStep(replace(self.spec, args=args))

    def safe(self, world: World) -> Blocked | None:
        return None

    def act(self, world: World) -> None:
        """Nothing to do but to wait, unless a step says otherwise."""

    def undo(self, world: World) -> None:
        """Nothing to bring back, unless a step says otherwise."""

    # what the world holds

    def cluster(self, world: World) -> Cluster:
        return world.clusters[str(self.spec.args["cluster"])]

    def cluster_spec(self, world: World) -> ClusterSpec:
        config = world.config
        return config.blue if self.spec.args["cluster"] == "blue" else config.green

    def service(self, world: World) -> str:
        return self.cluster_spec(world).service

    def host(self, world: World) -> Host:
        return world.hosts[self.name]

    def unit(self, world: World) -> Unit:
        return self.host(world).unit(self.service(world))

    # what is written down

    @property
    def notes(self) -> str:
        """How the names of its facts begin: a way back must not read those of the way there."""
        return str(self.spec.args.get("notes", "restart"))

    def put(self, world: World, name: str, value: Any) -> None:
        world.facts.put(f"{self.notes}.{self.name}.{name}", value)

    def get(self, world: World, name: str) -> Any | None:
        return world.facts.get(f"{self.notes}.{self.name}.{name}")

    def seen(self, world: World, name: str) -> State:
        """Write down that this was reached."""
        self.put(world, name, {"at": world.clock.wall()})
        return State.DONE

    def mark(self, world: World) -> Mark | None:
        kept = self.get(world, "mark")
        return None if kept is None else Mark.of(kept)

    def over(self, world: World, name: str) -> bool:
        """Whether there is nothing more to look at: reached before, or held back from this batch
        (then its turn comes in the rest), or left out by the operator."""
        if self.get(world, name) is not None or self.left_out(world):
            return True
        return not self.spec.args.get("rest") and self.held(world)

    def back(self, world: World) -> bool:
        """Whether it is back since its stop: it was seen in sync (in a batch of controllers: seen
        to the end), and did not end since."""
        if self.get(world, "soaked") is not None:
            return True
        return self.get(world, "in-sync") is not None and self.unit(world).pid > 0

    def awaited(self, world: World) -> bool:
        """Whether it was told to stop, is not back, and is to come back: nobody waits for one that
        the run goes on without."""
        return self.mark(world) is not None and not self.left_out(world) and not self.back(world)

    def left_out(self, world: World) -> bool:
        return self.name in (world.facts.get(WITHOUT) or ())

    def held(self, world: World) -> bool:
        return self.get(world, "held") is not None and self.get(world, "mark") is None

    def hold(self, world: World, why: str, *, own: bool) -> None:
        """Hold it back from its batch, while it runs. In its `own` lane a mark is of a process that
        died before the stop: with it nothing would be held, and the node be stopped without its
        gate. To another lane it may be of just now, and the node about to stop."""
        self.put(world, "held", why)
        if own and self.get(world, "mark") is not None:
            self.put(world, "mark", None)

    def stop_state(self, world: World) -> State:
        """Whether the process that ran before is gone."""
        mark = self.mark(world)
        if mark is None:
            return State.TODO
        if self.get(world, "ended") is not None:
            return State.DONE
        unit = self.unit(world)
        if unit.pid == 0 or mark.replaced_by(unit):
            return State.DONE
        return State.PENDING if unit.active == "deactivating" else State.TODO


def in_sync(topics: Mapping[str, Topic], node: int) -> tuple[TopicPartition, ...]:
    """The partitions that have the node in their ISR."""
    return tuple(p.tp for t in topics.values() for p in t.partitions if node in p.isr)


def holding(topics: Mapping[str, Topic], node: int) -> tuple[TopicPartition, ...]:
    """The partitions that have a replica on the node."""
    return tuple(p.tp for t in topics.values() for p in t.partitions if node in p.replicas)


def catching_up(
    topics: Mapping[str, Topic], node: int, had: Collection[TopicPartition]
) -> tuple[TopicPartition, ...]:
    """Of the partitions that the node was in sync with, those that lack it. One that was deleted
    or moved away meanwhile lacks nobody."""
    wanted = frozenset(had)
    return tuple(
        sorted(
            p.tp
            for t in topics.values()
            for p in t.partitions
            if p.tp in wanted and node in p.replicas and node not in p.isr
        )
    )


def named(some: Sequence[object], shown: int = 5) -> str:
    words = ", ".join(str(s) for s in some[:shown])
    return words + (f" and {len(some) - shown} more" if len(some) > shown else "")
