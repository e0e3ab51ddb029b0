"""The judge on ledgers made by hand: each figure is zero when all is well, and can be more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from kafkaops.lab.load.ledger import (
    FOREIGN,
    Ack,
    Commit,
    ConsumerLedger,
    Delivery,
    Fault,
    Ledger,
    ProducerLedger,
)
from kafkaops.lab.load.moments import (
    NS,
    Gap,
    longest_gap,
    pauses_between,
    replayed_between,
    uncommitted_at,
)
from kafkaops.lab.load.report import LogRecord, Report, judge

T0 = 1_700_000_000


def at(seconds: float) -> int:
    return T0 * NS + round(seconds * NS)


def acks(*numbers: int, every: float = 0.1) -> list[Ack]:
    return [Ack(n, "t", 0, n, at(n * every), at(n * every)) for n in numbers]


def log(*numbers: int, partition: int = 0, producer: str = "p") -> list[LogRecord]:
    return [LogRecord("t", partition, offset, producer, n) for offset, n in enumerate(numbers)]


def read(*numbers: int, every: float = 0.1, first: float = 0.0) -> list[Delivery]:
    return [
        Delivery("p", n, "t", 0, offset, at(first + offset * every))
        for offset, n in enumerate(numbers)
    ]


def member(
    deliveries: Sequence[Delivery],
    name: str = "c1",
    group: str = "g",
    commits: Iterable[Commit] = (),
) -> ConsumerLedger:
    return ConsumerLedger(
        name, "librdkafka", group, ("t",), deliveries=list(deliveries), commits=list(commits)
    )


def ledger(
    acknowledged: Sequence[Ack] = (), *members: ConsumerLedger, drained: bool = True
) -> Ledger:
    producer = ProducerLedger("p", "librdkafka", ("t",), acks=list(acknowledged))
    return Ledger((producer,), members, drained=drained)


def good() -> tuple[Ledger, list[LogRecord]]:
    return ledger(acks(0, 1, 2, 3), member(read(0, 1, 2, 3))), log(0, 1, 2, 3)


COUNTS = ("lost", "skipped", "duplicated_in_log", "replayed", "reordered", "altered", "behind")


def counts(report: Report) -> dict[str, int]:
    """The figures in all that are not zero."""
    return {name: getattr(report.total, name) for name in COUNTS if getattr(report.total, name)}


def test_all_is_well() -> None:
    report = judge(*good())
    assert counts(report) == {}
    assert report.total.acknowledged == 4
    assert report.total.in_log == 4
    assert report.total.errors == 0


def test_lost_is_acknowledged_and_not_in_the_log() -> None:
    written, _ = good()
    report = judge(written, log(0, 1, 3))
    assert counts(report) == {"lost": 1}
    assert report.producers["p"].lost == 1
    assert report.producers["p"].examples["lost"] == ["t-0 offset 2 number 2"]
    assert report.groups["g"].received_not_in_log == 1


def test_a_record_in_another_partition_is_lost_from_its_own() -> None:
    written, _ = good()
    report = judge(written, [*log(0, 1, 3), *log(2, partition=1)])
    assert report.total.lost == 1
    assert report.producers["p"].unacknowledged_in_log == 1


def test_an_altered_record_is_altered_and_no_proof_of_anything() -> None:
    written, records = good()
    records[2] = records[2]._replace(intact=False)
    report = judge(written, records)
    assert counts(report) == {"lost": 1, "altered": 1}


def test_duplicates_in_the_log_are_counted_beyond_the_first() -> None:
    written, _ = good()
    report = judge(written, log(0, 1, 2, 1, 2, 2, 3))
    assert counts(report) == {"duplicated_in_log": 3}
    assert report.producers["p"].duplicated_in_log == 3


def test_unacknowledged_in_the_log_is_no_loss_and_is_named() -> None:
    report = judge(ledger(acks(0, 1), member(read(0, 1, 2))), log(0, 1, 2))
    assert counts(report) == {}
    assert report.producers["p"].unacknowledged_in_log == 1


def test_reordered_in_the_log() -> None:
    report = judge(ledger(acks(0, 1, 2, 3), member(read(0, 2, 1, 3))), log(0, 2, 1, 3))
    assert report.producers["p"].reordered == 1
    assert report.groups["g"].reordered == 1


def test_reordered_for_a_group_alone() -> None:
    written = ledger(acks(0, 1, 2, 3), member(read(0, 2, 1, 3)))
    report = judge(written, log(0, 1, 2, 3))
    assert (report.producers["p"].reordered, report.groups["g"].reordered) == (0, 1)


def test_order_is_judged_by_partition_and_producer() -> None:
    records = [
        LogRecord("t", 0, 0, "p", 5),
        LogRecord("t", 1, 0, "p", 1),
        LogRecord("t", 0, 1, "q", 2),
    ]
    producers = (ProducerLedger("p", "k", ("t",)), ProducerLedger("q", "k", ("t",)))
    assert judge(Ledger(producers, ()), records).total.reordered == 0


def test_skipped_is_what_a_group_never_received_though_it_read_on() -> None:
    written = ledger(acks(0, 1, 2, 3), member(read(0, 1, 3)), drained=False)
    report = judge(written, log(0, 1, 2, 3))
    assert counts(report) == {"skipped": 1}
    assert report.groups["g"].skipped_examples == ["t-0 p number 2"]


def test_what_comes_after_the_last_delivery_is_behind_while_the_load_runs() -> None:
    written = ledger(acks(0, 1, 2, 3), member(read(0, 1)), drained=False)
    assert counts(judge(written, log(0, 1, 2, 3))) == {"behind": 2}


def test_and_skipped_once_the_group_had_its_time() -> None:
    written = ledger(acks(0, 1, 2, 3), member(read(0, 1)), drained=True)
    assert counts(judge(written, log(0, 1, 2, 3))) == {"skipped": 2}


def test_a_group_that_received_nothing_skipped_everything() -> None:
    assert judge(ledger(acks(0, 1), member([])), log(0, 1)).groups["g"].skipped == 2


def test_skipped_counts_for_each_group_by_itself() -> None:
    written = ledger(acks(0, 1), member(read(0, 1)), member(read(1), "d1", "h"))
    report = judge(written, log(0, 1))
    assert (report.groups["g"].skipped, report.groups["h"].skipped) == (0, 1)


def test_topics_that_a_group_does_not_read_are_not_skipped() -> None:
    other = [LogRecord("u", 0, 0, "p", 9)]
    assert counts(judge(good()[0], [*log(0, 1, 2, 3), *other])) == {}


def test_members_of_a_group_complete_each_other() -> None:
    deliveries = read(0, 1, 2, 3)
    written = ledger(acks(0, 1, 2, 3), member(deliveries[:2]), member(deliveries[2:], name="c2"))
    report = judge(written, log(0, 1, 2, 3))
    assert counts(report) == {}
    assert report.groups["g"].members["c2"]["received"] == 2


def test_replayed_is_deliveries_beyond_the_first_and_no_disorder() -> None:
    again = read(1, 2, first=5.0)
    written = ledger(acks(0, 1, 2, 3), member([*read(0, 1, 2), *again, *read(3, first=6.0)]))
    report = judge(written, log(0, 1, 2, 3))
    assert counts(report) == {"replayed": 2}
    assert report.groups["g"].distinct == 4
    assert replayed_between(written, "g", T0 + 4, T0 + 7) == 2
    assert replayed_between(written, "g", T0 + 5.05, T0 + 7) == 1
    assert replayed_between(written, "g", T0, T0 + 4) == 0


def test_what_the_load_did_not_write_is_foreign() -> None:
    written = ledger(acks(0), member([*read(0), Delivery(FOREIGN, -1, "t", 0, 1, at(1))]))
    records = [*log(0), LogRecord("t", 0, 1, FOREIGN, -1), *log(4, producer="stranger")]
    report = judge(written, records)
    assert counts(report) == {}
    assert report.total.foreign_in_log == 2
    assert report.groups["g"].received == 1


def test_errors_are_counted_apart_from_failed_commits() -> None:
    written, records = good()
    written.producers[0].faults.append(Fault(9, "timed out", at(1)))
    written.consumers[0].commit_failures.append(Fault(-1, "no coordinator", at(1)))
    written.consumers[0].ridden_out.append(Fault(-1, "connection refused", at(1)))
    report = judge(written, records)
    assert report.groups["g"].ridden_out == 1
    assert (report.total.errors, report.total.commit_failures) == (1, 1)
    assert report.producers["p"].first_error == "timed out"
    assert report.groups["g"].first_error == "no coordinator"


def test_longest_pause_and_when_it_began() -> None:
    slow = [*acks(0, 1, 2), Ack(3, "t", 0, 3, at(0.3), at(2.7))]
    report = judge(ledger(slow, member(read(0, 1, 2, 3, every=1.5))), log(0, 1, 2, 3))
    assert report.producers["p"].longest_pause_s == 2.5
    assert report.producers["p"].longest_pause_at == "2023-11-14T22:13:20.200+00:00"
    assert report.total.longest_producer_pause_of == "p"
    assert report.total.longest_consumer_gap_s == 1.5
    assert report.total.longest_consumer_gap_of == "g"


def test_a_producer_that_never_came_back_pauses_until_now() -> None:
    written = replace(good()[0], until=at(20.3))
    assert judge(written, log(0, 1, 2, 3)).producers["p"].longest_pause_s == 20.0
    written.producers[0].ends.append(at(0.4))  # but one that ended as asked does not
    assert judge(written, log(0, 1, 2, 3)).producers["p"].longest_pause_s == 0.1


def test_the_time_between_two_loads_is_no_pause() -> None:
    slow = [*acks(0, 1), Ack(2, "t", 0, 2, at(60), at(60)), Ack(3, "t", 0, 3, at(61), at(61))]
    written = replace(ledger(slow), starts=(at(-1), at(59)))
    assert judge(written, log(0, 1, 2, 3)).producers["p"].longest_pause_s == 1.0


def test_pauses_of_one_window_reach_over_its_edges() -> None:
    slow = [*acks(0, 1), *(Ack(n, "t", 0, n, at(s), at(s)) for n, s in ((2, 5), (3, 6), (4, 30)))]
    written = ledger(slow, member(read(0, 1)))
    found = pauses_between(written, T0 + 1, T0 + 5.5)
    assert found["p"].seconds == 4.9
    assert pauses_between(written, T0 + 5.2, T0 + 5.8)["p"].seconds == 1.0
    assert pauses_between(written, T0 + 40, T0 + 50)["g"] == Gap()


@pytest.mark.parametrize("times", [[], [at(1)]])
def test_no_gap_without_two_events(times: list[int]) -> None:
    assert longest_gap(times) == Gap()


def test_uncommitted_is_what_was_received_above_the_last_commit() -> None:
    commits = [Commit((("t", 0, 2),), at(0.15)), Commit((("t", 0, 5),), at(0.55))]
    written = ledger((), member(read(0, 1, 2, 3, 4), commits=commits))
    assert uncommitted_at(written, "g", T0 - 1) == 0
    assert uncommitted_at(written, "g", T0 + 0.12) == 2
    assert uncommitted_at(written, "g", T0 + 0.17) == 0
    assert uncommitted_at(written, "g", T0 + 0.42) == 3
    assert uncommitted_at(written, "g", T0 + 0.6) == 0
    assert uncommitted_at(written, "other", T0 + 1) == 0


def test_a_commit_on_its_way_may_have_landed() -> None:
    one = member(read(0, 1, 2), commits=[Commit((("t", 0, 1),), at(0.05))])
    one.asked.append(Commit((("t", 0, 3),), at(0.3)))
    written = ledger((), one)
    assert uncommitted_at(written, "g", T0 + 0.4) == 2
    assert uncommitted_at(written, "g", T0 + 0.4, landed=True) == 0
    assert uncommitted_at(written, "g", T0 + 0.25, landed=True) == 2


def test_uncommitted_does_not_mix_the_offsets_of_two_clusters() -> None:
    """Blue's 100..102 come again as green's 0..2 and are settled by green's position."""
    blue = [Delivery("p", n, "t", 0, 100 + n, at(n * 0.1)) for n in range(3)]
    green = [Delivery("p", n, "t", 0, n, at(5 + n * 0.1)) for n in range(3)]
    settled = Commit((("t", 0, 3),), at(6))
    written = ledger((), member([*blue, *green], commits=[settled]))
    assert uncommitted_at(written, "g", T0 + 1) == 3
    assert uncommitted_at(written, "g", T0 + 5.5) == 3
    assert uncommitted_at(written, "g", T0 + 7) == 0


def test_a_position_is_the_next_record_not_the_last_one_done() -> None:
    written = ledger((), member(read(0, 1, 2), commits=[Commit((("t", 0, 2),), at(1))]))
    assert uncommitted_at(written, "g", T0 + 2) == 1


def test_a_commit_settles_its_own_partition_only() -> None:
    other = Delivery("p", 9, "t", 1, 0, at(0.05))
    written = ledger((), member([*read(0), other], commits=[Commit((("t", 0, 1),), at(1))]))
    assert uncommitted_at(written, "g", T0 + 2) == 1
