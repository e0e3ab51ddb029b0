"""Calling off what is on its way: the brokers and the order of before, exactly.

Kafka's own cancel takes the new replicas away and leaves the rest in the order of the target:
[1,2,3] to [4,2,1] called off is [2,1,3]. So the order of before is submitted again, which copies
nothing. Invariant: what only new replicas hold is not called off; it is left to come to its end and
named. What somebody else sent, or put into another order, is left alone: an order is submitted only
over the same replicas, so nothing is ever copied here. One that names a broker which is registered
no more is refused by Kafka; it is named, and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import StepFailed, TimedOut
from kafkaops.model.partition import Partition, Topic, TopicPartition
from kafkaops.model.requests import parts
from kafkaops.placement.applying import gate
from kafkaops.placement.applying.standing import Stand, partitions, stands
from kafkaops.placement.moves import Move
from kafkaops.ports.cluster import Cluster

PATIENCE = 60.0
"""Seconds for the brokers to show what the controller did at once."""
EVERY = 0.25
SETTLE = 1.0
"""Seconds in which the brokers hear of what the controller did last: what has just ended must not
look as if it had never begun."""


Verify = Callable[[], None]
"""Raises unless the lease is still ours."""


def _unleased() -> None:
    """Inside of a step the engine has just verified it."""


@dataclass(frozen=True)
class CalledOff:
    """`returned` are back where they were, `finished` were there already and stay, `kept` go on,
    as only what is new holds enough of them; `foreign` are somebody else's now; `unordered` are on
    their brokers of before in an order that Kafka refuses to change."""

    returned: tuple[TopicPartition, ...] = ()
    finished: tuple[TopicPartition, ...] = ()
    kept: tuple[str, ...] = ()
    foreign: tuple[TopicPartition, ...] = ()
    unordered: tuple[str, ...] = ()


def call_off(
    cluster: Cluster, clock: Clock, moves: Sequence[Move], verify: Verify = _unleased
) -> CalledOff:
    """`moves` are those that were begun, by whichever process; `verify` is asked before each
    request. May be repeated after a crash. TimedOut (KO-PLACEMENT-CALLING-OFF) where the brokers do
    not show it."""
    names = sorted({m.tp.topic for m in moves})

    def look(configs: bool = False) -> tuple[dict[TopicPartition, Stand], Mapping[str, Topic]]:
        moving = cluster.reassignments()
        topics = cluster.some_topics(names, configs=configs)
        return stands(moves, topics, moving), topics

    clock.sleep(SETTLE)
    standing, topics = look(configs=True)
    found = partitions(topics)
    moving = [m for m in moves if standing[m.tp] is Stand.MOVING]
    kept = {m.tp: why for m in moving if (why := too_few(m, topics, found.get(m.tp)))}
    back = {m.tp for m in moving if m.tp not in kept}
    for some in parts(sorted(back)):
        verify()
        back.difference_update(cluster.reassign(dict.fromkeys(some)))
    wanted = [m for m in moves if m.tp not in kept]
    _until(clock, "it is called off", lambda: _unsettled(wanted, look()[0]))
    standing, topics = look()
    found = partitions(topics)
    awry = [
        m
        for m in wanted
        if standing[m.tp] is Stand.BEFORE
        and set(found[m.tp].replicas) == set(m.before)
        # whatever a late broker shows, the order of what was called off is another one now
        and (m.tp in back or found[m.tp].replicas != m.before)
    ]
    refused = _ordered(cluster, awry, verify)
    done = [m for m in awry if m.tp not in refused]

    def in_order() -> list[TopicPartition]:
        now = partitions(look()[1])
        return [m.tp for m in done if m.tp in now and now[m.tp].replicas != m.before]

    _until(clock, "the order of before is back", in_order)
    ends, topics = look()
    found = partitions(topics)
    return CalledOff(
        returned=tuple(m.tp for m in done),
        finished=tuple(tp for tp, s in ends.items() if s is Stand.THERE),
        kept=tuple(kept.values()),
        foreign=tuple(m.tp for m in wanted if _foreign(m, ends[m.tp], found.get(m.tp))),
        unordered=tuple(refused.values()),
    )


def _foreign(move: Move, stand: Stand, part: Partition | None) -> bool:
    """Moved by somebody else, or there and given another order."""
    other = part is not None and set(part.replicas) != set(move.before)
    return stand is Stand.STRANGE or (stand is Stand.BEFORE and other)


def _ordered(cluster: Cluster, moves: Sequence[Move], verify: Verify) -> dict[TopicPartition, str]:
    """The order of before, submitted; in words where Kafka refuses it."""
    up = set(cluster.brokers_up())
    refused: dict[TopicPartition, str] = {}
    for part in parts([m for m in moves if up.issuperset(m.before)]):
        verify()
        cluster.reassign({m.tp: m.before for m in part})
    for part in parts([m for m in moves if not up.issuperset(m.before)]):
        try:
            verify()
            cluster.reassign({m.tp: m.before for m in part})
        except StepFailed:  # which of them, is told one by one
            for m in part:
                try:
                    verify()
                    cluster.reassign({m.tp: m.before})
                except StepFailed as error:
                    refused[m.tp] = f"{m.tp} does not get back {list(m.before)}: {error.message}"
    return refused


def too_few(move: Move, topics: Mapping[str, Topic], part: Partition | None) -> str:
    """Why it must go on: without its new replicas too few would be in sync. "" where it need not.
    Nothing is lost by a cancel that leaves all that are in sync."""
    if part is None:
        return ""
    survivors = [b for b in part.isr if b in move.before]
    least = min(gate.minimum(topics[move.tp.topic], part), len(move.before))
    if survivors and (len(survivors) >= least or len(survivors) == len(part.isr)):
        return ""
    return f"{move.tp} has {sorted(part.isr)} in sync, and of those would keep {sorted(survivors)}"


def _unsettled(
    moves: Sequence[Move], standing: Mapping[TopicPartition, Stand]
) -> list[TopicPartition]:
    return [m.tp for m in moves if standing[m.tp] in (Stand.MOVING, Stand.SETTLING)]


def _until(clock: Clock, what: str, left: Callable[[], list[TopicPartition]]) -> None:
    deadline = clock.monotonic() + PATIENCE
    while missing := left():
        if clock.monotonic() >= deadline:
            raise TimedOut(
                "KO-PLACEMENT-CALLING-OFF",
                f"{PATIENCE:g} s on, not yet so that {what}: {', '.join(map(str, missing[:5]))}",
                hint="the same command again goes on with it",
            )
        clock.sleep(EVERY)
