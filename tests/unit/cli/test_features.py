"""`features` on a cluster of fakes, through the real plan, engine, journal and store."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from kafkaops.cli.operations import Say
from kafkaops.config.schema import Config
from kafkaops.engine.clock import FakeClock
from kafkaops.engine.errors import Unreachable
from kafkaops.engine.lease import Lease
from kafkaops.engine.store import FileFacts, MemoryFacts
from kafkaops.model.features import FeatureChange, Range
from kafkaops.ports.cluster import Cluster
from kafkaops.ports.world import World
from tests.crash.fake_features import LevelCluster, node
from tests.crash.fake_world import world_of
from tests.crash.features_scene import AT_3_9, AT_4_1
from tests.unit.cli.conftest import Kafkaops
from tests.unit.cli.fake_operations import ToyLease
from tests.unit.cli.fake_terminal import Seated, Typing


class Broken(LevelCluster):
    """Fails once at the update of the feature named."""

    broken = ""

    def update_features(self, changes: Any) -> None:
        for change in cast("tuple[FeatureChange, ...]", tuple(changes)):
            if change.feature == self.broken:
                self.broken = ""
                raise RuntimeError("the wire was cut")
        super().update_features(changes)

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class LevelOperations(Seated):
    ticking: FakeClock = field(default_factory=lambda: FakeClock(1e9))
    clusters: dict[str, Broken] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clusters = {
            "blue": Broken(self.ticking, AT_3_9),
            "green": Broken(self.ticking, AT_4_1),
        }

    def cluster(self, config: Config, colour: str) -> Cluster:
        return cast(Cluster, self.clusters[colour])

    def lease(self, config: Config, run: str) -> Lease:
        return ToyLease()

    def world(self, config: Config, *, run_dir: Path | None, say: Say) -> World:
        facts = MemoryFacts() if run_dir is None else FileFacts(run_dir / "facts")
        return world_of(config, self.ticking, self.clusters, facts, say)


@pytest.fixture
def levels() -> LevelOperations:
    return LevelOperations()


@pytest.fixture
def operations(levels: LevelOperations) -> LevelOperations:
    return levels


TO_4_3 = ("features", "finalize", "--to", "4.3")


def test_show_has_a_line_a_feature_and_what_the_common_release_sets(kafkaops: Kafkaops) -> None:
    code, out, _ = kafkaops("features", "show", json_=False)
    assert code == 0
    lines = [line.split("\t") for line in out.splitlines()]
    assert lines[0] == ["feature", "finalized", "node 1,2,3", "4.3 sets"]
    rows = {line[0]: line[1:] for line in lines[1:]}
    assert rows["metadata.version"] == ["21 (3.9-IV0)", "3.3-IV3..4.3-IV0", "30 (4.3-IV0)"]
    assert rows["kraft.version"] == ["0", "0..1", "1 (only when asked)"]
    assert len(rows) == 7


def test_show_for_scripts_tells_each_node(kafkaops: Kafkaops, levels: LevelOperations) -> None:
    ghost = node(9, broker=False, member=False, supports=None, why="gone")
    levels.clusters["green"].nodes = (node(1), node(2, "3.9"), ghost)
    code, document, _ = kafkaops("features", "show", "--cluster", "green")
    assert (code, document["common_release"]) == (0, "3.9")
    row = document["features"][0]
    assert (row["feature"], row["finalized"], row["name"]) == ("metadata.version", 27, "4.1-IV1")
    assert row["supported"] == {"1": [7, 30], "2": [1, 21]}
    assert row["lowest"] == 23
    assert document["nodes"][2] | {"member": False} == document["nodes"][2]
    _, _, err = kafkaops("features", "show", "--cluster", "green", json_=False)
    assert "controller 9 is registered and takes no part in the cluster: gone" in err


def test_a_feature_of_the_future_is_shown_and_not_explained(
    kafkaops: Kafkaops, levels: LevelOperations
) -> None:
    blue = levels.clusters["blue"]
    blue.held |= {"metadata.version": 33, "bright.version": 2}
    blue.nodes = (
        node(1, supports={"metadata.version": Range(7, 34), "bright.version": Range(0, 2)}),
    )
    code, out, _ = kafkaops("features", "show", json_=False)
    assert code == 0
    assert "metadata.version\t33\t" in out
    assert "bright.version\t2\t0..2\t-" in out


def test_plan_changes_nothing_and_is_applied_later(
    kafkaops: Kafkaops, levels: LevelOperations, tmp_path: Path
) -> None:
    file = str(tmp_path / "plan.json")
    code, document, _ = kafkaops("features", "plan", "--to", "4.3", "--out", file)
    assert (code, document["plan"]["operation"]) == (0, "features")
    assert document["plan"]["specs"][0]["irreversible"]
    blue = levels.clusters["blue"]
    assert (blue.updates, blue.tried) == ([], 1)
    assert kafkaops("features", "plan", "--to", "4.3", "--detailed-exitcode")[0] == 10
    code, document, _ = kafkaops("apply", file, "--yes")
    assert (code, document["error"]["code"]) == (2, "KO-CONSENT-MISSING"), "--yes is not enough"
    code, document, _ = kafkaops("apply", file, "--confirm", "orders")
    assert (code, document["outcome"]) == (0, "done")
    assert blue.held["metadata.version"] == 30
    assert kafkaops("apply", file, "--confirm", "orders")[1]["outcome"] == "nothing-to-do"


def test_a_saved_plan_is_refused_when_the_levels_moved(
    kafkaops: Kafkaops, levels: LevelOperations, tmp_path: Path
) -> None:
    file = str(tmp_path / "plan.json")
    kafkaops("features", "plan", "--to", "4.3", "--out", file)
    levels.clusters["blue"].held["metadata.version"] = 22
    code, document, _ = kafkaops("apply", file, "--confirm", "orders")
    assert (code, document["error"]["code"]) == (5, "KO-PLAN-DRIFT")
    assert "metadata.version" in document["error"]["message"]


def test_without_a_way_back_the_name_has_to_be_typed(
    kafkaops: Kafkaops, levels: LevelOperations
) -> None:
    code, document, err = kafkaops(*TO_4_3, "--yes")
    assert (code, document["error"]["code"]) == (2, "KO-CONSENT-MISSING")
    assert "--confirm orders" in document["error"]["hint"]
    assert "cannot be lowered to 21 (3.9-IV0) again, because of 23 (4.0-IV1)" in err
    assert levels.clusters["blue"].updates == []
    levels.seat = typing = Typing(answers=["blue"])
    assert kafkaops(*TO_4_3)[0] == 3
    assert "no way back" in typing.asked[0]
    code, document, _ = kafkaops(*TO_4_3, "--confirm", "orders")
    assert (code, document["outcome"]) == (0, "done")


def test_with_a_way_back_yes_is_enough_and_rollback_goes_it(
    kafkaops: Kafkaops, levels: LevelOperations
) -> None:
    code, document, _ = kafkaops(
        "features", "finalize", "--cluster", "green", "--to", "4.2", "--yes"
    )
    assert (code, document["outcome"]) == (0, "done")
    assert levels.clusters["green"].held["metadata.version"] == 29
    code, document, _ = kafkaops("run", "rollback", document["run"], "--yes")
    assert (code, document["outcome"]) == (0, "rolled-back")
    assert levels.clusters["green"].held == AT_4_1
    assert levels.clusters["blue"].updates == []


def test_no_way_back_is_said_by_rollback_too(kafkaops: Kafkaops) -> None:
    _, document, _ = kafkaops(*TO_4_3, "--confirm", "orders")
    code, document, _ = kafkaops("run", "rollback", document["run"], "--yes")
    assert (code, document["error"]["code"]) == (5, "KO-IRREVERSIBLE")
    assert document["error"]["hint"].startswith("kafkaops run show")
    assert kafkaops("run", "show")[1]["status"] == "done", "a refusal changes nothing of a run"
    code, document, _ = kafkaops(*TO_4_3, "--confirm", "orders")
    assert (code, document["outcome"]) == (0, "nothing-to-do"), "the next change is not barred"
    assert kafkaops("run", "finalize", "--confirm", "orders")[1]["error"]["code"].startswith("KO-")


def test_a_run_that_failed_is_gone_on_with_by_who_asks_for_the_same(
    kafkaops: Kafkaops, levels: LevelOperations
) -> None:
    levels.clusters["blue"].broken = "group.version"
    code, document, _ = kafkaops(*TO_4_3, "--confirm", "orders")
    assert code == 8
    run_id = document["error"]["resume"].split()[3]
    code, document, _ = kafkaops("features", "finalize", "--to", "4.2", "--confirm", "orders")
    assert (code, document["error"]["code"]) == (5, "KO-RUN-UNFINISHED")
    assert run_id in document["error"]["hint"]
    assert kafkaops("run", "show")[1]["operation"] == "features"
    code, document, _ = kafkaops(*TO_4_3, "--confirm", "orders")
    assert (code, document["run"], document["outcome"]) == (0, run_id, "done")
    moved = [name for name, _, _ in levels.clusters["blue"].updates]
    assert len(moved) == len(set(moved)) == 6


def test_going_on_asks_for_the_name_while_a_step_without_a_way_back_is_to_come(
    kafkaops: Kafkaops, levels: LevelOperations
) -> None:
    levels.clusters["blue"].broken = "metadata.version"
    kafkaops(*TO_4_3, "--confirm", "orders")
    assert kafkaops(*TO_4_3, "--yes")[0] == 2
    code, document, _ = kafkaops("run", "resume", "--yes")
    assert (code, document["error"]["code"]) == (2, "KO-CONSENT-MISSING")
    assert levels.clusters["blue"].updates == []
    assert kafkaops("run", "resume", "--confirm", "orders")[0] == 0


def test_a_run_that_failed_is_resumed_by_its_id_and_says_what_it_reached(
    kafkaops: Kafkaops, levels: LevelOperations
) -> None:
    levels.clusters["blue"].broken = "share.version"
    kafkaops(*TO_4_3, "--confirm", "orders")
    code, out, _ = kafkaops("run", "resume", "--yes", json_=False)
    assert code == 0
    assert "reached: metadata.version 30" in out


def test_downgrade_lowers_what_can_be_lowered(kafkaops: Kafkaops, levels: LevelOperations) -> None:
    code, document, err = kafkaops(
        "features", "downgrade", "--cluster", "green", "--to", "4.0", "--yes"
    )
    assert (code, document["outcome"]) == (0, "done")
    assert levels.clusters["green"].held["metadata.version"] == 25
    assert "gives up" in err


@pytest.mark.parametrize(
    ("argv", "exit", "code"),
    [
        (("plan", "--to", "9.9"), 2, "KO-RELEASE-UNKNOWN"),
        (("plan", "--to", "latest"), 2, "KO-RELEASE-UNKNOWN"),
        (("plan",), 2, "KO-USAGE"),
        (("finalize", "--to", "4.3", "--cluster", "red"), 2, "KO-CLUSTER-UNKNOWN"),
        (("show", "--cluster", "red"), 2, "KO-CLUSTER-UNKNOWN"),
        (("finalize", "--feature", "group.version=7"), 2, "KO-FEATURE-LEVEL"),
        (("finalize", "--feature", "grope.version=1"), 2, "KO-FEATURE-UNKNOWN"),
        (("finalize", "--to", "3.8"), 5, "KO-FEATURE-LOWER"),
        (("downgrade", "--feature", "group.version=1"), 5, "KO-FEATURE-HIGHER"),
        (("downgrade", "--to", "3.6"), 5, "KO-FEATURE-NO-WAY-BACK"),
    ],
)
def test_what_makes_no_sense_is_said_with_the_next_thing_to_do(
    kafkaops: Kafkaops, levels: LevelOperations, argv: tuple[str, ...], exit: int, code: str
) -> None:
    found, document, err = kafkaops("features", *argv)
    assert (found, document["error"]["code"]) == (exit, code)
    assert document["error"]["hint"]
    assert "Traceback" not in err
    assert levels.clusters["blue"].updates == []


def test_a_target_newer_than_a_node_names_the_node(
    kafkaops: Kafkaops, levels: LevelOperations
) -> None:
    levels.clusters["blue"].nodes = (node(1), node(2), node(3, "3.9"))
    code, document, _ = kafkaops(*TO_4_3, "--confirm", "orders")
    assert (code, document["error"]["code"]) == (5, "KO-FEATURE-UNSUPPORTED")
    assert document["error"]["where"] == "node 3"


def test_a_ghost_zookeeper_and_nobody_there_are_errors(
    kafkaops: Kafkaops, levels: LevelOperations
) -> None:
    blue = levels.clusters["blue"]
    blue.hidden["Controller 9"] = {"metadata.version": Range(1, 21)}
    code, document, _ = kafkaops("features", "plan", "--to", "4.3")
    assert (code, document["error"]["code"]) == (5, "KO-FEATURE-GHOST")
    blue.kraft = False
    for argv in (("show",), ("plan", "--to", "4.3"), ("finalize", "--to", "4.3", "--yes")):
        code, document, _ = kafkaops("features", *argv)
        assert (code, document["error"]["code"]) == (5, "KO-FEATURES-ZOOKEEPER")
    blue.away = True
    for argv in (("show",), ("plan", "--to", "4.3"), ("downgrade", "--to", "3.8")):
        code, document, _ = kafkaops("features", *argv)
        assert (code, document["error"]["code"]) == (4, "KO-CLUSTER-UNREACHABLE")
    assert issubclass(Unreachable, Exception)


def test_everything_there_is_nothing_to_do(kafkaops: Kafkaops) -> None:
    code, document, _ = kafkaops("features", "finalize", "--to", "3.9", "--yes")
    assert (code, document["outcome"]) == (0, "nothing-to-do")
