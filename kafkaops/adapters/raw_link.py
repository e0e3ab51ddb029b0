"""One broker connection for Fetch requests, read straight into one buffer.

kafka-python opens it (TCP, TLS, SASL); from then on the socket is ours, because its transport
reads 4 KiB at a time and copies twice. Requests and answers are Fetch version 11: the last with
topic names and without tagged fields, known to every broker since 2.3.

Invariant: at most one request is under way; a link that failed in any way is closed for good.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from kafkaops.adapters.kafka_socket import connected
from kafkaops.model.partition import Ends, TopicPartition
from kafkaops.ports.log_reader import Chunk

FETCH, VERSION = 1, 11
READ_COMMITTED = 1
STALL = 15.0  # seconds in which an answer that has begun must go on
FIRST = 256 * 1024  # bytes of the first buffer


class Answer:
    """One partition's part of an answer that is not data: the broker's error code."""

    def __init__(self, tp: TopicPartition, start: int, code: int) -> None:
        self.tp, self.start, self.code = tp, start, code


class Link:
    """A connection that is open and authenticated. Errors: OSError."""

    def __init__(self, node: int, taken: socket.socket, client: str = "kafkaops") -> None:
        self.node = node
        self.socket = taken
        self.since = 0.0  # when the request under way was sent, by the owner's clock
        self.asked: dict[TopicPartition, int] = {}
        self._correlation = 0
        self._client = client.encode()
        self._buffer = bytearray(FIRST)

    @property
    def busy(self) -> bool:
        return bool(self.asked)

    def ask(
        self,
        positions: Sequence[tuple[TopicPartition, int]],
        *,
        max_wait: float,
        max_bytes: int,
        partition_bytes: int,
    ) -> None:
        """Send one Fetch; the order of partitions is the order in which the broker fills it."""
        self._correlation = (self._correlation + 1) & 0x7FFFFFFF
        head = struct.pack(
            f">hhih{len(self._client)}s", FETCH, VERSION, self._correlation,
            len(self._client), self._client,
        )  # fmt: skip
        body = struct.pack(
            ">iiiibii", -1, int(max_wait * 1000), 1, max_bytes, READ_COMMITTED, 0, -1
        )
        rows: dict[str, list[bytes]] = {}
        for tp, offset in positions:
            row = struct.pack(">iiqqi", tp.partition, -1, offset, -1, partition_bytes)
            rows.setdefault(tp.topic, []).append(row)
        parts = [head, body, struct.pack(">i", len(rows))]
        for topic, items in rows.items():
            name = topic.encode()
            parts.append(struct.pack(f">h{len(name)}si", len(name), name, len(items)))
            parts.extend(items)
        parts.append(struct.pack(">ih", 0, 0))  # no forgotten topics, no rack
        message = b"".join(parts)
        self.socket.sendall(struct.pack(">i", len(message)) + message)
        self.asked = dict(positions)

    def ready(self) -> bool:
        """Bytes that TLS has already taken from the socket, which select cannot see."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def answer(self) -> tuple[list[Chunk], list[Answer]]:
        """Read the whole answer; its chunks point into this link's buffer."""
        size = struct.unpack(">i", self._read(4))[0]
        view = self._read(size)
        asked, self.asked = self.asked, {}
        return _parse(view, self._correlation, asked)

    def _read(self, size: int) -> memoryview:
        if size < 0:
            raise ConnectionError("an answer of negative length")
        if size > len(self._buffer):
            self._buffer = bytearray(size + size // 4)
        view = memoryview(self._buffer)[:size]
        got = 0
        while got < size:
            count = self.socket.recv_into(view[got:])
            if count == 0:
                raise ConnectionError("the broker closed the connection")
            got += count
        return view.toreadonly()

    def close(self) -> None:
        self.asked = {}
        self.socket.close()


def open_link(node: int, host: str, port: int, settings: Mapping[str, Any], attempt: float) -> Link:
    """A link on which kafka-python has done TLS and SASL, its socket taken out of its hands.
    `attempt` in seconds. Errors: what kafka-python raises while connecting."""
    taken = connected(host, port, settings, attempt)
    taken.settimeout(STALL)
    taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Link(node, taken, str(settings.get("client_id", "kafkaops")))


def _parse(
    view: memoryview, correlation: int, asked: Mapping[TopicPartition, int]
) -> tuple[list[Chunk], list[Answer]]:
    found, _throttle, code, _session = struct.unpack_from(">iihi", view, 0)
    if found != correlation:
        raise ConnectionError("an answer to another request")
    if code:
        raise ConnectionError(f"the broker refused to fetch (error {code})")
    chunks: list[Chunk] = []
    other: list[Answer] = []
    (topics,) = struct.unpack_from(">i", view, 14)
    at = 18
    for _ in range(topics):
        (length,) = struct.unpack_from(">h", view, at)
        topic = bytes(view[at + 2 : at + 2 + length]).decode()
        at += 2 + length
        (partitions,) = struct.unpack_from(">i", view, at)
        at += 4
        for _ in range(partitions):
            index, error, high, stable, start, count = struct.unpack_from(">ihqqqi", view, at)
            at += 34
            aborted = tuple(
                struct.unpack_from(">qq", view, at + 16 * i) for i in range(max(0, count))
            )
            at += 16 * max(0, count)
            _replica, size = struct.unpack_from(">ii", view, at)
            at += 8
            data = view[at : at + max(0, size)]
            at += max(0, size)
            tp = TopicPartition(topic, index)
            if tp not in asked:
                continue
            if error:
                other.append(Answer(tp, asked[tp], error))
            else:
                chunks.append(Chunk(tp, asked[tp], data, Ends(start, high, stable), aborted))
    return chunks, other
