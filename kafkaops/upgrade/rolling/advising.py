"""What badly placed partitions cost a roll, and the moves that would help, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from kafkaops.model.cluster import ClusterState
from kafkaops.model.words import counted
from kafkaops.upgrade.batches import Batches
from kafkaops.upgrade.batches_moves import placed
from kafkaops.upgrade.rolling.choosing import Options
from kafkaops.upgrade.rolling.node import named

PINNED = 10
"""Partitions that are named in a command, at most."""


def moves(found: Batches, state: ClusterState, options: Options) -> Iterator[str]:
    """Notes of a plan: how many batches a handful of partitions costs, which moves cure that, and
    the command that makes them. Nothing where no handful of moves saves a batch."""
    if found.advice is None:
        return
    steps = found.advice.moves
    there = placed(state, steps)
    costs = counted(len(found.batches) - found.advised, "batch", "batches")
    yield (
        f"{counted(len(there), 'badly placed partition')} cost{'s' * (len(there) == 1)} {costs}:"
        f" there would be {found.advised} with {counted(len(steps), 'replica')} moved:"
        f" {named([f'{m.tp} from broker {m.source} to {m.target}' for m in steps])}"
    )
    if len(there) <= PINNED:
        pins = "".join(f" --pin {tp}={','.join(map(str, to))}" for tp, to in sorted(there.items()))
        yield f"to move them first: kafkaops placement apply{options.flag}{pins}"
    elif not options.narrowed:
        yield f"each of these moves: kafkaops upgrade batches{options.sized}"
