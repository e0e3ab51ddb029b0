"""What a broker's link has left for copies, reckoned from what clients write. Pure.

What a broker's network carries for clients is told by no request. It is reckoned from what is
written to each partition: a replica receives it once, a leader sends it once to each follower and,
it is taken, once to a consumer. Of what is left of the link the copies get nine tenths. Invariant:
the rate is never below what the copies of a wave need to come to an end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from kafkaops.model.partition import Partition, TopicPartition
from kafkaops.placement.applying.waves import Setting, Wave, loads

SHARE = 0.9
CONSUMERS = 1
"""How often it is taken that each record is read."""
LEAST = 1 << 20
"""Bytes/s that a copy is given however busy the brokers are."""
NEEDED = 1.25
"""How often what clients write to the partitions of a wave it gets at the least."""


def spared(
    link: int,
    brokers: Collection[int],
    held: Iterable[Partition],
    incoming: Mapping[TopicPartition, float],
) -> int:
    """Bytes/s for each broker and direction: what the busiest of `brokers` has left of its link."""
    gets: dict[int, float] = {}
    sends: dict[int, float] = {}
    for part in held:
        rate = incoming.get(part.tp, 0.0)
        for broker in part.replicas:
            gets[broker] = gets.get(broker, 0.0) + rate
        copies = max(0, len(part.replicas) - 1) + CONSUMERS
        sends[part.leader] = sends.get(part.leader, 0.0) + rate * copies
    most = max((max(gets.get(b, 0.0), sends.get(b, 0.0)) for b in brokers), default=0.0)
    return max(LEAST, int(SHARE * (link - most)))


def floor(wave: Wave, setting: Setting) -> int:
    """The least rate that this wave is ever held to."""
    needs = (int(NEEDED * written) for _, written in loads(wave, setting).values())
    return max(LEAST, *needs, 0)


def longest(wave: Wave, setting: Setting) -> float:
    """Seconds that it takes at that rate."""
    rate = floor(wave, setting)
    times = (count / (rate - written) for count, written in loads(wave, setting).values())
    per: dict[int, int] = {}
    for one in wave.dirs:
        per[one.broker] = per.get(one.broker, 0) + one.bytes
    return max((*times, *(count / rate for count in per.values())), default=0.0)
