"""Throttles that are set, and which run they belong to. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kafkaops.placement.applying.throttle import RATES, Throttles


@dataclass(frozen=True)
class Claim:
    """What a run set, and what was set before it; `rates` are the values that it tuned to."""

    run: str
    ours: Throttles
    before: Throttles
    rates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """One throttle that is set: on `broker 3` or `topic orders`. `run` is the run that set it, ""
    where it is somebody else's."""

    where: str
    name: str
    value: str
    run: str = ""


def held(now: Throttles, claims: Iterable[Claim]) -> tuple[Held, ...]:
    """Every throttle of brokers and topics. A run owns a rate of a value that it set, where none or
    another was before; and a list that has replicas of its own in it."""
    runs = tuple(claims)
    found: list[Held] = []
    for broker, own in sorted(now.brokers.items()):
        for name, value in sorted(own.items()):
            mine = (c.run for c in runs if _rate_of(c, broker, name, value))
            found.append(Held(f"broker {broker}", name, value, next(mine, "")))
    for topic, own in sorted(now.topics.items()):
        for name, value in sorted(own.items()):
            if value:
                mine = (c.run for c in runs if _list_of(c, topic, name, value))
                found.append(Held(f"topic {topic}", name, value, next(mine, "")))
    return tuple(found)


def _rate_of(claim: Claim, broker: int, name: str, value: str) -> bool:
    mine = claim.ours.brokers.get(broker, {})
    before = claim.before.brokers.get(broker, {}).get(name)
    ours = name in RATES and name in mine and value in (mine[name], *claim.rates)
    return ours and value != before


def _list_of(claim: Claim, topic: str, name: str, value: str) -> bool:
    mine = set(claim.ours.topics.get(topic, {}).get(name, "").split(","))
    before = set(claim.before.topics.get(topic, {}).get(name, "").split(","))
    return bool((mine - before) & set(value.split(",")) - {"*"})
