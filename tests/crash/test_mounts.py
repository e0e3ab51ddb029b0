"""No node is started on a bare mountpoint, whatever stops in between."""

from __future__ import annotations

from typing import Any

import pytest

from kafkaops.config.volumes import Volumes
from kafkaops.engine.errors import OpsError
from tests.crash.restart_scene import Restart

ARN = "arn:aws:kms:eu-west-1:111122223333:key/0f0e0d0c"
DATA = "/var/lib/kafka/data-1"


class Encrypted(Restart):
    """Every broker's log directory is an encrypted volume, and mounted."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        disk = {"name": "data-1", "device": "instance-store:1", "mountpoint": DATA}
        volumes = Volumes.model_validate({"key": ARN, "disks": [disk]})
        config = self.world.config
        blue = config.blue.model_copy(update={"volumes": volumes})
        object.__setattr__(self.world, "config", config.model_copy(update={"blue": blue}))
        for host in self.hosts.values():
            host.mounts[DATA] = "/dev/mapper/kafka-data-1"


def test_a_roll_of_mounted_volumes_goes_through() -> None:
    world = Encrypted()
    scene = world.scene()
    scene.play()
    assert scene.outcomes == ["done"]
    assert set(world.starts().values()) == {1}


@pytest.mark.parametrize(
    ("mount", "said"),
    [(None, "nothing is mounted at"), ("/dev/nvme0n1p1", "/dev/nvme0n1p1 is mounted at")],
)
def test_a_volume_that_came_loose_keeps_its_node_down_and_is_named(
    mount: str | None, said: str
) -> None:
    world = Encrypted()
    host = world.hosts["blue-4"]
    stop = host.unit_stop

    def and_unmount(*args: Any, **more: Any) -> Any:
        ended = stop(*args, **more)
        host.mounts = {} if mount is None else {DATA: mount}
        return ended

    host.unit_stop = and_unmount  # type: ignore[method-assign]
    scene = world.scene()
    with pytest.raises(OpsError) as caught:
        scene.process()
    assert caught.value.code in ("KO-VOLUME-NOT-MOUNTED", "KO-TIMEOUT"), caught.value.code
    assert said in caught.value.message
    assert host.node.pid == 0, "it runs on the root disk"
    assert world.starts()[4] == 0
    host.mounts = {DATA: "/dev/mapper/kafka-data-1"}
    scene.play()
    assert set(world.starts().values()) == {1}, "a resume starts it once"
