"""The rate that the brokers can spare, measured: at the start, and again while replicas move.

What a broker's network carries for clients is told by no request. It is reckoned from what is
written to each partition: a replica receives it once, a leader sends it once to each follower and,
it is taken, once to a consumer. Of what is left of the link the copies get nine tenths. Invariant:
the rate is never below what the copies need to come to an end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from kafkaops.model.cluster import LogDir
from kafkaops.model.partition import Partition, TopicPartition
from kafkaops.placement.applying import rates, throttle
from kafkaops.placement.applying.standing import partitions
from kafkaops.placement.applying.throttle import RATES, Throttles
from kafkaops.placement.applying.waves import Kind, Setting, Wave, loads
from kafkaops.placement.moves import Move
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World

SHARE = 0.9
CONSUMERS = 1
"""How often it is taken that each record is read."""
LEAST = 1 << 20
"""Bytes/s that a copy is given however busy the brokers are."""
EVERY = 30.0
"""Seconds between two measurements while replicas move."""
WINDOW = 3.0
"""Seconds over which it is measured what clients write."""
CHANGE = 0.1
"""The part by which a rate must differ to be set anew."""
AT = "placement.measured"
FACT = "placement.rates"


def written(
    world: World, cluster: Cluster, sizes: Mapping[TopicPartition, int]
) -> dict[TopicPartition, float]:
    """Bytes/s that clients write to each of these partitions now: records over a short window, at
    the average size of those that the log holds. A log without bytes has no size to go by."""
    sized = {tp: size for tp, size in sizes.items() if size > 0}
    if not sized:
        return {}
    begun = world.clock.monotonic()
    first = cluster.ends(sized)
    world.clock.sleep(WINDOW)
    last = cluster.ends(sized)
    passed = max(WINDOW, world.clock.monotonic() - begun)
    found: dict[TopicPartition, float] = {}
    for tp, ends in last.items():
        records = ends.high_watermark - ends.start
        came = ends.high_watermark - first[tp].high_watermark
        if records > 0 and came > 0:
            found[tp] = came / passed * sized[tp] / records
    return found


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


def sizes_of(dirs: Mapping[int, tuple[LogDir, ...]]) -> dict[TopicPartition, int]:
    """Bytes of each partition's largest replica."""
    found: dict[TopicPartition, int] = {}
    for of_broker in dirs.values():
        for one in of_broker:
            for tp, size in one.replicas.items():
                found[tp] = max(size, found.get(tp, 0))
    return found


def retune(world: World, cluster: Cluster, moves: Sequence[Move], link: int) -> None:
    """Measure anew where that is due, and hold the brokers of these moves to the new rate."""
    now, last = world.clock.wall(), world.facts.get(AT)
    if last is not None and 0 <= now - float(last) < EVERY:
        return
    world.facts.put(AT, now)
    held = partitions(cluster.topics())
    incoming = written(world, cluster, sizes_of(cluster.log_dirs(cluster.brokers_up())))
    brokers = throttle.wanted(moves, (), 0, Throttles()).brokers
    rate = spared(link, brokers, held.values(), incoming)
    wave = loads(Wave(Kind.COPY, tuple(moves)), Setting(incoming=incoming))
    rate = max(rate, *(int(1.25 * needs) for _, needs in wave.values()), 0)
    known = list(world.facts.get(FACT) or ())
    if known and abs(rate - known[-1]) <= CHANGE * known[-1]:
        return
    world.facts.put(FACT, [*known, rate])
    up = cluster.own_broker_configs(tuple(brokers), RATES)
    wanted = {b: dict.fromkeys(own, str(rate)) for b, own in brokers.items() if b in up}
    cluster.alter_broker_configs(wanted)
    world.say(f"measured anew: copies are held to {rates.words(rate, per_second=True)}")
