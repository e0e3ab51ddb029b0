"""`inter.broker.protocol.version` as a value, and as a line of a server.properties. Pure.

Invariant: of a file only the value is changed, every other byte stays; what is not plainly one
line with one value is not touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kafkaops.engine.errors import UsageFault
from kafkaops.model.cluster import ClusterState
from kafkaops.upgrade.install.properties import Entry, entries

NAME = "inter.broker.protocol.version"
FORMAT = "log.message.format.version"
FORM = re.compile(r"(\d+)\.(\d+)(?:\.\d+)*(?:-IV\d+)?")


@dataclass(frozen=True, order=True)
class Protocol:
    """Major and minor, as releases name it: `3.9`; of `3.9-IV0` too."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    def of(cls, text: str | None) -> Protocol | None:
        """None for what is none."""
        found = FORM.fullmatch(text.strip()) if text else None
        return None if found is None else cls(int(found[1]), int(found[2]))

    @classmethod
    def wanted(cls, text: str) -> Protocol:
        """What an operator asks for. UsageFault for what is none, or is none any more."""
        found = cls.of(text)
        if found is None or "-" in text:
            raise UsageFault("KO-PROTOCOL", f"{text!r} is no protocol", hint="--to 3.9")
        if found > LAST:
            raise UsageFault(
                "KO-PROTOCOL",
                f"there is no {NAME} {found}: {LAST} was the last",
                hint=f"--to {LAST}; to 4.x migrate to KRaft on 3.9 in place, or build a KRaft"
                " cluster beside it: kafkaops upgrade --strategy blue-green",
            )
        return found


LAST = Protocol(3, 9)
"""Kafka 4.0 has no ZooKeeper mode, and no such setting."""
ONE_FORMAT = Protocol(3, 0)
"""From this protocol on `log.message.format.version` is without effect ("Upgrading to 3.0" of
Kafka's documentation)."""


def spoken(state: ClusterState) -> dict[int, Protocol]:
    """What each broker says that it speaks, by node id."""
    told = {node: Protocol.of(config.get(NAME)) for node, config in state.broker_config.items()}
    return {node: found for node, found in told.items() if found is not None}


def values(data: bytes, name: str) -> tuple[str, ...]:
    """What a file says of a setting, to the letter, once for each time that it does. Kafka takes
    the last one."""
    return tuple(data[e.begin : e.end].decode("utf-8", "replace") for e in _said(data, name))


def replaced(data: bytes, name: str, value: str) -> bytes:
    """The same file with another value. ValueError where it does not say just one."""
    places = _said(data, name)
    if len(places) != 1:
        raise ValueError(f"{name} is set {len(places)} times")
    [place] = places
    if b"\\" in data[place.begin : place.end]:
        raise ValueError(f"{name} has a value with a backslash")
    return data[: place.begin] + value.encode() + data[place.end :]


def _said(data: bytes, name: str) -> list[Entry]:
    return [entry for entry in entries(data) if entry.name == name]


def told(known: Mapping[str, str]) -> Protocol | None:
    """What the settings of a file say."""
    return Protocol.of(known.get(NAME))
