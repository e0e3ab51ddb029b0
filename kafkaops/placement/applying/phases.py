"""The phases of a placement that is applied."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    THROTTLE = "throttle"
    WAVES = "waves"
    UNTHROTTLE = "unthrottle"
    LEAD = "lead"


TITLES = {
    Phase.THROTTLE: "hold the copies to a rate, over the throttles that are set",
    Phase.WAVES: "move replicas, wave by wave, each behind its gate",
    Phase.UNTHROTTLE: "give back every throttle as it was",
    Phase.LEAD: "elect the preferred leaders that the plan changed",
}
