"""Maps the kind of a spec to the class of its step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from kafkaops.engine.step import Plan, Spec, Step
from kafkaops.placement.applying import dirs_moving, electing, moving, planner, throttling
from kafkaops.placement.applying.moving import Whole
from kafkaops.placement.applying.throttle import Throttles
from kafkaops.ports.world import World

Registry = Mapping[str, Callable[[Spec], Step[World]]]


def of(plan: Plan) -> Registry:
    """The steps of this plan: a wave is told what the other ones are about to do."""
    removed = {m.tp: m.removing for m in planner.moves_of(plan) if m.removing}
    sets = planner.throttles_of(plan)
    ours = sets[0] if sets is not None else Throttles()
    whole = Whole(removed, ours, planner.rates_fact(plan.operation))
    return {
        "throttled": throttling.Throttled,
        "partitions-moved": partial(moving.Moved, whole=whole),
        "dirs-moved": dirs_moving.DirsMoved,
        "unthrottled": throttling.Unthrottled,
        "leaders-elected": electing.Led,
    }
