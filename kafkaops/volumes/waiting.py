"""At boot: try until the key is to be had, and say each time why it is not.

Invariant: what waiting cannot cure (a foreign disk, a damaged token, a blank disk) ends at once,
so that nobody waits for it; a key that is disabled, denied or throttled may come back, and so may
KMS and S3 that do not answer, or answer too late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kafkaops.engine.clock import Clock
from kafkaops.engine.errors import OpsError, TimedOut

T = TypeVar("T")

FIRST, MOST = 5.0, 60.0
"""Seconds between tries: doubled from the first to the most."""

PASSING = (
    *("KO-KMS-THROTTLED", "KO-KMS-AWAY", "KO-KMS-DISABLED", "KO-KMS-DENIED", "KO-KMS-DELETING"),
    *("KO-AWS-UNREACHABLE", "KO-AWS-CREDENTIALS", "KO-AWS-DENIED", "KO-VOLUME-ABSENT"),
    "KO-S3-AWAY",
)
"""Codes that somebody may cure while the host waits; an instance-store disk may come late."""


def until_it_opens(deed: Callable[[], T], clock: Clock, say: Callable[[str], None], what: str) -> T:
    """The deed's result. Whatever else it raises is raised."""
    pause = FIRST
    while True:
        try:
            return deed()
        except OpsError as error:
            if error.code not in PASSING and not isinstance(error, TimedOut):
                raise
            say(
                f"{what}: {error.code}: {error.message}; Kafka does not start without it;"
                f" trying again in {pause:.0f} s" + (f" ({error.hint})" if error.hint else "")
            )
        clock.sleep(pause)
        pause = min(MOST, pause * 2)
