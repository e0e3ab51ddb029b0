"""Throttles put over what is set, and given back as they were.

What was set before is in the plan, so it is on disk before the first change. Invariant: a broker
that is down is passed over, and said so where its throttle stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from kafkaops.engine.step import Blocked, Spec, State
from kafkaops.placement.applying import throttle
from kafkaops.placement.applying.throttle import LEADER_RATE, LISTS, RATES, Change, Throttles
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World


@dataclass(frozen=True)
class Throttling:
    """`spec.args`: `cluster` (colour), `ours` and `before` (`Throttles` as JSON), `over`, the fact
    that the moves have ended: no resume throttles them again, and `rates`, the fact that tells to
    which rates they were tuned."""

    spec: Spec

    @cached_property
    def ours(self) -> Throttles:
        return Throttles.of(self.spec.args["ours"])

    @cached_property
    def before(self) -> Throttles:
        return Throttles.of(self.spec.args["before"])

    def cluster(self, world: World) -> Cluster:
        return world.clusters[str(self.spec.args["cluster"])]

    def rates(self, world: World) -> tuple[str, ...]:
        """The values that were set since, where the rate is tuned."""
        return tuple(map(str, world.facts.get(str(self.spec.args["rates"])) or ()))

    def wish(self, world: World) -> Throttles:
        """Ours, at the rate of now."""
        tuned = self.rates(world)
        return at_rate(self.ours, tuned[-1]) if tuned else self.ours

    def back(self, world: World) -> Change:
        """What is left to give back."""
        now = read(self.cluster(world), self.ours)
        return throttle.given_back(now, self.ours, self.before, self.rates(world))

    def left(self, world: World) -> list[str]:
        """What of ours is set, in words."""
        brokers, topics = self.back(world)
        found = []
        for name in RATES:
            on = sorted(b for b, own in brokers.items() if name in own)
            if on:
                found.append(f"{name} on broker {', '.join(map(str, on))}")
        if topics:
            found.append(f"lists of throttled replicas of topic {', '.join(sorted(topics))}")
        return found

    def give_back(self, world: World) -> None:
        """As it was before; says what could not be reached and what is somebody else's now. May be
        repeated."""
        now, rates = read(self.cluster(world), self.ours), self.rates(world)
        known = (now, self.ours, self.before, rates)
        change(self.cluster(world), *throttle.given_back(*known))
        for broker, own in throttle.others(*known).items():
            for name, value in own.items():
                words = "is not set any more" if value is None else f"is {value} now"
                world.say(f"broker {broker}: {name} {words}, by somebody else: it is left so")
        away = sorted(set(self.ours.brokers) - set(now.brokers))
        if away:
            world.say(
                f"broker {', '.join(map(str, away))} is down: {LEADER_RATE} and the like stay set"
                " on it; once it is up, kafkaops placement cancel clears them"
            )

    def safe(self, world: World) -> Blocked | None:
        return None


class Throttled(Throttling):
    """Done when all that is up, and there, holds what we want; or once the moves have ended."""

    def check(self, world: World) -> State:
        if world.facts.get(str(self.spec.args["over"])):
            return State.DONE
        todo = self._todo(world)
        return State.TODO if todo.brokers or todo.topics else State.DONE

    def act(self, world: World) -> None:
        todo = self._todo(world)
        change(self.cluster(world), todo.brokers, todo.topics)

    def _todo(self, world: World) -> Throttles:
        """What is missing, but for rates that somebody else set meanwhile: a resume leaves them."""
        now = read(self.cluster(world), self.ours)
        todo = throttle.missing(now, self.wish(world))
        theirs = throttle.others(now, self.ours, self.before, self.rates(world))
        brokers = {
            b: {n: v for n, v in own.items() if n not in theirs.get(b, {})}
            for b, own in todo.brokers.items()
        }
        return Throttles({b: own for b, own in brokers.items() if own}, todo.topics)

    def undo(self, world: World) -> None:
        self.give_back(world)


class Unthrottled(Throttling):
    """Done when nothing of ours is left on all that is up, and there, and it is known that it is
    over."""

    def check(self, world: World) -> State:
        over = world.facts.get(str(self.spec.args["over"]))
        return State.DONE if over and not any(self.back(world)) else State.TODO

    def act(self, world: World) -> None:
        world.facts.put(str(self.spec.args["over"]), True)
        self.give_back(world)

    def undo(self, world: World) -> None:
        """The way back sets its own."""


def read(cluster: Cluster, of: Throttles) -> Throttles:
    """What is set now on the brokers and topics that `of` names."""
    return Throttles(
        cluster.own_broker_configs(tuple(of.brokers), RATES) if of.brokers else {},
        cluster.own_topic_configs(tuple(of.topics), LISTS) if of.topics else {},
    )


def change(
    cluster: Cluster,
    brokers: Mapping[int, Mapping[str, str | None]],
    topics: Mapping[str, Mapping[str, str | None]],
) -> None:
    """One request for all topics, and one for each broker, all at once."""
    if topics:
        cluster.alter_topic_configs(topics)
    if brokers:
        cluster.alter_broker_configs(brokers)


def at_rate(ours: Throttles, rate: str) -> Throttles:
    """The same brokers and replicas at another rate."""
    brokers = {b: dict.fromkeys(own, rate) for b, own in ours.brokers.items()}
    return Throttles(brokers, ours.topics)
