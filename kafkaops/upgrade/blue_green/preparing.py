"""Steps before any data flows: TTL, the target closed to clients, parity, producer ids."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from kafkaops.cutover import fence, names
from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import Blocked, Progress, State
from kafkaops.model.cluster import ClusterState
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World
from kafkaops.upgrade import parity, parity_producers, parity_undo
from kafkaops.upgrade.blue_green import outage
from kafkaops.upgrade.blue_green.move import Move, Once, cluster_spec, partitions_of, since

AT_ONCE = 16
LOST = "lost"
"""Stands for the id of a change that nobody may have written down."""


class TtlLowered(Move):
    """All our names have the short TTL of the cut, at every server of theirs: the old one begins to
    pass here, while clusters are built and compared. What they had before is remembered."""

    def check(self, world: World) -> State:
        cut = world.config.cutover
        found = world.names.records(names.wanted_names(cut))
        if not all(r.ttl == cut.cut_ttl for r in found):
            return State.TODO
        return State.DONE if _served(world) else State.PENDING

    def progress(self, world: World) -> Progress | None:
        return Progress(0, None, "", "waiting for INSYNC")

    def act(self, world: World) -> None:
        cut = world.config.cutover
        found = world.names.records(names.wanted_names(cut))
        kept = world.facts.get("ttl.before") or {r.name: r.ttl for r in found}
        world.facts.put("ttl.before", kept)
        batch = names.with_ttl(found, {r.name: cut.cut_ttl for r in found})
        world.facts.put("ttl.change", LOST)  # a process that dies here must not cost the wait
        _changed(world)
        change = world.names.change(batch.delete, batch.create, comment="kafkaops: lower TTL")
        world.facts.put("ttl.change", change)
        _changed(world)

    def undo(self, world: World) -> None:
        kept = world.facts.get("ttl.before")
        if not kept:
            return
        found = world.names.records(names.wanted_names(world.config.cutover))
        batch = names.with_ttl(found, kept)
        if batch.create:
            world.names.change(batch.delete, batch.create, comment="kafkaops: restore TTL")


def _changed(world: World) -> None:
    """When the names' servers had the new TTL at the latest that is known."""
    now = {"wall": world.clock.wall(), "monotonic": world.clock.monotonic()}
    world.facts.put("ttl.changed", now)


def _served(world: World) -> bool:
    """Whether every server of the names has the lower TTL; noted when that is first seen. A change
    whose id died with its process is given the time that Route 53 takes."""
    change = world.facts.get("ttl.change")
    if change is None:
        return True
    if change == LOST:
        if since(world, world.facts.get("ttl.changed") or {}) < outage.INSYNC:
            return False
    elif not world.names.in_sync(change):
        return False
    _changed(world)
    world.facts.put("ttl.change", None)
    return True


class TtlWaited(Move):
    """One old TTL has passed since every server of the names had the lower one, so no cache holds
    the old answer for longer."""

    def check(self, world: World) -> State:
        if not _served(world):
            return State.PENDING
        return State.DONE if self._left(world) <= 0 else State.PENDING

    def act(self, world: World) -> None:
        """Nothing to do but wait."""

    def progress(self, world: World) -> Progress | None:
        if world.facts.get("ttl.change") is not None:
            return Progress(0, None, "", "waiting for INSYNC")
        old = float(max((world.facts.get("ttl.before") or {"": 0}).values()))
        return Progress(old - self._left(world), old, "s waited")

    def _left(self, world: World) -> float:
        changed = world.facts.get("ttl.changed")
        if changed is None:
            return 0.0
        old = float(max((world.facts.get("ttl.before") or {"": 0}).values()))
        return old - since(world, changed)


def lacking(world: World) -> Blocked | None:
    """What is said where green is not whole yet."""
    missing = world.provision.missing()
    if not missing:
        return None
    why = f"green is not whole: {'; '.join(missing)}"
    return Blocked("KO-GREEN-MISSING", why, hint=world.provision.remedy())


class GreenThere(Once):
    """All of green that the config names is there, as they say who provide it. What falls away
    before that is waited for; later steps see to what they need."""

    def safe(self, world: World) -> Blocked | None:
        return lacking(world)

    def act(self, world: World) -> None:
        self.finish(world)  # clusters are built by others

    def undo(self, world: World) -> None:
        self.forget(world)


class ClosedToClients(Move):
    """The CLIENT listener of every target host is fenced for good, proven by the rules in force."""

    def check(self, world: World) -> State:
        states = fence.states(self.hosts(world, self.dst))
        return State.DONE if all(s.kind == "permanent" for s in states.values()) else State.TODO

    def act(self, world: World) -> None:
        hosts = self.hosts(world, self.dst)
        port = self._port(world)
        fence.prepare(hosts, port)
        fence.close(hosts, port)

    def undo(self, world: World) -> None:
        hosts = self.hosts(world, self.dst)
        fence.lift(hosts, self._port(world))
        fence.forget(hosts)

    def _port(self, world: World) -> int:
        return cluster_spec(world, self.dst).client_port


class FenceReady(Move):
    """The source hosts hold our firewall table, with nothing fenced yet; whether requests can be
    told apart on either cluster's CLIENT listener is known."""

    def check(self, world: World) -> State:
        if self.get(world, "client.plain") is None:
            return State.TODO
        states = fence.states(self.hosts(world, self.src))
        return State.TODO if any(s.kind == "absent" for s in states.values()) else State.DONE

    def act(self, world: World) -> None:
        fence.prepare(self.hosts(world, self.src), cluster_spec(world, self.src).client_port)
        plain = {
            colour: is_plain(
                world.clusters[colour].snapshot(), cluster_spec(world, colour).client_listener
            )
            for colour in (self.src, self.dst)
        }
        self.put(world, "client.plain", plain)

    def undo(self, world: World) -> None:
        fence.remove(self.hosts(world, self.src))
        self.put(world, "client.plain", None)


def is_plain(state: ClusterState, listener: str) -> bool:
    """Whether every broker's listener of this name speaks without TLS, so that a request's kind
    can be read on the wire; False where a broker does not say."""
    found = []
    for config in state.broker_config.values():
        pairs = (config.get("listener.security.protocol.map") or "").split(",")
        protocols = dict(pair.strip().partition(":")[::2] for pair in pairs)
        found.append(protocols.get(listener, ""))
    return bool(found) and all(f in {"PLAINTEXT", "SASL_PLAINTEXT"} for f in found)


def carry(step: Move, world: World) -> None:
    """Carry out the difference, and remember what an undo must take back and the cut must set."""
    there = step.target(world).snapshot()
    diff = parity.diff(step.source(world).snapshot(), there, exclude=world.config.mirror.exclude)
    known = step.get(world, "parity.created") or []
    created = sorted({*known, *(t.name for t in diff.create)})
    changed = parity_undo.noted(diff, there, created, step.get(world, "parity.changed"))
    # before anything is changed: an undo must know it
    step.put(world, "parity.created", created)
    step.put(world, "parity.changed", changed)
    step.put(world, "parity.deferred", [list(d) for d in diff.deferred])
    parity.apply(diff, step.target(world))


class Parity(Move):
    """Topics, partitions, effective configs, ACLs and quotas: the difference is zero."""

    def check(self, world: World) -> State:
        diff = parity.between(self.source(world), self.target(world), world.config)
        return State.DONE if diff.empty else State.TODO

    def act(self, world: World) -> None:
        carry(self, world)

    def undo(self, world: World) -> None:
        """Delete what we created on the target, as long as clients have never written there, and
        put back what it had. Partitions that were added to a topic of its own stay."""
        created = self.get(world, "parity.created") or []
        present = [t for t in created if t in self.target(world).topics()]
        if present:
            self.target(world).delete_topics(present)
        parity_undo.take_back(self.get(world, "parity.changed") or {}, self.target(world))


class ProducerIdsRaised(Move):
    """Every broker of the target hands out ids above the source's highest.

    Both clusters count from 0; a moved idempotent producer whose id the target already knows on
    that partition dies of OUT_OF_ORDER_SEQUENCE_NUMBER.
    """

    def check(self, world: World) -> State:
        raised = self.get(world, f"ids.{self.spec.id}")
        return State.TODO if raised is None else State.DONE

    def act(self, world: World) -> None:
        source, target = self.source(world), self.target(world)
        seen = source.producers(partitions_of(self.carried(world, source)))
        taken = _taken(source, dict.fromkeys(source.brokers_up(), 1))
        goal = parity_producers.goal(seen, taken, margin=int(self.spec.args.get("margin", 0)))
        reached = _taken(target, dict.fromkeys(target.brokers_up(), 1))
        for _ in range(10_000):
            wanted = parity_producers.needed(reached, goal)
            if not wanted:
                break
            reached |= _taken(target, wanted)
        else:
            raise StepFailed("KO-PRODUCER-IDS", f"ids of {self.dst} stay below {goal}: {reached}")
        self.put(
            world,
            f"ids.{self.spec.id}",
            {"goal": goal, "reached": {str(b): last for b, last in reached.items()}},
        )

    def undo(self, world: World) -> None:
        self.put(world, f"ids.{self.spec.id}", None)


def _taken(cluster: Cluster, wanted: Mapping[int, int]) -> dict[int, int]:
    """The highest id of those taken, by broker: from all at once, for once it is done inside the
    pause."""
    if not wanted:
        return {}
    with ThreadPoolExecutor(min(AT_ONCE, len(wanted))) as pool:
        taken = pool.map(cluster.init_producer_ids, wanted.keys(), wanted.values())
        return dict(zip(wanted, taken, strict=True))
