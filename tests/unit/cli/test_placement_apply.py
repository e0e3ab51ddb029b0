"""`placement apply|cancel|status` on fakes, through the real planner, plan and engine."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from kafkaops.cli.operations import Operations, Say
from kafkaops.config.schema import Config
from kafkaops.engine.clock import Clock
from kafkaops.engine.lease import Lease
from kafkaops.engine.store import FileFacts, MemoryFacts
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World
from tests.crash.fake_nodes import LiveClock
from tests.crash.fake_placing import MIB, PlacingCluster
from tests.crash.fake_world import world_of
from tests.crash.placement_scene import RACKS
from tests.unit.cli.conftest import Kafkaops
from tests.unit.cli.fake_operations import ToyLease

ROWS = ((1, 2, 3), (2, 3, 1), (3, 1, 2), (1, 2, 3), (2, 3, 1), (3, 1, 2))
FIRST = TopicPartition("orders", 0)


class Open(PlacingCluster):
    def close(self) -> None:
        """Nothing is open."""


@dataclass
class PlacingOperations(Operations):
    ticking: LiveClock = field(default_factory=LiveClock)

    def __post_init__(self) -> None:
        self.placing = Open(self.ticking, dict(RACKS))
        self.placing.topic("orders", ROWS)
        self.ticking.sleep(2)

    def clock(self) -> Clock:
        return self.ticking

    def cluster(self, config: Config, colour: str) -> Cluster:
        return cast(Cluster, self.placing)

    def lease(self, config: Config, run: str) -> Lease:
        return ToyLease()

    def world(self, config: Config, *, run_dir: Path | None, say: Say) -> World:
        facts = MemoryFacts() if run_dir is None else FileFacts(run_dir / "facts")
        return world_of(config, self.ticking, {"blue": self.placing}, facts, say)


@pytest.fixture
def placing() -> PlacingOperations:
    return PlacingOperations()


@pytest.fixture
def operations(placing: PlacingOperations) -> PlacingOperations:
    return placing


def apply(*more: str) -> tuple[str, ...]:
    return ("placement", "apply", "--reserve", "0B", *more)


def test_goals_are_planned_shown_agreed_to_and_carried_out(
    placing: PlacingOperations, kafkaops: Kafkaops
) -> None:
    code, out, err = kafkaops(*apply("--drain", "1", "--throttle", "80MiB/s", "--yes"))
    assert (code, out["outcome"]) == (0, "done"), err
    held = {b for part in placing.placing.parts.values() for b in part.replicas}
    assert 1 not in held
    assert "moves 6 replicas" not in err, "the question is not shown where it is answered"
    assert err.count("[waves] wave 1 of 1: 6 partitions") == 1
    assert {b for b, own in placing.placing.broker_own.items() if own} == set()
    code, out, _ = kafkaops(*apply("--drain", "1", "--yes"))
    assert (code, out["outcome"]) == (0, "nothing-to-do")


def test_without_consent_nothing_is_sent(placing: PlacingOperations, kafkaops: Kafkaops) -> None:
    code, out, _ = kafkaops(*apply("--drain", "1"))
    assert (code, out["error"]["code"]) == (2, "KO-CONSENT-MISSING")
    assert "moves 6 replicas of" in out["error"]["message"]
    assert placing.placing.requests == []


def test_a_saved_plan_of_another_state_is_refused(
    placing: PlacingOperations, kafkaops: Kafkaops, tmp_path: Path
) -> None:
    file = str(tmp_path / "plan.json")
    assert kafkaops(*apply("--drain", "1", "--plan", "--out", file))[0] == 0
    placing.placing.reassign({FIRST: (2, 1, 3)})
    placing.ticking.sleep(2)
    code, out, _ = kafkaops("apply", file, "--yes")
    assert (code, out["error"]["code"]) == (5, "KO-PLAN-DRIFT")
    assert "orders-0: was [1,2,3], is [2,1,3]" in out["error"]["message"]


def test_a_file_of_moves_of_our_own_planner_is_carried_out(
    placing: PlacingOperations, kafkaops: Kafkaops, tmp_path: Path
) -> None:
    file = str(tmp_path / "moves.json")
    code, _, err = kafkaops("placement", "plan", "--cluster", "blue", "--drain", "1", "--out", file)
    assert code == 0, err
    wanted = {
        TopicPartition(m["topic"], m["partition"]): tuple(m["after"])
        for m in json.loads(Path(file).read_text())["moves"]
    }
    assert len(wanted) == 6
    code, out, err = kafkaops(*apply(file, "--yes"))
    assert (code, out["outcome"]) == (0, "done"), err
    assert {tp: placing.placing.parts[tp].replicas for tp in wanted} == wanted
    code, out, _ = kafkaops(*apply(file, "--drain", "2", "--yes"))
    assert (code, out["error"]["code"]) == (2, "KO-USAGE")


def test_kafkas_own_file_is_carried_out(
    placing: PlacingOperations, kafkaops: Kafkaops, tmp_path: Path
) -> None:
    file = tmp_path / "r.json"
    row = {"topic": "orders", "partition": 0, "replicas": [4, 2, 3]}
    file.write_text(json.dumps({"version": 1, "partitions": [row]}))
    assert kafkaops(*apply(str(file), "--yes"))[0] == 0
    assert placing.placing.parts[FIRST].replicas == (4, 2, 3)


def test_what_stopped_in_the_middle_is_told_cancelled_and_rolled_back(
    placing: PlacingOperations, kafkaops: Kafkaops
) -> None:
    cluster = placing.placing
    cluster.speed = MIB // 8
    before = {tp: part.replicas for tp, part in cluster.parts.items()}

    def cut() -> None:
        if cluster.reassignments():
            cluster.on_tick = lambda: None
            raise RuntimeError("the wire was cut")

    cluster.on_tick = cut
    code, out, _ = kafkaops(*apply("--drain", "1", "--throttle", "80MiB/s", "--yes"))
    assert code == 8, out
    _, told, _ = kafkaops("placement", "status")
    run_id = told["moving"][0]["whose"]
    assert run_id.startswith("orders-placement-"), told
    assert {row["whose"] for row in told["moving"]} == {run_id}
    assert {row["run"] for row in told["throttles"]} == {run_id}
    code, out, err = kafkaops("placement", "cancel", "--yes")
    assert (code, out["outcome"], out["run"]) == (0, "called-off", run_id), err
    assert {tp: part.replicas for tp, part in cluster.parts.items()} == before
    _, told, _ = kafkaops("placement", "status")
    assert (told["moving"], told["throttles"]) == ([], [])
    code, out, _ = kafkaops("run", "rollback", "--yes")
    assert (code, out["status"]) == (0, "rolled-back")


def test_after_a_cancel_another_placement_may_begin(
    placing: PlacingOperations, kafkaops: Kafkaops
) -> None:
    cluster = placing.placing
    cluster.speed = MIB // 8

    def cut() -> None:
        if cluster.reassignments():
            cluster.on_tick = lambda: None
            raise RuntimeError("the wire was cut")

    cluster.on_tick = cut
    assert kafkaops(*apply("--drain", "1", "--throttle", "80MiB/s", "--yes"))[0] == 8
    other = apply("--drain", "2", "--throttle", "90MiB/s", "--yes")
    code, out, _ = kafkaops(*other)
    assert (code, out["error"]["code"]) == (5, "KO-RUN-UNFINISHED")
    assert "kafkaops placement cancel" in out["error"]["hint"]
    assert kafkaops("placement", "cancel", "--yes")[0] == 0
    assert kafkaops("run", "show")[1]["status"] == "called-off"
    cluster.speed = 1 << 40
    code, out, _ = kafkaops(*other)
    assert (code, out["outcome"]) == (0, "done")
    assert not any(2 in part.replicas for part in cluster.parts.values())


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("--throttle", "80"), "KO-RATE"),
        (("--throttle", "auto"), "KO-USAGE"),
        (("--link", "1GiB/s"), "KO-USAGE"),
        (("--reserve", "10"), "KO-SIZE"),
        (("--add", "99"), "KO-PLACEMENT-BROKER"),
    ],
)
def test_what_cannot_be_is_a_usage_fault(
    kafkaops: Kafkaops, flags: tuple[str, ...], code: str
) -> None:
    found, out, _ = kafkaops("placement", "apply", *flags, "--yes")
    assert (found, out["error"]["code"]) == (2, code)
    assert out["error"]["hint"] or out["error"]["where"]


def test_there_is_nothing_to_cancel_before_there_was_a_placement(kafkaops: Kafkaops) -> None:
    code, out, _ = kafkaops("placement", "cancel", "--yes")
    assert (code, out["error"]["code"]) == (2, "KO-RUN-NONE")
