"""Hosts with Kafka installed, as on a real machine: versions side by side, a link, a unit.

Each host has in its own root: /opt/kafka/versions/VERSION, the link /opt/kafka/current to one of
them, /etc/kafka/server.properties, and the unit kafka.service. Invariant: nothing of what a start
does is remembered; the unit, the link and what it points to are read at each one.
"""

from __future__ import annotations

import re
from pathlib import Path

from kafkaops.lab import archive, kit, release, unit_file
from kafkaops.lab.layout import LabHostSpec, Layout

DIRECTORY = "opt/kafka"
PROPERTIES = "etc/kafka/server.properties"
JAVA_HOME = "opt/java"
SERVICE = "kafka"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What systemd gives a unit."""
IN_VALUE = re.compile(r"(?:(?<=[\s:=,])|^)/[^\s:,]+")
"""An absolute path, alone or in an option."""

UNIT = f"""\
[Unit]
Description=Apache Kafka
After=network-online.target

[Service]
Type=simple
Environment=JAVA_HOME=/{JAVA_HOME}
Environment="KAFKA_HEAP_OPTS=%(heap)s"
Environment="KAFKA_JVM_PERFORMANCE_OPTS=%(jvm)s"
Environment="KAFKA_OPTS=%(opts)s"
Environment="KAFKA_CLASS_ARCHIVES=%(archives)s"
ExecStart=/{DIRECTORY}/current/bin/kafka-server-start.sh /{PROPERTIES}
# Kafka gives its controlled shutdown 300 s.
TimeoutStopSec=330

[Install]
WantedBy=multi-user.target
"""


def prepare(
    layout: Layout, host: LabHostSpec, version: str, properties: str, jvm: tuple[str, ...]
) -> None:
    """Install `version` on the host; `jvm` are the flags of its Java, the heap's among them."""
    root = layout.host_root(host.name)
    versions = root / DIRECTORY / "versions"
    release.install(version, versions / version)
    (root / DIRECTORY / "current").symlink_to(f"versions/{version}")
    (root / JAVA_HOME).symlink_to(kit.java().parent.parent)
    file = root / PROPERTIES
    file.parent.mkdir(parents=True)
    file.write_text(properties)
    unit = root / unit_file.path(SERVICE).lstrip("/")
    wants = unit.parent / "multi-user.target.wants"
    wants.mkdir(parents=True)
    flags = {
        "heap": " ".join(flag for flag in jvm if flag.startswith("-Xm")),
        "jvm": " ".join(flag for flag in jvm if not flag.startswith("-Xm")),
        "opts": f"-Dkafkaops.host={host.name}",
        "archives": archive.directory(),
    }
    unit.write_text(UNIT % flags)
    (wants / unit.name).symlink_to(f"../{unit.name}")


def command(layout: Layout, host: str) -> list[str]:
    """The command line of that host's broker as its unit file says now, with the environment that
    systemd would give it and no other. A path that the host has under its own root is that one.
    UnitFault for a unit that is not understood, or whose program is not there."""
    root = layout.host_root(host)
    unit = unit_file.read(root, SERVICE)
    program, *arguments = unit.exec_start
    if not _own(root, program).exists():
        raise unit_file.UnitFault(f"ExecStart: there is no {program} (203/EXEC)")
    environment = {"PATH": PATH, **unit.environment}
    return [
        *("env", "-i"),
        *(f"{name}={_mapped(root, value)}" for name, value in environment.items()),
        str(_own(root, program)),
        *(_mapped(root, word) for word in arguments),
    ]


def _mapped(root: Path, text: str) -> str:
    def own(found: re.Match[str]) -> str:
        path = _own(root, found[0])
        return str(path) if path.exists() else found[0]

    return IN_VALUE.sub(own, text)


def _own(root: Path, path: str) -> Path:
    return root / path.lstrip("/")
