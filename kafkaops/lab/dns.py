"""A real DNS server for the zone, over UDP and TCP, answering what Route 53 has in sync.

It stands where a VPC's resolver stands, without a cache: a record's TTL is handed out whole.
Names outside the zone do not exist: nothing in the lab may depend on the outside.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from dnslib import AAAA, CNAME, NS, QTYPE, RCODE, RR, SOA, TXT, A
from dnslib.server import BaseResolver, DNSHandler, DNSLogger, DNSServer

from kafkaops.lab.route53 import RecordSet, Sets, Zone, normal

MAX_ALIASES = 8


class ZoneResolver(BaseResolver):  # type: ignore[misc]  # dnslib has no annotations
    """Answers from `Zone.served()`."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone

    def resolve(self, request: object, handler: object) -> object:
        reply = request.reply()  # type: ignore[attr-defined]
        reply.header.ra = 1
        question = request.q  # type: ignore[attr-defined]
        name = normal(str(question.qname))
        kind = QTYPE.get(question.qtype)
        sets = self.zone.served()
        found, exists = answer(sets, name, kind)
        for record in found:
            reply.add_answer(*_resource(record))
        if not found or (kind != "CNAME" and found[-1].type == "CNAME"):
            soa = sets[(self.zone.name, "SOA", "")]
            reply.add_auth(*_resource(soa))
            if not exists:
                reply.header.rcode = RCODE.NXDOMAIN
        return reply


def answer(sets: Sets, name: str, kind: str) -> tuple[list[RecordSet], bool]:
    """The record sets that answer a question, CNAMEs followed, and whether the name exists."""
    found: list[RecordSet] = []
    exists = False
    for _ in range(MAX_ALIASES):
        here = [record for record in sets.values() if record.name == name]
        exists = exists or bool(here) or any(r.name.endswith(f".{name}") for r in sets.values())
        chosen = _choose([record for record in here if record.type == kind])
        if chosen is not None and chosen.alias is not None:
            name = chosen.alias[1]
            continue
        if chosen is not None:
            found.append(chosen)
            break
        pointer = _choose([record for record in here if record.type == "CNAME"])
        if pointer is None or kind == "CNAME":
            break
        found.append(pointer)
        name = normal(pointer.values[0])
    return found, exists


def _choose(candidates: Sequence[RecordSet]) -> RecordSet | None:
    """One record set of those with the same name and type: by weight, all zero being equal."""
    if not candidates:
        return None
    weights = [int(dict(record.routing).get("Weight", "1")) for record in candidates]
    if not any(weights):
        weights = [1] * len(candidates)
    return random.choices(candidates, weights)[0]


def _resource(record: RecordSet) -> list[RR]:
    make = {
        "A": A,
        "AAAA": AAAA,
        "CNAME": CNAME,
        "NS": NS,
        "TXT": lambda value: TXT(value.strip('"')),
        "SOA": _soa,
    }.get(record.type)
    if make is None:
        return []
    return [
        RR(record.name, getattr(QTYPE, record.type), ttl=record.ttl or 0, rdata=make(value))
        for value in random.sample(record.values, len(record.values))
    ]


def _soa(value: str) -> SOA:
    primary, mail, *times = value.split()
    return SOA(primary, mail, tuple(int(t) for t in times))


def serve(zone: Zone, address: str, port: int) -> list[DNSServer]:
    """Start both servers on threads of their own."""
    resolver = ZoneResolver(zone)
    logger = DNSLogger(log="-request,-reply,-truncated,-data")
    servers = []
    for tcp in (False, True):
        server = DNSServer(
            resolver, port=port, address=address, tcp=tcp, logger=logger, handler=DNSHandler
        )
        server.start_thread()
        servers.append(server)
    return servers
