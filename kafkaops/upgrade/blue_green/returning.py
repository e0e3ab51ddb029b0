"""Steps that keep the way back open: the idle cluster forgets the producers it knew, and later has
its settings again.

A moved librdkafka producer keeps its id and goes on counting. Back on a cluster that remembers
that id with an older sequence number it dies (OUT_OF_ORDER_SEQUENCE_NUMBER, fatal). Brokers
drop expired producers when they load their logs, by the value in their properties file: a
dynamic value is applied after that and takes effect only ten minutes later, so the file is
edited and each idle broker restarted.
"""

from __future__ import annotations

from typing import Any

from kafkaops.cutover import fence
from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import Blocked, State
from kafkaops.ports.host import Host
from kafkaops.ports.world import World
from kafkaops.upgrade import mounts
from kafkaops.upgrade.blue_green.move import Move, cluster_spec
from kafkaops.upgrade.blue_green.restarting import is_back

SETTING = "producer.id.expiration.ms"
DEFAULT = "86400000"
BEGIN, END = "# kafkaops: until the move is final", "# kafkaops: end"
BLOCK = f"{BEGIN}\n{SETTING}=1000\n{END}\n"


def without_block(text: str) -> str:
    """The file without our lines, otherwise to the letter as it was."""
    head, begin, rest = text.partition(BEGIN)
    if not begin:
        return text
    _, _, tail = rest.partition(END + "\n")
    return head + tail


class ReadyForReturn(Move):
    """Every broker of the idle source was restarted, one after another, with producer ids that
    expire after a second."""

    def check(self, world: World) -> State:
        return State.TODO if self.get(world, "return.ready") is None else State.DONE

    def safe(self, world: World) -> Blocked | None:
        states = fence.states(self.hosts(world, self.src))
        serving = sorted(name for name, state in states.items() if state.kind != "permanent")
        if serving:
            return Blocked("KO-NOT-IDLE", f"{serving} still serve clients", transient=False)
        return None

    def act(self, world: World) -> None:
        spec = cluster_spec(world, self.src)
        if self.get(world, "return.was") is None:
            self.put(world, "return.was", self._effective(world))
        done: list[str] = list(self.get(world, "return.restarted") or [])
        for chosen in spec.hosts:
            host = world.hosts[chosen.name]
            add_block(host, spec.properties)
            if chosen.name not in done:
                mounts.refuse_bare(spec, host)
                host.service_restart(spec.service)
                self._back_in_sync(world, chosen.node_id)
                done.append(chosen.name)
                self.put(world, "return.restarted", done)
        self.put(world, "return.ready", True)

    def undo(self, world: World) -> None:
        restore(world, self.src, self.get(world, "return.was"))
        for name in ("return.was", "return.restarted", "return.ready"):
            self.put(world, name, None)

    def _effective(self, world: World) -> str:
        settings: Any = self.source(world).snapshot().broker_config
        found = {values.get(SETTING) for values in settings.values()} - {None}
        return str(min(found, key=str)) if found else DEFAULT

    def _back_in_sync(self, world: World, node: int | None) -> None:
        deadline = world.clock.monotonic() + 300
        source = self.source(world)
        while world.clock.monotonic() < deadline:
            if node is not None and is_back(source, node):
                return
            world.clock.sleep(0.3)
        raise StepFailed(
            "KO-NOT-IN-SYNC", f"broker {node} of {self.src} is not back in every ISR after 300 s"
        )


class SettingsRestored(Move):
    """`settings of src`: our lines are out of the files, and the value that brokers apply is the
    one from before (as a dynamic default, for the running brokers have loaded ours)."""

    def check(self, world: World) -> State:
        return State.TODO if world.facts.get(self._was) is not None else State.DONE

    def act(self, world: World) -> None:
        restore(world, self.src, world.facts.get(self._was))
        for name in ("return.was", "return.restarted", "return.ready"):
            world.facts.put(f"{self.flow}.{name}", None)

    @property
    def _was(self) -> str:
        return f"{self.flow}.return.was"


def add_block(host: Host, path: str) -> None:
    text = _read(host, path)
    if BEGIN not in text:
        end = "" if text.endswith("\n") or not text else "\n"
        host.put(path, (text + end + BLOCK).encode())


def restore(world: World, colour: str, was: str | None) -> None:
    """Take our lines out of every host's file, and apply the value from before."""
    if was is None:
        return
    spec = cluster_spec(world, colour)
    for chosen in spec.hosts:
        host = world.hosts[chosen.name]
        text = _read(host, spec.properties)
        if BEGIN in text:
            host.put(spec.properties, without_block(text).encode())
    world.clusters[colour].alter_broker_config(None, {SETTING: was})


def _read(host: Host, path: str) -> str:
    data = host.read(path)
    if data is None:
        raise StepFailed(
            "KO-NO-PROPERTIES",
            f"there is no {path} on {host.name}",
            where=host.name,
            hint="set `properties` of the cluster to the broker's properties file",
        )
    return data.decode()
