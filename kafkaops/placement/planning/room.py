"""Whether what a plan puts on a broker fits on its disks.

Invariant: only what is known is judged; where sizes or room are not told, nothing is refused.
"""

from __future__ import annotations

from kafkaops.model.cluster import ClusterState
from kafkaops.placement.planning.plan import Placement
from kafkaops.placement.planning.witness import Infeasible, Witness, some


def refuse_full(state: ClusterState, placement: Placement) -> None:
    """Infeasible where a broker is to receive more bytes than its log directories have free: what
    leaves it frees its room only once everything new has arrived."""
    free = state.log_dir_free
    gets: dict[int, int] = {}
    parts: dict[int, list[str]] = {}
    for move in placement.moves:
        for broker in move.adding:
            gets[broker] = gets.get(broker, 0) + move.bytes
            parts.setdefault(broker, []).append(str(move.tp))
    full = sorted(b for b, size in gets.items() if b in free and size > free[b])
    if not full:
        return
    worst = max(full, key=lambda b: gets[b] - free[b])
    raise Infeasible(
        "KO-PLACEMENT-ROOM",
        f"{len(full)} brokers have too little room for what they would get: {some(full)};"
        f" broker {worst} would get {gets[worst]} bytes and has {free[worst]} free",
        Witness(
            "room on disks",
            gets[worst],
            free[worst],
            ("--drain", "--capacity", "--no-receive"),
            tuple(parts[worst]),
            (worst,),
            unit="bytes",
        ),
    )
