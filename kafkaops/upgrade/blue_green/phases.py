"""The phases of a blue/green upgrade, in order. Every member has a kill test."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    TTL = "ttl"
    GREEN = "green"
    PARITY = "parity"
    PRODUCER_IDS = "producer-ids"
    MIRROR = "mirror"
    SANITY = "sanity"
    VERIFY = "verify"
    GATES = "gates"
    NAMES = "names"
    CUTOVER = "cutover"
    SETTLE = "settle"
    BACK = "back"
    BAKE = "bake"
    FINALIZE = "finalize"


TITLES = {
    Phase.TTL: "lower the TTL of the names",
    Phase.GREEN: "green is there, closed to clients",
    Phase.PARITY: "make green equal: topics, configs, ACLs, quotas",
    Phase.PRODUCER_IDS: "raise producer ids",
    Phase.MIRROR: "mirror with MirrorMaker 2",
    Phase.SANITY: "prove that the target serves",
    Phase.VERIFY: "compare both logs, record by record",
    Phase.GATES: "hold the gates",
    Phase.NAMES: "move the names, still forwarding",
    Phase.CUTOVER: "fence, prove, commit, open",
    Phase.SETTLE: "see every client arrive",
    Phase.BACK: "mirror back what is new",
    Phase.BAKE: "bake",
    Phase.FINALIZE: "give up the way back",
}
