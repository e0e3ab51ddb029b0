"""Steps that move the names while nobody notices: forward first, then one batch, then proof."""

from __future__ import annotations

from kafkaops.cutover import forward, names
from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import Blocked, Progress, State
from kafkaops.ports.host import Host
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.move import Move, cluster_spec, since

DRIFT = "KO-NAMES-DRIFT"


def strange(world: World) -> Blocked | None:
    """Why the records are not ours to write over: one says what neither this move nor its plan
    knows of."""
    found = world.names.records(names.wanted_names(world.config.cutover))
    planned = world.facts.get("names.planned") or []
    words = names.strangers(found, world.config, planned)
    if not words:
        return None
    return Blocked(
        DRIFT,
        f"changed by someone meanwhile: {'; '.join(words)}",
        hint="no record was changed: give each a value that was expected, then go on;"
        " kafkaops cutover show tells what they say",
        transient=False,
    )


class Forwarding(Move):
    """Each target host passes its CLIENT port on to the source broker of the same node id."""

    def check(self, world: World) -> State:
        pairs = self._pairs(world)
        on = all(forward.target_of(host) == address for host, address in pairs)
        return State.DONE if on and not self._wrong(world) else State.TODO

    def act(self, world: World) -> None:
        port = cluster_spec(world, self.dst).client_port
        for host, address in self._pairs(world):
            forward.on(host, address, port)
        wrong = self._wrong(world)
        if wrong:
            raise StepFailed(
                "KO-FORWARD",
                f"{wrong[0]} does not answer as {self.src}: a client would not be served there",
                hint="cutover.forward: refuse  where hosts cannot forward",
            )

    def undo(self, world: World) -> None:
        for host, _ in self._pairs(world):
            forward.off(host)

    def _pairs(self, world: World) -> list[tuple[Host, str]]:
        source = {h.node_id: h.address for h in cluster_spec(world, self.src).hosts}
        return [
            (world.hosts[h.name], source[h.node_id]) for h in cluster_spec(world, self.dst).hosts
        ]

    def _wrong(self, world: World) -> list[str]:
        wanted = self.source(world).cluster_id()
        spec = cluster_spec(world, self.dst)
        return [
            host.name
            for host in spec.hosts
            if world.probe.cluster_id(
                host.address, spec.client_port, names=names.asked_of(host, world.config.cutover)
            )
            != wanted
        ]


class NamesMoved(Move):
    """The records point to the target's hosts, the change is INSYNC, and resolvers say so."""

    def check(self, world: World) -> State:
        goal = self._goal(world)
        if not goal.reached:
            return State.TODO
        change = self.get(world, "names.change")
        if change and not world.names.in_sync(change):
            return State.PENDING
        if not all(world.names.answer(r.name) == r.values for r in goal.records):
            return State.PENDING
        if self.get(world, "time.names.answered") is None:
            self.stamp(world, "names.answered")
        return State.DONE if self._settled(world) else State.PENDING

    def safe(self, world: World) -> Blocked | None:
        goal = self._goal(world)
        planned = world.facts.get("names.planned") or []
        if not planned or self.flow == "back" or self.get(world, "names.change"):
            return strange(world)
        drift = names.drift(goal.found, planned)
        if drift:
            return Blocked(
                DRIFT,
                f"changed by someone since planning: {'; '.join(drift)}",
                hint="plan again",
                transient=False,
            )
        return None

    def safe_undo(self, world: World) -> Blocked | None:
        return strange(world)

    def act(self, world: World) -> None:
        goal = self._goal(world)
        change = world.names.change(
            goal.batch.delete, goal.batch.create, comment=f"kafkaops: names to {self.dst}"
        )
        self.put(world, "names.change", change)
        self.put(world, "time.names.answered", None)
        self.stamp(world, "names.moved")

    def undo(self, world: World) -> None:
        back = names.to_addresses(
            world.names.records(names.wanted_names(world.config.cutover)),
            world.config.cutover,
            cluster_spec(world, self.src),
        )
        if back.batch.create:
            change = world.names.change(
                back.batch.delete, back.batch.create, comment=f"kafkaops: names to {self.src}"
            )
            self.put(world, "names.back", change)

    def progress(self, world: World) -> Progress | None:
        change = self.get(world, "names.change")
        if change and not world.names.in_sync(change):
            return Progress(0, None, "", "waiting for INSYNC")
        answered = self.get(world, "time.names.answered")
        if answered is not None:
            wait = self._cached(world)
            return Progress(min(wait, since(world, answered)), wait, "s for caches to run out")
        return Progress(0, None, "", "waiting for resolvers to answer with the new addresses")

    def _goal(self, world: World) -> names.Goal:
        found = world.names.records(names.wanted_names(world.config.cutover))
        return names.to_addresses(found, world.config.cutover, cluster_spec(world, self.dst))

    def _settled(self, world: World) -> bool:
        """Where the target refuses instead of forwarding, caches must have run out first, counted
        from when every resolver had the new answer (INSYNC can take a minute)."""
        if world.config.cutover.forward == "forward":
            return True
        answered = self.get(world, "time.names.answered")
        return answered is not None and since(world, answered) >= self._cached(world)

    def _cached(self, world: World) -> float:
        """How long (seconds) clients may keep an old answer: a JVM 30 s whatever the TTL."""
        return float(max(world.config.cutover.cut_ttl, 30))
