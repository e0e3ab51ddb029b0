"""What every blue/green step knows: from which colour, to which, and where its facts lie.

A rollback after the cut is the same machine with the colours exchanged, so no step says
"blue" or "green" itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from kafkaops.config.schema import ClusterSpec
from kafkaops.engine.step import Blocked, Spec, State
from kafkaops.model.partition import Topic, TopicPartition, is_carried
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.connect import Connect
from kafkaops.ports.facts import Facts
from kafkaops.ports.host import Host
from kafkaops.ports.verification import Verification
from kafkaops.ports.world import World


def moved(topics: Mapping[str, Topic], exclude: Sequence[str] = ()) -> dict[str, Topic]:
    """The topics that a migration carries: neither Kafka's own nor ours, nor what the globs of
    `mirror.exclude` name."""
    return {
        name: topic
        for name, topic in topics.items()
        if is_carried(topic) and not any(fnmatchcase(name, glob) for glob in exclude)
    }


def partitions_of(topics: Mapping[str, Topic]) -> list[TopicPartition]:
    return sorted(p.tp for topic in topics.values() for p in topic.partitions)


@dataclass(frozen=True)
class Move:
    """Base of the steps. `spec.args` holds `src` and `dst`, each `blue` or `green`."""

    spec: Spec

    @property
    def src(self) -> str:
        return str(self.spec.args.get("src", "blue"))

    @property
    def dst(self) -> str:
        return str(self.spec.args.get("dst", "green"))

    @property
    def flow(self) -> str:
        """`forward` for blue to green, `back` for the other way."""
        return "forward" if self.src == "blue" else "back"

    def safe(self, world: World) -> Blocked | None:
        return None

    def undo(self, world: World) -> None:
        """Nothing to bring back, unless a step says otherwise."""

    # what the world holds for this direction

    def source(self, world: World) -> Cluster:
        return world.clusters[self.src]

    def target(self, world: World) -> Cluster:
        return world.clusters[self.dst]

    def connect(self, world: World) -> Connect:
        return world.connect[self.flow]

    def verification(self, world: World) -> Verification:
        return world.verification[self.flow]

    def hosts(self, world: World, colour: str) -> list[Host]:
        return [world.hosts[h.name] for h in cluster_spec(world, colour).hosts]

    def plain(self, world: World, colour: str) -> bool:
        """Whether requests to this colour's CLIENT listener can be told apart on the wire."""
        return bool((self.get(world, "client.plain") or {}).get(colour))

    def carried(self, world: World, cluster: Cluster) -> dict[str, Topic]:
        """The cluster's topics that this move carries, fresh."""
        return moved(cluster.topics(), world.config.mirror.exclude)

    # facts

    def put(self, world: World, name: str, value: Any) -> None:
        world.facts.put(f"{self.flow}.{name}", value)

    def get(self, world: World, name: str) -> Any | None:
        return world.facts.get(f"{self.flow}.{name}")

    def stamp(self, world: World, name: str, *, at: float | None = None) -> None:
        """Remember when something happened, for the timeline and the parts of the pause: now, or
        `at` (epoch seconds), a moment close to now."""
        self.stamp_as(world, f"time.{name}", at=at)

    def stamp_as(self, world: World, name: str, *, at: float | None = None) -> None:
        """A moment under this name, for `since`."""
        wall, monotonic = world.clock.wall(), world.clock.monotonic()
        ahead = 0.0 if at is None else at - wall
        self.put(world, name, {"wall": wall + ahead, "monotonic": monotonic + ahead})


@dataclass(frozen=True)
class Once(Move):
    """A step that is done when it has left its fact: for work that proves and changes nothing
    that could be looked up again."""

    @property
    def fact(self) -> str:
        return f"done.{self.spec.id}"

    def check(self, world: World) -> State:
        return State.DONE if self.get(world, self.fact) is not None else State.TODO

    def finish(self, world: World, value: Any = True) -> None:
        self.put(world, self.fact, value)

    def forget(self, world: World) -> None:
        world.facts.put(f"{self.flow}.{self.fact}", None)


def cluster_spec(world: World, colour: str) -> ClusterSpec:
    return world.config.blue if colour == "blue" else world.config.green


def offsets_out(offsets: Mapping[TopicPartition, Any]) -> dict[str, Any]:
    """Partition-keyed values as JSON: `{"topic/0": value}`."""
    return {f"{tp.topic}/{tp.partition}": value for tp, value in sorted(offsets.items())}


def offsets_in(stored: Mapping[str, Any]) -> dict[TopicPartition, Any]:
    found: dict[TopicPartition, Any] = {}
    for key, value in stored.items():
        topic, _, partition = key.rpartition("/")
        found[TopicPartition(topic, int(partition))] = value
    return found


def epochs(topics: Mapping[str, Topic]) -> dict[TopicPartition, int]:
    """Leader epochs: one that has grown means that the partition had an election since."""
    return {p.tp: p.leader_epoch for topic in topics.values() for p in topic.partitions}


def opposite(direction: str) -> str:
    return "back" if direction == "forward" else "forward"


def cut_of(facts: Facts, direction: str) -> dict[TopicPartition, tuple[int, int]]:
    """Where this direction starts: per partition (source offset, target offset), taken from the
    proof of the cut that went the other way; empty when there was none."""
    proof = offsets_in(facts.get(f"{opposite(direction)}.proof") or {})
    return {tp: (int(p["target_end"]), int(p["source_end"])) for tp, p in proof.items()}


def since(world: World, stamp: Mapping[str, float]) -> float:
    """Seconds since a stamp, at least 0. The monotonic clock where it can span it, so that a wall
    clock that jumps neither hurries nor delays a wait; after a reboot only the wall clock can."""
    gone = world.clock.monotonic() - float(stamp["monotonic"])
    return gone if gone >= 0 else max(0.0, world.clock.wall() - float(stamp["wall"]))
