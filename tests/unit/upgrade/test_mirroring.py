"""The worker's own topics are made before it: one that makes them itself may wait ten seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kafkaops.engine.step import Spec
from kafkaops.mirror import config as rendering
from kafkaops.upgrade.blue_green.mirroring import WorkerUp, make_own_topics
from tests.crash.blue_green_scene import BlueGreen
from tests.crash.fake_host import FakeHost
from tests.crash.fake_kafka import FakeCluster

Rows = Mapping[int, Sequence[int]]


class Watched(FakeHost):
    """Remembers which topics its cluster had when a service was started."""

    cluster: FakeCluster
    seen: tuple[str, ...] = ()

    def service_start(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str], log: str
    ) -> None:
        self.seen = tuple(self.cluster.topics())
        super().service_start(name, argv, env=env, log=log)


def test_a_worker_finds_them_when_it_starts() -> None:
    world = BlueGreen()
    host = Watched("green-1", "127.0.2.1", world.clock)
    host.files |= world.hosts["green-1"].files
    host.cluster = world.green
    world.hosts["green-1"] = host
    WorkerUp(Spec("w", "worker-up", "", "mirror", {"src": "blue", "dst": "green"})).act(world.world)
    assert set(rendering.own_topics("forward")) <= set(host.seen)
    assert not set(rendering.own_topics("back")) & set(host.seen)


def test_they_are_compacted_and_spread_and_made_once() -> None:
    class Recording(FakeCluster):
        def __init__(self) -> None:
            super().__init__("green", "GREEN", (1, 2, 3, 4), "4.3")
            self.made: dict[str, tuple[Rows, Mapping[str, str]]] = {}

        def create_topic(self, topic: str, assignment: Rows, configs: Mapping[str, str]) -> None:
            super().create_topic(topic, assignment, configs)
            self.made[topic] = (assignment, configs)

    cluster = Recording()
    cluster.create_topic("kafkaops-mirror-forward-status", {0: (1,), 1: (2,)}, {})
    make_own_topics(cluster, "forward")
    make_own_topics(cluster, "forward")
    made = {topic: rows for topic, (rows, _) in cluster.made.items() if not topic.endswith("us")}
    assert {topic: len(rows) for topic, rows in made.items()} == {
        "kafkaops-mirror-forward-offsets": 5,
        "kafkaops-mirror-forward-configs": 1,
    }
    assert all(len(set(row)) == 3 for rows in made.values() for row in rows.values())
    leaders = {row[0] for row in made["kafkaops-mirror-forward-offsets"].values()}
    assert leaders == {1, 2, 3, 4}
    for topic in made:
        assert cluster.made[topic][1] == {"cleanup.policy": "compact"}
