"""The phases of work on the volumes of a cluster."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    MODULE = "module"
    UNITS = "units"
    PREPARE = "prepare"
    OPEN = "open"
    MOUNT = "mount"
    CLOSE = "close"
    ROTATE = "rotate"
    REWRAP = "rewrap"
    BACKUP = "backup"
    ERASE = "erase"


TITLES = {
    Phase.MODULE: "put the host module there",
    Phase.UNITS: "write what opens the volumes at boot",
    Phase.PREPARE: "make volumes of blank disks",
    Phase.OPEN: "unlock",
    Phase.MOUNT: "unlock and mount",
    Phase.CLOSE: "unmount and lock",
    Phase.ROTATE: "give each volume a new data key",
    Phase.REWRAP: "have KMS wrap each data key anew",
    Phase.BACKUP: "copy the LUKS headers to S3",
    Phase.ERASE: "make unreadable for ever",
}
