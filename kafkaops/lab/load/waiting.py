"""What the load waits for, by its own ledgers: that clients act, that groups read to the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from kafkaops.lab.layout import Layout
from kafkaops.lab.load import processes
from kafkaops.lab.load.backlog import Backlog
from kafkaops.lab.load.ledger_reader import LedgerReader
from kafkaops.lab.load.moments import NS
from kafkaops.lab.load.roster import LoadFault, home_of
from kafkaops.lab.load.spec import ClientSpec

Say = Callable[[str], None]
DRAIN_TIMEOUT = 120.0
DRAIN_IDLE = 60.0
"""Longer than a session (45 s), after which a killed member's partitions move on."""
AGAIN_AFTER = 30.0
READY_TIMEOUT = 120.0


def drain(layout: Layout, say: Say) -> bool:
    """Wait until every group has received all that was acknowledged on its topics, or nothing
    has come for a while."""
    reader = LedgerReader(home_of(layout))
    backlog = Backlog()
    began = last_news = time.monotonic()
    while True:
        news = backlog.update(reader.read())
        now = time.monotonic()
        if news:
            last_news = now
        left = {group: len(missing) for group, missing in backlog.missing.items() if missing}
        if not left:
            return True
        if now - last_news > DRAIN_IDLE or now - began > DRAIN_TIMEOUT:
            rest = ", ".join(f"{group} {count}" for group, count in left.items())
            say(f"groups that did not read to the end: {rest} records left")
            return False
        time.sleep(0.25)


def acting(layout: Layout, specs: Sequence[ClientSpec], say: Say) -> None:
    """Until each producer has an acknowledgement and each group a delivery of this life. Clients
    that do nothing for a while are started once more: seen, a kafka-python consumer whose group
    rebalanced twice while it joined sent no heartbeat any more and never read."""
    reader = LedgerReader(home_of(layout))
    since = time.time_ns() - NS
    deadline = time.monotonic() + READY_TIMEOUT
    once_more = time.monotonic() + AGAIN_AFTER
    groups = {s.group for s in specs if s.group}
    producers = {s.name for s in specs if s.role == "producer"}
    while True:
        written = reader.read()
        acting = {p.name for p in written.producers if p.acks and p.acks[-1].at > since}
        reading = {
            c.group for c in written.consumers if c.deliveries and c.deliveries[-1].at > since
        }
        missing = (producers - acting) | ((groups - reading) if producers else set())
        if not missing:
            return
        if time.monotonic() > once_more:
            once_more = deadline + 1
            idle = [s for s in specs if {s.name, s.group} & missing]
            say(f"started once more, for they did nothing: {', '.join(s.name for s in idle)}")
            processes.end(layout, idle)
            for spec in idle:
                processes.spawn(layout, spec)
        services = processes.services(layout)
        for spec in specs:
            service = services.get(processes.service(spec.name), {})
            if not service.get("active") or time.monotonic() > deadline:
                if service.get("active") and not {spec.name, spec.group} & missing:
                    continue
                log = home_of(layout) / f"{spec.name}.log"
                end = log.read_text(errors="replace")[-600:] if log.exists() else ""
                raise LoadFault(
                    "KO-LOAD-START",
                    f"{spec.name} ({spec.kind}) ended or did nothing: {end.strip()}",
                    where=str(log),
                )
        time.sleep(0.25)
