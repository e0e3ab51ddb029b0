"""What would happen if these nodes stopped now: asked of fresh metadata before each stop. Pure.

The counterfactual, partition by partition: who would have no leader, who could not be written,
who would lose records. It looks at every partition that the nodes hold, whichever nodes were
chosen to be rolled; at nothing else, so a broker that died elsewhere does not hold the roll up.
It counts nothing and remembers nothing: the same metadata gives the same answer after an hour,
so whoever waits decides how long, and `missing` says whether waiting gets anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from fnmatch import fnmatchcase

from kafkaops.engine.step import Blocked
from kafkaops.model.cluster import ClusterState
from kafkaops.model.min_isr import MinIsr
from kafkaops.model.partition import Partition, Topic, TopicPartition
from kafkaops.model.words import counted, said_of
from kafkaops.upgrade.gate_quorum import FETCH_TIMEOUT, caught_up, quorum

_SHOWN = 5


class Harm(Enum):
    """What stopping the nodes would do, worst first."""

    LOST = "would lose records"  # an unclean election
    OFFLINE = "would have no leader"
    ALONE = "has one replica only"  # RF 1: no leader, in any order
    UNWRITABLE = "could not be written"
    FIRST_BACK = "is under min ISR and may need this broker first"
    MOVING = "is being reassigned"
    UNKNOWN = "has an unknown min ISR"


CODES = {
    Harm.LOST: "KO-GATE-UNCLEAN",
    Harm.OFFLINE: "KO-GATE-OFFLINE",
    Harm.ALONE: "KO-RF-ONE",
    Harm.UNWRITABLE: "KO-ISR-BELOW-MIN",
    Harm.FIRST_BACK: "KO-GATE-FIRST-BACK",
    Harm.MOVING: "KO-REASSIGNING",
    Harm.UNKNOWN: "KO-MIN-ISR-UNKNOWN",
}


@dataclass(frozen=True)
class Effect:
    """One partition that would suffer. `in_sync` replicas would be left of the `minimum` that
    writes need; `spare` could be down if all were in sync. `missing` are not in sync now, and
    `transient` says whether waiting for them cures it. `accepted` by name."""

    tp: TopicPartition
    harm: Harm
    in_sync: int
    minimum: int
    spare: int
    missing: tuple[int, ...] = ()
    transient: bool = True
    accepted: bool = False


@dataclass(frozen=True)
class Verdict:
    """`effects` holds accepted ones too; `blocked` is why not to stop, permanent ones first;
    `warnings` is what cannot be made any safer."""

    nodes: tuple[int, ...]
    effects: tuple[Effect, ...]
    blocked: tuple[Blocked, ...]
    warnings: tuple[str, ...] = ()

    @property
    def go(self) -> bool:
        return not self.blocked

    @property
    def missing(self) -> int:
        """Replicas that the gate waits for: does it fall from look to look, waiting helps."""
        return sum(len(e.missing) for e in self.effects if e.transient and not e.accepted)


@dataclass(frozen=True)
class Rules:
    """`accept` are globs of topics or partitions that may be unavailable: they are still waited
    for while their replicas catch up, and never cover lost records. `fetch_timeout` in ms is the
    controllers' controller.quorum.fetch.timeout.ms. `stuck` are nodes that started and did not come
    up: one that still is not up serves nobody, and is asked for its vote alone."""

    accept: tuple[str, ...] = ()
    fetch_timeout: int = FETCH_TIMEOUT
    stuck: tuple[int, ...] = ()


def judge(state: ClusterState, stopping: Collection[int], rules: Rules | None = None) -> Verdict:
    """Whether `stopping` (node ids, all that are to be down at once and are not yet) may stop.
    `state` must hold topic configs."""
    rules = rules or Rules()
    every = sorted(set(stopping))
    nodes = tuple(n for n in every if n not in rules.stuck or serves(state, n))
    effects = tuple(_effects(state, frozenset(nodes), rules))
    voting = [n for n in every if n in nodes or _votes(state, n, rules.fetch_timeout)]
    votes, warnings = quorum(state, voting, rules.fetch_timeout)
    blocked = [*_not_up(state, nodes), *votes, *_blocked(effects, state, nodes)]
    blocked.sort(key=lambda b: b.transient)
    return Verdict(nodes, effects, tuple(blocked), tuple(warnings))


def _not_up(state: ClusterState, nodes: Sequence[int]) -> Iterator[Blocked]:
    """A broker that has not registered may be recovering its logs: to stop it begins that anew."""
    up = {b.id for b in state.brokers}
    for node in nodes:
        if node not in up and not only_controller(state, node):
            yield Blocked(
                "KO-GATE-NOT-UP",
                f"node {node} is not up: it is down already, or recovering its logs",
                "let it come up; do not stop it again",
            )


def serves(state: ClusterState, node: int) -> bool:
    """Whether the cluster has the node: a broker that is registered, or a controller, no broker,
    that has caught up."""
    if any(b.id == node for b in state.brokers):
        return True
    return only_controller(state, node) and _votes(state, node, FETCH_TIMEOUT)


def _votes(state: ClusterState, node: int, timeout: int) -> bool:
    q = state.quorum
    return q is not None and node in q.voters and caught_up(q, node, timeout)


def only_controller(state: ClusterState, node: int) -> bool:
    """Whether the node votes and holds no replica: brokers' metadata never lists it."""
    parts = (p for t in state.topics.values() for p in t.partitions)
    voter = state.quorum is not None and node in state.quorum.voters
    return voter and not any(node in p.replicas for p in parts)


def _effects(state: ClusterState, nodes: frozenset[int], rules: Rules) -> Iterator[Effect]:
    setting = MinIsr(state)
    look = _Look(state, nodes)
    for _, topic in sorted(state.topics.items()):
        for p in topic.partitions:
            if nodes.isdisjoint(p.replicas):
                continue
            found = look.effect(topic, p, setting.wanted(topic, p.replicas))
            if found is None:
                continue
            named = any(fnmatchcase(n, g) for n in (topic.name, str(p.tp)) for g in rules.accept)
            coming = found.transient and look.up.issuperset(found.missing)
            accepted = named and found.harm is not Harm.LOST and not coming
            yield replace(found, accepted=accepted)


class _Look:
    """The partitions of one cluster without some nodes."""

    def __init__(self, state: ClusterState, nodes: frozenset[int]) -> None:
        self.nodes = nodes
        self.up = frozenset(b.id for b in state.brokers)
        self.moving = frozenset(state.reassigning)
        self.removing = state.removing

    def effect(self, topic: Topic, p: Partition, wanted: int | None) -> Effect | None:
        """What would happen to the partition; None where nothing would."""
        leaving = self.removing.get(p.tp, ())
        stays = [r for r in p.replicas if r not in leaving]
        isr = [r for r in p.isr if r not in leaving and r in self.up]
        left = [r for r in isr if r not in self.nodes]
        missing = tuple(r for r in stays if r not in isr)
        if wanted is None:
            return Effect(p.tp, Harm.UNKNOWN, len(left), 0, 0, transient=False)
        minimum = min(wanted, len(stays))
        spare = len(stays) - minimum
        harm = self._harm(topic, stays, isr, left, minimum)
        if p.tp in self.moving and p.tp not in self.removing:
            return Effect(p.tp, Harm.MOVING, len(left), minimum, spare, missing)
        if harm is None:
            return None
        # Waiting cures it if the rule holds once everybody is in sync. A replica whose disk is
        # gone (offline though its broker is up) does not come back by itself.
        need = minimum if len(stays) > minimum else 1
        enough = sum(r not in self.nodes for r in stays) >= need
        dead = any(r in p.offline and r in self.up for r in missing)
        never = len(stays) <= minimum and harm is Harm.UNWRITABLE
        cured = enough and bool(missing) and not dead and not never
        return Effect(p.tp, harm, len(left), minimum, spare, missing, cured)

    def _harm(
        self,
        topic: Topic,
        stays: Sequence[int],
        isr: Sequence[int],
        left: Sequence[int],
        minimum: int,
    ) -> Harm | None:
        if not isr:
            return Harm.FIRST_BACK
        if not left:
            if _unclean(topic) and any(r in self.up and r not in self.nodes for r in stays):
                return Harm.LOST
            return Harm.ALONE if len(stays) == 1 else Harm.OFFLINE
        hurts = len(left) < len(isr)
        if len(stays) <= minimum:  # not writable with one down, whatever we wait for
            return Harm.UNWRITABLE if hurts else None
        if len(left) >= minimum:
            return None
        return Harm.UNWRITABLE if hurts else Harm.FIRST_BACK


def _unclean(topic: Topic) -> bool:
    return topic.config.values.get("unclean.leader.election.enable") == "true"


def _blocked(
    effects: Sequence[Effect], state: ClusterState, nodes: Sequence[int]
) -> Iterator[Blocked]:
    """One reason for each kind of harm, waiting apart from what waiting cannot cure."""
    up = {b.id for b in state.brokers}
    for harm in Harm:
        for transient in (False, True):
            some = [
                e for e in effects if e.harm is harm and e.transient is transient and not e.accepted
            ]
            if some:
                yield Blocked(
                    CODES[harm],
                    f"{counted(len(some), 'partition')} {said_of(len(some), harm.value)}:"
                    f" {_names(some)}",
                    _hint(harm, some, transient, up, together=len(nodes) > 1),
                    transient,
                )


def _hint(
    harm: Harm, some: Sequence[Effect], transient: bool, up: Collection[int], *, together: bool
) -> str:
    if harm is Harm.MOVING:
        return "wait until the reassignment has ended, or cancel it"
    if harm is Harm.UNKNOWN:
        return "read the topics' configs too"
    missing = sorted({r for e in some for r in e.missing})
    if transient:
        down = [r for r in missing if r not in up]
        if down:
            return f"bring back broker {', '.join(map(str, down))}"
        return f"wait until broker {', '.join(map(str, missing))} has caught up"
    if harm is Harm.LOST or any(e.spare > 0 for e in some):  # what is lost cannot be accepted
        if together:
            return "stop fewer brokers at once"
        return f"replicas on broker {', '.join(map(str, missing))} do not come back by waiting"
    return f"--accept-unavailable {some[0].tp.topic}, or raise its replication factor"


def _names(some: Sequence[Effect]) -> str:
    shown = ", ".join(str(e.tp) for e in some[:_SHOWN])
    return shown + (f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else "")
