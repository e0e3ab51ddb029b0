"""`placement topic create` and `partitions add` on a cluster in memory that is strict."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from kafkaops.cli.main import run
from kafkaops.config.schema import ClusterSpec, Config
from kafkaops.engine.clock import Clock, FakeClock
from kafkaops.engine.errors import Exit, LeaseHeld, StepFailed
from kafkaops.engine.lease import Lease
from kafkaops.model.cluster import Broker, ClusterState
from kafkaops.model.partition import Partition, Topic, TopicConfig, TopicPartition
from kafkaops.ports.cluster import Cluster
from tests.unit.cli.fake_operations import ToyLease
from tests.unit.cli.fake_terminal import Seated, Typing

RACKS: dict[int, str | None] = {1: "a", 2: "b", 3: "c", 4: "a", 5: "b", 6: "c"}


@dataclass
class Placed:
    """Topics by name, each partition to its replicas; refuses what Kafka refuses. `shift` puts the
    replicas of what is created elsewhere than asked, as nothing should."""

    racks: dict[int, str | None] = field(default_factory=lambda: dict(RACKS))
    held: dict[str, dict[int, tuple[int, ...]]] = field(default_factory=dict)
    configs: dict[str, dict[str, str]] = field(default_factory=dict)
    moving: tuple[TopicPartition, ...] = ()
    calls: list[str] = field(default_factory=list)
    shift: bool = False
    closed: int = 0

    def snapshot(self, *, full: bool = True) -> ClusterState:
        assert not full, "everything was read where topics suffice"
        return ClusterState(
            cluster_id="c",
            taken=0.0,
            controller=1,
            brokers=tuple(Broker(n, f"b{n}", 9094, rack) for n, rack in self.racks.items()),
            topics=self.topics(),
            reassigning=self.moving,
        )

    def topics(self, *, configs: bool = False) -> Mapping[str, Topic]:
        return {name: self._topic(name, configs) for name in self.held}

    def _topic(self, name: str, configs: bool) -> Topic:
        values: dict[str, str | None] = {"cleanup.policy": "delete", **self.configs.get(name, {})}
        config = TopicConfig(values, {}) if configs else TopicConfig({}, {})
        rows = self.held[name].items()
        parts = tuple(Partition(TopicPartition(name, p), r[0], 0, r, r) for p, r in rows)
        return Topic(name, "", name == "__consumer_offsets", parts, config)

    def create_topic(
        self, topic: str, assignment: Mapping[int, Sequence[int]], configs: Mapping[str, str]
    ) -> None:
        if topic in self.held:
            raise StepFailed("KO-CLUSTER-KAFKA", "TopicAlreadyExistsError")
        assert list(assignment) == list(range(len(assignment)))
        self.calls.append("create_topic")
        self.held[topic] = self._kept(assignment)
        self.configs[topic] = dict(configs)

    def create_partitions(self, topic: str, assignment: Mapping[int, Sequence[int]]) -> None:
        first = len(self.held[topic])
        assert list(assignment) == list(range(first, first + len(assignment)))
        self.calls.append("create_partitions")
        self.held[topic] |= self._kept(assignment)

    def _kept(self, assignment: Mapping[int, Sequence[int]]) -> dict[int, tuple[int, ...]]:
        rows = {p: tuple(r) for p, r in assignment.items()}
        assert all(set(r) <= set(self.racks) and len(set(r)) == len(r) for r in rows.values())
        return {p: r[1:] + r[:1] for p, r in rows.items()} if self.shift else rows

    def close(self) -> None:
        self.closed += 1


@dataclass
class Placing(Seated):
    blue: Placed = field(default_factory=Placed)
    leases: list[str] = field(default_factory=list)
    released: list[ToyLease] = field(default_factory=list)
    held: LeaseHeld | None = None

    def clock(self) -> Clock:
        return FakeClock(1e9)

    def cluster(self, config: Config, colour: str) -> Cluster:
        return cast(Cluster, self.blue)

    def cluster_at(self, spec: ClusterSpec) -> Cluster:
        return cast(Cluster, self.blue)

    def lease(self, config: Config, run: str) -> Lease:
        if self.held is not None:
            raise self.held
        self.leases.append(run)
        self.released.append(ToyLease())
        return self.released[-1]


@pytest.fixture
def placing() -> Placing:
    return Placing()


@pytest.fixture
def placement(placing: Placing, config: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def do(*argv: str, json_: bool = True, at: Path = config) -> tuple[int, Any, str]:
        form = ["-o", "json"] if json_ else []
        code = run(["placement", *argv, "-c", str(at), *form], placing)
        out = capsys.readouterr()
        return code, json.loads(out.out) if json_ else out.out, out.err

    return do


CREATE = ("topic", "create", "payments", "--partitions", "12")
ADD = ("partitions", "add", "payments", "--to", "8")


def test_a_topic_is_created_even_and_read_back(placement: Any, placing: Placing) -> None:
    code, found, err = placement(*CREATE, "--topic-config", "min.insync.replicas=2", "--yes")
    assert (code, found["outcome"], found["proven"]) == (0, "created", True)
    assert (found["schema_version"], found["kind"]) == (1, "placement-topic")
    rows = placing.blue.held["payments"]
    assert [row[0] for row in rows.values()] == [1, 2, 3, 4, 5, 6] * 2
    assert all({RACKS[b] for b in row} == {"a", "b", "c"} for row in rows.values())
    assert {b["replicas"] for b in found["brokers"]} == {6}
    assert {b["leaders"] for b in found["brokers"]} == {2}
    assert found["partitions"][0]["replicas"] == list(rows[0])
    assert placing.blue.configs["payments"] == {"min.insync.replicas": "2"}
    assert "payments on blue: 12 new partitions, RF 3" in err
    assert placing.leases == ["orders-create-payments"]
    assert placing.released[0].released
    assert placing.blue.closed == 1


def test_the_audit_says_who_and_why(
    placement: Any, placing: Placing, write: Any, tmp_path: Path
) -> None:
    config = write({"state.dir": str(tmp_path / "state")})
    code, _, _ = placement(*CREATE, "--yes", "--reason", "CHG-7", at=config)
    assert code == 0
    lines = (tmp_path / "state" / "audit.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert [(e["run"], e["reason"], e["outcome"]) for e in entries] == [
        ("orders-create-payments", "CHG-7", ""),
        ("orders-create-payments", "CHG-7", "done"),
    ]


@pytest.mark.parametrize("argv", [CREATE, ADD])
def test_plan_changes_nothing_and_asks_nothing(
    placement: Any, placing: Placing, argv: tuple[str, ...]
) -> None:
    placing.blue.held = {} if argv is CREATE else {"payments": {0: (1, 2, 3)}}
    before = dict(placing.blue.held)
    code, found, _ = placement(*argv, "--plan")
    assert (code, found["outcome"]) == (0, "planned")
    assert (placing.blue.held, placing.blue.calls, placing.leases) == (before, [], [])


def test_the_plan_for_people(placement: Any) -> None:
    code, out, _ = placement(*CREATE, "--plan", json_=False)
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert rows[0] == ["partition", "leader", "replicas"]
    assert rows[1][:2] == ["0", "1"]
    assert ["1", "a", "6", "2", "6", "2"] in rows


def test_partitions_go_on_in_order_and_what_is_there_stays(
    placement: Any, placing: Placing
) -> None:
    there = {0: (1, 2, 3), 1: (2, 3, 4), 2: (3, 4, 5), 3: (4, 5, 6)}
    placing.blue.held["payments"] = dict(there)
    code, found, err = placement(*ADD, "--yes")
    assert (code, found["outcome"], found["existing"]) == (0, "added", 4)
    rows = placing.blue.held["payments"]
    assert {p: rows[p] for p in range(4)} == there
    assert [rows[p][0] for p in range(4, 8)][:2] == [5, 6]
    assert {b["replicas"] for b in found["brokers"]} == {4}
    assert "keys change places" in err
    assert "no way back" not in found["warnings"][0]


def test_nothing_happens_without_consent_and_the_flag_is_named(
    placement: Any, placing: Placing
) -> None:
    code, found, _ = placement(*CREATE)
    assert (code, found["error"]["code"]) == (Exit.USAGE, "KO-CONSENT-MISSING")
    assert "--yes" in found["error"]["hint"]
    assert (placing.blue.calls, placing.leases) == ([], [])


def test_no_declines(placement: Any, placing: Placing) -> None:
    placing.seat = typing = Typing(answers=["n"])
    placing.blue.held["payments"] = {0: (1, 2, 3)}
    code, found, _ = placement(*ADD)
    assert (code, found["error"]["code"]) == (Exit.DECLINED, "KO-DECLINED")
    assert "Kafka takes no partition away" in typing.asked[0]
    assert placing.blue.calls == []


def test_a_compacted_topic_is_agreed_to_by_name(placement: Any, placing: Placing) -> None:
    placing.blue.held["payments"] = {0: (1, 2, 3)}
    placing.blue.configs["payments"] = {"cleanup.policy": "compact,delete"}
    code, found, _ = placement(*ADD, "--yes")
    assert (code, found["error"]["hint"]) == (2, "repeat the command with --confirm orders")
    code, found, err = placement(*ADD, "--confirm", "orders")
    assert code == 0
    assert "a key's old value stays where it was for good" in err


def test_a_protected_cluster_is_agreed_to_by_name(placement: Any, write: Any) -> None:
    code, found, _ = placement(*CREATE, "--yes", at=write({"blue.protected": True}))
    assert (code, found["error"]["code"]) == (2, "KO-CONSENT-MISSING")


def test_a_cluster_by_its_address_has_no_lease(placement: Any, placing: Placing) -> None:
    code, _, _ = placement(*CREATE, "--cluster", "10.0.0.1:9094", "--yes")
    assert (code, placing.blue.calls, placing.leases) == (0, ["create_topic"], [])


def test_who_holds_the_lease_is_named_and_nothing_is_done(placement: Any, placing: Placing) -> None:
    placing.held = LeaseHeld("KO-LEASE-HELD", "ann@host holds it")
    code, found, _ = placement(*CREATE, "--yes")
    assert (code, found["error"]["code"], placing.blue.calls) == (6, "KO-LEASE-HELD", [])


def test_what_differs_from_the_plan_is_a_failure(placement: Any, placing: Placing) -> None:
    placing.blue.shift = True
    code, found, _ = placement(*CREATE, "--yes")
    assert (code, found["error"]["code"]) == (8, "KO-TOPIC-DIFFERS")
    assert "partition 0 is on [" in found["error"]["details"][0]
    assert len(found["error"]["details"]) == 12


def offline(cluster: Placed) -> None:
    del cluster.racks[6]
    cluster.held["old"] = {0: (6, 1, 2)}


def bare(cluster: Placed) -> None:
    cluster.racks |= {5: None, 6: None}


def two_racks(cluster: Placed) -> None:
    cluster.racks |= {3: "a", 6: "b"}


def one_rack_unknown(cluster: Placed) -> None:
    cluster.racks = dict.fromkeys((1, 2, 3))


def test_a_broker_that_is_away_gets_nothing(placement: Any, placing: Placing) -> None:
    offline(placing.blue)
    code, found, _ = placement(*CREATE, "--yes")
    assert code == 0
    assert [b["id"] for b in found["brokers"]] == [1, 2, 3, 4, 5]
    assert found["warnings"] == ["brokers that are not up get nothing: 6"]


def test_what_is_refused_can_be_allowed_by_name(placement: Any, placing: Placing) -> None:
    bare(placing.blue)
    code, found, _ = placement(*CREATE, "--yes")
    assert (code, found["error"]["code"]) == (5, "KO-TOPIC-NO-RACK")
    assert "5, 6" in found["error"]["message"]
    code, found, _ = placement(*CREATE, "--allow-no-rack", "--plan")
    assert (code, [b["rack"] for b in found["brokers"]][4:]) == (0, [None, None])
    assert all(len({5, 6} & set(p["replicas"])) <= 1 for p in found["partitions"])
    code, found, _ = placement(*CREATE, "--exclude-broker", "5", "--exclude-broker", "6", "--plan")
    assert (code, [b["id"] for b in found["brokers"]]) == (0, [1, 2, 3, 4])


def test_more_replicas_than_racks_are_allowed_by_name(placement: Any, placing: Placing) -> None:
    two_racks(placing.blue)
    code, found, _ = placement(*CREATE, "--plan")
    assert (code, found["error"]["code"]) == (5, "KO-TOPIC-RACKS")
    assert "RF 3 over 2 racks (a, b)" in found["error"]["message"]
    code, found, _ = placement(*CREATE, "--plan", "--allow-shared-racks")
    assert code == 0
    assert {b["replicas"] for b in found["brokers"]} == {6}


def test_a_cluster_without_any_rack_is_one(placement: Any, placing: Placing) -> None:
    one_rack_unknown(placing.blue)
    code, found, _ = placement(*CREATE, "--plan", "--allow-no-rack")
    assert (code, {b["leaders"] for b in found["brokers"]}) == (0, {4})


@pytest.mark.parametrize(
    ("ended", "code", "argv", "words"),
    [
        (5, "KO-TOPIC-EXISTS", ["topic", "create", "old", "--partitions", "1"], "2 partitions"),
        (5, "KO-TOPIC-RF", [*CREATE, "--rf", "7"], "RF 7 needs 7 brokers, and 6 are up"),
        (2, "KO-TOPIC-BROKER", [*CREATE, "--exclude-broker", "9"], "there is no broker 9"),
        (2, "KO-TOPIC-NAME", ["topic", "create", "a b", "--partitions", "1"], "'a b'"),
        (5, "KO-TOPIC-NAME", ["topic", "create", "x_y", "--partitions", "1"], "x.y"),
        (2, "KO-TOPIC-MIN-ISR", [*CREATE, "--topic-config", "min.insync.replicas=4"], "RF 3"),
        (2, "KO-USAGE", [*CREATE, "--topic-config", "retention.ms"], "is not KEY=VALUE"),
        (
            2,
            "KO-USAGE",
            [*CREATE, "--topic-config", "a=1", "--topic-config", "a=2"],
            "is there twice",
        ),
        (2, "KO-USAGE", ["topic", "create", "p", "--partitions", "0"], "greater than or equal"),
        (2, "KO-TOPIC-UNKNOWN", ["partitions", "add", "odl", "--to", "3"], "nearest are old"),
        (
            2,
            "KO-TOPIC-PARTITIONS",
            ["partitions", "add", "old", "--to", "2"],
            "2 partitions already",
        ),
        (2, "KO-TOPIC-PARTITIONS", ["partitions", "add", "old", "--to", "1"], "take any away"),
        (5, "KO-TOPIC-MOVING", ["partitions", "add", "x.y", "--to", "2"], "x.y-0"),
        (5, "KO-TOPIC-INTERNAL", ["partitions", "add", "__consumer_offsets", "--to", "9"], "own"),
    ],
)
def test_what_cannot_be_is_a_clear_error(
    placement: Any, placing: Placing, ended: int, code: str, argv: list[str], words: str
) -> None:
    placing.blue.held |= {
        "old": {0: (1, 2, 3), 1: (2, 3, 4)},
        "x.y": {0: (1, 2)},
        "__consumer_offsets": {0: (1, 2, 3)},
    }
    placing.blue.moving = (TopicPartition("x.y", 0),)
    found, document, _ = placement(*argv, "--yes")
    assert (found, document["error"]["code"]) == (ended, code)
    assert words in document["error"]["message"]
    assert placing.blue.calls == []


def test_the_rf_of_added_partitions_is_that_of_the_topic(placement: Any, placing: Placing) -> None:
    placing.blue.held["payments"] = {0: (1, 2), 1: (2, 3), 2: (3, 4, 5)}
    code, found, _ = placement(*ADD, "--plan")
    assert (code, found["rf"], {len(p["replicas"]) for p in found["partitions"]}) == (0, 2, {2})
    assert any("RF differs within payments" in w for w in found["warnings"])
