"""The phases of a rolling restart. Each batch goes through them in this order."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    GATE = "gate"
    STOP = "stop"
    START = "start"
    UP = "up"
    SYNC = "sync"
    LEADERS = "leaders"
    SOAK = "soak"
    REST = "rest"


TITLES = {
    Phase.GATE: "ask the cluster what would happen if the batch stopped now",
    Phase.STOP: "stop, with time for the controlled shutdown, never by force",
    Phase.START: "start",
    Phase.UP: "wait until it is registered, however long it recovers its logs",
    Phase.SYNC: "wait until it is back in the ISR of every partition it had",
    Phase.LEADERS: "give it back the partitions that it is to lead",
    Phase.SOAK: "watch it for a while",
    Phase.REST: "what was held back for safety, alone",
}
