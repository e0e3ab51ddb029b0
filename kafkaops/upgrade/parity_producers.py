"""How far green's producer ids must be pushed, so that they can never meet blue's. Pure.

Both clusters hand ids out from 0, in blocks of 1,000 a broker (KIP-730). A moved idempotent
producer whose id green already knows on that partition dies of OUT_OF_ORDER_SEQUENCE_NUMBER,
possibly days later, so green's next id on every broker must be above every id that blue has
ever handed out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kafkaops.model.cluster import ProducerState

BLOCK = 1000


def goal(seen: Iterable[ProducerState], taken: Mapping[int, int], *, margin: int = 0) -> int:
    """The highest id that blue can have handed out, plus `margin`.

    `seen` are producers still known on partitions (idle ones are forgotten after a day, ids
    are not); `taken` is one id taken a moment ago from each blue broker, whose block ends above
    it. A block that a broker holds but that no taken id shows is what `margin` is for.
    """
    highest = max((p.producer_id for p in seen), default=-1)
    blocks = max((last // BLOCK * BLOCK + BLOCK - 1 for last in taken.values()), default=-1)
    return max(highest, blocks) + margin


def needed(reached: Mapping[int, int], goal: int) -> dict[int, int]:
    """How many ids each green broker should hand out next, at most one block each; empty when
    every broker is above the goal. Ask again after taking them: a broker's next block lies
    above everything handed out before, so the brokers share the way."""
    return {broker: min(BLOCK, goal - last + 1) for broker, last in reached.items() if last <= goal}
