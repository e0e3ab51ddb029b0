"""Records on the cluster that clients have left, which the mirror back did not write: an alarm.

Invariant: from the first record of the mirror back until that mirror is retired, every step that
waits or ends looks here, so who still writes to the old cluster is named before the way back is
given up, whatever holds clients back.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from kafkaops.config.accepting import STRANGER, subjects
from kafkaops.config.schema import Config
from kafkaops.engine.errors import StepFailed
from kafkaops.engine.step import Blocked
from kafkaops.ports.verification import VerifyStatus
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green.mirroring import tend

HINT = (
    "end their writer; nothing carries these records to the other cluster. Once they may be given"
    f" up: accept {STRANGER}:TOPIC in the config"
)


def found(status: VerifyStatus, config: Config) -> list[str]:
    """Places of records that the mirror back did not write, without those of accepted topics. One
    that came between two of the mirror's can look like another record in its place."""
    theirs = {"extra", "altered", "reordered"}
    waived = subjects(config.accept, STRANGER)
    return [
        f"{d.tp}@{d.target_offset}"
        for d in status.differences
        if d.kind in theirs and not any(fnmatchcase(d.tp.topic, glob) for glob in waived)
    ]


def words(places: list[str], colour: str) -> str:
    return f"{len(places)} records on {colour} were not written by the mirror: " + ", ".join(
        places[:5]
    )


def look(world: World, direction: str) -> VerifyStatus:
    """The comparison of the mirror that flows in this direction, both kept alive."""
    tend(world, direction)
    verification = world.verification[direction]
    verification.start()  # in a new process it goes on from its checkpoint
    return verification.status()


def close(status: VerifyStatus, config: Config) -> bool:
    """Whether that cluster has been looked at to its end."""
    behind = status.behind > config.gates.verify_behind or not status.partitions
    return not behind and not status.error


def alarm(world: World, direction: str, colour: str) -> VerifyStatus:
    """The look. StepFailed (KO-STRANGER) where this cluster, which clients have left and the mirror
    of this direction writes to, holds records of somebody else."""
    status = look(world, direction)
    places = found(status, world.config)
    if places:
        raise StepFailed(STRANGER, words(places, colour), where=colour, hint=HINT)
    return status


def barred(world: World, direction: str, colour: str) -> Blocked | None:
    """The same as a guard of the end, which waits until all of that cluster has been compared."""
    status = look(world, direction)
    places = found(status, world.config)
    if places:
        return Blocked(STRANGER, words(places, colour), hint=HINT, transient=False)
    if close(status, world.config):
        return None
    why = f": {status.error}" if status.error else ""
    return Blocked("KO-VERIFY-BEHIND", f"{colour} is not compared to its end yet{why}")
