"""A question that any node can answer, while some of them take it and say nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import kafka.errors as k
import pytest
from kafka.future import Future
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from kafkaops.adapters.kafka_link import Link, first_of
from kafkaops.engine.errors import Unreachable

Answers = Callable[[Any], Future]


@pytest.fixture
def net() -> Iterator[NetworkSelector]:
    made = NetworkSelector(client_id="test", slow_task_threshold_secs=0)
    made.start()
    yield made
    made.stop()
    made.close()


class Nodes(Link):
    """Three nodes on a real event loop; `answers` says what becomes of a request to each. The
    library always means the first, as it may."""

    def __init__(self, net: NetworkSelector, answers: Answers, timeout: float = 5.0) -> None:
        super().__init__("blue", ["one:9094"], {}, timeout=timeout, attempt=0.05)
        self.asked: list[Any] = []
        self._answers = answers
        self._net = net
        self._manager = manager = KafkaConnectionManager(net, bootstrap_servers=["one:9094"])
        nodes = [SimpleNamespace(node_id=n) for n in (1, 2, 3)]
        manager.cluster.brokers = lambda: nodes
        manager.least_loaded_node = lambda: 1

    async def direct(self, make: Any, node: int) -> Any:
        self.asked.append(node)
        return await self._answers(node)

    def answer(self) -> Any:
        return self.run("list brokers", lambda: self.ask(object))


def silent() -> Future:
    return Future()


def said(value: Any) -> Future:
    return Future().success(value)


def test_the_first_that_is_asked_answers_alone(net: NetworkSelector) -> None:
    nodes = Nodes(net, said)
    assert (nodes.answer(), nodes.asked) == (1, [1])


def test_another_is_asked_where_one_is_silent(net: NetworkSelector) -> None:
    nodes = Nodes(net, lambda node: silent() if node == 1 else said(node))
    assert nodes.answer() in (2, 3)
    assert nodes.asked[0] == 1
    assert len(nodes.asked) == 2


def test_two_may_be_silent(net: NetworkSelector) -> None:
    nodes = Nodes(net, lambda node: said(node) if node == 3 else silent())
    assert nodes.answer() == 3
    assert sorted(nodes.asked) in ([1, 3], [1, 2, 3])


def test_one_that_is_slow_is_heard_all_the_same(net: NetworkSelector) -> None:
    slow = Future()

    def answers(node: int) -> Future:
        if node != 1:
            slow.success("late")
            return silent()
        return slow

    assert Nodes(net, answers).answer() == "late"


def test_an_answer_that_comes_as_its_time_is_over_is_not_asked_for_again(
    net: NetworkSelector,
) -> None:
    """Both are there at once after something else has kept the loop busy."""
    nodes = Nodes(net, said, timeout=0.3)
    real = nodes._manager.wait_for

    async def late(future: Future, timeout_ms: float) -> Any:
        found = await real(future, timeout_ms)
        if timeout_ms < 1000:  # of one question, not of the whole call
            raise k.KafkaTimeoutError
        return found

    nodes._manager.wait_for = late
    assert (nodes.answer(), nodes.asked) == (1, [1])


def test_one_that_breaks_off_is_asked_again(net: NetworkSelector) -> None:
    broken = [k.KafkaConnectionError("reset"), k.NodeNotReadyError(1)]
    nodes = Nodes(net, lambda node: Future().failure(broken.pop()) if broken else said(node))
    assert (nodes.answer(), nodes.asked) == (1, [1, 1, 1])


def test_what_no_other_node_cures_is_an_error_at_once(net: NetworkSelector) -> None:
    refused = k.SaslAuthenticationFailedError("no")
    nodes = Nodes(net, lambda node: Future().failure(refused))
    with pytest.raises(Exception, match="did not accept the credentials"):
        nodes.answer()
    assert nodes.asked == [1]


def test_where_all_are_silent_the_time_is_bounded(net: NetworkSelector) -> None:
    nodes = Nodes(net, lambda node: silent(), timeout=0.3)
    with pytest.raises(Unreachable, match="did not answer to list brokers"):
        nodes.answer()
    assert set(nodes.asked) == {1, 2, 3}


def test_a_link_that_is_closed_meanwhile_says_so(net: NetworkSelector) -> None:
    """By another thread, at the end of a command: no error of the program's own."""

    def closing(node: int) -> Future:
        nodes._manager.closed, nodes._manager = True, None
        return Future().failure(k.Cancelled())

    nodes = Nodes(net, closing)
    with pytest.raises(Unreachable):
        nodes.answer()


def test_the_first_of_several_is_as_it_ended() -> None:
    one, two = Future(), Future()
    first = first_of([one, two])
    assert not first.is_done
    two.failure(k.NodeNotReadyError(2))
    one.success("late")
    assert first.failed()
    assert isinstance(first.exception, k.NodeNotReadyError)
