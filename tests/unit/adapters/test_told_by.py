"""What one broker tells of itself, and what counts as no answer."""

from __future__ import annotations

from typing import Any

import kafka.errors as k
import pytest

from kafkaops.adapters.kafka_topics import told_by
from kafkaops.model.cluster import Told
from tests.unit.adapters.wires import FakeWire, finish, row

EVERY = (1, 2, 3)


def metadata(*brokers: int) -> Any:
    rows = [row(node_id=n, host=f"h{n}", port=9094) for n in brokers]
    return row(brokers=rows, topics=[], controller_id=1, cluster_id="BLUE")


def heard(itself: Any, listed: tuple[int, ...] = EVERY) -> Told | None:
    """What is made of the answer of broker 2 itself, while the others list these."""
    wire = FakeWire(lambda request, node: itself if node == 2 else metadata(*listed))
    told: Told | None = finish(told_by(wire, 2, topics=False))
    return told


def test_a_broker_that_lists_itself_is_heard() -> None:
    assert heard(metadata(*EVERY)) == Told("BLUE", EVERY, {})


@pytest.mark.parametrize(
    "itself",
    [
        metadata(1, 3),
        metadata(),  # ZooKeeper mode: its controller has told it nothing yet
        k.KafkaConnectionError("111 ECONNREFUSED"),
        k.NodeNotReadyError(2),
        k.RequestTimedOutError(),
        k.KafkaTimeoutError(),
    ],
)
def test_one_that_lists_itself_not_or_does_not_answer_tells_nothing(itself: Any) -> None:
    assert heard(itself) is None


def test_one_that_is_not_listed_is_not_asked() -> None:
    wire = FakeWire(lambda request, node: metadata(1, 3))
    assert finish(told_by(wire, 2, topics=False)) is None
    assert [node for _, node in wire.asked] == [None]


def test_what_no_second_try_cures_is_an_error() -> None:
    with pytest.raises(k.KafkaConnectionError):
        heard(
            k.KafkaConnectionError(
                "Handshake failed: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed:"
                " self-signed certificate (_ssl.c:1006)"
            )
        )
