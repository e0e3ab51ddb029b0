"""Fetch requests and answers on the wire, against kafka-python's own coder."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kafka.protocol.consumer.fetch import FetchRequest, FetchResponse

from kafkaops.adapters.raw_link import Link
from kafkaops.model.partition import Ends, TopicPartition

A, B = TopicPartition("a", 0), TopicPartition("b", 7)


@pytest.fixture
def pair() -> Iterator[tuple[Link, socket.socket]]:
    ours, theirs = socket.socketpair()
    for each in (ours, theirs):
        each.settimeout(5)
    yield Link(1, ours, "me"), theirs
    ours.close()
    theirs.close()


def asked(theirs: socket.socket) -> tuple[int, Any]:
    """The request as the broker would read it, and its correlation id."""
    size = struct.unpack(">i", theirs.recv(4))[0]
    data = theirs.recv(size, socket.MSG_WAITALL)
    key, version, correlation, length = struct.unpack_from(">hhih", data)
    assert (key, version, data[10 : 10 + length]) == (1, 11, b"me")
    return correlation, FetchRequest.decode(data[10 + length :], version=11)


def answer(theirs: socket.socket, correlation: int, partitions: list[dict[str, Any]]) -> None:
    topic = FetchResponse.FetchableTopicResponse
    part = topic.PartitionData
    txn = part.AbortedTransaction
    response = FetchResponse(
        version=11,
        throttle_time_ms=0,
        error_code=0,
        session_id=0,
        responses=[
            topic(
                topic=p["topic"],
                partitions=[
                    part(
                        partition_index=p["index"],
                        error_code=p.get("error", 0),
                        high_watermark=p.get("high", -1),
                        last_stable_offset=p.get("stable", -1),
                        log_start_offset=p.get("start", -1),
                        aborted_transactions=(
                            None
                            if p.get("aborted") is None
                            else [txn(producer_id=i, first_offset=o) for i, o in p["aborted"]]
                        ),
                        preferred_read_replica=-1,
                        records=p.get("records"),
                    )
                ],
            )
            for p in partitions
        ],
    )
    body = response.encode(version=11)
    theirs.sendall(struct.pack(">ii", len(body) + 4, correlation) + body)


def ask(link: Link) -> None:
    link.ask([(A, 5), (B, 9)], max_wait=0.5, max_bytes=1000, partition_bytes=100)


def test_the_request_is_what_a_broker_reads(pair: tuple[Link, socket.socket]) -> None:
    link, theirs = pair
    ask(link)
    assert link.busy
    _, request = asked(theirs)
    assert (request.max_wait_ms, request.min_bytes, request.max_bytes) == (500, 1, 1000)
    assert (request.isolation_level, request.replica_id, request.session_epoch) == (1, -1, -1)
    rows = [
        (t.topic, p.partition, p.fetch_offset, p.partition_max_bytes, p.current_leader_epoch)
        for t in request.topics
        for p in t.partitions
    ]
    assert rows == [("a", 0, 5, 100, -1), ("b", 7, 9, 100, -1)]


def test_the_answer_is_read_as_sent(pair: tuple[Link, socket.socket]) -> None:
    link, theirs = pair
    ask(link)
    correlation, _ = asked(theirs)
    answer(
        theirs,
        correlation,
        [
            {"topic": "a", "index": 0, "high": 20, "stable": 15, "start": 2, "records": b"bytes",
             "aborted": [(77, 3), (78, 4)]},
            {"topic": "b", "index": 7, "error": 6},
            {"topic": "c", "index": 1, "high": 3},
        ],
    )  # fmt: skip
    [chunk], [other] = link.answer()
    assert (chunk.tp, chunk.start, bytes(chunk.data)) == (A, 5, b"bytes")
    assert (chunk.ends, chunk.aborted) == (Ends(2, 20, 15), ((77, 3), (78, 4)))
    assert (other.tp, other.start, other.code) == (B, 9, 6)
    assert not link.busy


def test_an_answer_without_records_or_transactions(pair: tuple[Link, socket.socket]) -> None:
    link, theirs = pair
    ask(link)
    correlation, _ = asked(theirs)
    answer(theirs, correlation, [{"topic": "a", "index": 0, "high": 5, "stable": 5, "start": 0}])
    [chunk], others = link.answer()
    assert (bytes(chunk.data), chunk.aborted, others) == (b"", (), [])


def test_a_large_answer_grows_the_buffer(pair: tuple[Link, socket.socket]) -> None:
    link, theirs = pair
    ask(link)
    correlation, _ = asked(theirs)
    records = bytes(range(256)) * 8000
    row = {"topic": "a", "index": 0, "high": 5, "stable": 5, "start": 0, "records": records}
    sender = threading.Thread(target=answer, args=(theirs, correlation, [row]))
    sender.start()
    [chunk], _ = link.answer()
    sender.join()
    assert bytes(chunk.data) == records


def test_another_requests_answer_and_a_closed_connection(
    pair: tuple[Link, socket.socket],
) -> None:
    link, theirs = pair
    ask(link)
    correlation, _ = asked(theirs)
    answer(theirs, correlation + 1, [])
    with pytest.raises(ConnectionError, match="another request"):
        link.answer()
    ask(link)
    asked(theirs)
    theirs.close()
    with pytest.raises(ConnectionError, match="closed the connection"):
        link.answer()
