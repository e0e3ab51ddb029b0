"""One step on one host: the module, a file, the units, or a command of the module.

`spec.args`: `cluster` (colour), `host`, `node`, `broker`, `voter`, and what each class names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafkaops.engine.errors import ConfigError, StepFailed
from kafkaops.engine.step import Blocked, Spec, State
from kafkaops.ports.host import Host
from kafkaops.ports.world import World
from kafkaops.volumes.cluster import clearing, guarding
from kafkaops.volumes.cluster.on_host import status, typed
from kafkaops.volumes.module import CURRENT, HOME, ON_PATH, TO_COMMAND


@dataclass(frozen=True)
class HostStep:
    spec: Spec

    @property
    def name(self) -> str:
        return str(self.spec.args["host"])

    def host(self, world: World) -> Host:
        return world.hosts[self.name]

    def safe(self, world: World) -> Blocked | None:
        return None

    def undo(self, world: World) -> None:
        """Nothing to bring back, unless a step says otherwise."""

    def put(self, world: World, value: Any) -> None:
        world.facts.put(f"volumes.{self.spec.id}", value)

    def got(self, world: World) -> Any | None:
        return world.facts.get(f"volumes.{self.spec.id}")


class ModuleThere(HostStep):
    """`module` is the directory's name, `file` its tarball here, `sha512` its digest. Root's shell
    finds its command, unless something of that name is there already."""

    def check(self, world: World) -> State:
        host = self.host(world)
        there = host.link(CURRENT) == self.spec.args["module"] and not _absent(host, ON_PATH)
        return State.DONE if there else State.TODO

    def act(self, world: World) -> None:
        host, name = self.host(world), str(self.spec.args["module"])
        source = Path(str(self.spec.args["file"]))
        if not source.exists():
            raise ConfigError(
                "KO-MODULE-GONE",
                f"{source}, packed when this was planned, is gone",
                where=self.name,
                hint="plan again: kafkaops volume install",
            )
        if self.got(world) is None:
            self.put(world, {"link": host.link(CURRENT), "bare": _absent(host, ON_PATH)})
        tarball = f"{HOME}/{name}.tar.gz"
        host.upload(tarball, source, sha512=str(self.spec.args["sha512"]))
        host.unpack(tarball, f"{HOME}/{name}")
        host.remove(tarball)
        host.switch(CURRENT, name)
        if _absent(host, ON_PATH):
            host.switch(ON_PATH, TO_COMMAND)

    def undo(self, world: World) -> None:
        kept = self.got(world)
        if kept is None:
            return
        host = self.host(world)
        if kept.get("bare") and host.link(ON_PATH) == TO_COMMAND:
            host.remove(ON_PATH)
        if kept["link"] is None:
            host.remove(CURRENT)
        else:
            host.switch(CURRENT, str(kept["link"]))


def _absent(host: Host, path: str) -> bool:
    """Neither a link, dangling or not, nor anything else."""
    return host.link(path) is None and host.changed(path) is None


class FileThere(HostStep):
    """`path`, `text`, `mode`."""

    def check(self, world: World) -> State:
        found = self.host(world).read(str(self.spec.args["path"]))
        return State.DONE if found == str(self.spec.args["text"]).encode() else State.TODO

    def act(self, world: World) -> None:
        host, path = self.host(world), str(self.spec.args["path"])
        if self.got(world) is None:
            before = host.read(path)
            self.put(world, {"text": None if before is None else before.decode()})
        host.put(path, str(self.spec.args["text"]).encode(), mode=int(self.spec.args["mode"]))

    def undo(self, world: World) -> None:
        kept = self.got(world)
        if kept is None:
            return
        host, path = self.host(world), str(self.spec.args["path"])
        if kept["text"] is None:
            host.remove(path)
        else:
            host.put(path, str(kept["text"]).encode(), mode=int(self.spec.args["mode"]))


class UnitsEnabled(HostStep):
    """`units`, each with its kind. Nothing is started."""

    def check(self, world: World) -> State:
        host = self.host(world)
        found = [host.unit(str(name)) for name in self.spec.args["units"]]
        return State.DONE if all(u.enabled and not u.stale for u in found) else State.TODO

    def act(self, world: World) -> None:
        host = self.host(world)
        host.units_reload()
        for name in self.spec.args["units"]:
            host.unit_enable(str(name))

    def undo(self, world: World) -> None:
        host = self.host(world)
        for name in self.spec.args["units"]:
            host.unit_enable(str(name), on=False)


class VolumeStep(HostStep):
    """A command of the module for one `volume`, in its own time: a host may have many disks."""

    @property
    def volume(self) -> str:
        return str(self.spec.args["volume"])

    def row(self, world: World) -> Mapping[str, Any]:
        """What `volume status` says of it."""
        [found] = status(self.host(world), self.volume, "--local")
        return found

    def type(self, world: World, verb: str, *flags: str) -> dict[str, Any]:
        return typed(self.host(world), verb, self.volume, *flags)

    @property
    def copies(self) -> str:
        """The URI below which its copies lie, or empty."""
        return str(self.spec.args["copies"])


class Prepared(VolumeStep):
    """The volume is mounted and sound. `label` is what a controller's blank disk takes."""

    def check(self, world: World) -> State:
        return State.DONE if self.row(world)["good"] else State.TODO

    def safe(self, world: World) -> Blocked | None:
        if not self.spec.args["broker"] or self.spec.args["new"]:
            return None
        cluster = world.clusters[str(self.spec.args["cluster"])]
        return guarding.blocked(cluster.topics().values(), int(self.spec.args["node"]))

    def act(self, world: World) -> None:
        label = str(self.spec.args["label"])
        self.type(
            world, "prepare", *(["--confirm", label] if self.spec.args["voter"] else ["--yes"])
        )


class Mounted(VolumeStep):
    """Unlocked and mounted."""

    def check(self, world: World) -> State:
        return State.DONE if self.row(world)["good"] else State.TODO

    def act(self, world: World) -> None:
        self.type(world, "mount")


class Typed(VolumeStep):
    """`verb` and `flags` typed on the host once; what it does twice does no harm."""

    def check(self, world: World) -> State:
        return State.TODO if self.got(world) is None else State.DONE

    def act(self, world: World) -> None:
        told = self.type(world, str(self.spec.args["verb"]), *map(str, self.spec.args["flags"]))
        self.put(world, {"volumes": told.get("volumes", [])})


class Rewrapped(Typed):
    """Its data key is wrapped anew."""

    def act(self, world: World) -> None:
        before = self.row(world)["key_id"]
        try:
            super().act(world)
        except StepFailed as error:
            row = self.row(world)
            if not clearing.refused(error, self.copies) or row["key_id"] == before:
                raise
            clearing.delete(
                world, self.copies, row, but=row["key_id"]
            )  # its last act, done from here
            self.put(world, {"volumes": [row]})


class Rotated(VolumeStep):
    """It has another data key than when this step began, and no rotation is under way. One that
    was begun before counts: its new key is what was asked for."""

    def check(self, world: World) -> State:
        before = self.got(world)
        if before is None:
            return State.TODO
        row = self.row(world)
        same = row["key_id"] == before["key_id"]
        return State.TODO if same or row["rotating"] else State.DONE

    def act(self, world: World) -> None:
        if self.got(world) is None:
            row = self.row(world)
            self.put(world, {"key_id": "" if row["rotating"] else row["key_id"]})
        try:
            self.type(world, "rotate", "--yes")
        except StepFailed as error:
            row = self.row(world)
            if not clearing.refused(error, self.copies) or not row["rotating"]:
                raise
            clearing.delete(world, self.copies, row, but=row["key_id"])
            self.type(world, "rotate", "--yes")


class Erased(VolumeStep):
    """Nothing on its disk can be read any more. Only of a node that left the cluster."""

    def check(self, world: World) -> State:
        return State.DONE if self.row(world)["state"] == "blank" else State.TODO

    def safe(self, world: World) -> Blocked | None:
        cluster = world.clusters[str(self.spec.args["cluster"])]
        return guarding.stays(
            cluster.topics().values(), int(self.spec.args["node"]), voter=self.spec.args["voter"]
        )

    def act(self, world: World) -> None:
        host, label = self.host(world), str(self.spec.args["label"])
        clearing.erase(world, host, self.volume, label, self.copies)
