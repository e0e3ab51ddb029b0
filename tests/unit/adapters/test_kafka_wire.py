"""Leaders, and waiting until every broker shows a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kafka.errors as k
import pytest
from kafka.protocol.admin import DescribeQuorumRequest, ListGroupsRequest

from kafkaops.adapters.kafka_errors import KafkaAnswer
from kafkaops.engine.errors import StepFailed
from kafkaops.model.partition import TopicPartition
from tests.unit.adapters.wires import BROKEN, FakeWire, finish, found, metadata

A, B = TopicPartition("t", 0), TopicPartition("t", 1)


class Leaders:
    """Metadata as given, one after the other (the last again and again)."""

    def __init__(self, *views: Mapping[tuple[str, int], int]) -> None:
        self.views = list(views)

    def __call__(self, request: Any, node: int | None) -> Any:
        assert not request.allow_auto_topic_creation
        return metadata(self.views.pop(0) if len(self.views) > 1 else self.views[0])


def asking(truth: Mapping[TopicPartition, int], log: list[tuple[int, int]]) -> Any:
    async def ask(leader: int, tps: list[TopicPartition]) -> dict[TopicPartition, Any]:
        log.append((leader, len(tps)))
        if leader == 9:
            raise BROKEN
        return {tp: 5 if truth[tp] == leader else KafkaAnswer(6, str(tp)) for tp in tps}

    return ask


def test_one_question_a_leader_and_none_for_metadata_the_second_time() -> None:
    wire = FakeWire(Leaders({("t", 0): 1, ("t", 1): 1}))
    log: list[tuple[int, int]] = []
    for _ in range(2):
        assert finish(wire.at_leaders([A, B], asking({A: 1, B: 1}, log))) == {A: 5, B: 5}
    assert log == [(1, 2), (1, 2)]
    assert len(wire.asked) == 1


@pytest.mark.parametrize("stale", [2, 9])
def test_a_stale_or_broken_leader_is_looked_up_again(stale: int) -> None:
    wire = FakeWire(Leaders({("t", 0): 1, ("t", 1): stale}, {("t", 0): 1, ("t", 1): 3}))
    log: list[tuple[int, int]] = []
    assert finish(wire.at_leaders([A, B], asking({A: 1, B: 3}, log))) == {A: 5, B: 5}
    assert log == [(1, 1), (stale, 1), (3, 1)]


def test_a_missing_topic_is_told_soon_a_leaderless_one_is_waited_for() -> None:
    for view, code, patience in (({}, 3, 3.0), ({("t", 0): -1}, 5, 12.0)):
        wire = FakeWire(Leaders(view))
        with pytest.raises(KafkaAnswer) as told:
            finish(wire.at_leaders([A], asking({A: 1}, [])))
        waited = wire.clock.now - 1_000_000
        assert told.value.code == code
        assert patience <= waited < patience + 0.1


def test_another_error_is_raised_at_once() -> None:
    async def refuses(leader: int, tps: list[TopicPartition]) -> dict[TopicPartition, Any]:
        return {tps[0]: KafkaAnswer(29, "t")}

    wire = FakeWire(Leaders({("t", 0): 1}))
    with pytest.raises(KafkaAnswer, match="TopicAuthorizationFailed"):
        finish(wire.at_leaders([A], refuses))
    assert wire.clock.slept == []


def test_shown_waits_for_the_last_broker() -> None:
    wire = FakeWire(Leaders({}))
    seen: list[int] = []

    async def look(node: int) -> str:
        seen.append(node)
        return "the topic" if node == 3 and len(seen) < 7 else ""

    finish(wire.shown("topic t", look))
    assert seen == [1, 2, 3] * 3

    async def never(node: int) -> str:
        return "the topic" if node == 3 else ""

    with pytest.raises(StepFailed) as told:
        finish(wire.shown("topic t", never))
    assert told.value.code == "KO-CHANGE-NOT-SHOWN"
    assert "broker 3: the topic" in told.value.message


def test_broken_off_work_is_begun_again_until_the_time_is_up() -> None:
    wire, tries = FakeWire(Leaders({})), []

    async def work() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise BROKEN
        return "done"

    assert finish(wire.again(work)) == "done"

    async def hopeless() -> str:
        raise BROKEN

    with pytest.raises(type(BROKEN)):
        finish(wire.again(hopeless))
    assert wire.clock.now - 1_000_000 >= 12


def test_all_coordinators_of_a_broken_broker_are_looked_for_anew() -> None:
    homes = {"g": 2, "h": 2, "i": 1}

    def brokers(request: Any, node: int | None) -> Any:
        if type(request).__name__ == "FindCoordinatorRequest":
            return found(*((key, homes[key], 0) for key in request.coordinator_keys))
        return BROKEN if node == 2 else "answer"

    wire = FakeWire(brokers)
    assert finish(wire.coordinators(list(homes))) == homes
    assert finish(wire.at_coordinator(ListGroupsRequest, "g")) is None
    homes.update(g=3, h=3, i=99)  # i's broker did not break: it is not asked for again
    assert finish(wire.coordinators(list(homes))) == {"g": 3, "h": 3, "i": 1}
    assert finish(wire.at_coordinator(ListGroupsRequest, "g")) == "answer"


def told_nothing() -> Any:
    """What a broker in ZooKeeper mode answers that has just started."""
    empty = metadata({})
    empty.brokers, empty.controller_id = [], -1
    return empty


def in_zookeeper_mode(*answers: Any) -> FakeWire:
    left = list(answers)
    wire = FakeWire(lambda request, node: left.pop(0) if len(left) > 1 else left[0])

    def api_version(request: Any) -> int:
        if request is DescribeQuorumRequest:
            raise k.IncompatibleBrokerVersion("there is no quorum")
        return 8

    wire._manager.broker_version_data.api_version = api_version
    return wire


def test_in_zookeeper_mode_a_broker_that_was_told_nothing_yet_is_not_believed() -> None:
    wire = in_zookeeper_mode(told_nothing(), told_nothing(), metadata({("t", 0): 1}))
    answer = finish(wire.metadata(None))
    assert [topic.name for topic in answer.topics] == ["t"]
    assert wire.controller == 1
    silent = in_zookeeper_mode(told_nothing())
    with pytest.raises(k.NodeNotReadyError):
        finish(silent.metadata(None))
    assert silent.clock.monotonic() >= 12.0


def test_with_kraft_a_cluster_without_brokers_is_an_answer() -> None:
    async def refreshed() -> None: ...

    wire = FakeWire(lambda request, node: told_nothing())
    wire._manager.cluster.refresh_metadata = refreshed
    assert finish(wire.metadata([])).brokers == []
    assert len(wire.asked) == 1
