"""What is missing of green: by the brokers that serve, or by the lab's processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kafkaops.adapters.provision_existing import ExistingCluster
from kafkaops.adapters.provision_lab import LabCluster
from kafkaops.config.schema import ClusterSpec, HostSpec
from kafkaops.lab import control
from kafkaops.lab.layout import Layout
from kafkaops.model.cluster import ClusterState, Quorum
from tests.crash.fake_kafka import FakeCluster


def spec() -> ClusterSpec:
    hosts = [
        HostSpec(name=f"green-{n}", node_id=n, address=f"127.0.2.{n}", via="local")
        for n in (1, 2, 3)
    ]
    return ClusterSpec(name="green", bootstrap=("127.0.2.1:9094",), hosts=tuple(hosts))


@pytest.mark.parametrize(
    ("up", "told"),
    [((1, 2, 3), ()), ((1, 3), ("green-2 (node 2) is not registered",)), ((1, 2, 3, 4), ())],
)
def test_every_node_of_the_config_is_registered(up: tuple[int, ...], told: tuple[str, ...]) -> None:
    cluster: Any = FakeCluster("green", "GREEN", up, "4.3")
    assert ExistingCluster(spec(), lambda: cluster).missing() == told


def test_a_controller_that_votes_is_no_broker_that_is_missing() -> None:
    class Apart(FakeCluster):
        def snapshot(self, *, full: bool = True) -> ClusterState:
            quorum = Quorum(101, 1, 1, {101: 1})
            return replace(super().snapshot(full=full), quorum=quorum)

    controller = HostSpec(name="green-c", node_id=101, address="127.0.2.101", via="local")
    whole = spec().model_copy(update={"hosts": (*spec().hosts, controller)})
    cluster: Any = Apart("green", "GREEN", (1, 2, 3), "4.3")
    assert ExistingCluster(whole, lambda: cluster).missing() == ()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[dict[str, bool]]:
    """Processes of a lab that answers, by name, and whether each runs."""
    running = dict.fromkeys(("blue-1/kafka", *(f"green-{n}/kafka" for n in (1, 2, 3))), True)

    def handle(request: dict[str, Any]) -> dict[str, Any]:
        rows = [{"name": name, "active": active} for name, active in running.items()]
        return {"processes": rows} if request["op"] == "status" else {}

    server = control.Server(Layout.of(tmp_path).socket, handle)
    yield running
    server.close()


def test_every_node_of_the_config_runs_in_the_lab(lab: dict[str, bool], tmp_path: Path) -> None:
    cluster = LabCluster(spec(), str(tmp_path))
    assert cluster.missing() == ()
    lab["green-3/kafka"] = False
    assert cluster.missing() == ("green-3 does not run in the lab",)
    lab["green-3/kafka"], lab["blue-1/kafka"] = True, False
    assert cluster.missing() == ()
