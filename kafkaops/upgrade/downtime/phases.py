"""The phases of an upgrade with a short outage. Those it shares with a roll keep their names."""

from __future__ import annotations

from enum import Enum

from kafkaops.upgrade.rolling.phases import TITLES as ROLL
from kafkaops.upgrade.rolling.phases import Phase as Roll


class Phase(Enum):
    BRING = Roll.BRING.value
    TRY = Roll.TRY.value
    CLIENTS = "clients"
    OUTAGE = "outage"
    STILL = "still"
    HOLD = Roll.HOLD.value
    DOWN = "down"
    INSTALL = Roll.INSTALL.value
    AGAIN = "again"
    UP = Roll.UP.value
    LED = "led"
    SYNC = Roll.SYNC.value
    LEADERS = Roll.LEADERS.value
    OPEN = "reopen"
    RETURN = "return"
    RELEASE = Roll.RELEASE.value


TITLES = {
    **{phase: ROLL[Roll(phase.value)] for phase in Phase if phase.value in {r.value for r in Roll}},
    Phase.CLIENTS: "stop the clients that have hooks",
    Phase.OUTAGE: "close the CLIENT listener on every broker: the outage begins",
    Phase.STILL: "prove that every end offset stands still, and note who is in sync",
    Phase.DOWN: "stop the brokers stage by stage, the controllers last",
    Phase.AGAIN: "start the controllers, then the brokers",
    Phase.LED: "wait until every partition is led",
    Phase.OPEN: "open the CLIENT listener again: the outage ends",
    Phase.RETURN: "start the clients that have hooks",
}
