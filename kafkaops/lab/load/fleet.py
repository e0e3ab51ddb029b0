"""The load's processes: started in the lab, stopped in order, paused, resumed, judged.

A fleet's directory is `load/` in the lab's: `fleet.json`, and for each client its spec, its
ledger and its log. The supervisor owns the processes, so they end with the lab. Functions that
speak to Kafka (`start`, `report`) must run inside the lab's network.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from kafkaops.engine.errors import UsageFault
from kafkaops.lab import access
from kafkaops.lab.layout import Layout
from kafkaops.lab.load import java, processes, waiting
from kafkaops.lab.load.ledger import SUFFIX, Ledger
from kafkaops.lab.load.ledger_reader import LedgerReader, tally
from kafkaops.lab.load.report import Report, judge
from kafkaops.lab.load.roster import (
    Fleet,
    LoadFault,
    cluster_id_of,
    fresh_or_known,
    home_of,
    load,
    save,
)
from kafkaops.lab.load.spec import TOPICS, ClientSpec, Mix, clients, mix
from kafkaops.lab.load.spec import topics as parse_topics

Say = Callable[[str], None]


def quiet(line: str) -> None:
    """The default for progress lines: nothing."""


def start(
    lab: str | Path,
    *,
    chosen: Mix | None = None,
    topics: str | dict[str, int] = TOPICS,
    say: Say = quiet,
    **options: Any,
) -> Fleet:
    """Create the topics on blue if missing, start the clients, wait until each has acted.

    `options` are `ClientSpec` fields for all clients (rate, auto_commit, dns_cache, config...).
    A load that was stopped goes on: sequence numbers and ledgers continue; new clients join.
    LoadFault if a client ends, or does nothing for two minutes, once more started included.
    """
    layout = Layout.of(lab)
    wanted = parse_topics(topics) if isinstance(topics, str) else topics
    if access.secured(layout.settings()):
        options["lab"] = str(layout.root)
    specs = clients(chosen or mix("default"), tuple(wanted), **options)
    known = fresh_or_known(layout)
    for version in dict.fromkeys(s.java for s in specs if s.java):
        java.compiled(version, say)
    _create_topics(layout, wanted, say)
    merged = {c.name: c for c in (*(known.clients if known else ()), *specs)}
    all_topics = {**(known.topics if known else {}), **wanted}
    begins = known.starts if known else ()
    if not any(processes.running(layout, known.clients if known else ())):
        begins = (*begins, time.time_ns())
    fleet = Fleet(cluster_id_of(layout), all_topics, tuple(merged.values()), starts=begins)
    save(layout, fleet)
    say(f"starting {len(specs)} clients on {', '.join(f'{t}:{n}' for t, n in wanted.items())}")
    for spec in specs:
        processes.spawn(layout, spec)
    waiting.acting(layout, specs, say)
    return fleet


def stop(lab: str | Path, *, drain: bool = True, say: Say = quiet) -> bool:
    """End producers, let the groups read to the end, end consumers; whether all was read."""
    layout = Layout.of(lab)
    fleet = load(layout)
    say("ending producers")
    processes.end(layout, [c for c in fleet.clients if c.role == "producer"])
    complete = waiting.drain(layout, say) if drain else False
    say("ending consumers")
    processes.end(layout, [c for c in fleet.clients if c.role == "consumer"])
    save(layout, replace(fleet, drained=drain))
    return complete


def pause(lab: str | Path, names: Iterable[str]) -> tuple[str, ...]:
    """Stop clients as an operator's hook would: flush, commit, exit. Returns when they have
    ended. `names` are clients or groups, or globs of them."""
    layout = Layout.of(lab)
    specs = _named(load(layout), names)
    processes.end(layout, specs)
    return tuple(s.name for s in specs)


def resume(lab: str | Path, names: Iterable[str]) -> tuple[str, ...]:
    """Start clients again; producers go on with their sequence."""
    layout = Layout.of(lab)
    fleet = load(layout)
    specs = _named(fleet, names)
    save(layout, replace(fleet, drained=False))
    for spec in specs:
        processes.spawn(layout, spec)
    return tuple(s.name for s in specs)


def status(lab: str | Path) -> list[dict[str, Any]]:
    """A row a client: name, role, kind, active, pid, rss (bytes), records and errors so far."""
    layout = Layout.of(lab)
    fleet = load(layout)
    services = processes.services(layout)
    rows = []
    for spec in fleet.clients:
        service = services.get(processes.service(spec.name), {})
        records, errors = tally(home_of(layout) / f"{spec.name}{SUFFIX}")
        rows.append(
            {
                "name": spec.name,
                "role": spec.role,
                "kind": spec.kind,
                "group": spec.group,
                "active": bool(service.get("active")),
                "exit_code": service.get("exit_code"),
                "pid": service.get("pid", 0),
                "rss": service.get("rss", 0),
                "records": records,
                "errors": errors,
            }
        )
    return rows


def ledger(lab: str | Path) -> Ledger:
    """Everything written down so far."""
    layout = Layout.of(lab)
    fleet = load(layout)
    running = processes.running(layout, [c for c in fleet.clients if c.role == "producer"])
    until = time.time_ns() if any(running) else 0
    return LedgerReader(home_of(layout)).read(
        drained=fleet.drained, until=until, starts=fleet.starts
    )


def report(lab: str | Path, cluster: str = "blue") -> Report:
    """The ledger against the log of one cluster (`blue` or `green`: the one that serves)."""
    from kafkaops.lab.load.cluster_log import read

    layout = Layout.of(lab)
    fleet = load(layout)
    colours = layout.settings().colours
    if cluster not in colours:
        raise UsageFault("KO-USAGE", f"--cluster is {' or '.join(colours)}, not {cluster!r}")
    # The ledger first: what is acknowledged after this moment is none of this report's.
    written = ledger(lab)
    servers = layout.settings().bootstrap(cluster)
    return judge(written, read(servers, sorted(fleet.topics), access.librdkafka(layout)))


def _create_topics(layout: Layout, topics: dict[str, int], say: Say) -> None:
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

    settings = layout.settings()
    factor = min(3, settings.brokers)
    config = {"min.insync.replicas": str(max(1, factor - 1))}
    admin = AdminClient(
        {"bootstrap.servers": settings.bootstrap("blue"), **access.librdkafka(layout)}
    )
    new = [NewTopic(t, count, factor, config=config) for t, count in topics.items()]
    for topic, future in admin.create_topics(new, operation_timeout=30).items():
        try:
            future.result(60)
            say(f"topic {topic} created on blue")
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise LoadFault("KO-LOAD-TOPIC", f"topic {topic}: {error}") from error
    if access.secured(settings):
        access.grant(layout, "blue", topics)
        say(f"users {' and '.join(access.CLIENTS)} may use them")


def _named(fleet: Fleet, names: Iterable[str]) -> tuple[ClientSpec, ...]:
    found: dict[str, ClientSpec] = {}
    for name in names:
        matching = [
            c
            for c in fleet.clients
            if fnmatchcase(c.name, name) or (c.group and fnmatchcase(c.group, name))
        ]
        if not matching:
            there = ", ".join(c.name for c in fleet.clients)
            raise UsageFault("KO-LOAD-NAME", f"no client or group {name!r} (there are {there})")
        found |= {c.name: c for c in matching}
    return tuple(found.values())
