"""A hosted zone as strict as Route 53: atomic batches, exact deletes, changes that take time.

moto's server is laxer in every one of these points, and a cutover tested on it would learn
nothing. Source of the rules: the Route 53 API reference for ChangeResourceRecordSets.
Invariant: what DNS serves is the zone as of the newest change that is INSYNC.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

TYPES = ("A", "AAAA", "CAA", "CNAME", "DS", "MX", "NAPTR", "NS", "PTR", "SOA", "SPF", "SRV", "TXT")
MAX_BATCH = 1000


class Refused(Exception):
    """An API error: AWS's code and message, with its HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True)
class RecordSet:
    """One record set. `name` is lower case with a trailing dot. `routing` holds what makes it
    more than simple (`Weight`, `Region`, `Failover`, ...); `alias` is (zone, name, evaluate)."""

    name: str
    type: str
    ttl: int | None
    values: tuple[str, ...]
    set_identifier: str = ""
    routing: tuple[tuple[str, str], ...] = ()
    alias: tuple[str, str, str] | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.name, self.type, self.set_identifier)

    @property
    def order(self) -> tuple[list[str], str, str]:
        """Route 53 lists by name with its labels reversed, then type, then identifier."""
        return (self.name.rstrip(".").split(".")[::-1], self.type, self.set_identifier)

    def same_as(self, other: RecordSet) -> bool:
        """Equal, the order of values aside."""
        return (
            (self.key, self.ttl, self.alias) == (other.key, other.ttl, other.alias)
            and dict(self.routing) == dict(other.routing)
            and Counter(self.values) == Counter(other.values)
        )

    @property
    def label(self) -> str:
        identifier = f", set identifier='{self.set_identifier}'" if self.set_identifier else ""
        return f"[name='{self.name}', type='{self.type}'{identifier}]"


@dataclass(frozen=True)
class Change:
    """One of a batch: `action` is CREATE, DELETE or UPSERT."""

    action: str
    record: RecordSet


Sets = Mapping[tuple[str, str, str], RecordSet]


@dataclass
class Submitted:
    """A change batch on its way to the name servers."""

    id: str
    at: float
    comment: str
    sets: Sets
    in_sync: bool = False


@dataclass
class Zone:
    """A hosted zone. `delay` is how long a change stays PENDING, in seconds."""

    name: str  # with trailing dot
    id: str
    delay: float = 2.0
    clock: Callable[[], float] = time.monotonic
    _sets: Sets = field(default_factory=dict)
    _served: Sets = field(default_factory=dict)
    _changes: dict[str, Submitted] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def seed(self, records: Sequence[RecordSet]) -> None:
        """What the zone holds from the start, in sync; SOA and NS included."""
        apex = (
            RecordSet(self.name, "NS", 172800, (f"ns-1.{self.name}",)),
            RecordSet(
                self.name,
                "SOA",
                900,
                (f"ns-1.{self.name} hostmaster.{self.name} 1 7200 900 86400 5",),
            ),
        )
        self._sets = self._served = {r.key: r for r in (*apex, *records)}

    def record_sets(self) -> list[RecordSet]:
        """All record sets as the API shows them: a change is there at once."""
        with self._lock:
            return sorted(self._sets.values(), key=lambda r: r.order)

    def served(self) -> Sets:
        """What the name servers answer now."""
        with self._lock:
            self._settle()
            return self._served

    def set_delay(self, seconds: float) -> None:
        """From now on, pending changes included; what is in sync stays so."""
        with self._lock:
            self._settle()
            self.delay = seconds

    def submit(self, changes: Sequence[Change], comment: str = "") -> Submitted:
        """Apply a batch, all or nothing. Refused (InvalidChangeBatch) names every fault."""
        if not changes or len(changes) > MAX_BATCH:
            raise Refused("InvalidChangeBatch", f"[A batch has 1 to {MAX_BATCH} changes]")
        with self._lock:
            self._settle()
            sets = dict(self._sets)
            faults = [fault for c in changes if (fault := self._apply(sets, c))]
            faults += self._apex_faults(sets)
            if faults:
                raise Refused("InvalidChangeBatch", f"[{', '.join(faults)}]")
            change = Submitted(f"C{len(self._changes) + 1:013d}", self.clock(), comment, sets)
            self._sets = sets
            self._changes[change.id] = change
            return change

    def change(self, change_id: str) -> Submitted:
        with self._lock:
            self._settle()
            if change_id not in self._changes:
                message = f"Could not find resource with ID: {change_id}"
                raise Refused("NoSuchChange", message, 404)
            return self._changes[change_id]

    def _settle(self) -> None:
        """Bring in sync what is due; a change brings all before it along."""
        waiting = [c for c in self._changes.values() if not c.in_sync]
        due = [i for i, c in enumerate(waiting) if c.at + self.delay <= self.clock()]
        if due:
            for change in waiting[: due[-1] + 1]:
                change.in_sync = True
            self._served = waiting[due[-1]].sets

    def _apply(self, sets: dict[tuple[str, str, str], RecordSet], change: Change) -> str:
        """One change onto `sets`; the fault in AWS's words, or nothing."""
        record = change.record
        held = sets.get(record.key)
        if change.action == "DELETE":
            if held is None:
                return f"Tried to delete resource record set {record.label} but it was not found"
            if not held.same_as(record):
                return (
                    f"Tried to delete resource record set {record.label} "
                    "but the values provided do not match the current values"
                )
            del sets[record.key]
            return ""
        if change.action == "CREATE" and held is not None:
            return f"Tried to create resource record set {record.label} but it already exists"
        if change.action not in ("CREATE", "UPSERT"):
            return f"Invalid action {change.action}"
        fault = self._fault(record) or self._conflict(sets, record)
        if not fault:
            sets[record.key] = record
        return fault

    def _fault(self, record: RecordSet) -> str:
        """What is wrong with a record set by itself."""
        if record.name != self.name and not record.name.endswith(f".{self.name}"):
            return f"RRSet with DNS name {record.name} is not permitted in zone {self.name}"
        if record.type not in TYPES:
            return f"Invalid type {record.type}"
        if record.type == "CNAME" and record.name == self.name:
            return (
                f"RRSet of type CNAME with DNS name {record.name} is not permitted at apex "
                f"in zone {self.name}"
            )
        if record.alias is not None:
            return "An alias has neither TTL nor values" if record.values or record.ttl else ""
        if record.ttl is None or not record.values:
            return f"Missing field 'TTL' or 'ResourceRecords' in {record.label}"
        if not 0 <= record.ttl <= 2147483647:
            return f"Invalid TTL {record.ttl}"
        twice = [value for value, count in Counter(record.values).items() if count > 1]
        if twice:
            return f"Duplicate Resource Record: '{twice[0]}'"
        if record.type == "CNAME" and len(record.values) > 1:
            return f"RRSet of type CNAME with DNS name {record.name} has more than one value"
        for value in record.values:
            fault = _value_fault(record.type, value)
            if fault:
                return f"Invalid Resource Record: {fault} encountered with '{value}'"
        return ""

    def _conflict(self, sets: Sets, record: RecordSet) -> str:
        """What stands in the way of this record set among the others."""
        for other in sets.values():
            if other.name != record.name or other.key == record.key:
                continue
            if other.type == record.type:
                kinds = {key for key, _ in record.routing} ^ {key for key, _ in other.routing}
                if not record.set_identifier or not other.set_identifier or kinds:
                    return (
                        f"RRSet with DNS name {record.name}, type {record.type}, SetIdentifier "
                        f"{record.set_identifier or 'null'} cannot be created as a record set "
                        "with the same name and type but another routing exists"
                    )
            elif "CNAME" in (other.type, record.type):
                return (
                    f"RRSet of type {record.type} with DNS name {record.name} is not permitted "
                    f"because a conflicting RRSet of type {other.type} with the same DNS name "
                    f"already exists in zone {self.name}"
                )
        return ""

    def _apex_faults(self, sets: Sets) -> list[str]:
        return [
            f"A HostedZone must contain at least one {kind} record for the zone itself"
            for kind in ("NS", "SOA")
            if (self.name, kind, "") not in sets
        ]


def _value_fault(kind: str, value: str) -> str:
    try:
        if kind == "A":
            ipaddress.IPv4Address(value)
        elif kind == "AAAA":
            ipaddress.IPv6Address(value)
    except ValueError:
        return f"FATAL problem: {kind}RRDATAIllegalAddress (Value is not a valid address)"
    if kind == "TXT" and not (value.startswith('"') and value.endswith('"')):
        return "InvalidCharacterString (Value should be enclosed in quotation marks)"
    return ""


def normal(name: str) -> str:
    """A DNS name as Route 53 keeps it: lower case, trailing dot."""
    return name.lower().rstrip(".") + "."
