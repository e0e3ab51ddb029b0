"""No plan moves less than this, counted without searching.

Each term is true by itself, so the highest holds: what the racks, drained brokers and new replicas
of every single partition demand; what brokers lack to their share; what they have above it. How
these meet is told by a flow that forgets the racks of partitions that are spread as they should be:
it is small, and every plan is one of its own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kafkaops.placement.planning import flow
from kafkaops.placement.planning.atoms import classes
from kafkaops.placement.planning.flow import Ranges
from kafkaops.placement.planning.problem import Problem
from kafkaops.placement.planning.table import Bools, Ints


def mandatory(problem: Problem) -> Ints:
    """New replicas [P] that each partition needs whatever the others do: exact for it alone."""
    kept = problem.kept
    inside = problem.need - np.minimum(kept, problem.most).sum(axis=1)
    found: Ints = np.maximum(inside, np.maximum(problem.least - kept, 0).sum(axis=1))
    return found


def closed_form(problem: Problem, ranges: Ranges, *, by_bytes: bool) -> int:
    """Replicas, or bytes, that every plan within the bounds copies at least."""
    t = problem.table
    single = mandatory(problem)
    if by_bytes:
        return int((single * t.size).sum() + arriving_bytes(problem))
    stay = np.bincount(t.holder[problem.stays], minlength=len(t.brokers))
    lacks = np.maximum(ranges.low - stay, 0)
    fits = np.minimum(stay, ranges.high)
    everywhere = max(int(single.sum()), int(lacks.sum()), int(problem.need.sum() - fits.sum()))
    if separable(problem).all():
        racks = 0
        kept = problem.kept
        for r in range(len(problem.racks)):
            here = problem.rack == r
            wanted = int(problem.least[:, r].sum())
            forced = int(np.maximum(problem.least[:, r] - kept[:, r], 0).sum())
            racks += max(forced, int(lacks[here].sum()), wanted - int(fits[here].sum()))
        everywhere = max(everywhere, racks)
    return everywhere + problem.arriving


def relaxed(problem: Problem, ranges: Ranges) -> int:
    """Replicas that every plan within the bounds copies at least, 0 where there is no plan: the
    optimum where replicas of settled partitions may go from their broker to any other one."""
    t, settled = problem.table, problem.settled()
    n = len(t.brokers)
    unsettled = problem.active & (problem.need > 0) & ~settled
    of = classes(problem, unsettled, by_topic=False, by_bytes=False)
    built = flow.build(problem, of, replace(ranges, by_topic=None), spelled=False)
    net = built.net
    here = np.bincount(t.holder[problem.stays & settled[t.owner]], minlength=n)
    source, pool = net.node(n) + np.arange(n), net.node()
    broker = built.broker_at + np.arange(n)
    net.supply(source, here)
    net.supply(np.array([built.sink]), np.array([-here.sum()]))
    net.arc(source, broker, here)
    leaving = net.arc(source, np.full(n, pool), here, built.step)
    into = broker[problem.receives]
    net.arc(np.full(len(into), pool), into, here.sum())
    found = net.solve()
    if found is None:
        return 0
    arcs = [leaving, *(block for block, _, _ in built.news)]
    return sum(int(found[block].sum()) for block in arcs) + problem.arriving


def separable(problem: Problem) -> Bools:
    """Partitions [P] whose racks each hold an exact number: their racks are apart."""
    found: Bools = (problem.least == problem.most).all(axis=1)
    return found


def arriving_bytes(problem: Problem) -> int:
    """Bytes of replicas that are certain and not held yet."""
    t = problem.table
    found = 0
    for p, wanted in problem.forced.items():
        held = set(t.holder[t.start[p] : t.start[p + 1]].tolist())
        found += int(t.size[p]) * sum(b not in held for b in wanted)
    return found
