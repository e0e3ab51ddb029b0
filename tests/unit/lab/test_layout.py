"""Hosts, addresses and names; server.properties; which directories are taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaops.engine.errors import ConfigError, OpsError, UsageFault
from kafkaops.lab import broker, control, up
from kafkaops.lab.enter import enter
from kafkaops.lab.layout import Layout, Settings
from kafkaops.lab.names import records


def parsed(settings: Settings, host: str) -> dict[str, str]:
    text = broker.properties(settings.host(host), settings, Path("/data"))
    return dict(line.split("=", 1) for line in text.splitlines())


def test_both_colours_advertise_the_same_names_and_ids() -> None:
    blue, green = parsed(Settings(), "blue-2"), parsed(Settings(), "green-2")
    assert blue["advertised.listeners"] == "CLIENT://b2.kafka.lab:9092,REPL://127.0.1.2:9094"
    assert green["advertised.listeners"] == "CLIENT://b2.kafka.lab:9092,REPL://127.0.2.2:9094"
    assert blue["node.id"] == green["node.id"] == "2"
    assert blue["controller.quorum.voters"] == "1@127.0.1.1:9093,2@127.0.1.2:9093,3@127.0.1.3:9093"
    assert blue["inter.broker.listener.name"] == "REPL"


def test_alternative_names_are_in_the_zone() -> None:
    settings = Settings(green_names="alt")
    green = parsed(settings, "green-1")
    assert green["advertised.listeners"].startswith("CLIENT://g1.kafka.lab:")
    by_name = {record.name: record.values for record in records(settings)}
    assert by_name["g1.kafka.lab."] == ("127.0.2.1",)
    assert "g1.kafka.lab." not in {record.name for record in records(Settings())}


def test_the_zone_begins_at_blue() -> None:
    by_name = {record.name: record for record in records(Settings())}
    assert by_name["b3.kafka.lab."].values == ("127.0.1.3",)
    assert by_name["bootstrap.kafka.lab."].values == ("127.0.1.1", "127.0.1.2", "127.0.1.3")
    assert by_name["bootstrap.kafka.lab."].ttl == 30


@pytest.mark.parametrize(
    ("brokers", "rf", "min_isr"), [(1, "1", "1"), (2, "2", "1"), (5, "3", "2")]
)
def test_replication_fits_the_number_of_brokers(brokers: int, rf: str, min_isr: str) -> None:
    values = parsed(Settings(brokers=brokers), "blue-1")
    assert values["default.replication.factor"] == rf
    assert values["min.insync.replicas"] == min_isr
    assert values["offsets.topic.replication.factor"] == rf


def test_in_zookeeper_mode_brokers_know_nothing_of_kraft_and_have_their_protocol_pinned() -> None:
    settings = Settings("3.8.1", single=True, zookeeper=True)
    values = parsed(settings, "blue-2")
    assert values["broker.id"] == "2"
    assert values["zookeeper.connect"] == "127.0.1.200:2181"
    assert values["inter.broker.protocol.version"] == "3.8"
    assert values["listeners"] == "CLIENT://127.0.1.2:9092,REPL://127.0.1.2:9094"
    assert not {"process.roles", "node.id", "controller.quorum.voters"} & set(values)
    assert {host.roles for host in settings.hosts()} == {"broker"}


def test_racks_go_round() -> None:
    assert parsed(Settings(brokers=4), "blue-4")["broker.rack"] == "eu-west-1a"
    assert parsed(Settings(), "green-3")["broker.rack"] == "eu-west-1c"


def test_a_single_lab_is_blue_alone_with_controllers_on_their_own_hosts() -> None:
    settings = Settings(brokers=9, single=True, controllers=3)
    assert [h.name for h in settings.hosts()][8:] == ["blue-9", "ctl-1", "ctl-2", "ctl-3"]
    ctl = settings.host("ctl-3")
    assert (ctl.node_id, ctl.address) == (103, "127.0.1.103")
    assert len({h.address for h in settings.hosts()}) == len(settings.hosts())
    assert settings.colours == ("blue",)
    assert [h.name for h in settings.brokers_of("blue")] == [f"blue-{n}" for n in range(1, 10)]
    assert "101" not in settings.bootstrap("blue")
    assert settings.bootstrap("green") == ""

    broker, voter = parsed(settings, "blue-9"), parsed(settings, "ctl-3")
    voters = ",".join(f"{n}@127.0.1.{n}:9093" for n in (101, 102, 103))
    assert broker["controller.quorum.voters"] == voter["controller.quorum.voters"] == voters
    assert (broker["process.roles"], voter["process.roles"]) == ("broker", "controller")
    assert broker["listeners"] == "CLIENT://127.0.1.9:9092,REPL://127.0.1.9:9094"
    assert voter["listeners"] == "CONTROLLER://127.0.1.103:9093"
    assert "advertised.listeners" not in voter
    assert broker["broker.rack"] == voter["broker.rack"] == "eu-west-1c"

    by_name = {record.name: record.values for record in records(settings)}
    assert len(by_name) == len(records(settings))
    assert len(by_name["bootstrap.kafka.lab."]) == 9
    assert by_name["ctl-1.kafka.lab."] == ("127.0.1.101",)


def test_a_single_lab_may_be_combined() -> None:
    settings = Settings(single=True)
    assert [h.name for h in settings.hosts()] == ["blue-1", "blue-2", "blue-3"]
    assert parsed(settings, "blue-1") == parsed(Settings(), "blue-1")


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no host red-1 \(it has blue-1"):
        Settings().host("red-1")


def test_settings_survive_and_a_lab_that_is_down_says_so(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path / "lab")
    with pytest.raises(ConfigError, match="lab is not up"):
        layout.settings()
    layout.save(Settings(brokers=5))
    assert layout.settings() == Settings(brokers=5)
    for path in (layout.socket, tmp_path / "none" / "control.sock"):
        assert control.listener_pid(path) is None
        with pytest.raises(ConfigError, match="lab is not up") as caught:
            control.call(path, "status")
        assert caught.value.hint == f"kafkaops lab up --dir {path.parent}"


def test_a_directory_that_is_not_a_labs_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageFault, match="holds other things than a lab"):
        up.up(tmp_path, Settings(), print)
    assert (tmp_path / "hosts" / "thesis.txt").exists()


def test_logs_are_found_by_name_and_data_is_not_a_log(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    for path in ("logs/kafka.log", "mirror/mirror.log", "data/t-0/00000.log"):
        file = layout.host("green-1") / path
        file.parent.mkdir(parents=True)
        file.touch()
    assert set(layout.log_files()) == {"green-1/kafka", "green-1/mirror"}


def test_inside_one_lab_another_cannot_be_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKAOPS_LAB_INSIDE", str(tmp_path / "one"))
    enter(tmp_path / "one")
    with pytest.raises(ConfigError, match="the command means another"):
        enter(tmp_path / "two")


class TestControl:
    def test_answers_errors_and_the_listeners_pid(self, tmp_path: Path) -> None:
        def handle(request: dict[str, object]) -> dict[str, object]:
            if request["op"] == "fail":
                raise RuntimeError("it cannot")
            return {"seen": request}

        # Deeper than a socket's address can say (108 bytes).
        path = tmp_path / ("d" * 100) / "control.sock"
        path.parent.mkdir()
        server = control.Server(path, handle)
        try:
            assert control.call(path, "x", a=1)["seen"] == {"op": "x", "a": 1}
            with pytest.raises(OpsError, match="fail: it cannot"):
                control.call(path, "fail")
            assert control.listener_pid(path) is not None
        finally:
            server.close()
        assert control.listener_pid(path) is None


def test_further_disks_are_of_brokers_alone() -> None:
    settings = Settings(single=True, controllers=1, disks=2)
    data = Path("home/data")
    found = {
        name: broker.disks(settings.host(name), settings, data) for name in ("blue-1", "ctl-1")
    }
    assert found == {"blue-1": (data, Path("home/data-2")), "ctl-1": (data,)}
    assert parsed(settings, "blue-1")["log.dirs"].count(",") == 1
