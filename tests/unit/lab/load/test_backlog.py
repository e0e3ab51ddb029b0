"""What a drain waits for."""

from __future__ import annotations

from kafkaops.lab.load.backlog import Backlog
from kafkaops.lab.load.ledger import Ack, ConsumerLedger, Delivery, Ledger, ProducerLedger


def test_a_backlog_is_what_was_acknowledged_on_a_groups_topics_and_not_received() -> None:
    producer = ProducerLedger(
        "p",
        "librdkafka",
        acks=[Ack(n, "t", 0, n, 1, 1) for n in range(3)] + [Ack(9, "other", 0, 0, 1, 1)],
    )
    one = ConsumerLedger("g-1", "librdkafka", "g", ("t",))
    two = ConsumerLedger("g-2", "librdkafka", "g", ("t",))
    idle = ConsumerLedger("h-1", "librdkafka", "h", ("other",))
    ledger = Ledger((producer,), (one, two, idle))
    backlog = Backlog()
    assert not backlog.update(ledger)
    assert backlog.missing == {"g": {("p", 0), ("p", 1), ("p", 2)}, "h": {("p", 9)}}
    one.deliveries.append(Delivery("p", 1, "t", 0, 1, 2))
    assert backlog.update(ledger)
    two.deliveries.append(Delivery("p", 0, "t", 0, 0, 3))
    two.deliveries.append(Delivery("p", 2, "t", 0, 2, 3))
    assert backlog.update(ledger)
    assert backlog.missing == {"g": set(), "h": {("p", 9)}}
    assert not backlog.update(ledger)
