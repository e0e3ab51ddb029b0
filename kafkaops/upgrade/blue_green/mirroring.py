"""Steps that run MirrorMaker 2: the worker on its host, the connector, and its end.

Invariant: one direction at a time. Under the identity policy a cycle copies for ever
(10 records became 12,960 in 40 s when tried).
"""

from __future__ import annotations

from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import Blocked, Progress, State
from kafkaops.mirror import config as rendering
from kafkaops.mirror import flow, worker
from kafkaops.placement.topics.assignment import Place, assign
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.connect import WorkerFound
from kafkaops.ports.host import Host
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.move import Move, opposite


def worker_host(world: World, direction: str) -> Host:
    """The host whose Connect worker mirrors in this direction: always one of the target."""
    mirror = world.config.mirror
    return world.hosts[mirror.host if direction == "forward" else mirror.back_host]


def both_ways(world: World, direction: str) -> Blocked | None:
    """The guard against a cycle: the mirror of the other direction must not run."""
    other = opposite(direction)
    if flow.is_running(world.connect[other], other):
        return Blocked(
            "KO-MIRROR-BOTH-WAYS",
            f"the mirror {other} is running; both at once would copy for ever",
            hint="stop it first: kafkaops run show",
            transient=False,
        )
    return None


def taken(world: World, direction: str) -> Blocked | None:
    """Why the worker of this direction cannot be, or is not, the one at its REST port: somebody
    else has it. Ours would end again at once, and the connector would be made on theirs."""
    connect, host = world.connect[direction], worker_host(world, direction)
    ours = worker.running(host)
    found = connect.who()
    if ours and (found is None or _is_ours(world, direction, found)):
        return None
    if not ours and found is None and not connect.listens():
        return None
    if not ours and worker.running(host):
        return None  # it came back between the looks
    who = "something that is no Connect worker"
    if found is not None:
        has = f", with connectors {', '.join(found.connectors[:5])}" if found.connectors else ""
        who = f"a Connect worker {found.version} of cluster {found.cluster_id}{has}"
    mirror = world.config.mirror
    key, port = (
        ("rest_port", mirror.rest_port)
        if direction == "forward"
        else ("back_rest_port", mirror.back_rest_port)
    )
    return Blocked(
        "KO-MIRROR-PORT",
        f"port {port} of {host.name} is taken: {who} answers at {connect.where}, not our worker",
        hint=f"on that host `ss -ltnp sport = :{port}` names it: end it, or set mirror.{key} to a"
        " free port",
        transient=False,
    )


def _is_ours(world: World, direction: str, found: WorkerFound) -> bool:
    target = world.clusters["green" if direction == "forward" else "blue"]
    mine = not found.connectors or rendering.name(direction) in found.connectors
    return mine and found.cluster_id == target.cluster_id()


def tend(world: World, direction: str) -> None:
    """Start a worker that died, and restart failed tasks a bounded number of times: a FAILED task
    does not end its worker, and a killed worker tells nobody. StepFailed KO-MIRROR-PORT where
    somebody else has its port meanwhile."""
    if not worker.running(worker_host(world, direction)):
        blocked = taken(world, direction)
        if blocked is not None:
            raise StepFailed(blocked.code, blocked.reason, hint=blocked.hint)
    worker.keep(
        worker_host(world, direction),
        world.config,
        direction,
        world.connect_command,
        secrets=world.secrets,
    )
    connect = world.connect[direction]
    if connect.ready():
        flow.mend(connect, direction, world.facts, world.clock)


def make_own_topics(cluster: Cluster, direction: str) -> None:
    """The worker's own topics, where they are missing. A worker that makes them itself looks into
    each at once, and where the cluster does not know it yet, Connect waits ten seconds before it
    looks again."""
    brokers = cluster.snapshot(full=False).brokers
    there = cluster.topics()
    places = [Place(b.id, b.rack or "") for b in brokers]
    for topic, partitions in rendering.own_topics(direction).items():
        if topic not in there:
            rows = assign(places, partitions, min(3, len(places)))
            cluster.create_topic(topic, rows, {"cleanup.policy": "compact"})


class WorkerUp(Move):
    """The Connect worker beside the target answers."""

    def check(self, world: World) -> State:
        if not worker.running(worker_host(world, self.flow)):
            return State.TODO
        if not self.connect(world).ready():
            return State.PENDING
        return State.TODO if taken(world, self.flow) else State.DONE

    def safe(self, world: World) -> Blocked | None:
        return taken(world, self.flow)

    def act(self, world: World) -> None:
        make_own_topics(self.target(world), self.flow)
        worker.start(
            worker_host(world, self.flow),
            world.config,
            self.flow,
            world.connect_command,
            secrets=world.secrets,
        )

    def undo(self, world: World) -> None:
        worker.stop(worker_host(world, self.flow))


class Mirroring(Move):
    """Every carried topic flows: the connector runs and no task has failed."""

    def check(self, world: World) -> State:
        if not flow.begun(world.facts, self.flow):
            return State.TODO  # what runs there is not of this run: it is begun anew
        tend(world, self.flow)
        return flow.state(self.connect(world), self.flow, world.config)

    def safe(self, world: World) -> Blocked | None:
        return both_ways(world, self.flow)

    def act(self, world: World) -> None:
        flow.begin(self.connect(world), self.flow, world.config, world.facts, world.clock)

    def progress(self, world: World) -> Progress | None:
        return Progress(0, None, "", flow.words(self.connect(world), self.flow))

    def undo(self, world: World) -> None:
        flow.remove(self.connect(world), self.flow)
        flow.forget(world.facts, self.flow)
