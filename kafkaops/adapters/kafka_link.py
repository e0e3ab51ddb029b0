"""One warm set of connections to a cluster, and calls over it that are bounded in time.

All I/O runs on one thread with kafka-python's own event loop; public calls block on it and
may come from any thread. Requests to several brokers go out together and are pipelined.
Invariant: every call is bounded in time, and every error leaves translated.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import kafka.errors as k
from kafka.future import Future
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from kafkaops.adapters.kafka_errors import hopeless, translate
from kafkaops.adapters.listener_look import look, mismatch
from kafkaops.adapters.sasl_login import dropped_refusal
from kafkaops.engine.clock import Clock, SystemClock
from kafkaops.engine.errors import ConfigError

logging.getLogger("kafka").addHandler(logging.NullHandler())

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
Make = Callable[[], Any]  # a new request each time: a request remembers the version it was sent as

BROKEN = (k.NodeNotReadyError, k.KafkaConnectionError, k.UnknownBrokerIdError, k.Cancelled)
PLAIN_ATTEMPT, SECURED_ATTEMPT = 3.0, 6.0  # seconds; TLS and a login are round trips more
_SLACK = 2.0  # a call's own deadline comes first, with a better reason


class Link:
    """Connections to one cluster. `timeout` bounds each call, `attempt` one broker's first
    connection (by default as long as its security needs), both in seconds."""

    def __init__(
        self,
        name: str,
        servers: Sequence[str],
        settings: Mapping[str, Any],
        *,
        clock: Clock | None = None,
        timeout: float = 12.0,
        attempt: float | None = None,
    ) -> None:
        self.name = name
        self.servers = tuple(servers)
        self.timeout = timeout
        plain = settings.get("security_protocol", "PLAINTEXT") == "PLAINTEXT"
        self._attempt = attempt or (PLAIN_ATTEMPT if plain else SECURED_ATTEMPT)
        self._settings = dict(settings)
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._net: Any = None
        self._manager: Any = None

    # -- calling -------------------------------------------------------------

    def run(self, what: str, work: Callable[[], Awaitable[T]], timeout: float | None = None) -> T:
        """Run a coroutine on the loop and wait for it, at most `timeout` seconds.

        Raises Unreachable, ConfigError or StepFailed; `what` completes "failed to ...".
        """
        limit = (self.timeout if timeout is None else timeout) + _SLACK
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
        looked = False
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
                except Exception as error:
                    manager.close()
                    looked = looked or self._compare(server, error)
                    last = self._undropped(server, error)
                    if hopeless(last):
                        raise self._translated(last, what, begun) from error
                else:
                    return manager
                if self._clock.monotonic() >= deadline:
                    raise self._translated(last, what, begun) from last
            self._clock.sleep(0.2)

    def _undropped(self, server: str, error: Exception) -> Exception:
        """The refusal that kafka-python dropped, where it did; else the error as it is."""
        host, _, port = server.rpartition(":")
        words = dropped_refusal(host.strip("[]"), int(port), self._settings, error)
        return k.SaslAuthenticationFailedError(words) if words else error

    def _compare(self, server: str, error: Exception) -> bool:
        """Whether the listener could be heard. ConfigError if what it speaks is not what our
        settings say."""
        if isinstance(error, k.SaslAuthenticationFailedError):
            return True
        host, _, port = server.rpartition(":")
        heard = look(host.strip("[]"), int(port), self._attempt)
        found = mismatch(self._settings, heard)
        if found is None:
            return heard.tls is not None
        wrong, hint = found
        raise ConfigError(
            "KO-CLUSTER-LISTENER",
            f"the listener {server} of {self.name} {wrong}",
            where=f"{self.name}.security",
            hint=f"in the security of {self.name}: {hint}",
        ) from error

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
            except BROKEN:
                if self._clock.monotonic() >= deadline or manager.closed:
                    raise
                await self.sleep(0.05)
                if node is not None and manager.cluster.broker_metadata(node) is None:
                    raise

    async def ask(self, make: Make) -> Any:
        """The answer of whichever node to a question that changes nothing. A host that hangs takes
        a request and says nothing: one that was silent for an attempt's time is left aside, and
        another asked too."""
        deadline = self._clock.monotonic() + self.timeout
        manager = self._manager  # which a `close` meanwhile takes away
        asked: dict[Future, Any] = {}
        while True:
            node = beside(manager, set(asked.values()))
            asked[manager.call_soon(lambda n=node: self.direct(make, n))] = node
            try:
                return await manager.wait_for(first_of(asked), self._attempt * 1000)
            except (*BROKEN, k.KafkaTimeoutError):
                # one may have come while this was on its way
                heard = next((future for future in asked if future.succeeded()), None)
                if heard is not None:
                    return heard.value
                if self._clock.monotonic() >= deadline or manager.closed:
                    raise
            if any(future.is_done for future in asked):
                asked = {future: n for future, n in asked.items() if not future.is_done}
                await self.sleep(0.05)

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

    async def direct(self, make: Make, node: int) -> Any:
        """One request to a node with no second try: the caller looks for a new leader itself."""
        return await self._manager.send(make(), node_id=node)

    async def again(self, work: Callable[[], Awaitable[T]]) -> T:
        """Repeat work that broke off with a connection, until the time is up."""
        deadline = self._clock.monotonic() + self.timeout
        while True:
            try:
                return await work()
            except BROKEN:
                if self._clock.monotonic() >= deadline:
                    raise
                await self.sleep(0.1)

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


def beside(manager: Any, silent: Collection[Any]) -> Any:
    """A node that is not silent, as long as there is one."""
    node = manager.least_loaded_node()
    others = [b.node_id for b in manager.cluster.brokers() if b.node_id not in silent]
    return random.choice(others) if node in silent and others else node


def first_of(futures: Collection[Future]) -> Future:
    """Done as soon as one of them is, and as that one."""
    first = Future()

    def ended(_: object, future: Future) -> None:
        if not first.is_done:
            first.failure(future.exception) if future.failed() else first.success(future.value)

    for future in futures:
        future.add_both(ended, future=future)
    return first
