"""What an operator may accept by name, under `accept`: the codes, each with what else there is to
do. Data; the one list that findings, the check of a config and its page are made from.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from kafkaops.config.faults import Fault

NOT_SEEN = "KO-CLIENT-NOT-SEEN"
RACK_SPREAD = "KO-RACK-SPREAD"
MESSAGE_FORMAT = "KO-MESSAGE-FORMAT"
GHOST = "KO-FEATURE-GHOST"
STRANGER = "KO-STRANGER"

FINDINGS: Mapping[str, str] = {
    "KO-NAME-TTL": "lower it, raise cutover.ttl, or accept the wait of one old TTL",
    "KO-GREEN-AUTO-CREATE": "set auto.create.topics.enable=false on green",
    "KO-SCRAM-USERS": (
        "name its password in `users`, or create it on green: passwords cannot be read from blue"
    ),
    "KO-USERS-UNPROVEN": "give REPL a login, or accept that passwords stay untried",
    "KO-ACL-DEFAULT": (
        "set allow.everyone.if.no.acl.found=true on green, or give clients ACLs on blue first"
    ),
    "KO-TIERED": "green must have the same remote storage, or take the whole log",
    "KO-RF-ONE": "one failed host stops it; raise the replication factor",
    "KO-RF-MIN-ISR": "one host away stops acks=all writes; lower min.insync.replicas",
    "KO-TXN-IDS": "the producer's transaction fails at the cut; see what it does then",
    "KO-STREAMS": "wipe its local state after the move, or stop it by hooks",
    "KO-GROUP-KIP848": "it is joined and left on green first, so that it exists there",
    "KO-GROUP-SHARE": "its progress cannot be carried",
    "KO-GROUP-CONNECT": "Connect workers were not tried; stop and start them by hooks",
    "KO-GROUP-ASSIGNS": (
        "stop it by hooks; give it `kafkaops offsets translate` if it keeps its own offsets"
    ),
    "KO-GROUP-UNDECLARED": "say in clients how it moves",
    "KO-DISK": "give green room for all of blue's logs",
}
"""Of the plan of a blue/green upgrade."""

ACCEPTABLE: Mapping[str, str] = {
    **FINDINGS,
    RACK_SPREAD: "move the partitions that do not span green's racks",
    NOT_SEEN: "with the name of a group or topic behind it: it is not waited for after the cut",
    STRANGER: "with the name of a topic behind it: its records that nothing carries are given up",
    MESSAGE_FORMAT: "bring the format of records up by a roll of its own first",
    GHOST: "start that controller once more: while it is gone the target cannot be finalised",
}
NAMED: Mapping[str, str] = {NOT_SEEN: "a group or topic", STRANGER: "a topic"}
"""Those that are accepted of one thing at a time."""


def faults(accept: tuple[str, ...]) -> Iterator[Fault]:
    """What names no code that can be accepted, with the nearest that can."""
    for index, entry in enumerate(accept):
        code, _, subject = entry.partition(":")
        if code in NAMED and not subject:
            yield Fault(
                f"accept.{index}", f"{code} needs the name of {NAMED[code]}: {code}:NAME (globs)"
            )
        elif not any(fnmatchcase(known, code) for known in ACCEPTABLE):
            yield Fault(
                f"accept.{index}",
                f"{code} is no finding that can be accepted; the nearest that can is"
                f" {_nearest(code)}",
            )


def subjects(accept: Iterable[str], code: str) -> tuple[str, ...]:
    """Globs of what the entries accept of that code; those in `NAMED` only by a subject."""
    every = "" if code in NAMED else "*"
    parted = (entry.partition(":") for entry in accept)
    globs = (subject or every for known, _, subject in parted if fnmatchcase(code, known))
    return tuple(glob for glob in globs if glob)


def _nearest(code: str) -> str:
    return max(ACCEPTABLE, key=lambda k: difflib.SequenceMatcher(None, code.upper(), k).ratio())
