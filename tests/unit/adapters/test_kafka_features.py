"""Feature levels on the wire: what brokers answer, what controllers add, what is asked of them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import kafka.errors as k
import pytest

from kafkaops.adapters import kafka_controllers, kafka_features
from kafkaops.adapters.kafka_errors import KafkaAnswer, translate
from kafkaops.adapters.kafka_features import Told
from kafkaops.engine.errors import ConfigError, GuardRefused, StepFailed
from kafkaops.model.features import FeatureChange, FeatureNode, Range, Way
from tests.unit.adapters.wires import FakeWire, finish, metadata, row

MV, GV = "metadata.version", "group.version"


def versions(
    finalized: dict[str, int], *, epoch: int = 5, zero: bool = True, full: bool = True
) -> Any:
    """An ApiVersions answer; `zero`: the node knows version 4 of it, `full`: this one is that."""
    names = {MV: (7, 30), **({GV: (0, 1)} if full else {})}
    return row(
        error_code=0,
        api_keys=[row(api_key=18, min_version=0, max_version=4 if zero else 3)],
        supported_features=[
            row(name=n, min_version=a, max_version=b) for n, (a, b) in names.items()
        ],
        finalized_features_epoch=epoch,
        finalized_features=[row(name=n, max_version_level=v) for n, v in finalized.items()],
    )


class Cluster:
    """Brokers 1 to 3, all voters; broker 4 is fenced. Levels move by UpdateFeatures, and broker 3
    shows them `late` looks later."""

    def __init__(self, *, zero: bool = True, quorum: bool = True, late: int = 0) -> None:
        self.zero, self.quorum, self.late = zero, quorum, late
        self.levels = {MV: 29}
        self.old = dict(self.levels)
        self.requests: list[Any] = []
        self.code, self.results = 0, ((0, GV, None),)
        self.message: str | None = None
        self.configs: dict[str, str] = {}

    def __call__(self, request: Any, node: int | None) -> Any:
        name = type(request).__name__.removesuffix("Request")
        self.requests.append(request)
        return getattr(self, name)(request, node)

    def Metadata(self, request: Any, node: int | None) -> Any:
        answer = metadata({})
        answer.cluster_id = "C"
        return answer

    def ApiVersions(self, request: Any, node: int | None) -> Any:
        shown = self.levels
        if node == 3 and self.late:
            self.late, shown = self.late - 1, self.old
        full = request.API_VERSION == 4
        return versions(shown, epoch=4 if shown is self.old else 5, zero=self.zero, full=full)

    def DescribeQuorum(self, request: Any, node: int | None) -> Any:
        voters = [row(replica_id=n) for n in (1, 2, 3)]
        part = row(error_code=0, current_voters=voters, observers=[row(replica_id=8)])
        nodes = [row(node_id=1, listeners=[row(host="h1", port=9093)])]
        return row(error_code=0, topics=[row(partitions=[part])], nodes=nodes)

    def DescribeConfigs(self, request: Any, node: int | None) -> Any:
        values = {"min.insync.replicas": "2" if node else None, **self.configs}
        if request.resources[0].resource_name == "":
            values = {"min.insync.replicas": "3"}
        configs = [row(name=n, value=v, is_sensitive=False) for n, v in values.items()]
        return row(results=[row(error_code=0, error_message=None, configs=configs)])

    def DescribeCluster(self, request: Any, node: int | None) -> Any:
        assert request.include_fenced_brokers
        return row(error_code=0, brokers=[row(broker_id=n) for n in (1, 2, 3, 4)])

    def UpdateFeatures(self, request: Any, node: int | None) -> Any:
        if not request.validate_only and self.code == 0:
            self.old = dict(self.levels)
            for update in request.feature_updates:
                self.levels[update.feature] = update.max_version_level
        return row(
            error_code=self.code,
            error_message=self.message,
            results=[row(error_code=c, feature=f, error_message=m) for c, f, m in self.results],
        )


def told(cluster: Cluster) -> Told:
    wire = FakeWire(cluster)
    wire.supports = lambda request: cluster.quorum  # type: ignore[method-assign]
    found: Told = finish(kafka_features.told(wire))
    return found


def test_brokers_tell_levels_ranges_voters_and_who_is_fenced() -> None:
    found = told(Cluster())
    assert (found.cluster_id, found.kraft, found.finalized) == ("C", True, {MV: 29})
    assert found.voters == (1, 2, 3)
    assert found.observers == (8,)
    assert found.listeners == {1: ("h1", 9093)}
    assert found.brokers[0].supports == {MV: Range(7, 30), GV: Range(0, 1)}
    assert [(n.id, n.member) for n in found.brokers] == [
        (1, True),
        (2, True),
        (3, True),
        (4, False),
    ]
    assert (found.min_isr, found.min_isr_of) == ("3", dict.fromkeys((1, 2, 3), "2"))


def test_features_with_a_lowest_level_of_zero_want_the_newer_question() -> None:
    assert told(Cluster(zero=False)).brokers[0].supports == {MV: Range(7, 30)}


def test_the_newest_epoch_counts_and_an_unknown_one_tells_nothing() -> None:
    answers = [
        versions({MV: 21}, epoch=3),
        versions({MV: 30}, epoch=9),
        versions({MV: 1}, epoch=-1),
    ]
    assert kafka_features.newest(answers) == {MV: 30}
    assert kafka_features.levels(answers[2]) == {}
    assert kafka_features.levels(versions({MV: 30, GV: 0})) == {MV: 30}


def test_zookeeper_mode_is_told_by_the_missing_quorum() -> None:
    found = told(Cluster(quorum=False))
    assert not found.kraft
    assert found.voters == ()


def test_old_quorums_are_found_by_the_brokers_own_config() -> None:
    configs = {1: {"controller.quorum.voters": "100@c1:9093, 101@[::1]:9094"}}
    quorum = SimpleNamespace(nodes=None)
    assert kafka_features._listeners(quorum, configs) == {100: ("c1", 9093), 101: ("::1", 9094)}  # type: ignore[arg-type]
    assert kafka_features._listeners(quorum, {1: {}}) == {}


# -- trying and changing -------------------------------------------------------

UP = (FeatureChange(GV, 1),)


def test_a_trial_changes_nothing_and_says_what_would_be_refused() -> None:
    cluster = Cluster()
    assert finish(kafka_features.attempt(FakeWire(cluster), UP)) == ""
    assert cluster.requests[-1].validate_only
    assert cluster.levels == {MV: 29}
    cluster.code, cluster.message, cluster.results = 95, "Controller 9 only supports 1-21", ()
    assert (
        finish(kafka_features.attempt(FakeWire(cluster), UP)) == "Controller 9 only supports 1-21"
    )
    cluster.code, cluster.results = 0, ((95, GV, "by feature"),)
    assert finish(kafka_features.attempt(FakeWire(cluster), UP)) == "by feature"
    assert finish(kafka_features.attempt(FakeWire(cluster), ())) == ""


def test_a_change_is_sent_with_its_direction_and_returns_when_every_broker_shows_it() -> None:
    cluster = Cluster(late=2)
    wire = FakeWire(cluster)
    finish(kafka_features.update(wire, (FeatureChange(MV, 25, Way.SAFE_DOWNGRADE),)))
    [sent] = [r for r in cluster.requests if type(r).__name__ == "UpdateFeaturesRequest"]
    [update] = sent.feature_updates
    assert (update.max_version_level, update.upgrade_type) == (25, 2)
    assert not sent.validate_only
    assert cluster.late == 0
    assert wire.clock.now > 0, "it did not wait for broker 3"


def test_a_change_that_a_broker_never_shows_is_a_failure_that_names_it() -> None:
    with pytest.raises(StepFailed, match=r"broker 3: group\.version is 0") as failed:
        finish(kafka_features.update(FakeWire(Cluster(late=10_000)), UP))
    assert failed.value.code == "KO-CHANGE-NOT-SHOWN"


def test_a_refused_change_is_a_guard_in_kafkas_words_and_a_missing_right_is_named() -> None:
    cluster = Cluster()
    cluster.code, cluster.message = 95, "no"
    with pytest.raises(GuardRefused, match="no") as refused:
        finish(kafka_features.update(FakeWire(cluster), UP))
    assert refused.value.code == "KO-FEATURE-REFUSED"
    cluster.code = 31
    with pytest.raises(KafkaAnswer) as answer:
        finish(kafka_features.update(FakeWire(cluster), UP))
    told = translate(answer.value, cluster="c", what="change", servers=("s",), tried=1)
    assert isinstance(told, ConfigError)
    assert "ALTER on CLUSTER" in told.hint


# -- controllers of their own --------------------------------------------------


def apart(**more: Any) -> Told:
    values: dict[str, Any] = {
        "cluster_id": "C",
        "kraft": True,
        "finalized": {MV: 21},
        "brokers": (FeatureNode(1, supports={}),),
        "voters": (100, 101),
        "observers": (1,),
        "listeners": {100: ("c100", 9093), 101: ("c101", 9093)},
        "min_isr": None,
        "min_isr_of": {},
    }
    return Told(**(values | more))


class Controllers:
    """Two voters and 102, which is registered and gone. `down` do not answer."""

    def __init__(self, *down: str, code: int = 0) -> None:
        self.down, self.code = {"c102", *down}, code

    def __call__(self, address: tuple[str, int], make: Callable[[], Any]) -> Any:
        if address[0] in self.down:
            raise k.KafkaConnectionError("refused")
        request = make()
        if type(request).__name__ == "ApiVersionsRequest":
            return versions({MV: 21}, full=request.API_VERSION == 4)
        assert request.endpoint_type == 2
        rows = [row(broker_id=n, host=f"c{n}", port=9093) for n in (100, 101, 102)]
        return row(error_code=self.code, error_message="denied", brokers=rows)


def test_registered_controllers_are_listed_and_the_ghost_among_them_is_one() -> None:
    found = kafka_controllers.features(apart(), Controllers())
    by_id = {n.id: n for n in found.nodes}
    assert by_id[100].supports == {MV: Range(7, 30), GV: Range(0, 1)}
    assert (by_id[100].name, by_id[100].member) == ("controller 100", True)
    assert [n.name for n in found.ghosts] == ["controller 102"]
    assert "c102:9093 did not answer" in by_id[102].why
    assert found.unseen == ""


def test_another_controller_is_asked_when_the_first_is_silent() -> None:
    found = kafka_controllers.features(apart(), Controllers("c100"))
    assert [n.id for n in found.nodes if n.supports is None] == [100, 102]
    assert found.unseen == ""


def test_controllers_that_nobody_can_ask_are_said_to_be_unseen() -> None:
    found = kafka_controllers.features(apart(), Controllers("c100", "c101"))
    assert [n.supports for n in found.nodes if n.controller] == [None, None]
    assert "did not answer (" in found.unseen
    found = kafka_controllers.features(apart(), Controllers(code=31))
    assert "denied" in found.unseen
    assert not found.ghosts
    found = kafka_controllers.features(apart(listeners={}), Controllers())
    assert "do not tell where" in found.unseen


def test_in_zookeeper_mode_no_controller_is_asked() -> None:
    def nobody(address: object, make: object) -> Any:
        raise AssertionError("asked")

    found = kafka_controllers.features(apart(kraft=False, voters=()), nobody)
    assert (found.kraft, len(found.nodes)) == (False, 1)
