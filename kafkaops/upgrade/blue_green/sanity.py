"""Steps that prove the target serves before any client is moved to it."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

from kafkaops.config.accepting import RACK_SPREAD, subjects
from kafkaops.engine.errors import StepFailed, TimedOut
from kafkaops.engine.step import Blocked, State
from kafkaops.model.partition import Topic, TopicPartition
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World
from kafkaops.upgrade import mounts
from kafkaops.upgrade.blue_green import outage
from kafkaops.upgrade.blue_green.mirroring import worker_host
from kafkaops.upgrade.blue_green.move import Once, cluster_spec
from kafkaops.upgrade.blue_green.restarting import is_back, thin

SCRATCH = "kafkaops-sanity"


def rack_faults(topics: dict[str, Topic], racks: dict[int, str | None]) -> list[str]:
    """Partitions whose replicas share a rack although there are enough racks, by name."""
    known = {rack for rack in racks.values() if rack is not None}
    faults = []
    for topic in topics.values():
        for part in topic.partitions:
            used = {racks.get(node) for node in part.replicas}
            if len(used) < min(len(part.replicas), len(known)):
                faults.append(f"{part.tp}: replicas {list(part.replicas)} in {len(used)} rack(s)")
    return faults


class Serves(Once):
    """A scratch topic is written and read through every broker of the target, every carried
    partition has a leader, and replicas are spread over racks."""

    def act(self, world: World) -> None:
        cluster = self.target(world)
        state = cluster.snapshot(full=False)
        topics = self.carried(world, cluster)
        leaderless = [str(p.tp) for t in topics.values() for p in t.partitions if p.leader < 0]
        if leaderless:
            raise StepFailed(
                "KO-NO-LEADER", f"{self.dst} has partitions without a leader: {leaderless[:10]}"
            )
        racks = {b.id: b.rack for b in state.brokers}
        waived = subjects(world.config.accept, RACK_SPREAD)
        told = {n: t for n, t in topics.items() if not any(fnmatchcase(n, g) for g in waived)}
        if faults := rack_faults(told, racks):
            raise StepFailed(
                RACK_SPREAD,
                f"{len(faults)} partitions on {self.dst} do not span the racks: {faults[:5]}",
                hint=f"move them, or accept {RACK_SPREAD} in the config",
            )
        roundtrip(cluster, sorted(b.id for b in state.brokers), world)
        self.finish(
            world, {"brokers": len(state.brokers), "rack_faults": rack_faults(topics, racks)}
        )

    def undo(self, world: World) -> None:
        if SCRATCH in self.target(world).topics():
            self.target(world).delete_topics([SCRATCH])
        self.forget(world)


def roundtrip(cluster: Cluster, brokers: list[int], world: World) -> None:
    """One partition led by each broker; a record in, the same record out."""
    if SCRATCH not in cluster.topics():
        rest = {i: [n, *[b for b in brokers if b != n]][:3] for i, n in enumerate(brokers)}
        cluster.create_topic(SCRATCH, rest, {"min.insync.replicas": "1"})
    for index, node in enumerate(brokers):
        tp = TopicPartition(SCRATCH, index)
        value = json.dumps({"node": node, "at": world.clock.wall()}).encode()
        (offset,) = cluster.produce(tp, [(None, value)])
        seen = cluster.consume(tp, offset, 1)
        if not seen or seen[0][1] != value:
            raise StepFailed(
                "KO-SANITY-READ", f"wrote a record through broker {node}, read back {seen!r}"
            )


class RestartsUnderRead(Once):
    """One broker of the target is restarted; the scratch topic stays writable and readable, and
    the broker comes back into every ISR. The scratch topic is gone then."""

    def check(self, world: World) -> State:
        proven = super().check(world) is State.DONE
        return State.DONE if proven and SCRATCH not in self.target(world).topics() else State.TODO

    def safe(self, world: World) -> Blocked | None:
        lacking = thin(self.target(world).topics())
        if lacking:
            return Blocked("KO-UNDER-REPLICATED", f"{self.dst} is still catching up: {lacking[:5]}")
        return None

    def act(self, world: World) -> None:
        if super().check(world) is not State.DONE:
            self._restart(world)
        self.target(world).delete_topics([SCRATCH])

    def _restart(self, world: World) -> None:
        spec = cluster_spec(world, self.dst)
        brokers = [h for h in spec.hosts if h.node_id is not None]
        if outage.planned(world.config):  # no other host need be reached as root
            ours = worker_host(world, self.flow).name
            brokers = [h for h in brokers if h.name == ours] or brokers
        chosen = min(brokers, key=lambda h: h.node_id or 0)
        host, cluster = world.hosts[chosen.name], self.target(world)
        others = [h.node_id for h in spec.hosts if h.node_id not in (None, chosen.node_id)]
        if SCRATCH not in cluster.topics():
            roundtrip(cluster, sorted(cluster.brokers_up()), world)
        mounts.refuse_bare(spec, host)
        host.service_restart(spec.service)
        tp = TopicPartition(SCRATCH, 0)
        deadline = world.clock.monotonic() + 120
        reads = 0
        while True:
            (offset,) = cluster.produce(tp, [(None, b"while restarting")])
            if not cluster.consume(tp, offset, 1):
                raise StepFailed("KO-SANITY-READ", "the scratch topic could not be read back")
            reads += 1
            if is_back(cluster, chosen.node_id or 0):
                break
            if world.clock.monotonic() > deadline:
                raise TimedOut(
                    "KO-SANITY-RESTART",
                    f"{chosen.name} did not come back into every ISR within 120 s",
                    hint=f"look at its log: kafkaops lab logs {chosen.name}",
                )
            world.clock.sleep(0.5)
        self.finish(world, {"restarted": chosen.name, "others": others, "round_trips": reads})
