"""What an application of moves is planned from: read once, and what speaks against it.

Invariant: nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from kafkaops.engine.errors import GuardRefused
from kafkaops.engine.step import Plan
from kafkaops.model.cluster import ClusterState, LogDir
from kafkaops.model.log_dirs import largest, usable
from kafkaops.model.partition import Partition, TopicPartition
from kafkaops.placement.applying import dirs_moving, link, throttle, throttling, tuning
from kafkaops.placement.applying import planner as applying
from kafkaops.placement.applying.planner import Ground, Options
from kafkaops.placement.applying.standing import Stand, partitions, stands, strangeness
from kafkaops.placement.applying.throttle import LISTS, RATES, Throttles
from kafkaops.placement.applying.waves import Setting
from kafkaops.placement.moves import DirMove, Move
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World


def plan(
    world: World,
    moves: Sequence[Move],
    dirs: Sequence[DirMove],
    options: Options,
    run: str,
    notes: Sequence[str] = (),
) -> Plan:
    """The plan that carries these moves out; without steps where there are none. Those that would
    leave a replica on a broker that is down are left out and named, for Kafka ends none of them.
    GuardRefused where nothing else is left, somebody else moves one of the partitions, or no
    schedule does it."""
    ground = look(world, moves, dirs, options)
    able = [m for m in moves if not _kept_down(m, ground)]
    if len(able) < len(moves):
        words = _left_out([m for m in moves if _kept_down(m, ground)], ground)
        if not able and not dirs:
            raise GuardRefused(
                "KO-PLACEMENT-BROKER-DOWN",
                words,
                hint="bring it up; or have nothing stay on it: kafkaops placement plan --drain",
            )
        notes = (*notes, words)
    return applying.plan(
        able,
        dirs,
        options,
        ground,
        name=world.config.name,
        config=world.config.model_dump(mode="json"),
        id=run,
        created=world.clock.wall(),
        notes=notes,
    )


def _kept_down(move: Move, ground: Ground) -> tuple[int, ...]:
    """Brokers that are down and keep their replica. Another order alone waits for nobody."""
    if not (move.adding or move.removing):
        return ()
    return tuple(b for b in move.after if b in move.before and b not in ground.racks)


def _left_out(moves: Sequence[Move], ground: Ground) -> str:
    told = [f"{m.tp} stays on {', '.join(map(str, _kept_down(m, ground)))}" for m in moves[:5]]
    more = f" and {len(moves) - 5} more" if len(moves) > 5 else ""
    return (
        f"{len(moves)} partitions are left out, as Kafka ends no move while a broker is down that"
        f" keeps its replica: {'; '.join(told)}{more}"
    )


def snapshot(world: World, plan: Plan) -> dict[str, object]:
    """The same values as in the plan's snapshot, as they are now."""
    options = Options.of(plan.snapshot["options"])
    cluster = world.clusters[options.cluster]
    state = cluster.snapshot(full=False)
    found = partitions(state.topics)
    kept = Throttles.of(plan.snapshot["throttles"])
    now = throttling.read(cluster, kept)
    held = {str(m.tp): list(found[m.tp].replicas) for m in applying.moves_of(plan) if m.tp in found}
    return {
        "cluster_id": state.cluster_id,
        "brokers": {str(b.id): b.rack for b in sorted(state.brokers, key=lambda b: b.id)},
        "assignment": dict(sorted(held.items())),
        "throttles": now.to_json(),
        "options": plan.snapshot["options"],
    }


def look(world: World, moves: Sequence[Move], dirs: Sequence[DirMove], options: Options) -> Ground:
    cluster = world.clusters[options.cluster]
    moving = cluster.reassignments()
    state = cluster.snapshot(full=False)
    found = partitions(state.topics)
    standing = stands(moves, state.topics, moving)
    odd = [m for m in moves if moving.get(m.tp) or standing[m.tp] is Stand.STRANGE]
    if odd:
        told = "; ".join(strangeness(m, found.get(m.tp), moving.get(m.tp)) for m in odd[:5])
        raise GuardRefused(
            "KO-PLACEMENT-FOREIGN",
            f"somebody else moves {len(odd)} of these partitions: {told}",
            hint="let it end, or call it off with what began it: kafkaops placement status",
        )
    involved = {b for m in moves for b in (*m.before, *m.after)} | {d.broker for d in dirs}
    topics = {m.tp.topic for m in moves if m.adding}
    up = {b.id for b in state.brokers}
    incoming, rate = _measured(world, cluster, moves, options, state)
    free = cluster.log_dirs({b for m in moves for b in m.adding} & up)
    return Ground(
        state.cluster_id,
        {b.id: b.rack for b in state.brokers},
        _before(cluster, involved & up, topics) if rate is not None else Throttles(),
        Setting(
            room=_room(free, options.reserve),
            racks={b.id: b.rack for b in state.brokers},
            incoming=incoming,
            leads={tp: p.leader for tp, p in found.items() if p.leader >= 0},
            lagging=_lagging(found, moves),
        ),
        tuple(sorted(_held(state) - up)),
        rate,
    )


def _measured(
    world: World, cluster: Cluster, moves: Sequence[Move], options: Options, state: ClusterState
) -> tuple[dict[TopicPartition, float], int | None]:
    """What clients write, and the rate of the copies."""
    copied = [m for m in moves if m.adding]
    held = partitions(state.topics)
    if options.link is not None:
        sizes = largest(cluster.log_dirs({b.id for b in state.brokers}))
        written = tuning.written(world, cluster, sizes, held)
        busy = {b for m in copied for b in (*m.before, *m.adding)}
        return written, link.spared(options.link, busy, held.values(), written)
    if options.throttle is None:
        return {}, None
    written = tuning.written(world, cluster, {m.tp: m.bytes for m in copied}, held)
    return written, options.throttle


def _before(cluster: Cluster, brokers: Collection[int], topics: Collection[str]) -> Throttles:
    return Throttles(
        cluster.own_broker_configs(sorted(brokers), RATES),
        cluster.own_topic_configs(sorted(topics), LISTS) if topics else {},
    )


def _room(dirs: Mapping[int, tuple[LogDir, ...]], reserve: int) -> dict[int, int]:
    """Bytes beyond the reserve, of brokers that tell."""
    told = {broker: usable(of_broker) for broker, of_broker in dirs.items()}
    return {broker: free - reserve for broker, free in told.items() if free is not None}


def _lagging(
    found: Mapping[TopicPartition, Partition], moves: Sequence[Move]
) -> dict[TopicPartition, tuple[int, ...]]:
    late = {
        m.tp: tuple(sorted(set(found[m.tp].replicas) - set(found[m.tp].isr)))
        for m in moves
        if m.tp in found
    }
    return {tp: brokers for tp, brokers in late.items() if brokers}


def _held(state: ClusterState) -> set[int]:
    return {b for t in state.topics.values() for p in t.partitions for b in p.replicas}


def way_back(
    world: World, plan: Plan, there: Sequence[Move], dirs_there: Sequence[DirMove]
) -> Plan:
    """The plan that takes what this one finished, of the moves that it had begun, back to where it
    was, order included."""
    options = Options.of(plan.snapshot["options"])
    cluster = world.clusters[options.cluster]
    moving = cluster.reassignments()
    topics = cluster.some_topics(sorted({m.tp.topic for m in there}))
    standing = stands(there, topics, moving)
    back = [Move(m.tp, m.after, m.before, m.bytes) for m in there if standing[m.tp] is Stand.THERE]
    dirs = [replace(d, source=d.target, target=d.source) for d in _arrived(cluster, dirs_there)]
    ground = look(world, back, dirs, options)
    sets = applying.throttles_of(plan)
    if sets is not None:  # a broker that was down when they were given back still has ours
        ground = replace(
            ground, before=throttle.restored(ground.before, *sets, _rates(world, plan))
        )
    return applying.plan(
        back,
        dirs,
        options,
        ground,
        name=plan.cluster,
        config=plan.config,
        id=plan.id,
        created=world.clock.wall(),
        operation=applying.BACK,
    )


def _rates(world: World, plan: Plan) -> tuple[str, ...]:
    """To which rates its copies were tuned."""
    return tuple(map(str, world.facts.get(applying.rates_fact(plan.operation)) or ()))


def _arrived(cluster: Cluster, dirs: Sequence[DirMove]) -> list[DirMove]:
    if not dirs:
        return []
    found = cluster.log_dirs({d.broker for d in dirs})
    return [d for d in dirs if dirs_moving.where(d, found) == d.target]
