"""What a plan is refused for before any search, each with its numbers. Pure."""

from __future__ import annotations

from difflib import get_close_matches

import numpy as np

from kafkaops.engine.errors import GuardRefused, UsageFault
from kafkaops.placement.planning.goals import ALL, Goals
from kafkaops.placement.planning.table import Bools, Ints, Table, matches, topics_named
from kafkaops.placement.planning.witness import Infeasible, Witness, some


def unknown(table: Table, goals: Goals) -> None:
    """Names that the cluster does not have, and figures that mean nothing."""
    known, live = set(table.brokers.tolist()), set(table.brokers[table.live].tolist())
    wanted = {
        "--add": (goals.add, live),
        "--drain": (goals.drain, known),
        "--replace": ([old for old, _ in goals.replace], known),
        "--replace OLD=": ([new for _, new in goals.replace], live),
        "--no-receive": (goals.no_receive, known),
        "--capacity": ([b for b, _ in goals.capacity], known),
        "--pin": ([b for _, to in goals.pins for b in to], live),
    }
    for flag, (ids, there) in wanted.items():
        for broker in ids:
            if broker not in there:
                raise UsageFault(
                    "KO-PLACEMENT-BROKER",
                    f"{flag} names broker {broker}, which the cluster does not have",
                    where=f"brokers: {some(sorted(live))}",
                    hint="a broker must be up to be planned for; check its id",
                )
    for name in goals.drain_racks:
        if name not in table.racks:
            raise UsageFault(
                "KO-PLACEMENT-RACK",
                f"--drain-rack names {name}, and no broker is in such a rack",
                where=f"racks: {some(table.racks)}",
            )
    for flag, globs in (
        ("--rf", [glob for glob, _ in goals.rf]),
        ("--exclude", list(goals.exclude)),
        ("--pin", [glob for glob, _ in goals.pins]),
    ):
        for glob in globs:
            found = matches if flag == "--pin" else topics_named
            if not found(table, glob).any():
                close = get_close_matches(glob, table.topics, 1)
                raise UsageFault(
                    "KO-PLACEMENT-TOPIC",
                    f"{flag} {glob} matches no topic",
                    hint=f"did you mean {close[0]}?" if close else "kafkaops cluster show --topics",
                )
    _figures(goals)


def _figures(goals: Goals) -> None:
    for glob, count in goals.rf:
        if count < 1:
            raise UsageFault("KO-PLACEMENT-RF", f"--rf {glob}={count}: at least 1 replica")
    for broker, weight in goals.capacity:
        if not weight.is_finite() or weight <= 0:
            raise UsageFault(
                "KO-PLACEMENT-CAPACITY",
                f"--capacity {broker}={weight}: a weight above 0 is wanted",
                hint=f"to empty the broker: --drain {broker}",
            )
    slack = goals.tolerance
    if slack is not None and not (slack.is_finite() and 0 <= slack <= 1):
        raise UsageFault("KO-PLACEMENT-TOLERANCE", f"--tolerance {slack} is not within 0 and 1")


def contradictions(table: Table, goals: Goals, drained: Bools) -> None:
    """The same broker filled and emptied."""
    at = table.index()
    for broker in [*goals.add, *(new for _, new in goals.replace)]:
        if drained[at[broker]]:
            raise UsageFault(
                "KO-PLACEMENT-CONTRADICTION",
                f"broker {broker} is to be filled and to be emptied",
                hint="name it in one of --add, --replace and --drain",
            )
        if broker in goals.no_receive:
            raise UsageFault(
                "KO-PLACEMENT-CONTRADICTION",
                f"broker {broker} is to be filled and must not receive",
                hint="leave out --no-receive for it",
            )
    for pairs in (
        [old for old, _ in goals.replace],
        [new for _, new in goals.replace],
        [b for b, _ in goals.capacity],
    ):
        for broker in pairs:
            if pairs.count(broker) > 1:
                raise UsageFault("KO-PLACEMENT-CONTRADICTION", f"broker {broker} is named twice")


def rackless(table: Table, usable: Bools, goals: Goals) -> None:
    """Brokers that name no rack: two copies could stand in one place, and nobody would know."""
    loose = table.brokers[usable & (table.rack < 0)].tolist()
    refused = [b for b in loose if ALL not in goals.no_rack and str(b) not in goals.no_rack]
    if refused:
        which = "all" if len(loose) == int(usable.sum()) else str(refused[0])
        raise GuardRefused(
            "KO-PLACEMENT-NO-RACK",
            f"{len(refused)} brokers name no rack: {some(refused)}",
            hint=f"set broker.rack there, or allow them by name: --allow-no-rack {which}",
        )


def left_behind(table: Table, active: Bools, drained: Bools, goals: Goals) -> None:
    """Drained brokers that hold what must not be touched."""
    held = drained[table.holder] & ~active[table.owner]
    if not held.any():
        return
    parts = np.unique(table.owner[held])
    busy = table.busy[parts].any()
    raise Infeasible(
        "KO-PLACEMENT-EXCLUDED",
        f"{len(parts)} partitions on brokers to be emptied must not be touched"
        + (", some of them because they are on the move already" if busy else ""),
        Witness(
            "exclusions",
            int(held.sum()),
            0,
            (*(("--exclude",) if goals.exclude else ()), *_emptying(table, goals)),
            tuple(str(table.tp(int(p))) for p in parts),
            tuple(np.unique(table.brokers[table.holder[held]]).tolist()),
        ),
    )


def _emptying(table: Table, goals: Goals) -> tuple[str, ...]:
    """Flags, of those given, that take brokers away."""
    given = {
        "--drain": goals.drain,
        "--drain-rack": goals.drain_racks,
        "--replace": goals.replace,
        "--drain-absent (as does a broker that --brokers lacks)": goals.drain_absent
        and not table.live.all(),
    }
    return tuple(flag for flag, is_given in given.items() if is_given)


def too_few_brokers(table: Table, need: Ints, usable: Bools, goals: Goals) -> None:
    """`need` [P] replicas on brokers that are up: what stays on others needs no place."""
    count = int(usable.sum())
    short = np.flatnonzero(need > count)
    if len(short):
        most = int(need[short].max())
        raise Infeasible(
            "KO-PLACEMENT-BROKERS",
            f"{len(short)} partitions want up to {most} replicas, and {count} brokers are left",
            Witness(
                "replication factor",
                most,
                count,
                (*_emptying(table, goals), "--rf"),
                tuple(str(table.tp(int(p))) for p in short),
                tuple(table.brokers[usable].tolist()),
            ),
        )


def too_few_racks(table: Table, rf: Ints, active: Bools, usable: Bools, goals: Goals) -> None:
    """Goals that leave partitions fewer racks than replicas, where there are enough now: the loss
    of one rack would then take two replicas of the same partition."""
    before = int(np.unique(table.rack[table.live & (table.rack >= 0)]).size)
    racks = np.unique(table.rack[usable & (table.rack >= 0)])
    after = len(racks)
    shorter = np.maximum(rf - after, 0) > np.maximum(table.rf - before, 0)
    short = np.flatnonzero(active & shorter)
    if goals.shared_racks or not before or not len(short):
        return
    most = int(rf[short].max())
    raise Infeasible(
        "KO-PLACEMENT-FEW-RACKS",
        f"{len(short)} partitions want up to {most} replicas, and {after} racks are left: some"
        " would lose two replicas with one rack",
        Witness(
            "racks",
            most,
            after,
            ("--rf", *_emptying(table, goals), "--allow-shared-racks"),
            tuple(str(table.tp(int(p))) for p in short),
            (),
            tuple(table.racks[r] for r in racks.tolist()),
        ),
    )


def pin_refused(
    table: Table, p: int, broker: int, usable: Bools, takes: Bools, goals: Goals
) -> None:
    """A pin to a broker that is emptied, or that must not receive."""
    if usable[broker] and takes[broker]:
        return
    tp, name = str(table.tp(p)), int(table.brokers[broker])
    relax = ("--no-receive",) if usable[broker] else _emptying(table, goals)
    raise Infeasible(
        "KO-PLACEMENT-PINS",
        f"{tp} is pinned to broker {name}, which "
        + ("must not receive" if usable[broker] else "is to be empty"),
        Witness("pins", 1, 0, ("--pin", *relax), (tp,), (name,)),
    )


def no_room(table: Table, p: int, need: int, room: int, racks: tuple[str, ...]) -> Infeasible:
    tp = str(table.tp(p))
    return Infeasible(
        "KO-PLACEMENT-BROKERS",
        f"{tp} needs {need} replicas, and brokers that hold it or may receive it allow {room}",
        Witness("brokers that may receive", need, room, ("--no-receive", "--rf"), (tp,), (), racks),
    )
