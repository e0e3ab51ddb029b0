"""The phase that the second roll has and a restart has not."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    PROTOCOL = "protocol"


TITLES = {Phase.PROTOCOL: "write the protocol into its server.properties, while it is down"}
