"""Requests to whom they belong: a partition's leader, a group's coordinator, the controller.

Invariant: who leads and who coordinates is kept from one call to the next, and looked up anew
as soon as an answer or a broken connection says that it has changed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from copy import copy
from typing import Any

import kafka.errors as k
from kafka.protocol.admin import DescribeQuorumRequest
from kafka.protocol.metadata import FindCoordinatorRequest, MetadataRequest

from kafkaops.adapters.kafka_errors import (
    NOT_CONTROLLER,
    STALE_COORDINATOR,
    STALE_LEADER,
    KafkaAnswer,
    check,
)
from kafkaops.adapters.kafka_link import BROKEN, Link, Make, T
from kafkaops.engine.errors import StepFailed
from kafkaops.model.partition import TopicPartition

GROUP, TRANSACTION = 0, 1
MISSING = 3  # UNKNOWN_TOPIC_OR_PARTITION
NO_LEADER = 5  # LEADER_NOT_AVAILABLE
PATIENCE = 3.0  # for a topic made a moment ago to be known everywhere


class Wire(Link):
    """A link that knows leaders and coordinators."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._leaders: dict[TopicPartition, int] = {}
        self._leaderless: set[TopicPartition] = set()
        self._coordinators: dict[tuple[int, str], int] = {}
        self.controller = -1

    async def everywhere(self, make: Make, nodes: Collection[int] | None = None) -> dict[int, Any]:
        """The same request to these brokers, or to every broker that metadata lists (again, with
        fresh metadata, when one of them breaks off); answers by node id."""
        if nodes is not None:
            return await self._each(make, nodes)

        async def all_of_them() -> dict[int, Any]:
            listed = (await self.metadata([])).brokers
            return await self._each(make, [broker.node_id for broker in listed])

        return await self.again(all_of_them)

    async def _each(self, make: Make, nodes: Collection[int]) -> dict[int, Any]:
        return await self.together({n: lambda n=n: self.direct(make, n) for n in sorted(nodes)})  # type: ignore[misc]

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

    async def metadata(self, topics: Collection[str] | None, node: int | None = None) -> Any:
        """Fresh metadata of these topics (None: all); leaders and the controller are kept. `node`
        asks that broker, and only once."""
        wanted = MetadataRequest.MetadataRequestTopic

        def make() -> Any:
            named = None if topics is None else [wanted(name=topic) for topic in topics]
            return MetadataRequest(topics=named, allow_auto_topic_creation=False, max_version=12)

        answer = await (self._told(make) if node is None else self.direct(make, node))
        self.controller = answer.controller_id
        known = {(b.node_id, b.host, b.port) for b in self._manager.cluster.brokers()}
        if {(b.node_id, b.host, b.port) for b in answer.brokers} != known:
            told = copy(answer)  # the library writes in what it is given
            told.topics = []
            self._manager.cluster.update_metadata(told)
        if topics is None:
            self._leaders.clear()
        for topic in answer.topics:
            for partition in topic.partitions:
                tp = TopicPartition(topic.name, partition.partition_index)
                if partition.leader_id >= 0:
                    self._leaders[tp] = partition.leader_id
                    self._leaderless.discard(tp)
                else:
                    self._leaders.pop(tp, None)
                    self._leaderless.add(tp)
        return answer

    async def _told(self, make: Make) -> Any:
        """An answer of a broker that knows its cluster. In ZooKeeper mode one that has just started
        serves before the controller told it anything, and knows of no broker and no topic: taken
        for the truth, every partition would be gone, and every guard would pass."""
        deadline = self._clock.monotonic() + self.timeout
        while True:
            answer = await self.ask(make)
            if answer.brokers or self.supports(DescribeQuorumRequest):
                return answer
            if self._clock.monotonic() >= deadline:
                raise k.NodeNotReadyError("it was told nothing by its controller yet")
            await self.sleep(0.1)

    async def shown(self, what: str, look: Callable[[int], Awaitable[str]]) -> None:
        """Wait until every broker shows a change: each learns of it in its own time, and the next
        question may go to any of them. `look(broker)` says what is missing there, "" for nothing.

        Raises StepFailed (KO-CHANGE-NOT-SHOWN).
        """
        begun = self._clock.monotonic()
        while True:
            missing = {
                node: why for node, why in (await self.again(self._looks(look))).items() if why
            }
            if not missing:
                return
            if self._clock.monotonic() - begun >= self.timeout:
                told = "; ".join(f"broker {node}: {why}" for node, why in sorted(missing.items()))
                raise StepFailed(
                    "KO-CHANGE-NOT-SHOWN",
                    f"{self.name} accepted {what} but does not show it: {told}",
                    where=f"{self.name}/{what}",
                )
            await self.sleep(0.05)

    def _looks(
        self, look: Callable[[int], Awaitable[str]]
    ) -> Callable[[], Awaitable[dict[int, str]]]:
        async def all_of_them() -> dict[int, str]:
            listed = (await self.metadata([])).brokers
            return await self.together({b.node_id: lambda n=b.node_id: look(n) for b in listed})  # type: ignore[misc]

        return all_of_them

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
        begun = self._clock.monotonic()
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
            reason = NO_LEADER if left & self._leaderless else MISSING
            trouble: Exception = KafkaAnswer(reason, ", ".join(map(str, sorted(left)[:5])))
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
            missing = isinstance(trouble, KafkaAnswer) and trouble.code == MISSING
            if self._clock.monotonic() - begun >= (PATIENCE if missing else self.timeout):
                raise trouble
            for tp in left:
                self._leaders.pop(tp, None)
            await self.sleep(0.02)
        return done

    async def _try_each(self, by_leader: Mapping[int, list[TopicPartition]], ask: Any) -> Any:
        async def one(leader: int, tps: list[TopicPartition]) -> Any:
            try:
                return await ask(leader, tps)
            except BROKEN as error:
                return error

        return await self.together(
            {leader: lambda n=leader, t=tps: one(n, t) for leader, tps in by_leader.items()}  # type: ignore[misc]
        )

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
            answer = await self.ask(
                lambda: FindCoordinatorRequest(key_type=kind, coordinator_keys=keys, min_version=4)
            )
            return [(c.key, c.node_id, c.error_code, c.error_message) for c in answer.coordinators]

        def one(key: str) -> Callable[[], Awaitable[Any]]:
            return lambda: self.ask(
                lambda: FindCoordinatorRequest(key=key, key_type=kind, max_version=3)
            )

        answers = await self.together({key: one(key) for key in keys})
        return [(key, a.node_id, a.error_code, a.error_message) for key, a in answers.items()]

    async def at_coordinator(self, make: Make, key: str, kind: int = GROUP) -> Any | None:
        """One request to the coordinator; None when the connection broke, and then the next call
        looks for the coordinator anew."""
        node = (await self.coordinators([key], kind))[key]
        try:
            return await self.direct(make, node)
        except BROKEN:
            self.forget_node(node)
            return None

    def forget_node(self, node: int) -> None:
        """Coordinators are looked for anew where this broker was one."""
        self._coordinators = {k: n for k, n in self._coordinators.items() if n != node}

    def forget_coordinator(self, key: str, kind: int = GROUP) -> None:
        self._coordinators.pop((kind, key), None)
