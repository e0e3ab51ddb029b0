"""The steps that only an outage has; the others are those of a roll.

Invariant: no node is stopped before every broker's CLIENT listener is closed and the end offsets of
whatever clients write were seen to stand still; clients are let in again only when every partition
is led, and ends no earlier than it did.
"""

from __future__ import annotations

from typing import Any

from kafkaops.cutover import fence, hooks, standstill
from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import Blocked, Progress, State
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.host import Host
from kafkaops.ports.world import World
from kafkaops.upgrade import mounts
from kafkaops.upgrade.blue_green.move import offsets_out
from kafkaops.upgrade.install.release import running
from kafkaops.upgrade.rolling.node import Mark, NodeStep, in_sync, named
from kafkaops.upgrade.rolling.phases import WITHOUT
from kafkaops.upgrade.rolling.process import lives
from kafkaops.upgrade.rolling.stopping import TIMEOUT, see_end, unclean

DRAIN = 1.5
"""Seconds in which acknowledgements still get out."""


class OutageStep(NodeStep):
    """A step of the whole cluster. `spec.args`: `brokers`, the hosts of its brokers; `outage`, the
    seconds after which the kernels open the listener by themselves, whatever became of us; `proof`,
    how the names of the facts begin that say that nothing moved."""

    @property
    def brokers(self) -> list[str]:
        return [str(name) for name in self.spec.args["brokers"]]

    @property
    def port(self) -> int:
        return int(self.spec.args["port"])

    def hosts(self, world: World) -> list[Host]:
        without = world.facts.get(WITHOUT) or ()
        return [world.hosts[name] for name in self.brokers if name not in without]

    def safe(self, world: World) -> Blocked | None:
        """Until the ends stand still only a broker that is gone may be left out: one that runs
        would be neither closed nor stopped, and take writes while the others are away."""
        without = world.facts.get(WITHOUT) or ()
        left_out = [name for name in self.brokers if name in without]
        if not left_out or self.proven(world, "still") is not None:
            return None
        up = set(self.cluster(world).brokers_up())
        nodes = {h.name: h.node_id for h in self.cluster_spec(world).hosts}
        alive = [name for name in left_out if nodes.get(name) in up]
        if not alive:
            return None
        return Blocked(
            "KO-WITHOUT-ALIVE",
            f"{named(alive)} cannot be left out: its broker is registered, and would go on taking"
            " writes",
            "stop that broker, or wait until its registration has ended: it goes on by itself; or"
            " kafkaops run rollback",
        )

    def note(self, world: World, name: str, value: Any) -> None:
        world.facts.put(f"{self.notes}.{name}", value)

    def noted(self, world: World, name: str) -> Any | None:
        return world.facts.get(f"{self.notes}.{name}")

    def proven(self, world: World, name: str) -> Any | None:
        return world.facts.get(f"{self.spec.args['proof']}.{name}")

    def prove(self, world: World, name: str, value: Any) -> None:
        world.facts.put(f"{self.spec.args['proof']}.{name}", value)

    def stamp(self, world: World, name: str) -> None:
        clock = world.clock
        if self.noted(world, name) is None:
            self.note(world, name, {"wall": clock.wall(), "monotonic": clock.monotonic()})


class ClientsStopped(OutageStep):
    """Each is written down before its hook runs, so that going back also starts one whose hook
    failed half-way."""

    def check(self, world: World) -> State:
        return State.DONE if self.noted(world, "clients-stopped") else State.TODO

    def act(self, world: World) -> None:
        begun: list[str] = []
        for name in hooks.names(world):
            begun.append(name)
            self.note(world, "hooks-begun", begun)
            hooks.stop(world, [name])
        self.note(world, "clients-stopped", True)

    def undo(self, world: World) -> None:
        hooks.start(world, self.noted(world, "hooks-begun") or [])
        self.note(world, "hooks-begun", None)
        self.note(world, "clients-stopped", None)


class ClientsStarted(OutageStep):
    """The last of an outage. Here, with everybody back in service, stops that were not clean end
    the run once: a resume goes on."""

    def check(self, world: World) -> State:
        started = self.noted(world, "clients-started") is not None
        return State.DONE if started and not self._untold(world) else State.TODO

    def act(self, world: World) -> None:
        if self.noted(world, "clients-started") is None:
            hooks.start(world)
            self.note(world, "clients-started", True)
        untold = self._untold(world)
        if not untold:
            return
        self.note(world, "unclean-told", True)
        words = named([f"{host} ({how})" for host, how in untold.items()])
        ends = (
            ", every partition ends no earlier than before the outage,"
            if self.noted(world, "ends-kept")
            else ""
        )
        raise StepFailed(
            "KO-STOP-UNCLEAN",
            f"{words} did not end by itself when told to; all is in sync{ends} and clients are in"
            " again",
            where=next(iter(untold)),
            hint="look at its log, then resume",
        )

    def _untold(self, world: World) -> dict[str, str]:
        """Hosts whose node did not end by itself, with how it did, until that was told once."""
        if self.noted(world, "unclean-told"):
            return {}
        found: dict[str, str] = {}
        there = str(self.spec.args["proof"])  # where a way back goes on with its outage
        for way in dict.fromkeys((there, self.notes)):
            for host in self.cluster_spec(world).hosts:
                how = unclean(world.facts.get(f"{way}.{host.name}.ended"))
                found |= {host.name: how} if how else {}
        return found


class Closed(OutageStep):
    """Nobody reaches a broker's CLIENT listener; the kernels' timers end that by themselves. Once
    clients were let in for good it is not closed again: what is left to do needs no outage."""

    def check(self, world: World) -> State:
        if self.noted(world, "outage-over") is not None:
            return State.DONE
        kinds = {state.kind for state in fence.states(self.hosts(world)).values()}
        return State.DONE if kinds <= {"timed", "permanent"} else State.TODO

    def act(self, world: World) -> None:
        if self.proven(world, "still") is not None:
            self._was_open(world)
        fence.prepare(self.hosts(world), self.port)
        self.stamp(world, "outage-begun")
        fence.fire(
            self.hosts(world),
            port=self.port,
            budget=float(self.spec.args["outage"]),
            drain=DRAIN,
            clock=world.clock,
        )

    def _was_open(self, world: World) -> None:
        """Clients could write since the ends stood still. Before anybody was told to stop that is
        proven anew; afterwards it cannot be, and is written down."""
        proof = self.spec.args["proof"]
        marks = (f"{proof}.{host.name}.mark" for host in self.cluster_spec(world).hosts)
        if any(world.facts.get(mark) is not None for mark in marks):
            self.prove(world, "let-in", True)
        else:
            self.prove(world, "still", None)

    def undo(self, world: World) -> None:
        fence.lift(self.hosts(world), self.port)


class Still(OutageStep):
    """Two readings of every end offset are equal; who is in sync with what is written down, for the
    cluster cannot be asked once it is down. Kafka's own topics do not stand still before the
    sessions of those who were shut out have run out, and not for good then: where they ended is
    written down, and proves nothing of what comes after."""

    def check(self, world: World) -> State:
        return State.DONE if self.noted(world, "still") is not None else State.TODO

    def act(self, world: World) -> None:
        cluster = self.cluster(world)
        topics = cluster.topics()
        parts = [p.tp for t in topics.values() for p in t.partitions if p.leader >= 0]
        mine = [tp for tp in parts if not topics[tp.topic].internal]
        ends, _ = standstill.reach(cluster, mine, world.clock)
        own = [tp for tp in parts if topics[tp.topic].internal]
        ends = {**ends, **(cluster.ends(own) if own else {})}
        isr = {str(node): in_sync(topics, int(node)) for node in self.spec.args["nodes"]}
        self.note(world, "isr", {n: [f"{t}/{p}" for t, p in had] for n, had in isr.items()})
        self.note(world, "still", offsets_out({tp: e.high_watermark for tp, e in ends.items()}))

    def undo(self, world: World) -> None:
        self.note(world, "still", None)


class Down(OutageStep):
    """One node of a stage, stopped with time for its controlled shutdown."""

    def check(self, world: World) -> State:
        return State.DONE if self.over(world, "ended") else self.stop_state(world)

    def safe(self, world: World) -> Blocked | None:
        if self.proven(world, "still") is None:
            return Blocked("KO-NOT-STILL", "end offsets were not seen to stand still")
        loose = [
            name
            for name, state in fence.states(self.hosts(world)).items()
            if state.kind not in {"timed", "permanent"}
        ]
        if not loose:
            return None
        return Blocked(
            "KO-OUTAGE-OVER",
            f"the timer has opened the CLIENT listener again on {named(loose)}",
            "kafkaops run rollback, then plan with a longer --outage",
            transient=False,
        )

    def act(self, world: World) -> None:
        if self.check(world) is not State.TODO:
            return
        kept = (self.proven(world, "isr") or {}).get(str(self.node), [])
        names = (name.rpartition("/") for name in kept)
        had = tuple(TopicPartition(topic, int(part)) for topic, _, part in names)
        pid = self.unit(world).pid
        mark = Mark(self.host(world).now(), pid, had)
        self.put(world, "mark", mark.to_json())
        if self.get(world, "started") is not None:  # by somebody else, before it had its version
            self.put(world, "started", None)
        if not pid:  # how it ended is no news
            self.put(world, "told", True)
        see_end(self, world, self.host(world).unit_stop(self.service(world), timeout=TIMEOUT))

    def undo(self, world: World) -> None:
        if self.left_out(world):
            return
        if self.mark(world) is not None and not self.unit(world).running:
            mounts.refuse_bare(self.cluster_spec(world), self.host(world))
            self.host(world).unit_start(self.service(world))
            self.seen(world, "started")


class Runs(OutageStep):
    """A controller's process runs its version. More cannot be asked before a broker is up."""

    def check(self, world: World) -> State:
        if self.left_out(world):
            return State.DONE
        unit = self.unit(world)
        if not lives(self, world, unit):
            return State.PENDING
        found = running(self.host(world).open_files(unit.pid))
        if found is None:
            return State.PENDING
        if str(found.release) != self.spec.args["version"]:
            raise StepFailed(
                "KO-VERSION-RUNNING",
                f"{self.name} runs {found.release}, not {self.spec.args['version']}",
                where=self.name,
                hint=f"on that host: correct ExecStart of the unit, then systemctl restart"
                f" {self.service(world)}; then resume",
            )
        return State.DONE

    def progress(self, world: World) -> Progress | None:
        return Progress(0, None, "", "its process is on its way")
