"""Steps after the target is open: every client seen, the way back kept warm."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from kafkaops.config.accepting import NOT_SEEN, subjects
from kafkaops.cutover import fence
from kafkaops.engine.step import Blocked, Progress, State
from kafkaops.mirror import flow
from kafkaops.ports.world import World
from kafkaops.upgrade import parity
from kafkaops.upgrade.blue_green import outage, strangers
from kafkaops.upgrade.blue_green.mirroring import both_ways, tend
from kafkaops.upgrade.blue_green.move import (
    Move,
    cluster_spec,
    cut_of,
    epochs,
    offsets_in,
    opposite,
    partitions_of,
    since,
)

LOOK = 0.2
"""Seconds between two looks at the groups while their consumers are held."""


class FencePersistent(Move):
    """The source's fence survives a reboot of its hosts."""

    def check(self, world: World) -> State:
        kept = fence.persistent(self.hosts(world, self.src))
        return State.DONE if all(kept.values()) else State.TODO

    def act(self, world: World) -> None:
        fence.persist(self.hosts(world, self.src), cluster_spec(world, self.src).client_port)
        fence.forget(self.hosts(world, self.dst))

    def undo(self, world: World) -> None:
        fence.forget(self.hosts(world, self.src))


class Rejoined(Move):
    """Nobody fetches on the target before every group has come together there as large as it was,
    or `rejoin_window` is over: a consumer that reads on by itself does so from the offset that it
    had on the other cluster, and one that compares leader epochs (KIP-320) takes the difference
    for a truncated log and begins anew. The hosts' kernels end it by themselves."""

    def check(self, world: World) -> State:
        return State.TODO if fence.rejoining(self.hosts(world, self.dst)) else State.DONE

    def act(self, world: World) -> None:
        wanted: dict[str, int] = self.get(world, "members") or {}
        clock = world.clock
        until = clock.monotonic() + world.config.cutover.rejoin_window
        while clock.monotonic() < until and not self._together(world, wanted):
            clock.sleep(LOOK)
        fence.fetch(self.hosts(world, self.dst))
        self.stamp(world, "rejoined")

    def _together(self, world: World, wanted: Mapping[str, int]) -> bool:
        now = {g.id: g for g in self.target(world).groups(offsets=False)}
        return all(
            name in now and now[name].state == "Stable" and len(now[name].members) >= count
            for name, count in wanted.items()
        )


class ClientsSeen(Move):
    """Every group that was consuming is seen consuming on the target, and every topic that
    advanced before the fence is seen growing; the others are listed as silent."""

    def check(self, world: World) -> State:
        if self.get(world, "clients.seen") is not None:
            return State.DONE
        missing = self.missing(world)
        if not missing["consuming"] and not missing["growing"]:
            if not outage.planned(world.config):
                fence.forget_knocks(self.hosts(world, self.src))  # who knocks from now on is lost
            self.stamp(world, "clients.seen")
            before = self.get(world, "before") or {}
            topics = sorted(self.carried(world, self.target(world)))
            silent = sorted(set(topics) - set(before.get("growing", [])))
            self.put(
                world,
                "clients.seen",
                {"silent_topics": silent, "elected": self._elected(world), **before},
            )
            return State.DONE
        return State.PENDING

    def act(self, world: World) -> None:
        """Clients move by themselves."""

    def _elected(self, world: World) -> list[str]:
        """Partitions whose leader changed between the last look before the fence and now, when a
        producer that the target had never seen may have had several batches under way."""
        kept = offsets_in(self.get(world, "epochs") or {})
        now = epochs(self.carried(world, self.target(world)))
        return [str(tp) for tp in sorted(kept) if now.get(tp, kept[tp]) != kept[tp]]

    def progress(self, world: World) -> Progress | None:
        missing = self.missing(world)
        wanted = self.get(world, "before") or {"growing": [], "consuming": []}
        total = len(wanted["growing"]) + len(wanted["consuming"])
        left = len(missing["growing"]) + len(missing["consuming"])
        words = [f"group {g} not seen" for g in missing["consuming"]]
        words += [f"topic {t} not growing" for t in missing["growing"]]
        return Progress(total - left, total, "seen", "; ".join(words[:4]))

    def missing(self, world: World) -> dict[str, list[str]]:
        before = self.get(world, "before") or {"growing": [], "consuming": []}
        target = self.target(world)
        topics = self.carried(world, target)
        sealed = {
            tp: int(p["target_end"]) for tp, p in offsets_in(self.get(world, "proof") or {}).items()
        }
        parts = [tp for tp in partitions_of(topics) if tp in sealed]
        now = target.ends(parts)
        grown = {tp.topic for tp in parts if now[tp].high_watermark > sealed[tp]}
        live = {g.id for g in target.groups(offsets=False) if g.members}
        missing = {
            "growing": sorted(set(before["growing"]) & set(topics) - grown),
            "consuming": sorted(set(before["consuming"]) - live),
        }
        waived = subjects(world.config.accept, NOT_SEEN)
        return {
            kind: [name for name in names if not any(fnmatchcase(name, w) for w in waived)]
            for kind, names in missing.items()
        }


class DeltaMirror(Move):
    """The mirror the other way, from the cut: only what is new flows. `src` is where clients
    write now. The offsets are the cut's own ends, minus one, for Connect keeps the last one."""

    def check(self, world: World) -> State:
        if self.get(world, "delta.started") is not None:
            tend(world, self.flow)  # a task that failed since would wait for somebody for ever
        return flow.state(self.connect(world), self.flow, world.config)

    def safe(self, world: World) -> Blocked | None:
        return both_ways(world, self.flow)

    def progress(self, world: World) -> Progress | None:
        return Progress(0, None, "", flow.words(self.connect(world), self.flow))

    def act(self, world: World) -> None:
        # blue's own LogAppendTime would rewrite what is copied; the next cut puts it back
        opened = parity.open_timestamps(self.target(world))
        kept = self.get(world, "parity.deferred") or []
        self.put(
            world,
            "parity.deferred",
            [*kept, *map(list, opened)],
        )
        start = {tp: offset for tp, (offset, _) in cut_of(world.facts, self.flow).items()}
        flow.start_from(
            self.connect(world),
            self.flow,
            world.config,
            self.src,
            start,
            world.clock,
        )
        self.put(world, "delta.started", True)

    def undo(self, world: World) -> None:
        flow.remove(self.connect(world), self.flow)
        self.put(world, "delta.started", None)


class NoStrangers(Move):
    """The mirror back and its comparison run, and the old cluster holds nothing the mirror did not
    write: a record there that came another way is an alarm."""

    def check(self, world: World) -> State:
        if self.get(world, "verify.started") is None:
            return State.TODO
        status = strangers.alarm(world, self.flow, self.dst)
        return State.DONE if strangers.close(status, world.config) else State.PENDING

    def act(self, world: World) -> None:
        self.put(world, "verify.started", True)
        self.verification(world).start()

    def undo(self, world: World) -> None:
        self.verification(world).stop()
        self.put(world, "verify.started", None)


class CarriedBack(Move):
    """What was created on the new cluster since the cut exists on the old one too."""

    def check(self, world: World) -> State:
        diff = parity.between(self.source(world), self.target(world), world.config)
        return State.DONE if diff.empty else State.TODO

    def act(self, world: World) -> None:
        parity.apply(
            parity.between(self.source(world), self.target(world), world.config),
            self.target(world),
        )


class Baked(Move):
    """The new cluster has served for `gates.bake` seconds, and the old one was watched for
    strangers all the while: a fence does not hold back who comes by another listener."""

    def check(self, world: World) -> State:
        strangers.alarm(world, opposite(self.flow), self.src)
        return State.DONE if self._left(world) <= 0 else State.PENDING

    def act(self, world: World) -> None:
        """Nothing to do but wait."""

    def progress(self, world: World) -> Progress | None:
        bake = world.config.gates.bake
        return Progress(bake - self._left(world), bake, "s baked")

    def _left(self, world: World) -> float:
        opened = self.get(world, "time.opened")
        if opened is None:
            return world.config.gates.bake
        return world.config.gates.bake - since(world, opened)
