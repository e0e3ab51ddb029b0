"""The verdict on a volume: its state, its one next step, and what refuses that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kafkaops.ports.disks import Key
from kafkaops.volumes.token import Token


class State(StrEnum):
    ABSENT = "absent"
    BLANK = "blank"
    LOCKED = "locked"
    ACTIVE = "active"
    FOREIGN = "foreign"
    DAMAGED = "damaged"
    UNKNOWN = "unknown"
    """No verdict: its disk could not be looked at."""


class Step(StrEnum):
    """What brings a volume one step nearer to serving. REFUSED: nothing does by itself."""

    NOTHING = "nothing"
    FORMAT = "format"
    OPEN = "open"
    FILESYSTEM = "make the file system"
    MOUNT = "mount"
    LOG_DIR = "make the log directory"
    REFUSED = "refused"


@dataclass(frozen=True)
class Intent:
    """Written down before a format begins: which disk, the UUID that its header is to have, and
    the key."""

    device: str
    uuid: str
    key: Key
    created: float


@dataclass(frozen=True)
class Verdict:
    """`code` and `why` say what refuses the next step, `hint` the command or deed that helps;
    `override` whether the typed override may format it nevertheless. `token` of the header, as
    far as it is read."""

    state: State
    step: Step
    code: str = ""
    why: str = ""
    hint: str = ""
    override: bool = False
    token: Token | None = None


def refused(
    state: State,
    code: str,
    why: str,
    hint: str,
    *,
    override: bool = False,
    token: Token | None = None,
) -> Verdict:
    return Verdict(state, Step.REFUSED, code, why, hint, override, token)
