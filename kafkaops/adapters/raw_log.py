"""`ports.log_reader.LogReader` on real brokers: raw record batches by Fetch, leaders followed.

Invariant: `fetch` runs on one thread and never waits for one broker while another has answered;
a leader that moved, died or hangs costs a new look at metadata and nothing else.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Collection, Mapping
from functools import partial

import kafka.errors as k

from kafkaops.adapters import kafka_topics
from kafkaops.adapters.kafka_errors import STALE_LEADER, KafkaAnswer, translate
from kafkaops.adapters.kafka_security import kafka_python_settings
from kafkaops.adapters.kafka_wire import Wire
from kafkaops.adapters.raw_link import Answer, Link, open_link
from kafkaops.config.schema import ClusterSpec
from kafkaops.engine.clock import Clock, SystemClock
from kafkaops.engine.errors import Unreachable
from kafkaops.model.partition import Ends, TopicPartition
from kafkaops.ports.log_reader import Chunk

OUT_OF_RANGE = 1
AGAIN = 0.2  # seconds between two looks at metadata
REST = 2.0  # seconds in which a broker that did not answer is left alone
FATAL = (
    k.SaslAuthenticationFailedError,
    k.UnsupportedSaslMechanismError,
    k.AuthorizationError,
)


class RawLog:
    """One cluster over its REPL listener. `password` is already resolved; `patience` (seconds) is
    how long no leader at all may answer before it is Unreachable; `partition_bytes` is the most
    one partition takes of one answer."""

    def __init__(
        self,
        spec: ClusterSpec,
        password: str | None = None,
        *,
        clock: Clock | None = None,
        patience: float = 12.0,
        partition_bytes: int = 4 << 20,
    ) -> None:
        self.name: str = spec.name
        self._clock = clock or SystemClock()
        self._patience = patience
        self._partition_bytes = partition_bytes
        self._settings = kafka_python_settings(spec, password)
        self._servers = tuple(spec.bootstrap)
        self._wire = Wire(spec.name, spec.bootstrap, self._settings, clock=self._clock)
        self._nodes: dict[int, tuple[str, int]] = {}
        self._leaders: dict[TopicPartition, int] = {}
        self._links: dict[int, Link] = {}
        self._served: dict[TopicPartition, int] = {}
        self._resting: dict[int, float] = {}  # brokers, and until when
        self._turn = 0
        self._looked = float("-inf")
        self._heard = self._clock.monotonic()
        self._trouble: BaseException | None = None
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Ends]:
        if not partitions:
            return {}
        return self._wire.run(
            "read end offsets", partial(kafka_topics.ends, self._wire, partitions)
        )

    def wake(self) -> None:
        try:
            self._waker.send(b"!")
        except BlockingIOError:
            return  # already full of wishes to wake

    def fetch(
        self, positions: Mapping[TopicPartition, int], *, max_wait: float, max_bytes: int
    ) -> list[Chunk]:
        self._look(positions)
        self._ask(positions, max_wait, max_bytes)
        chunks: list[Chunk] = []
        for link in self._answering(max_wait):
            try:
                found, other = link.answer()
            except OSError as error:
                self._drop(link, error)
                continue
            self._heard, self._trouble = self._clock.monotonic(), None
            self._turn += 1
            self._served.update((c.tp, self._turn) for c in found if len(c.data))
            chunks.extend(found)
            chunks.extend(self._sort_out(other))
        self._complain(positions)
        return chunks

    def close(self) -> None:
        """Close all connections; a later call opens them again."""
        for link in list(self._links.values()):
            self._drop(link, None)
        self._wire.close()

    # -- leaders and links ---------------------------------------------------

    def _look(self, positions: Mapping[TopicPartition, int]) -> None:
        """Find the leaders that are not known, at most every AGAIN seconds."""
        missing = {tp.topic for tp in positions if tp not in self._leaders}
        now = self._clock.monotonic()
        if not missing or now - self._looked < AGAIN:
            return
        self._looked = now
        answer = self._wire.run("find leaders", lambda: self._wire.metadata(sorted(missing)))
        self._nodes = {b.node_id: (b.host, b.port) for b in answer.brokers}
        for topic in answer.topics:
            for row in topic.partitions:
                tp = TopicPartition(topic.name, row.partition_index)
                if row.leader_id >= 0:
                    self._leaders[tp] = row.leader_id
                else:
                    self._leaders.pop(tp, None)

    def _ask(
        self, positions: Mapping[TopicPartition, int], max_wait: float, max_bytes: int
    ) -> None:
        by_node: dict[int, list[tuple[TopicPartition, int]]] = {}
        for tp, offset in positions.items():
            node = self._leaders.get(tp)
            if node is not None:
                by_node.setdefault(node, []).append((tp, offset))
        for node, wanted in by_node.items():
            link = self._links.get(node)
            if link is not None and link.busy:
                continue
            if link is None and self._clock.monotonic() < self._resting.get(node, 0.0):
                continue  # opening can take seconds, which other leaders' data would wait
            wanted.sort(key=lambda item: self._served.get(item[0], 0))
            try:
                link = link or self._open(node)
                link.ask(
                    wanted,
                    max_wait=max_wait,
                    max_bytes=max_bytes,
                    partition_bytes=self._partition_bytes,
                )
                link.since = self._clock.monotonic()
            except FATAL as error:
                raise self._translated(error) from error
            except (k.KafkaError, OSError) as error:
                self._forget(node, error)

    def _open(self, node: int) -> Link:
        host, port = self._nodes[node]
        link = open_link(node, host, port, self._settings, attempt=3.0)
        self._links[node] = link
        self._selector.register(link.socket, selectors.EVENT_READ, link)
        return link

    def _answering(self, max_wait: float) -> list[Link]:
        now = self._clock.monotonic()
        limit = max_wait + self._patience
        for link in [x for x in self._links.values() if x.busy and now - x.since > limit]:
            self._drop(link, TimeoutError("no answer to a fetch"))
        busy = [link for link in self._links.values() if link.busy]
        early = [link for link in busy if link.ready()]
        if early:
            return early
        # Nothing under way: a breath, so that a cluster without leaders is not asked in a loop.
        events = self._selector.select(limit if busy else min(AGAIN, max(max_wait, 0.01)))
        ready: list[Link] = []
        for key, _ in events:
            if key.data is None:
                self._woken.recv(4096)
            elif key.data.busy:
                ready.append(key.data)
            else:
                self._drop(key.data, ConnectionError("the broker closed the connection"))
        return ready

    def _drop(self, link: Link, error: BaseException | None) -> None:
        self._selector.unregister(link.socket)
        link.close()
        self._links.pop(link.node, None)
        if error is not None:
            self._forget(link.node, error)

    def _forget(self, node: int, error: BaseException) -> None:
        """Leaders on this node are looked up again."""
        link = self._links.get(node)
        if link is not None:
            self._drop(link, None)
        self._trouble = error
        if isinstance(error, (TimeoutError, k.KafkaTimeoutError, k.KafkaConnectionError)):
            self._resting[node] = self._clock.monotonic() + REST
        for tp in [tp for tp, leader in self._leaders.items() if leader == node]:
            del self._leaders[tp]

    # -- errors --------------------------------------------------------------

    def _sort_out(self, answers: list[Answer]) -> list[Chunk]:
        lost = [a for a in answers if a.code == OUT_OF_RANGE]
        for answer in answers:
            if answer.code == OUT_OF_RANGE:
                continue
            trouble = KafkaAnswer(answer.code, str(answer.tp))
            if answer.code not in STALE_LEADER:
                raise self._translated(trouble)
            self._leaders.pop(answer.tp, None)
            self._trouble = trouble
        if not lost:
            return []
        ends = self.bounds([a.tp for a in lost])
        # In range after all: the leader we asked was not the leader; ask again.
        return [
            Chunk(a.tp, a.start, memoryview(b""), ends[a.tp], lost=True)
            for a in lost
            if not ends[a.tp].start <= a.start <= ends[a.tp].high_watermark
        ]

    def _complain(self, positions: Mapping[TopicPartition, int]) -> None:
        """Unreachable, once nothing was heard for `patience` although something was asked."""
        if not positions or any(link.busy for link in self._links.values()):
            return
        if self._trouble is None:
            return
        if self._clock.monotonic() - self._heard < self._patience:
            return
        error, self._trouble = self._trouble, None
        self._heard = self._clock.monotonic()
        raise self._translated(error) from error

    def _translated(self, error: BaseException) -> BaseException:
        tried = self._clock.monotonic() - self._heard
        result = translate(
            error, cluster=self.name, what="fetch records", servers=self._servers, tried=tried
        )
        if isinstance(result, k.KafkaError):
            return Unreachable("KO-CLUSTER-UNREACHABLE", f"{self.name} did not answer: {error}")
        return result
