"""In which order the nodes of a cluster are stopped for an outage. Pure.

The last replica of a partition to stop is alone in its ISR, and the partition waits for just that
one at the start. A stop of all at once leaves it to chance who that is, and one broker can end as
the last of every partition (seen: 12 of 12). So brokers go in stages, no two replicas of a
partition in one stage where that is possible: until its last stage a partition has as many in sync
as stages are left, and who its last is was chosen and is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kafkaops.model.cluster import ClusterState
from kafkaops.model.partition import TopicPartition
from kafkaops.upgrade import batches
from kafkaops.upgrade.batches import Limits, Role


def stages(state: ClusterState, nodes: Collection[int]) -> tuple[tuple[int, ...], ...]:
    """Brokers in stages, then the controllers that are no brokers, together: nobody is left who
    could ask them. Combined nodes keep a majority to the last stage, for a broker that shuts down
    needs a controller to hear of it."""
    voters = set(state.quorum.voters) if state.quorum else set()
    brokers = {b.id for b in state.brokers} & set(nodes)
    combined, alone = brokers & voters, voters - brokers
    if combined:
        # one fewer than a majority may go before the rest
        spare = sorted(combined - {state.quorum.leader if state.quorum else -1})
        early = spare[: (len(voters) - 1) // 2]
        plain = [batch for batch in _apart(state, brokers - combined) if batch]
        return (*plain, *((n,) for n in early), tuple(sorted(combined - set(early))))
    controllers = tuple(sorted(alone & set(nodes)))
    return (*_apart(state, brokers), *((controllers,) if controllers else ()))


def _apart(state: ClusterState, brokers: Collection[int]) -> list[tuple[int, ...]]:
    """Stages whose brokers share no partition: the batches of a roll without a cap but the rack."""
    if not brokers:
        return []
    limits = Limits(whole_racks=True, canary=False, accept=("*",), among=frozenset(brokers))
    found = batches.plan(state, limits)
    return [b.nodes for b in found.batches if b.role is not Role.CONTROLLER]


def last(
    state: ClusterState, order: Collection[Collection[int]]
) -> Mapping[TopicPartition, tuple[int, ...]]:
    """The replicas of each partition that stop in its last stage: one of them will be alone in the
    ISR, and the partition waits for it."""
    stage = {node: number for number, nodes in enumerate(order) for node in nodes}
    found: dict[TopicPartition, tuple[int, ...]] = {}
    for topic in state.topics.values():
        for part in topic.partitions:
            known = [node for node in part.isr if node in stage]
            if known and len(known) == len(part.isr):  # else somebody stays up
                most = max(stage[node] for node in known)
                found[part.tp] = tuple(n for n in known if stage[n] == most)
    return found
