"""Findings: their stable codes, whether each can be accepted, and what to do about it. Data.

What can be accepted is listed with the config (`config/accepting.py`), which refuses other codes.
Invariant: every code that a finding carries is in `CODES`; codes are published and never reused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from fnmatch import fnmatchcase

from kafkaops.config.accepting import ACCEPTABLE, FINDINGS


class Kind(Enum):
    """`NO` cannot be accepted, `ASK` goes ahead once accepted by name, `NOTE` only informs."""

    NO = "no"
    ASK = "ask"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One reason against the upgrade. `subject` is what `accept: [CODE:SUBJECT]` matches."""

    code: str
    subject: str
    reason: str
    hint: str = ""
    acceptable: bool = False
    accepted: bool = False
    note: bool = False

    def __post_init__(self) -> None:
        if self.acceptable and self.code not in ACCEPTABLE:
            raise ValueError(f"{self.code} is not among the codes that a config may accept")

    @property
    def blocks(self) -> bool:
        return not (self.accepted or self.note)

    def __str__(self) -> str:
        return f"{self.code}:{self.subject}: {self.reason}"


CODES: dict[str, tuple[Kind, str]] = {
    "KO-VERSION-OLDER": (Kind.NO, "green must run blue's version or a later one"),
    "KO-VERSION-TOO-OLD": (Kind.NO, "upgrade blue to 2.8 or later first, broker by broker"),
    "KO-VERSION-UNKNOWN": (Kind.NOTE, "check that its release is supported"),
    "KO-SAME-CLUSTER": (Kind.NO, "blue.bootstrap and green.bootstrap reach the same cluster"),
    "KO-LISTENER-CLIENT": (Kind.NO, "give every broker a CLIENT listener on client_port"),
    "KO-LISTENER-REPL": (Kind.NO, "bootstrap on a second listener, which is never fenced"),
    "KO-HOST-MISSING": (Kind.NO, "name the host, with its node_id, in the config's hosts"),
    "KO-NODE-IDS": (Kind.NO, "give green the node ids of blue, so that it can forward"),
    "KO-NAMES-NOT-SHARED": (
        Kind.NO,
        "green must advertise blue's broker names, or leave cutover.broker_names empty",
    ),
    "KO-NAMES-NOT-LISTED": (Kind.NO, "list the shared names in cutover.broker_names"),
    "KO-CLIENTS-CANNOT-FOLLOW": (Kind.NO, "alias only: use moves: rebootstrap or hooks"),
    "KO-CLIENTS-NO-HOOKS": (Kind.NO, "moves: hooks needs the commands stop and start"),
    "KO-FENCE-CLIENTS": (
        Kind.NO,
        "with cutover.fence: clients every group needs moves: hooks with stop and start",
    ),
    "KO-NAME-MISSING": (Kind.NO, "create the record, pointing to blue"),
    "KO-NAME-TYPE": (Kind.NO, "only plain A records can be moved"),
    "KO-NAME-ROUTING": (Kind.NO, "make it a simple record; weighted DNS would split a key"),
    "KO-NAME-NOT-BLUE": (Kind.NO, "point it to blue's hosts first"),
    "KO-GREEN-RECORDS": (Kind.NO, "kafkaops cluster clear green, if nobody needs what it holds"),
    "KO-GREEN-PRODUCERS": (
        Kind.NO,
        "kafkaops cluster clear green: producer state goes with its topics",
    ),
    "KO-PARITY": (Kind.NO, "see the reason"),
    "KO-CLIENT-PROTOCOL": (Kind.NO, "give green's CLIENT listener the protocol of blue's"),
    "KO-CLIENT-MECHANISM": (Kind.NO, "enable the mechanism on green's CLIENT listener"),
    "KO-SUPER-USERS": (Kind.NOTE, "check that no client is among them"),
    "KO-ACL-SURPLUS": (Kind.NOTE, "check that green should allow or deny more than blue"),
    "KO-TOPIC-LEFT-OUT": (Kind.NOTE, "not carried: made by tools, or excluded in the config"),
    "KO-TOPIC-UNMIRRORED": (Kind.NO, "rename it, or name it in mirror.exclude to leave it on blue"),
    "KO-CONFIG-NOT-CARRIED": (Kind.NOTE, "green's own value holds"),
    "KO-BROKERS-DIFFER": (Kind.NOTE, "topic defaults differ between blue's brokers"),
    "KO-REASSIGNING": (Kind.NO, "wait until the reassignment has ended, or cancel it"),
    "KO-PARTITION-OFFLINE": (Kind.NO, "bring its brokers back"),
    "KO-UNDER-MIN-ISR": (Kind.NO, "wait until its replicas have caught up"),
    "KO-UNDER-REPLICATED": (Kind.NOTE, "best begun when every replica is in sync"),
    "KO-TXN-HANGING": (Kind.NO, "abort it with kafka-transactions.sh abort"),
    "KO-GROUP-STATIC": (Kind.NOTE, "static members were not tried in a move"),
    "KO-GROUP-EMPTY": (Kind.NOTE, "its positions are carried; its clients cannot be watched"),
    "KO-ACKS": (Kind.NOTE, "brokers cannot tell acks; below all, a failure can lose records"),
    **{code: (Kind.ASK, hint) for code, hint in FINDINGS.items()},
}  # fmt: skip


def finding(code: str, subject: str, reason: str, hint: str = "") -> Finding:
    """A finding of a known code."""
    kind, default = CODES[code]
    return Finding(code, subject, reason, hint or default, kind is Kind.ASK, note=kind is Kind.NOTE)


def accept(findings: Iterable[Finding], globs: Sequence[str]) -> tuple[Finding, ...]:
    """Mark acceptable findings that a glob (`CODE` or `CODE:SUBJECT`) names as accepted."""

    def named(found: Finding) -> bool:
        names = (found.code, f"{found.code}:{found.subject}")
        return any(fnmatchcase(name, glob) for name in names for glob in globs)

    return tuple(replace(f, accepted=True) if f.acceptable and named(f) else f for f in findings)
