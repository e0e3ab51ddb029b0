"""The units of a host, as text; that they are valid and do what they say is seen in the machine."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from kafkaops.volumes import boot_units
from kafkaops.volumes.host_file import HostFile
from tests.unit.volumes.fake_disks import spec_of

HOST = HostFile(
    "demo",
    1,
    (
        spec_of(),
        spec_of(
            name="data-2", device="/dev/nvme2n1", mountpoint="/srv/kafka/d2", filesystem="ext4"
        ),
    ),
)


@pytest.mark.parametrize(
    "path", ["/var/lib/kafka/data-1", "/", "/.hidden/a", "/a b/ü", "/srv/x_y.z:1/", "/a//"]
)
def test_a_path_is_escaped_as_systemd_does(path: str) -> None:
    tool = shutil.which("systemd-escape")
    if tool is None:
        pytest.skip("systemd-escape is not there")
    said = subprocess.run([tool, "--path", path], capture_output=True, text=True, check=True)
    assert boot_units.escaped(path) == said.stdout.strip()


def test_each_volume_has_its_mount_and_kafka_needs_them_all() -> None:
    files = boot_units.files(HOST)
    mount = files["/etc/systemd/system/var-lib-kafka-data\\x2d1.mount"]
    assert "What=/dev/mapper/kafka-data-1\n" in mount
    assert "Where=/var/lib/kafka/data-1\n" in mount
    assert "Type=xfs\n" in mount
    assert "Requires=kafkaops-volume@data-1.service\n" in mount
    assert "After=kafkaops-volume@data-1.service\n" in mount
    for line in ("DefaultDependencies=no", "Conflicts=umount.target", "Before=umount.target"):
        assert f"{line}\n" in mount
    assert "Type=ext4\n" in files["/etc/systemd/system/srv-kafka-d2.mount"]
    drop_in = files["/etc/systemd/system/kafka.service.d/50-kafkaops-volumes.conf"]
    for path in ("/var/lib/kafka/data-1", "/srv/kafka/d2"):
        assert f"RequiresMountsFor={path}\n" in drop_in
        assert f"AssertPathIsMountPoint={path}\n" in drop_in
    device = "/etc/systemd/system/dev-mapper-kafka\\x2ddata\\x2d1.device.d/50-kafkaops.conf"
    assert "JobRunningTimeoutSec=infinity" in files[device]
    assert boot_units.enabled(HOST) == (
        "kafkaops-volume@data-1.service",
        "kafkaops-volume@data-2.service",
        "var-lib-kafka-data\\x2d1.mount",
        "srv-kafka-d2.mount",
    )


def test_the_service_waits_for_its_key_and_says_so_on_the_console() -> None:
    unit = boot_units.files(HOST)["/etc/systemd/system/kafkaops-volume@.service"]
    assert "volume open %i --host-file /etc/kafkaops/volumes.json --wait\n" in unit
    assert "StandardError=journal+console\n" in unit
    assert "TimeoutStartSec=infinity\n" in unit
    assert "LimitCORE=0\n" in unit
