"""How a run ended, in words: the outcome, the pause, and the commands that come next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kafkaops.cli.session import current
from kafkaops.engine.errors import Exit

if TYPE_CHECKING:
    from kafkaops.cli.runs import Run
    from kafkaops.config.loader import Loaded
    from kafkaops.upgrade.proof import Pause


def _nothing_more(run: Run) -> list[str]:
    return []


def _rolled(run: Run) -> list[str]:
    from kafkaops.cli import rolls

    return rolls.summary(run)


def _protocol(run: Run) -> list[str]:
    from kafkaops.cli import upgrade_protocol

    return upgrade_protocol.summary(run)


def _levels(run: Run) -> list[str]:
    from kafkaops.cli import features

    return features.summary(run)


def _placed(run: Run) -> list[str]:
    from kafkaops.cli import placement_apply

    return placement_apply.summary(run)


ENDED: Mapping[str, Callable[[Run], list[str]]] = {
    "restart": _rolled,
    "rolling": _rolled,
    "rolling-back": _rolled,
    "downtime": _rolled,
    "downtime-back": _rolled,
    "features": _levels,
    "protocol": _protocol,
    "placement": _placed,
    "placement-back": _placed,
}
"""What more there is to say of how a run of this operation ended."""


def ended(loaded: Loaded, run: str, outcome: str) -> int:
    """How a run ended, on stdout: the outcome, the pause, and the commands that come next."""
    from kafkaops.cli import runs
    from kafkaops.cli.carry import config_flag
    from kafkaops.cli.output import Text, emit
    from kafkaops.upgrade import proof_groups
    from kafkaops.upgrade.proof import ELECTED

    found = runs.find(loaded, run)
    proof = runs.bundle(found, current().operations.titles())
    flag = config_flag(loaded)
    words = [f"run {run}: {outcome}", *ENDED.get(found.operation, _nothing_more)(found)]
    for move in proof.moves:
        if move.pause is not None:
            parts = ", ".join(f"{p.name} {p.seconds:.2f} s" for p in move.pause.parts)
            words.append(
                f"clients moved from {move.source} to {move.target}: {move.pause.kind}"
                f" {move.pause.total:.2f} s ({parts})" + returned(move.pause) + expected(move.pause)
            )
            words.append(
                f"proven equal: {move.records:,} records of {len(move.partitions)} partitions;"
                f" {proof_groups.words(move.positions)}"
            )
            if proof_groups.unknown(move.positions):
                words.append(f"there it is {proof_groups.UNKNOWN}")
        if move.elected:
            words.append(f"look here: {', '.join(move.elected[:10])}: {ELECTED}")
    after = []
    if found.status is runs.Status.STOPPED:
        after.append(f"kafkaops run resume {run}{flag}")
    if found.operation in runs.THERE and found.status is not runs.Status.ROLLED_BACK:
        after.append(f"kafkaops run rollback {run}{flag}")
    if found.operation == runs.FORWARD and found.status is runs.Status.DONE:
        after.append(f"kafkaops run finalize {run}{flag}")
    if found.operation in runs.ON_HOSTS and found.status is runs.Status.DONE:
        from kafkaops.upgrade.rolling.upgrade import finalised_by

        after.append(f"{finalised_by(found.last.plan)[1]}{flag}")
    after.append(f"kafkaops run report {run}{flag} --out report.html")
    words += [f"next: {command}" for command in after]
    data: dict[str, Any] = {
        "run": run,
        "outcome": outcome,
        "status": found.status,
        "next": after,
        "proof": proof.to_json(),
    }
    if ENDED.get(found.operation) is _rolled:
        from kafkaops.cli import rolls

        data["nodes"] = rolls.figures(found)
    emit(data, *(Text(line) for line in words))
    return Exit.OK


def returned(pause: Pause) -> str:
    """How long after it every client was seen, where that is known: the part of the pause that
    clients need by themselves."""
    return "" if pause.client_return is None else f", client return {pause.client_return:.2f} s"


def expected(pause: Pause) -> str:
    """What an outage was expected to take; of a pause the plan said what it may."""
    if pause.kind != "outage":
        return ""
    return f"; expected were about {pause.budget:.0f} s and the hooks' own time"
