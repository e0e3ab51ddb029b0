"""One warm set of connections to a cluster, and requests sent over it in parallel.

All I/O runs on one thread with kafka-python's own event loop; public calls block on it and
may come from any thread. Requests to several brokers go out together and are pipelined.
Invariant: every call is bounded in time, and every error leaves translated.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import kafka.errors as k
from kafka.future import Future
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.protocol.metadata import FindCoordinatorRequest, MetadataRequest

from kafkaops.adapters.kafka_errors import (
    NOT_CONTROLLER,
    STALE_COORDINATOR,
    STALE_LEADER,
    KafkaAnswer,
    check,
    translate,
)
from kafkaops.engine.clock import Clock, SystemClock
from kafkaops.model.partition import TopicPartition

logging.getLogger("kafka").addHandler(logging.NullHandler())

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
Make = Callable[[], Any]  # a new request each time: a request remembers the version it was sent as

_AGAIN = (k.NodeNotReadyError, k.KafkaConnectionError, k.UnknownBrokerIdError, k.Cancelled)
GROUP, TRANSACTION = 0, 1


class Wire:
    """Connections to one cluster. `timeout` bounds each call, `attempt` one broker's first
    connection, both in seconds."""

    def __init__(
        self,
        name: str,
        servers: Sequence[str],
        settings: Mapping[str, Any],
        *,
        clock: Clock | None = None,
        timeout: float = 12.0,
        attempt: float = 3.0,
    ) -> None:
        self.name = name
        self.servers = tuple(servers)
        self.timeout = timeout
        self._attempt = attempt
        self._settings = dict(settings)
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._net: Any = None
        self._manager: Any = None
        self._leaders: dict[TopicPartition, int] = {}
        self._coordinators: dict[tuple[int, str], int] = {}
        self.controller = -1

    # -- calling -------------------------------------------------------------

    def run(self, what: str, work: Callable[[], Awaitable[T]], timeout: float | None = None) -> T:
        """Run a coroutine on the loop and wait for it, at most `timeout` seconds.

        Raises Unreachable, ConfigError or StepFailed; `what` completes "failed to ...".
        """
        limit = self.timeout if timeout is None else timeout
        begun = self._clock.monotonic()
        manager = self._connected(what)

        async def bounded() -> T:
            result: T = await manager.wait_for(manager.call_soon(work), limit * 1000)
            return result

        try:
            done: T = manager.run(bounded)
        except Exception as error:
            raise self._translated(error, what, begun) from error
        return done

    def _translated(self, error: Exception, what: str, begun: float) -> BaseException:
        tried = self._clock.monotonic() - begun
        return translate(error, cluster=self.name, what=what, servers=self.servers, tried=tried)

    def _connected(self, what: str) -> Any:
        with self._lock:
            if self._manager is None:
                self._manager = self._bootstrap(what)
            return self._manager

    def _bootstrap(self, what: str) -> Any:
        begun = self._clock.monotonic()
        deadline = begun + self.timeout
        if self._net is None:
            self._net = NetworkSelector(
                client_id=f"kafkaops-{self.name}", slow_task_threshold_secs=0
            )
            self._net.start()
        last: Exception = k.KafkaTimeoutError()
        while True:
            for server in self.servers:
                manager = KafkaConnectionManager(
                    self._net,
                    bootstrap_servers=[server],
                    receive_message_max_bytes=500_000_000,
                    max_in_flight_requests_per_connection=200,
                    request_timeout_ms=int(self.timeout * 1000),
                    reconnect_backoff_max_ms=400,
                    socket_connection_setup_timeout_ms=int(self._attempt * 1000),
                    socket_connection_setup_timeout_max_ms=int(self._attempt * 1000),
                    **self._settings,
                )
                try:
                    self._net.run(self._first, manager)
                except (k.SaslAuthenticationFailedError, k.UnsupportedSaslMechanismError) as error:
                    manager.close()
                    raise self._translated(error, what, begun) from error
                except Exception as error:
                    manager.close()
                    last = error
                else:
                    return manager
                if self._clock.monotonic() >= deadline:
                    raise self._translated(last, what, begun) from last
            self._clock.sleep(0.2)

    async def _first(self, manager: Any) -> None:
        """Connect to the one bootstrap server, so that the reason of a failure is known."""
        limit = int(self._attempt * 1000)
        connection = manager.get_connection("bootstrap-0", timeout_ms=limit, pop_on_close=False)
        await manager.wait_for(connection.init_future, limit)
        await manager.bootstrap_async(limit)

    def close(self) -> None:
        """Close all connections and stop the loop; safe to call twice."""
        with self._lock:
            manager, net = self._manager, self._net
            self._manager = self._net = None
        if manager is not None:
            manager.run(self._shut, manager)
        if net is not None:
            net.stop()
            net.close()

    @staticmethod
    async def _shut(manager: Any) -> None:
        manager.close()

    # -- inside the loop -----------------------------------------------------

    def brokers(self) -> tuple[Any, ...]:
        """Brokers as the last metadata listed them (node_id, host, port, rack)."""
        return tuple(sorted(self._manager.cluster.brokers(), key=lambda broker: broker.node_id))

    async def sleep(self, seconds: float) -> None:
        await self._net.sleep(seconds)

    async def send(self, make: Make, node: int | None = None) -> Any:
        """One request to a node (default: any), again on a broken connection until the time
        is up; a node that metadata no longer lists is an error at once."""
        deadline = self._clock.monotonic() + self.timeout
        manager = self._manager
        while True:
            target = manager.least_loaded_node() if node is None else node
            try:
                return await manager.send(make(), node_id=target)
            except _AGAIN:
                if self._clock.monotonic() >= deadline or manager.closed:
                    raise
                await self.sleep(0.05)
                if node is not None and manager.cluster.broker_metadata(node) is None:
                    raise

    async def together(self, work: Mapping[K, Callable[[], Awaitable[T]]]) -> dict[K, T]:
        """Run all at once; the first error is raised after all have ended."""
        manager = self._manager
        futures: dict[K, Future] = {key: manager.call_soon(todo) for key, todo in work.items()}
        results: dict[K, T] = {}
        failed: Exception | None = None
        for key, future in futures.items():
            try:
                results[key] = await future
            except Exception as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return results

    async def everywhere(self, make: Make, nodes: Collection[int] | None = None) -> dict[int, Any]:
        """The same request to every broker (or these), answers by node id."""
        ids = [b.node_id for b in self.brokers()] if nodes is None else sorted(nodes)
        return await self.together({node: lambda n=node: self.send(make, n) for node in ids})  # type: ignore[misc]

    async def to_controller(self, make: Make, code: Callable[[Any], int] = lambda _: 0) -> Any:
        """To the controller (with KRaft: a broker that forwards), again when it has moved."""
        deadline = self._clock.monotonic() + self.timeout
        while True:
            if self.controller < 0:
                await self.metadata([])
            answer = await self.send(make, self.controller if self.controller >= 0 else None)
            if code(answer) != NOT_CONTROLLER or self._clock.monotonic() >= deadline:
                return answer
            self.controller = -1
            await self.sleep(0.1)

    async def metadata(self, topics: Collection[str] | None) -> Any:
        """Fresh metadata of these topics (None: all); leaders and the controller are kept."""
        wanted = MetadataRequest.MetadataRequestTopic

        def make() -> Any:
            named = None if topics is None else [wanted(name=topic) for topic in topics]
            return MetadataRequest(topics=named, allow_auto_topic_creation=False, max_version=12)

        answer = await self.send(make)
        self.controller = answer.controller_id
        if topics is None:
            self._leaders.clear()
        for topic in answer.topics:
            for partition in topic.partitions:
                tp = TopicPartition(topic.name, partition.partition_index)
                if partition.leader_id >= 0:
                    self._leaders[tp] = partition.leader_id
                else:
                    self._leaders.pop(tp, None)
        return answer

    async def at_leaders(
        self,
        partitions: Collection[TopicPartition],
        ask: Callable[
            [int, list[TopicPartition]], Awaitable[Mapping[TopicPartition, T | KafkaAnswer]]
        ],
    ) -> dict[TopicPartition, T]:
        """Ask each leader for its partitions, all together, again where leadership is stale.

        `ask` returns a value or the broker's error per partition.
        """
        deadline = self._clock.monotonic() + self.timeout
        left = set(partitions)
        done: dict[TopicPartition, T] = {}
        while left:
            unknown = {tp.topic for tp in left if tp not in self._leaders}
            if unknown:
                await self.metadata(unknown)
            by_leader: dict[int, list[TopicPartition]] = {}
            for tp in sorted(left):
                if tp in self._leaders:
                    by_leader.setdefault(self._leaders[tp], []).append(tp)
            trouble: Exception = KafkaAnswer(3, ", ".join(map(str, sorted(left)[:5])))
            for answers in (await self._try_each(by_leader, ask)).values():
                if isinstance(answers, Exception):
                    trouble = answers
                    continue
                for tp, value in answers.items():
                    if not isinstance(value, KafkaAnswer):
                        done[tp] = value
                        left.discard(tp)
                    elif value.code in STALE_LEADER:
                        trouble = value
                    else:
                        raise value
            if not left:
                break
            if self._clock.monotonic() >= deadline:
                raise trouble
            for tp in left:
                self._leaders.pop(tp, None)
            await self.sleep(0.02)
        return done

    async def _try_each(self, by_leader: Mapping[int, list[TopicPartition]], ask: Any) -> Any:
        async def one(leader: int, tps: list[TopicPartition]) -> Any:
            try:
                return await ask(leader, tps)
            except _AGAIN as error:
                return error

        return await self.together(
            {leader: lambda n=leader, t=tps: one(n, t) for leader, tps in by_leader.items()}  # type: ignore[misc]
        )

    async def direct(self, make: Make, node: int) -> Any:
        """One request to a node with no second try: the caller looks for a new leader itself."""
        return await self._manager.send(make(), node_id=node)

    async def coordinators(self, keys: Collection[str], kind: int = GROUP) -> dict[str, int]:
        """Node ids of the coordinators, cached; waits where one is being elected."""
        deadline = self._clock.monotonic() + self.timeout
        while True:
            missing = sorted(key for key in keys if (kind, key) not in self._coordinators)
            if not missing:
                return {key: self._coordinators[kind, key] for key in keys}
            trouble: KafkaAnswer | None = None
            for key, node, code, message in await self._find(missing, kind):
                if code == 0:
                    self._coordinators[kind, key] = node
                elif code in STALE_COORDINATOR:
                    trouble = KafkaAnswer(code, key, message)
                else:
                    check(code, key, message)
            if trouble is not None:
                if self._clock.monotonic() >= deadline:
                    raise trouble
                await self.sleep(0.05)

    async def _find(self, keys: list[str], kind: int) -> list[tuple[str, int, int, str | None]]:
        if self._manager.broker_version_data.api_version(FindCoordinatorRequest) >= 4:
            answer = await self.send(
                lambda: FindCoordinatorRequest(key_type=kind, coordinator_keys=keys, min_version=4)
            )
            return [(c.key, c.node_id, c.error_code, c.error_message) for c in answer.coordinators]

        def one(key: str) -> Callable[[], Awaitable[Any]]:
            return lambda: self.send(
                lambda: FindCoordinatorRequest(key=key, key_type=kind, max_version=3)
            )

        answers = await self.together({key: one(key) for key in keys})
        return [(key, a.node_id, a.error_code, a.error_message) for key, a in answers.items()]

    def forget_coordinator(self, key: str, kind: int = GROUP) -> None:
        self._coordinators.pop((kind, key), None)

    def supports(self, request: Any) -> bool:
        """Whether the brokers know this request at all."""
        try:
            self._manager.broker_version_data.api_version(request)
        except k.IncompatibleBrokerVersion:
            return False
        return True

    def version_of(self, request: Any) -> int:
        """The highest version of this request that both sides know."""
        return int(self._manager.broker_version_data.api_version(request))

    def now(self) -> float:
        """Monotonic seconds, for deadlines inside the loop."""
        return self._clock.monotonic()
