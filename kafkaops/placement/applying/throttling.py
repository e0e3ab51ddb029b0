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
from kafkaops.placement.applying.throttle import LEADER_RATE, LISTS, RATES, Throttles
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World

TUNED = "placement.rate"
"""The fact that tells the rate, where it is no longer the plan's."""


@dataclass(frozen=True)
class Throttling:
    """`spec.args`: `cluster` (colour), `ours` and `before` (`Throttles` as JSON), and `over`, the
    fact that the moves have ended: no resume throttles them again."""

    spec: Spec

    @cached_property
    def ours(self) -> Throttles:
        return Throttles.of(self.spec.args["ours"])

    @cached_property
    def before(self) -> Throttles:
        return Throttles.of(self.spec.args["before"])

    def cluster(self, world: World) -> Cluster:
        return world.clusters[str(self.spec.args["cluster"])]

    def wish(self, world: World) -> Throttles:
        """Ours, at the rate of now."""
        tuned = world.facts.get(TUNED)
        return self.ours if tuned is None else at_rate(self.ours, tuned)

    def safe(self, world: World) -> Blocked | None:
        return None


class Throttled(Throttling):
    """Done when all that is up, and there, holds what we want; or once the moves have ended."""

    def check(self, world: World) -> State:
        if world.facts.get(str(self.spec.args["over"])):
            return State.DONE
        todo = throttle.missing(read(self.cluster(world), self.ours), self.wish(world))
        return State.TODO if todo.brokers or todo.topics else State.DONE

    def act(self, world: World) -> None:
        todo = throttle.missing(read(self.cluster(world), self.ours), self.wish(world))
        change(self.cluster(world), todo.brokers, todo.topics)

    def undo(self, world: World) -> None:
        give_back(self.cluster(world), self.ours, self.before)


class Unthrottled(Throttling):
    """Done when all that is up, and there, is as it was before."""

    def check(self, world: World) -> State:
        back = throttle.given_back(read(self.cluster(world), self.ours), self.ours, self.before)
        return State.TODO if any(back) else State.DONE

    def act(self, world: World) -> None:
        world.facts.put(str(self.spec.args["over"]), True)
        for line in give_back(self.cluster(world), self.ours, self.before):
            world.say(line)

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


def give_back(cluster: Cluster, ours: Throttles, before: Throttles) -> list[str]:
    """As it was before; what could not be reached, in words. May be repeated."""
    now = read(cluster, ours)
    change(cluster, *throttle.given_back(now, ours, before))
    away = sorted(set(ours.brokers) - set(now.brokers))
    if not away:
        return []
    return [
        f"broker {', '.join(map(str, away))} is down: {LEADER_RATE} and the like stay set on it;"
        " kafkaops placement status shows them once it is up"
    ]


def at_rate(ours: Throttles, rate: int) -> Throttles:
    """The same brokers and replicas at another rate."""
    brokers = {b: dict.fromkeys(own, str(rate)) for b, own in ours.brokers.items()}
    return Throttles(brokers, ours.topics)
