"""Starting a node, and waiting until its cluster has it again."""

from __future__ import annotations

from kafkaops.engine.errors import OpsError, StepFailed
from kafkaops.engine.step import Blocked, Progress, State
from kafkaops.model.cluster import Quorum
from kafkaops.ports.world import World
from kafkaops.upgrade import mounts
from kafkaops.upgrade.blue_green.move import since
from kafkaops.upgrade.gate_quorum import caught_up
from kafkaops.upgrade.install.release import running
from kafkaops.upgrade.rolling.node import NodeStep
from kafkaops.upgrade.rolling.process import LINES, LOADED, how, lives
from kafkaops.upgrade.rolling.stopping import see_end

START_TIMEOUT = 300.0
STALE = 30.0
"""Seconds in which metadata may still list a broker that was killed: more than its session takes to
run out (broker.session.timeout.ms, 9 s)."""


class Started(NodeStep):
    """Done when another process than before runs."""

    def check(self, world: World) -> State:
        if self.over(world, "up"):
            return State.DONE
        mark, unit = self.mark(world), self.unit(world)
        if mark is not None and unit.running and mark.replaced_by(unit):
            if self.get(world, "started") is None:
                self.seen(world, "started")
            return State.DONE
        return State.PENDING if unit.active == "activating" else State.TODO

    def safe(self, world: World) -> Blocked | None:
        return mounts.blocked(self.cluster_spec(world), self.host(world))

    def act(self, world: World) -> None:
        see_end(self, world)
        mounts.refuse_bare(self.cluster_spec(world), self.host(world))
        self.host(world).unit_start(self.service(world), timeout=START_TIMEOUT)


class Up(NodeStep):
    """Done when the node is registered with its own cluster, and a controller has caught up. It is
    never stopped for being slow: a broker that recovers its logs would begin anew."""

    def check(self, world: World) -> State:
        if self.over(world, "up"):
            return State.DONE
        ended = self.get(world, "ended") or {}
        killed = not ended.get("clean", True)
        if not lives(self, world, self.unit(world)):
            return State.PENDING
        if killed and since(world, ended) < STALE:
            return State.PENDING
        if not self._right_version(world):
            return State.PENDING
        cluster = self.cluster(world)
        self._same_cluster(world, cluster.cluster_id())
        if self.spec.args["broker"]:
            told = cluster.told_by(self.node, topics=False)
            if told is None:
                return State.PENDING
            self._same_cluster(world, told.cluster_id)
        if self.spec.args["voter"]:
            quorum = cluster.snapshot(full=False).quorum
            if quorum is None or quorum.leader < 0 or self.node not in quorum.voters:
                return State.PENDING
            if not caught_up(quorum, self.node) or not self._heard_of(world, quorum):
                return State.PENDING
        return self.seen(world, "up")

    def progress(self, world: World) -> Progress | None:
        unit = self.unit(world)
        if not unit.running:
            return Progress(0, None, "", f"its process is not running ({how(unit) or unit.active})")
        try:
            lines = self.host(world).journal(self.service(world), lines=LINES)
        except OpsError:  # it is only for the eye
            lines = ""
        loaded = LOADED.findall(lines)
        if not loaded and self._listed_long(world):
            return Progress(0, None, "", "the others list it, and it does not answer this machine")
        if not loaded:
            return Progress(0, None, "", "it runs and is not registered yet")
        done, total = loaded[-1]
        return Progress(float(done), float(total), "logs", "loading or recovering its logs")

    def _listed_long(self, world: World) -> bool:
        """Whether the others list the broker, and not still for the process from before."""
        started = self.get(world, "started")
        if not self.spec.args["broker"] or started is None:
            return False
        old = world.clock.wall() - float(started["at"]) > STALE
        return old and self.node in self.cluster(world).brokers_up()

    def _heard_of(self, world: World, quorum: Quorum) -> bool:
        """Whether the leader has heard of the voter since its start: one that was away for less
        than the fetch timeout still counts as caught up from before."""
        now = quorum.caught_up.get(self.node, -1)
        before = self.get(world, "caught-up")
        if before is None:
            self.put(world, "caught-up", now)
            before = now
        return quorum.leader == self.node or now < 0 or now > int(before)

    def _right_version(self, world: World) -> bool:
        """By the jars that the process holds open: the link only says what starts next. False
        while it holds none yet."""
        wanted = self.spec.args.get("version")
        if wanted is None:
            return True
        pid = self.unit(world).pid
        found = running(self.host(world).open_files(pid)) if pid else None
        if found is not None and str(found.release) != wanted:
            raise StepFailed(
                "KO-VERSION-RUNNING",
                f"{self.name} runs {found.release}, not {wanted}: its unit does not start what the"
                " link `current` says",
                where=self.name,
                hint=f"on that host: correct ExecStart of the unit, then systemctl restart"
                f" {self.service(world)}; then resume",
            )
        return found is not None

    def _same_cluster(self, world: World, now: str) -> None:
        wanted = str(self.spec.args["cluster_id"])
        if now != wanted:
            raise StepFailed(
                "KO-CLUSTER-OTHER",
                f"cluster {now} answers where {wanted} did: {self.name} may be in another cluster",
                where=self.name,
                hint="look at the config's bootstrap addresses, then resume",
            )
