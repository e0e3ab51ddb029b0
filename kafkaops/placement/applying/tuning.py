"""The rate that the brokers can spare, measured: at the start, and again while replicas move.

Invariant: what cannot be measured (a topic that was deleted, a partition without a leader, a broker
that just went) leaves the rate as it is and never ends a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kafkaops.engine.errors import OpsError
from kafkaops.model.log_dirs import largest
from kafkaops.model.partition import Partition, TopicPartition
from kafkaops.placement.applying import link as links
from kafkaops.placement.applying import rates
from kafkaops.placement.applying.standing import partitions
from kafkaops.placement.applying.throttle import RATES, Own, Throttles
from kafkaops.placement.applying.waves import Kind, Setting, Wave
from kafkaops.placement.moves import Move
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World

EVERY = 30.0
"""Seconds between two measurements while replicas move."""
WINDOW = 3.0
"""Seconds over which it is measured what clients write."""
CHANGE = 0.1
"""The part by which a rate must differ to be set anew."""


def written(
    world: World,
    cluster: Cluster,
    sizes: Mapping[TopicPartition, int],
    held: Mapping[TopicPartition, Partition],
) -> dict[TopicPartition, float]:
    """Bytes/s that clients write to each of these partitions now: records over a short window, at
    the average size of those that the log holds. A log without bytes has no size to go by, and one
    without a leader nobody writes to."""
    led = {tp for tp, part in held.items() if part.leader >= 0}
    sized = {tp: size for tp, size in sizes.items() if size > 0 and tp in led}
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


def retune(
    world: World,
    cluster: Cluster,
    moves: Sequence[Move],
    link: int,
    ours: Throttles,
    fact: str,
) -> None:
    """Measure anew where that is due, and hold every broker of the plan to the new rate, so that
    later waves begin with it. `moves` are on their way, `ours` is what the plan set, `fact` tells
    the rates that were set since."""
    now, last = world.clock.wall(), world.facts.get(f"{fact}.measured")
    if last is not None and 0 <= now - float(last) < EVERY:
        return
    world.facts.put(f"{fact}.measured", now)
    try:
        rate = _measured(world, cluster, moves, link, ours)
        known = list(world.facts.get(fact) or ())
        if known and abs(rate - known[-1]) <= CHANGE * known[-1]:
            return
        now_set = cluster.own_broker_configs(tuple(ours.brokers), RATES)
        wanted = _mine(now_set, ours, known, str(rate))
        world.facts.put(fact, [*known, rate])
        cluster.alter_broker_configs(wanted)
    except OpsError as error:
        world.say(f"not measured anew, the rate stays as it is: {error.message}")
        return
    world.say(f"measured anew: copies are held to {rates.words(rate, per_second=True)}")


def _mine(
    now: Mapping[int, Own], ours: Throttles, known: Sequence[int], rate: str
) -> dict[int, dict[str, str]]:
    """The rate for every setting that is ours still: one that an operator set meanwhile stays."""
    mine = set(map(str, known))
    found = {
        b: {n: rate for n, first in own.items() if now[b].get(n) in {first, *mine}}
        for b, own in ours.brokers.items()
        if b in now
    }
    return {b: own for b, own in found.items() if own}


def _measured(
    world: World, cluster: Cluster, moves: Sequence[Move], link: int, ours: Throttles
) -> int:
    held = partitions(cluster.topics())
    incoming = written(world, cluster, largest(cluster.log_dirs(cluster.brokers_up())), held)
    wave = Wave(Kind.COPY, tuple(moves))
    least = links.floor(wave, Setting(incoming=incoming))
    return max(links.spared(link, ours.brokers, held.values(), incoming), least)
