"""The phases of a rolling restart or upgrade. Each batch goes through them in this order, from the
gate on; what comes before happens to all hosts, and to none after the first stop."""

from __future__ import annotations

from enum import Enum

ACCEPTED = "run.accept"
"""The fact that holds what was accepted by name while the run went on, beside what its plan has."""
WITHOUT = "run.without"
"""The fact that holds the hosts that the run goes on without."""
UNCLEAN = "run.elect-unclean"
"""The fact that holds the globs of topics and partitions that may get a leader by an unclean
election."""
LOST = "run.accept-lost"
"""The fact that holds the globs of topics and partitions whose lost records are given up."""


class Phase(Enum):
    BRING = "bring"
    TRY = "try"
    GATE = "gate"
    HOLD = "hold"
    STOP = "stop"
    INSTALL = "install"
    RENEW = "renew"
    START = "start"
    UP = "up"
    SYNC = "sync"
    LEADERS = "leaders"
    SOAK = "soak"
    REST = "rest"
    RELEASE = "release"


TITLES = {
    Phase.BRING: "bring the version to every host, beside the one that runs",
    Phase.TRY: "try it there with the unit's own Java and flags",
    Phase.GATE: "ask the cluster what would happen if the batch stopped now",
    Phase.HOLD: "suspend Auto Scaling and stop the agents of the hosts, and prove it",
    Phase.STOP: "stop, with time for the controlled shutdown, never by force",
    Phase.INSTALL: "turn the link to the version that is to start",
    Phase.RENEW: "erase its volumes and make them anew; what was there is replicated again",
    Phase.START: "start",
    Phase.UP: "wait until it is registered, however long it recovers its logs",
    Phase.SYNC: "wait until it is back in the ISR of every partition it had",
    Phase.LEADERS: "give it back the partitions that it is to lead",
    Phase.SOAK: "watch it for a while",
    Phase.REST: "what was held back for safety, alone",
    Phase.RELEASE: "give Auto Scaling and the agents back as they were",
}
