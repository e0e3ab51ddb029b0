"""Letting clients in again once every partition is led; where the last replica of one does not come
back, by an unclean election that the operator asked for by name.

Invariant: nobody is elected who was not in sync when the end offsets stood still, so the election
loses nothing that clients wrote: what was in sync then holds the same records. Of Kafka's own
topics that is not proven, so they are elected only where they were named as such.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from kafkaops.cutover import fence
from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import Blocked, State
from kafkaops.model.partition import Partition, TopicPartition
from kafkaops.model.words import counted
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.move import offsets_in, offsets_out
from kafkaops.upgrade.downtime.steps import OutageStep
from kafkaops.upgrade.rolling.node import named
from kafkaops.upgrade.rolling.phases import LOST, UNCLEAN

CLOSED = frozenset({"timed", "permanent"})
"""Kinds of a fence that lets nobody in."""
ELECTION = 30.0
"""Seconds that an election may take to be seen."""
LEVEL = 15.0
"""Seconds in which a leader that is back knows again how far its followers are: until then a
partition seems to end earlier."""
OWN = "__"
"""How the names of Kafka's own topics begin."""


class OpeningStep(OutageStep):
    """Knows which partitions were led before the outage and are not now."""

    def away(self, world: World) -> Mapping[TopicPartition, Partition]:
        topics = self.cluster(world).topics()
        before = in_sync_then(self.proven(world, "isr") or {})
        return {
            p.tp: p
            for t in topics.values()
            for p in t.partitions
            if p.leader < 0 and p.tp in before
        }

    def short(
        self, world: World, among: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, str]:
        """Those of `among` that end earlier than they did before the outage, with both ends."""
        before = offsets_in(self.proven(world, "still") or {})
        ends = self.cluster(world).ends([tp for tp in among if tp in before])
        return {
            tp: f"{tp} ends at {end.high_watermark}, not {before[tp]}"
            for tp, end in sorted(ends.items())
            if end.high_watermark < before[tp]
        }

    def meant(
        self, world: World, fact: str, among: Collection[TopicPartition]
    ) -> tuple[TopicPartition, ...]:
        """Those of `among` that the operator named: `fact` keeps the globs."""
        globs = world.facts.get(fact) or ()
        return tuple(tp for tp in among if any(_names(glob, tp) for glob in globs))


class Led(OpeningStep):
    """Every partition is led again, by itself or as the operator agreed to."""

    def check(self, world: World) -> State:
        """Once clients were let in nothing that was proven before holds any more."""
        if self.noted(world, "outage-over") is not None:
            return State.DONE
        return State.TODO if self.away(world) else State.DONE

    def safe(self, world: World) -> Blocked | None:
        away = self.away(world)
        agreed = self.meant(world, UNCLEAN, away)
        waiting = sorted(set(away) - set(agreed))
        if waiting:
            return Blocked(
                "KO-PARTITION-OFFLINE",
                f"{len(waiting)} partitions have no leader: {named(waiting)}; their last replica is"
                " not back",
                "bring that broker back, and resume; or elect another replica, which"
                f" {_known_of(waiting[0])}: kafkaops run resume --elect-unclean"
                f" {waiting[0].topic} --confirm {world.config.name}",
            )
        if agreed and (loose := self._loose(world)):
            return loose
        up = set(self.cluster(world).brokers_up())
        proven = in_sync_then(self.proven(world, "isr") or {})
        loses = sorted(tp for tp in agreed if not electable(away[tp], up, proven.get(tp, ())))
        if not loses:
            return None
        return Blocked(
            "KO-ELECT-LOSES",
            f"an unclean election could lose records of {named(loses)}: who is up was not in sync"
            " when the end offsets stood still, or nobody is up",
            "bring a broker back that was in sync, and resume",
            transient=False,
        )

    def act(self, world: World) -> None:
        agreed = self.meant(world, UNCLEAN, self.away(world))
        if not agreed:
            return
        loose = self._loose(world)
        if loose is not None:
            raise StepFailed(loose.code, loose.reason, hint=loose.hint)
        self._elect(world, agreed)

    def _loose(self, world: World) -> Blocked | None:
        """Why the ends that were proven may be the ends no more: somebody could have written."""
        states = fence.states(self.hosts(world))
        names = [name for name, state in states.items() if state.kind not in CLOSED]
        if not names and not self.proven(world, "let-in"):
            return None
        how = f"has opened it again on {named(names)}" if names else "had opened it meanwhile"
        return Blocked(
            "KO-OUTAGE-OVER",
            f"the CLIENT listener is to be closed, and its timer {how}: who was in sync before may"
            " lack what was written since",
            "bring the last replica back, and resume",
            transient=False,
        )

    def _elect(self, world: World, agreed: Collection[TopicPartition]) -> None:
        cluster, clock = self.cluster(world), world.clock
        world.say(
            f"unclean election, as asked, of {len(agreed)} partitions: {named(sorted(agreed))}"
        )
        cluster.elect_unclean(agreed)
        deadline = clock.monotonic() + ELECTION
        while left := set(self.away(world)) & set(agreed):
            if clock.monotonic() > deadline:
                raise StepFailed(
                    "KO-ELECT-NOBODY",
                    f"the election gave no leader to {named(sorted(left))}",
                    hint="look at the log of the active controller, then resume",
                )
            clock.sleep(1.0)
        short = self.short(world, agreed)
        if short:
            raise StepFailed(
                "KO-ELECT-SHORT",
                f"after the election {len(short)} partitions lack records:"
                f" {named(list(short.values()))}",
                hint="clients are still out; the last replica, if it was not started since, may"
                " hold what is missing; a resume says which partitions end earlier",
            )


class Opened(OpeningStep):
    """Clients are let in: every partition that was led before the outage is led again, and ends no
    earlier than then, however its brokers ended."""

    def check(self, world: World) -> State:
        if not self._open(world):
            return State.TODO
        self.stamp(world, "outage-over")
        known = ("ends-kept", "ends-told")  # the kernels may have let clients in, whatever ends
        return State.DONE if any(self.noted(world, name) for name in known) else State.TODO

    def _open(self, world: World) -> bool:
        kinds = {state.kind for state in fence.states(self.hosts(world)).values()}
        return kinds <= {"open", "absent"}

    def safe(self, world: World) -> Blocked | None:
        away = sorted(self.away(world))
        if not away:
            return None
        return Blocked(
            "KO-PARTITION-OFFLINE",
            f"{len(away)} partitions have no leader: {named(away)}",
            "bring their last replica back, and resume; see docs/rolling.md for what else there is",
        )

    def act(self, world: World) -> None:
        led = [
            p.tp
            for topic in self.cluster(world).topics().values()
            for p in topic.partitions
            if p.leader >= 0
        ]
        lost = self._still_short(world, led)
        is_open = self._open(world)
        short = self._missing(world, lost, was_open=is_open or bool(self.proven(world, "let-in")))
        given_up = self.meant(world, LOST, short)
        kept = [] if is_open else [tp for tp in lost if tp not in given_up]
        if kept:
            flags = f"--accept-lost {kept[0]} --confirm {world.config.name}"
            raise _ends_short(list(short.values()), flags)
        fence.lift(self.hosts(world), self.port)
        self.stamp(world, "outage-over")
        if short:
            self._tell(world, list(short.values()), asked=len(given_up) == len(short))
        else:
            before = offsets_in(self.proven(world, "still") or {})
            self.note(world, "ends-kept", {"partitions": sum(tp in before for tp in led)})

    def _missing(
        self, world: World, lost: Mapping[TopicPartition, str], *, was_open: bool
    ) -> Mapping[TopicPartition, str]:
        """What clients write once they are in may hide that records are missing: what was found
        before that stays found."""
        known = offsets_in(self.proven(world, "missing") or {}) if was_open else {}
        short = {**lost, **known}
        self.prove(world, "missing", offsets_out(short))
        return short

    def _tell(self, world: World, short: Sequence[str], *, asked: bool) -> None:
        """Once, with clients in."""
        if self.noted(world, "ends-told") is not None:
            return
        self.note(world, "ends-told", short)
        if not asked:
            raise _missed(short)
        world.say(f"given up, as asked: {named(short)}")

    def _still_short(
        self, world: World, led: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, str]:
        deadline = world.clock.monotonic() + LEVEL
        while (short := self.short(world, led)) and world.clock.monotonic() < deadline:
            world.clock.sleep(1.0)
        return short


def _missed(short: Collection[str]) -> StepFailed:
    return StepFailed(
        "KO-ENDS-SHORT",
        f"clients were let in when --outage was over, and {counted(len(short), 'partition')} ended"
        f" earlier than before it: {named(sorted(short))}",
        hint="what lay between those offsets is lost, unless a replica that was left out and"
        " not started since holds it; resume goes on to the end",
    )


def _ends_short(short: Collection[str], flags: str) -> StepFailed:
    verb = "ends" if len(short) == 1 else "end"
    return StepFailed(
        "KO-ENDS-SHORT",
        f"{counted(len(short), 'partition')} {verb} earlier than before the outage:"
        f" {named(sorted(short))}",
        hint="clients are still out, and the kernels let them in once --outage is over; see the"
        " logs of those that lead these. A replica that was left out and not started since may"
        f" hold what is missing. To give it up and let clients in: kafkaops run resume {flags}",
    )


def in_sync_then(kept: Mapping[str, Collection[str]]) -> dict[TopicPartition, tuple[int, ...]]:
    """Who was in sync with what when the end offsets stood still, from the facts: node to names."""
    found: dict[TopicPartition, tuple[int, ...]] = {}
    for node, names in kept.items():
        for name in names:
            topic, _, part = name.rpartition("/")
            tp = TopicPartition(topic, int(part))
            found[tp] = (*found.get(tp, ()), int(node))
    return found


def electable(part: Partition, up: Collection[int], proven: Collection[int]) -> bool:
    """Whether whoever the controller may elect holds every record: it takes the first of the
    replicas that is up."""
    candidates = [node for node in part.replicas if node in up]
    return bool(candidates) and set(candidates) <= set(proven)


def _names(glob: str, tp: TopicPartition) -> bool:
    """Whether a glob of `--elect-unclean` means this partition. Kafka's own topics are meant only
    by one that begins as their names do: nobody proved that they stood still."""
    if tp.topic.startswith(OWN) and not glob.startswith(OWN):
        return False
    return any(fnmatchcase(name, glob) for name in (tp.topic, str(tp)))


def _known_of(tp: TopicPartition) -> str:
    if tp.topic.startswith(OWN):
        return "may lack what Kafka itself wrote since clients were shut out"
    return "was in sync when the end offsets stood still"
