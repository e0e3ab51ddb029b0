"""What a placement is to reach, in one vocabulary that combines freely. Pure data.

Invariant: `Goals.of_json(goals.to_json()) == goals`, and what cannot be read is a ValueError that
names the field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any

ALL = "all"


class Balance(Enum):
    """What is to be even."""

    REPLICAS = "replicas"  # counts of replicas, floor/ceil of each broker's share
    TOPICS = "topics"  # the same within every topic
    LEADERS = "leaders"  # preferred leaders, per broker and per topic; moves no bytes
    BYTES = "bytes"
    DISKS = "disks"  # bytes over the log directories inside each broker (JBOD)


class Objective(Enum):
    """What is to be moved as little as possible."""

    REPLICAS = "replicas"
    BYTES = "bytes"


@dataclass(frozen=True)
class Goals:
    """`add` brokers are to take their share, which evens out replicas and leaders. `drain` brokers
    and brokers of `drain_racks` are to be empty; `drain_absent` adds all that hold replicas and
    are not in the cluster. `replace` pairs (old, new): the new one takes what the old one held.
    `rf` pairs (glob of topics, replicas); the last that matches holds. `pins` pairs (glob of
    topics or of TOPIC-PARTITION, brokers that must hold a replica). `exclude` globs of topics stay
    as they are; `no_receive` brokers keep what they have and get nothing. `capacity` weighs
    brokers, 1 where not named. `tolerance` widens each share by this part of it, and by itself is
    0 for counts and 0.05 for bytes. `no_rack` are brokers without rack that may be used, each id
    or `all`; `shared_racks` allows that fewer racks than replicas are left."""

    add: tuple[int, ...] = ()
    drain: tuple[int, ...] = ()
    drain_racks: tuple[str, ...] = ()
    drain_absent: bool = False
    replace: tuple[tuple[int, int], ...] = ()
    rf: tuple[tuple[str, int], ...] = ()
    repair: bool = False
    balance: tuple[Balance, ...] = ()
    pins: tuple[tuple[str, tuple[int, ...]], ...] = ()
    exclude: tuple[str, ...] = ()
    no_receive: tuple[int, ...] = ()
    capacity: tuple[tuple[int, Decimal], ...] = ()
    tolerance: Decimal | None = None
    objective: Objective = Objective.REPLICAS
    no_rack: tuple[str, ...] = ()
    shared_racks: bool = False

    def evens(self, what: Balance) -> bool:
        """Whether this is to be even: asked for, or what added brokers bring with them."""
        brought = bool(self.add) and what in (Balance.REPLICAS, Balance.LEADERS)
        return what in self.balance or brought

    @property
    def none(self) -> bool:
        """Whether nothing is to be reached: pins and the like only say how."""
        reached = (self.add, self.drain, self.drain_racks, self.replace, self.rf, self.balance)
        return not (any(reached) or self.repair or self.drain_absent or self.pins)

    def to_json(self) -> dict[str, Any]:
        return {f.name: _out(getattr(self, f.name)) for f in fields(self)}

    @staticmethod
    def of_json(document: Any) -> Goals:
        """ValueError: a field that is unknown or cannot be read, named."""
        if not isinstance(document, Mapping):
            raise ValueError("goals: a mapping is wanted")
        for name in document:
            if name not in _READERS:
                raise ValueError(f"goals: unknown field {name!r}")
        found = {}
        for name, value in document.items():
            try:
                found[name] = _READERS[name](value)
            except (TypeError, ValueError, KeyError, InvalidOperation):
                raise ValueError(f"goals.{name}: {value!r} cannot be read") from None
        return Goals(**found)


def _out(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return str(value)
    return [_out(inner) for inner in value] if isinstance(value, tuple) else value


def _ids(value: Iterable[Any]) -> tuple[int, ...]:
    return tuple(_int(v) for v in value)


def _int(value: Any) -> int:
    if type(value) is not int:
        raise ValueError
    return value


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError
    return value


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or any(type(v) is not str for v in value):
        raise ValueError
    return tuple(value)


_READERS: dict[str, Any] = {
    "add": _ids,
    "drain": _ids,
    "drain_racks": _words,
    "drain_absent": _bool,
    "replace": lambda v: tuple((_int(a), _int(b)) for a, b in v),
    "rf": lambda v: tuple((str(glob), _int(n)) for glob, n in v),
    "repair": _bool,
    "balance": lambda v: tuple(Balance(b) for b in v),
    "pins": lambda v: tuple((str(glob), _ids(to)) for glob, to in v),
    "exclude": _words,
    "no_receive": _ids,
    "capacity": lambda v: tuple((_int(b), Decimal(w)) for b, w in v),
    "tolerance": lambda v: None if v is None else Decimal(v),
    "objective": Objective,
    "no_rack": _words,
    "shared_racks": _bool,
}
