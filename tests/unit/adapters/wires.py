"""A `Wire` whose brokers are a function: what is asked of which node, and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from types import SimpleNamespace
from typing import Any

import kafka.errors as k

from kafkaops.adapters.kafka_wire import Wire
from kafkaops.engine.clock import FakeClock

Answer = Callable[[Any, int | None], Any]


class FakeWire(Wire):
    """Runs everything in the caller, one after the other; sleeping moves a fake clock."""

    def __init__(self, answer: Answer, *, timeout: float = 12.0) -> None:
        self.clock = FakeClock()
        super().__init__("blue", ["one:9094"], {}, clock=self.clock, timeout=timeout)
        self._answer = answer
        self.asked: list[tuple[str, int | None]] = []
        nodes = [SimpleNamespace(node_id=n, host=f"h{n}", port=9094) for n in (1, 2, 3)]
        self.nodes = nodes
        self._manager = SimpleNamespace(
            cluster=SimpleNamespace(brokers=lambda: nodes, update_metadata=lambda answer: None),
            broker_version_data=SimpleNamespace(api_version=lambda request: 8),
        )

    async def direct(self, make: Callable[[], Any], node: int | None) -> Any:  # type: ignore[override]
        request = make()
        self.asked.append((type(request).__name__, node))
        answer = self._answer(request, node)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send(self, make: Callable[[], Any], node: int | None = None) -> Any:
        return await self.direct(make, node)

    async def ask(self, make: Callable[[], Any]) -> Any:
        return await self.direct(make, None)

    async def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    async def together(self, work: Mapping[Any, Callable[[], Awaitable[Any]]]) -> dict[Any, Any]:
        return {key: await todo() for key, todo in work.items()}


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never has to wait."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something that nothing here brings")


def row(**values: Any) -> SimpleNamespace:
    return SimpleNamespace(**values)


def found(*at: tuple[str, int, int]) -> SimpleNamespace:
    """FindCoordinator: (key, node, error code)."""
    return row(
        coordinators=[
            row(key=key, node_id=node, error_code=code, error_message=None)
            for key, node, code in at
        ]
    )


def metadata(leaders: Mapping[tuple[str, int], int]) -> SimpleNamespace:
    """Metadata of the topics named; a leader -1 is none."""
    topics: dict[str, list[Any]] = {}
    for (topic, partition), leader in leaders.items():
        topics.setdefault(topic, []).append(
            row(partition_index=partition, leader_id=leader, error_code=0)
        )
    return row(
        controller_id=1,
        brokers=[row(node_id=n, host=f"h{n}", port=9094) for n in (1, 2, 3)],
        topics=[row(name=name, error_code=0, partitions=rows) for name, rows in topics.items()],
    )


BROKEN = k.KafkaConnectionError("reset")
