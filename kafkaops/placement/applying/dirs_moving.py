"""A wave of replicas between the log directories of their brokers (JBOD, KIP-113)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from kafkaops.engine.step import Blocked, Progress, Spec, State
from kafkaops.model.cluster import LogDir
from kafkaops.model.partition import TopicPartition
from kafkaops.placement.applying import rates, spec_args
from kafkaops.placement.moves import DirMove
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World

MIB = 1 << 20
Dirs = Mapping[int, tuple[LogDir, ...]]


@dataclass(frozen=True)
class DirsMoved:
    """Done when each replica is where it is to be. `spec.args`: `cluster` (colour), `dirs` (see
    `spec_args`), `reserve` (bytes that stay free on each disk)."""

    spec: Spec

    @cached_property
    def dirs(self) -> tuple[DirMove, ...]:
        return spec_args.dirs_of(self.spec.args["dirs"])

    def check(self, world: World) -> State:
        found = self._read(world)
        left = [d for d in self.dirs if not over(d, found)]
        if not left and self._all_up(found):
            return State.DONE
        coming = any(d.tp in at(found, d.broker, d.target).arriving for d in left)
        return State.PENDING if coming else State.TODO

    def safe(self, world: World) -> Blocked | None:
        found = self._read(world)
        away = sorted({d.broker for d in self.dirs} - set(found))
        if away:
            names = ", ".join(map(str, away))
            return Blocked("KO-PLACEMENT-BROKER-DOWN", f"broker {names} is not up", "bring it up")
        for d in self.dirs:
            lies = where(d, found)
            if lies == "" and not over(d, found):
                failed = ", ".join(one.path for one in found.get(d.broker, ()) if one.error)
                return Blocked(
                    "KO-PLACEMENT-DISK",
                    f"{d.tp} of broker {d.broker} is in no directory, and {failed} cannot be read",
                    "repair that disk and start the broker, or cancel: kafkaops placement cancel",
                )
            if lies not in ("", d.source, d.target):
                return Blocked(
                    "KO-PLACEMENT-FOREIGN",
                    f"{d.tp} of broker {d.broker} is in {lies}, neither {d.source} nor {d.target}:"
                    " somebody else moved it",
                    "kafkaops placement cancel, and apply anew: it plans from what is there",
                    transient=False,
                )
        return self._room(found)

    def act(self, world: World) -> None:
        found = self._read(world)
        todo = [d for d in self.dirs if where(d, found) == d.source]
        self._cluster(world).move_log_dirs(by_broker(todo, lambda d: d.target))

    def undo(self, world: World) -> None:
        keep_where_they_are(self._cluster(world), self.dirs)

    def progress(self, world: World) -> Progress | None:
        found = self._read(world)
        done = 0
        for d in self.dirs:
            arrived = over(d, found)
            come = at(found, d.broker, d.target).arriving.get(d.tp, 0)
            done += d.bytes if arrived else min(d.bytes, come)
        total = sum(d.bytes for d in self.dirs)
        return Progress(done / MIB, total / MIB, "MiB")

    def _room(self, found: Dirs) -> Blocked | None:
        needs: dict[tuple[int, str], int] = {}
        for d in self.dirs:
            if where(d, found) == d.source:
                key = (d.broker, d.target)
                needs[key] = needs.get(key, 0) + d.bytes
        for (broker, path), need in sorted(needs.items()):
            target = at(found, broker, path)
            if target.error or (
                target.usable >= 0 and need + int(self.spec.args["reserve"]) > target.usable
            ):
                free = target.error or f"{rates.words(target.usable)} free"
                return Blocked(
                    "KO-PLACEMENT-DISK",
                    f"{path} of broker {broker} is to receive {rates.words(need)}: {free}",
                    "make room there, or cancel: kafkaops placement cancel",
                )
        return None

    def _all_up(self, found: Dirs) -> bool:
        return {d.broker for d in self.dirs} <= set(found)

    def _read(self, world: World) -> Dirs:
        return self._cluster(world).log_dirs({d.broker for d in self.dirs})

    def _cluster(self, world: World) -> Cluster:
        return world.clusters[str(self.spec.args["cluster"])]


def at(found: Dirs, broker: int, path: str) -> LogDir:
    """The directory; one with an error where the broker has no such, or is down."""
    mine = (one for one in found.get(broker, ()) if one.path == path)
    return next(mine, LogDir(path, error="it is not there"))


def where(move: DirMove, found: Dirs) -> str:
    """The path of the directory that has the replica; "" where none has (any more)."""
    mine = (one.path for one in found.get(move.broker, ()) if move.tp in one.replicas)
    return next(mine, "")


def over(move: DirMove, found: Dirs) -> bool:
    """There; or the broker has no such replica any more. What a directory holds that cannot be
    read is not known, so none of a broker with such a one counts as gone."""
    lies = where(move, found)
    hurt = any(one.error for one in found.get(move.broker, ()))
    return lies == move.target or (lies == "" and not hurt)


def keep_where_they_are(cluster: Cluster, dirs: Sequence[DirMove]) -> None:
    """Call off copies that are on their way: a replica sent to where it is stays there."""
    found = cluster.log_dirs({d.broker for d in dirs})
    coming = _coming(found, dirs)
    if coming:
        cluster.move_log_dirs(by_broker(coming, lambda d: where(d, found) or d.source))


def arriving(cluster: Cluster, dirs: Sequence[DirMove]) -> list[DirMove]:
    """Those of which a copy is on its way."""
    return _coming(cluster.log_dirs({d.broker for d in dirs}), dirs) if dirs else []


def _coming(found: Dirs, dirs: Sequence[DirMove]) -> list[DirMove]:
    return [d for d in dirs if d.tp in at(found, d.broker, d.target).arriving]


def by_broker(
    dirs: Iterable[DirMove], path: Callable[[DirMove], str]
) -> dict[int, dict[TopicPartition, str]]:
    found: dict[int, dict[TopicPartition, str]] = {}
    for d in dirs:
        found.setdefault(d.broker, {})[d.tp] = path(d)
    return found
