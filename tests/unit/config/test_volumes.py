"""What the config says of encrypted volumes, and what a host is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from kafkaops.config.checks import check
from kafkaops.config.schema import Config
from kafkaops.engine.errors import ConfigError
from kafkaops.volumes.host_file import read, rendered
from kafkaops.volumes.inventory import host_file

ARN = "arn:aws:kms:eu-west-1:111122223333:key/0f0e0d0c"
DISK = {"name": "data-1", "device": "instance-store:1", "mountpoint": "/var/lib/kafka/data-1"}


def config(**volumes: Any) -> Config:
    given = {"key": ARN, "disks": [DISK], **volumes}
    hosts = [{"name": "b1", "node_id": 1, "address": "10.0.0.1"}]
    blue = {"name": "blue", "bootstrap": ["h:9094"], "hosts": hosts, "volumes": given}
    return Config.model_validate({"name": "demo", "blue": blue})


def faults(made: Config) -> list[str]:
    return [f"{fault.key} {fault.message}" for fault in check(made)]


def test_a_dump_without_volumes_is_as_it_was() -> None:
    bare = config().model_dump(mode="json")
    del bare["blue"]["volumes"]
    assert "volumes" not in Config.model_validate(bare).model_dump(mode="json")["blue"]


@pytest.mark.parametrize(
    ("volumes", "said"),
    [
        ({"key": ""}, "blue.volumes.key is required and missing: mode is wrapped"),
        ({"mode": "s3", "key": ""}, "blue.volumes.object is required and missing"),
        (
            {"key": ARN.replace("eu-west-1", "us-east-1")},
            "blue.volumes.key is in us-east-1, and aws.region is eu-west-1",
        ),
        (
            {"mode": "ephemeral", "copies": "s3://keys/volumes"},
            "blue.volumes.copies is of no use",
        ),
        ({"disks": [DISK, {**DISK, "name": "data-2"}]}, "device instance-store:1 is given 2 times"),
        ({"disks": [{**DISK, "size": 5}]}, "blue.volumes.disks.0.size is for a file"),
    ],
)
def test_rules_between_keys(volumes: dict[str, Any], said: str) -> None:
    assert any(said in fault for fault in faults(config(**volumes))), faults(config(**volumes))


def test_a_host_without_node_id_is_named() -> None:
    made = config().model_dump(mode="json")
    made["blue"]["hosts"][0]["node_id"] = None
    assert any("b1's volumes are bound to it" in f for f in faults(Config.model_validate(made)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "alias/kafka"},
        {"disks": []},
        {"perf": ["faster"]},
        {"disks": [{**DISK, "device": "sdb"}]},
        {"disks": [{**DISK, "mountpoint": "data"}]},
        {"dsiks": []},
    ],
)
def test_values_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**wrong)


def test_a_hosts_file_says_the_same() -> None:
    made = config(perf=["no_read_workqueue"], copies="s3://keys/volumes")
    host = host_file(made.blue, made.blue.hosts[0], made.aws, broker=True)
    assert read(rendered(host)) == host
    [volume] = host.volumes
    assert (volume.cluster, volume.node, volume.key) == ("blue", 1, ARN)
    assert not volume.named, "instance store is found, not named"
    assert volume.context == {"cluster": "blue", "broker_id": "1", "volume": "data-1"}


def test_a_password_of_its_own_for_each_volume() -> None:
    made = config(mode="s3", key="", object="s3://keys/{node}/{volume}.bin")
    [volume] = host_file(made.blue, made.blue.hosts[0], made.aws, broker=True).volumes
    assert volume.object == "s3://keys/1/data-1.bin"


def test_a_cluster_without_volumes() -> None:
    bare = config().model_dump(mode="json")
    del bare["blue"]["volumes"]
    made = Config.model_validate(bare)
    with pytest.raises(ConfigError, match="no `volumes` for blue"):
        host_file(made.blue, made.blue.hosts[0], made.aws, broker=True)
