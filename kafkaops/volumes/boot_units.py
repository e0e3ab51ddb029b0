"""What makes a host open its volumes at boot, before Kafka: systemd units, as text.

    kafkaops-volume@NAME.service   unlocks; tries on while KMS says no, and says so on the console
    MOUNTPOINT.mount               mounts once the service is done
    KAFKA.service.d/...conf        no mount, no Kafka

Invariant: no order of failures starts Kafka on a bare mountpoint: its unit needs each mount, and
asserts that each path is one. Source: systemd.unit(5), systemd.mount(5), crypttab(5) for the
device's timeout.
"""

from __future__ import annotations

from collections.abc import Mapping

from kafkaops.model.volume import VolumeSpec
from kafkaops.volumes.host_file import PATH, HostFile

UNITS = "/etc/systemd/system"
PROGRAM = "/opt/kafkaops/current/bin/kafkaops"
TEMPLATE = "kafkaops-volume@.service"

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.")


def escaped(path: str) -> str:
    """A path as systemd names its unit (`systemd-escape --path`)."""
    bare = path.strip("/")
    if not bare:
        return "-"
    out = []
    for index, byte in enumerate(bare.encode()):
        char = chr(byte)
        if char == "/":
            out.append("-")
        elif char in _PLAIN and not (char == "." and index == 0):
            out.append(char)
        else:
            out.append(f"\\x{byte:02x}")
    return "".join(out)


def mount_of(mountpoint: str) -> str:
    return f"{escaped(mountpoint)}.mount"


def files(host: HostFile, program: str = PROGRAM, host_file: str = PATH) -> Mapping[str, str]:
    """Each file's path and text."""
    unit = host.service.removesuffix(".service")
    found = {
        f"{UNITS}/{TEMPLATE}": _service(program, host_file),
        f"{UNITS}/{unit}.service.d/50-kafkaops-volumes.conf": _drop_in(host),
    }
    for volume in host.volumes:
        device = f"{escaped(f'/dev/mapper/{volume.mapper}')}.device"
        found[f"{UNITS}/{mount_of(volume.mountpoint)}"] = _mount(volume)
        found[f"{UNITS}/{device}.d/50-kafkaops.conf"] = _DEVICE
    return found


def enabled(host: HostFile) -> tuple[str, ...]:
    """The units that start with the machine. Kafka's own is enabled, or not, as it was."""
    return (
        *(volume.unit for volume in host.volumes),
        *(mount_of(volume.mountpoint) for volume in host.volumes),
    )


def _service(program: str, host_file: str) -> str:
    return f"""\
[Unit]
Description=Unlock the encrypted log volume %i
Documentation=man:cryptsetup(8)
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={program} volume open %i --host-file {host_file} --wait
ExecStop={program} volume close %i --host-file {host_file}
TimeoutStartSec=infinity
TimeoutStopSec=120
StandardOutput=journal+console
StandardError=journal+console
LimitCORE=0
LimitMEMLOCK=infinity

[Install]
WantedBy=multi-user.target
"""


_DEVICE = """\
[Unit]
# The mount waits for as long as KMS makes it wait.
JobRunningTimeoutSec=infinity
"""


def _mount(volume: VolumeSpec) -> str:
    service = volume.unit
    return f"""\
[Unit]
Description=The encrypted log volume {volume.name} of Kafka
Requires={service}
After={service}
# Not before local-fs.target, which the service's network comes after: a cycle, which systemd breaks
# by leaving out one of these units. Nor before remote-fs.target: logins would wait for KMS.
DefaultDependencies=no
Conflicts=umount.target
Before=umount.target

[Mount]
What=/dev/mapper/{volume.mapper}
Where={volume.mountpoint}
Type={volume.filesystem}
Options=noatime

[Install]
WantedBy=multi-user.target
"""


def _drop_in(host: HostFile) -> str:
    lines = ["# Kafka never starts on a bare mountpoint.", "[Unit]"]
    for volume in host.volumes:
        lines += [
            f"RequiresMountsFor={volume.mountpoint}",
            f"AssertPathIsMountPoint={volume.mountpoint}",
        ]
    return "\n".join(lines) + "\n"
