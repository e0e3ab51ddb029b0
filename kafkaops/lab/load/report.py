"""The judge: what was lost, doubled, skipped or replayed, from the ledger and one log.

Pure: `judge` sees the ledger and the records of the cluster that serves at the end, nothing
else, and shares no code with what kafkaops proves by itself.

What is counted, with a record's identity being (topic, partition, producer, number):
- lost: acknowledged, and not (or not intact) in the log
- duplicated_in_log: occurrences in the log beyond the first
- reordered, of a producer: first occurrences that come after a higher number of the same
  producer in the same partition; of a group: the same over first deliveries
- skipped: in the log, never delivered to the group, though a later record of that partition
  was, or though the group had the time to read to the end; `behind` otherwise
- replayed: deliveries beyond the first
- errors are final ones; commit_failures, and ridden_out (errors that a library hands to the
  application and that a repeated call cures), lose nothing
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kafkaops.lab.load.ledger import FOREIGN, ConsumerLedger, Ledger, ProducerLedger
from kafkaops.lab.load.moments import (
    Identity,
    deliveries_of,
    identity_of,
    longest_gap,
    producer_times,
)

EXAMPLES = 5

Place = tuple[str, int]


class LogRecord(NamedTuple):
    """One visible record of a log; `producer` is `-` for one that the load did not write."""

    topic: str
    partition: int
    offset: int
    producer: str
    seq: int
    intact: bool = True


@dataclass
class ProducerReport:
    kind: str
    acknowledged: int = 0
    lost: int = 0
    duplicated_in_log: int = 0
    reordered: int = 0
    altered: int = 0
    unacknowledged_in_log: int = 0
    errors: int = 0
    longest_pause_s: float = 0.0
    longest_pause_at: str = ""
    first_error: str = ""
    examples: dict[str, list[str]] = field(default_factory=dict)

    def count(self, what: str, topic: str, partition: int, offset: int, seq: int) -> None:
        setattr(self, what, getattr(self, what) + 1)
        shown = self.examples.setdefault(what, [])
        if len(shown) < EXAMPLES:
            shown.append(f"{topic}-{partition} offset {offset} number {seq}")


@dataclass
class GroupReport:
    kinds: list[str]
    received: int = 0
    distinct: int = 0
    skipped: int = 0
    behind: int = 0
    replayed: int = 0
    reordered: int = 0
    received_not_in_log: int = 0
    errors: int = 0
    commit_failures: int = 0
    ridden_out: int = 0
    longest_gap_s: float = 0.0
    longest_gap_at: str = ""
    first_error: str = ""
    skipped_examples: list[str] = field(default_factory=list)
    members: dict[str, dict[str, float | str]] = field(default_factory=dict)


@dataclass
class Total:
    acknowledged: int = 0
    lost: int = 0
    skipped: int = 0
    duplicated_in_log: int = 0
    replayed: int = 0
    reordered: int = 0
    altered: int = 0
    behind: int = 0
    errors: int = 0
    commit_failures: int = 0
    in_log: int = 0
    foreign_in_log: int = 0
    longest_producer_pause_s: float = 0.0
    longest_producer_pause_of: str = ""
    longest_consumer_gap_s: float = 0.0
    longest_consumer_gap_of: str = ""


@dataclass
class Report:
    """Figures a client, a group, and in all. Durations in seconds, times in UTC."""

    drained: bool
    producers: dict[str, ProducerReport]
    groups: dict[str, GroupReport]
    total: Total


@dataclass
class _Log:
    """The log once through: first occurrences in order, and what stood out."""

    order: dict[Place, list[Identity]]
    seen: set[Identity]
    records: int = 0
    foreign: int = 0


def judge(ledger: Ledger, log: Iterable[LogRecord]) -> Report:
    """The report of one load. `log` yields each partition's records by rising offset."""
    producers = {p.name: ProducerReport(p.kind) for p in ledger.producers}
    found = _walk(log, producers)
    for client in ledger.producers:
        _judge_producer(ledger, client, producers[client.name], found)
    groups = {g: _judge_group(ledger, g, found) for g in ledger.groups()}
    return Report(ledger.drained, producers, groups, _total(producers, groups, found))


def _walk(log: Iterable[LogRecord], producers: dict[str, ProducerReport]) -> _Log:
    found = _Log({}, set())
    highest: dict[tuple[str, int, str], int] = {}
    for record in log:
        found.records += 1
        report = producers.get(record.producer)
        if report is None:
            found.foreign += 1
            continue
        topic, partition, offset, producer, seq, intact = record
        if not intact:
            report.count("altered", topic, partition, offset, seq)
            continue
        identity = (topic, partition, producer, seq)
        if identity in found.seen:
            report.count("duplicated_in_log", topic, partition, offset, seq)
            continue
        found.seen.add(identity)
        found.order.setdefault((topic, partition), []).append(identity)
        line = (topic, partition, producer)
        if seq < highest.get(line, -1):
            report.count("reordered", topic, partition, offset, seq)
        else:
            highest[line] = seq
    return found


def _judge_producer(
    ledger: Ledger, client: ProducerLedger, report: ProducerReport, found: _Log
) -> None:
    acked = {(a.topic, a.partition, client.name, a.seq) for a in client.acks}
    report.acknowledged = len(client.acks)
    for ack in client.acks:
        if (ack.topic, ack.partition, client.name, ack.seq) not in found.seen:
            report.count("lost", ack.topic, ack.partition, ack.offset, ack.seq)
    report.unacknowledged_in_log = sum(
        1 for identity in found.seen if identity[2] == client.name and identity not in acked
    )
    report.errors = len(client.faults)
    report.first_error = client.faults[0].text if client.faults else ""
    times = producer_times(client, ledger.until)
    report.longest_pause_s, report.longest_pause_at = longest_gap(times, ledger.starts)


def _judge_group(ledger: Ledger, group: str, found: _Log) -> GroupReport:
    members = ledger.members(group)
    report = GroupReport(list(dict.fromkeys(m.kind for m in members)))
    deliveries = deliveries_of(members)
    own = [d for d in deliveries if d.producer != FOREIGN]
    report.received = len(own)
    received: set[Identity] = set()
    highest: dict[tuple[str, int, str], int] = {}
    for topic, partition, producer, seq in map(identity_of, own):
        identity = (topic, partition, producer, seq)
        if identity in received:
            continue
        received.add(identity)
        line = (topic, partition, producer)
        if seq < highest.get(line, -1):
            report.reordered += 1
        else:
            highest[line] = seq
    report.distinct = len(received)
    report.replayed = report.received - report.distinct
    report.received_not_in_log = len(received - found.seen)
    _gaps_in_reading(report, members, received, found, ledger.drained)
    report.longest_gap_s, report.longest_gap_at = longest_gap(
        [d.at for d in deliveries], ledger.starts
    )
    for member in members:
        gap = longest_gap([d.at for d in member.deliveries], ledger.starts)
        report.members[member.name] = {
            "kind": member.kind,
            "received": len(member.deliveries),
            "commits": len(member.commits),
            "longest_gap_s": gap.seconds,
            "longest_gap_at": gap.at,
        }
    faults = [f for m in members for f in m.faults]
    failures = [f for m in members for f in m.commit_failures]
    report.errors, report.commit_failures = len(faults), len(failures)
    report.ridden_out = sum(len(m.ridden_out) for m in members)
    report.first_error = next((f.text for f in (*faults, *failures)), "")
    return report


def _gaps_in_reading(
    report: GroupReport,
    members: Sequence[ConsumerLedger],
    received: set[Identity],
    found: _Log,
    drained: bool,
) -> None:
    topics = {t for m in members for t in m.topics}
    for (topic, _), order in found.order.items():
        if topic not in topics:
            continue
        missing = [i for i, identity in enumerate(order) if identity not in received]
        last = next((i for i in range(len(order) - 1, -1, -1) if order[i] in received), -1)
        skipped = [i for i in missing if drained or i < last]
        report.skipped += len(skipped)
        report.behind += len(missing) - len(skipped)
        for i in skipped[: EXAMPLES - len(report.skipped_examples)]:
            _, partition, producer, seq = order[i]
            report.skipped_examples.append(f"{topic}-{partition} {producer} number {seq}")


def _total(
    producers: dict[str, ProducerReport], groups: dict[str, GroupReport], found: _Log
) -> Total:
    total = Total(in_log=found.records, foreign_in_log=found.foreign)
    for name, p in producers.items():
        total.acknowledged += p.acknowledged
        total.lost += p.lost
        total.duplicated_in_log += p.duplicated_in_log
        total.reordered += p.reordered
        total.altered += p.altered
        total.errors += p.errors
        if p.longest_pause_s > total.longest_producer_pause_s:
            total.longest_producer_pause_s = p.longest_pause_s
            total.longest_producer_pause_of = name
    for name, g in groups.items():
        total.skipped += g.skipped
        total.behind += g.behind
        total.replayed += g.replayed
        total.reordered += g.reordered
        total.errors += g.errors
        total.commit_failures += g.commit_failures
        if g.longest_gap_s > total.longest_consumer_gap_s:
            total.longest_consumer_gap_s = g.longest_gap_s
            total.longest_consumer_gap_of = name
    return total
