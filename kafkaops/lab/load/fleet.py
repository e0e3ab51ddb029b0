"""The load's processes: started in the lab, stopped in order, paused, resumed, judged.

A fleet's directory is `load/` in the lab's: `fleet.json`, and for each client its spec, its
ledger and its log. The supervisor owns the processes, so they end with the lab. Functions that
speak to Kafka (`start`, `report`) must run inside the lab's network.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from kafkaops.engine.errors import UsageFault
from kafkaops.lab import access, control
from kafkaops.lab.layout import Layout
from kafkaops.lab.load import java
from kafkaops.lab.load.backlog import Backlog
from kafkaops.lab.load.client import next_number
from kafkaops.lab.load.ledger import SUFFIX, Ledger
from kafkaops.lab.load.ledger_reader import LedgerReader, tally
from kafkaops.lab.load.moments import NS
from kafkaops.lab.load.report import Report, judge
from kafkaops.lab.load.roster import (
    OWNER,
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
STOP_TIMEOUT = 90.0
DRAIN_TIMEOUT = 120.0
DRAIN_IDLE = 60.0
"""Longer than a session (45 s), after which a killed member's partitions move on."""
AGAIN_AFTER = 30.0
READY_TIMEOUT = 120.0


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
    if not any(_running(layout, known.clients if known else ())):
        begins = (*begins, time.time_ns())
    fleet = Fleet(cluster_id_of(layout), all_topics, tuple(merged.values()), starts=begins)
    save(layout, fleet)
    say(f"starting {len(specs)} clients on {', '.join(f'{t}:{n}' for t, n in wanted.items())}")
    for spec in specs:
        _spawn(layout, spec)
    _await_action(layout, specs, say)
    return fleet


def stop(lab: str | Path, *, drain: bool = True, say: Say = quiet) -> bool:
    """End producers, let the groups read to the end, end consumers; whether all was read."""
    layout = Layout.of(lab)
    fleet = load(layout)
    say("ending producers")
    _end(layout, [c for c in fleet.clients if c.role == "producer"])
    complete = _drain(layout, say) if drain else False
    say("ending consumers")
    _end(layout, [c for c in fleet.clients if c.role == "consumer"])
    save(layout, replace(fleet, drained=drain))
    return complete


def pause(lab: str | Path, names: Iterable[str]) -> tuple[str, ...]:
    """Stop clients as an operator's hook would: flush, commit, exit. Returns when they have
    ended. `names` are clients or groups, or globs of them."""
    layout = Layout.of(lab)
    specs = _named(load(layout), names)
    _end(layout, specs)
    return tuple(s.name for s in specs)


def resume(lab: str | Path, names: Iterable[str]) -> tuple[str, ...]:
    """Start clients again; producers go on with their sequence."""
    layout = Layout.of(lab)
    fleet = load(layout)
    specs = _named(fleet, names)
    save(layout, replace(fleet, drained=False))
    for spec in specs:
        _spawn(layout, spec)
    return tuple(s.name for s in specs)


def status(lab: str | Path) -> list[dict[str, Any]]:
    """A row a client: name, role, kind, active, pid, rss (bytes), records and errors so far."""
    layout = Layout.of(lab)
    fleet = load(layout)
    services = _services(layout)
    rows = []
    for spec in fleet.clients:
        service = services.get(_service(spec.name), {})
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
    running = _running(layout, [c for c in fleet.clients if c.role == "producer"])
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


def _spawn(layout: Layout, spec: ClientSpec) -> None:
    home = home_of(layout)
    path = home / f"{spec.name}{SUFFIX}"
    if _services(layout).get(_service(spec.name), {}).get("active"):
        return
    if spec.java:
        spec_file = home / f"{spec.name}.properties"
        spec_file.write_text(java.properties(spec, next_number(path)))
        argv, env = java.command(spec, spec_file, path)
    else:
        spec_file = home / f"{spec.name}.json"
        spec_file.write_text(json.dumps(spec.to_json()))
        argv = [sys.executable, "-m", "kafkaops.lab.load.client", str(spec_file), str(path)]
        env = {}
    control.call(
        layout.socket,
        "spawn",
        name=_service(spec.name),
        argv=argv,
        env=env,
        log=str(home / f"{spec.name}.log"),
    )


def _end(layout: Layout, specs: Sequence[ClientSpec]) -> None:
    """TERM to all at once; KILL to what has not ended in time (its ledger lacks the end)."""

    def one(spec: ClientSpec) -> None:
        control.call(
            layout.socket,
            "stop",
            timeout=STOP_TIMEOUT,
            name=_service(spec.name),
        )

    if specs:
        with ThreadPoolExecutor(len(specs)) as pool:
            list(pool.map(one, specs))


def _drain(layout: Layout, say: Say) -> bool:
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


def _await_action(layout: Layout, specs: Sequence[ClientSpec], say: Say) -> None:
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
            _end(layout, idle)
            for spec in idle:
                _spawn(layout, spec)
        services = _services(layout)
        for spec in specs:
            service = services.get(_service(spec.name), {})
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


def _service(name: str) -> str:
    return f"{OWNER}/{name}"


def _running(layout: Layout, specs: Sequence[ClientSpec]) -> list[bool]:
    services = _services(layout)
    return [bool(services.get(_service(s.name), {}).get("active")) for s in specs]


def _services(layout: Layout) -> dict[str, dict[str, Any]]:
    processes = control.call(layout.socket, "status")["processes"]
    return {p["name"]: p for p in processes}
