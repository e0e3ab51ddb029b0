"""The file of a host: read strictly, written as it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kafkaops.engine.errors import ConfigError
from kafkaops.volumes.host_file import AwsSettings, HostFile, load, read, rendered
from tests.unit.volumes.fake_disks import spec_of

OWN = {"owner": "kafka:kafka", "cluster_id": "Zm9vYmFyYmF6cXV4"}
HOST = HostFile(
    cluster="demo",
    node=1,
    volumes=(
        spec_of(perf=("no_read_workqueue",), **OWN),
        spec_of(
            name="data-2",
            device="instance-store:2",
            mountpoint="/var/lib/kafka/data-2",
            log_dir="/var/lib/kafka/data-2/logs",
            **OWN,
        ),
    ),
    aws=AwsSettings("eu-west-1", "http://127.0.0.1:5000"),
    owner="kafka:kafka",
    cluster_id="Zm9vYmFyYmF6cXV4",
)


def document(**changes: Any) -> dict[str, Any]:
    return {**json.loads(rendered(HOST)), **changes}


def volume(**changes: Any) -> dict[str, Any]:
    return document(volumes=[{**document()["volumes"][0], **changes}])


def test_what_is_written_is_read_back() -> None:
    assert read(rendered(HOST)) == HOST


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (document(brokr=True), "brokr: no such key; did you mean broker?"),
        (volume(mountpont="/x"), "volumes[0].mountpont: no such key; did you mean mountpoint?"),
        (document(node="1"), "node: must be the broker's node.id"),
        (document(node=True), "node: must be the broker's node.id"),
        (document(form=2), "form 2: this kafkaops reads 1"),
        (document(volumes=[]), "volumes: must be a list of at least one"),
        (document(volumes={}), "volumes: must be a list"),
        (document(volumes=[7]), "volumes[0]: must be an object"),
        (document(aws=7), "aws: must be an object"),
        (document(broker="yes"), "broker: must be true or false"),
        (document(voter="yes"), "voter: must be true or false"),
        ({"cluster": "demo"}, "node: is missing; volumes: is missing"),
        (volume(key="alias/kafka"), "volumes[0].key: must be the KMS key's ARN"),
        (volume(mode="plain"), "volumes[0].mode: must be wrapped, s3 or ephemeral"),
        (volume(mode="s3"), "volumes[0].object: must be s3://BUCKET/KEY"),
        (volume(perf=["fast"]), "volumes[0].perf: must be a list of no_read_workqueue"),
        (volume(mountpoint="data"), "volumes[0].mountpoint: must be an absolute path"),
        (volume(device="sdb"), "volumes[0].device: must be a path"),
        (volume(device="instance-store:0"), "volumes[0].device: must be a path"),
        (volume(device="instance-store:one"), "volumes[0].device: must be a path"),
        (volume(name="Data 1"), "volumes[0].name: must be small letters"),
        (
            volume(log_dir="/elsewhere"),
            "volumes[0].log_dir: must be the mountpoint, or",
        ),
        (document(owner="kafka"), "owner: must be user:group"),
        (volume(size=-1), "volumes[0].size: must be bytes"),
        (volume(mountpoint=7), "volumes[0].mountpoint: must be text"),
        (document(volumes=document()["volumes"][:1] * 2), "name 'data-1' is there twice"),
        ([], "the file: must be an object"),
    ],
)
def test_each_fault_is_named(found: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(json.dumps(found))
    assert said in caught.value.message
    assert caught.value.code == "KO-VOLUME-FILE"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "volumes.json")
    (tmp_path / "broken").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="no text"):
        load(tmp_path / "broken")
    with pytest.raises(ConfigError, match="no JSON"):
        read("{")


def test_a_volume_that_is_not_there_is_an_error_that_names_the_nearest() -> None:
    assert HOST.chosen(()) == HOST.volumes
    assert [v.name for v in HOST.chosen(("data-2",))] == ["data-2"]
    with pytest.raises(ConfigError, match="did you mean data-"):
        HOST.chosen(("data-3",))
